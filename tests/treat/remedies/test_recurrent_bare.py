"""recurrent on recurrences of bare parameters: what keeps the state is found, and the gradient arrives."""

import pytest
import torch
from tests.treat.remedies.reach import batch, hears_after_treatment, reach
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.prescription.starts import starts_of_recurrence
from livegrad.treat.recurrence.bare import bare_loops
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat

WIDTH, STEPS = 32, 40


def drawn(*shape, scale=1.0):
    return nn.Parameter(scale * torch.randn(*shape))


class Scratch(nn.Module):
    """h = φ(x W + h U + b), as textbooks write it. turned: F.linear with rows for outputs."""

    def __init__(self, activation=torch.tanh, scale=0.1, turned=False):
        super().__init__()
        self.W, self.U, self.b = drawn(3, WIDTH), drawn(WIDTH, WIDTH, scale=scale), drawn(WIDTH)
        self.V, self.c = drawn(WIDTH, 2), nn.Parameter(torch.zeros(2))
        self.activation, self.turned = activation, turned

    def forward(self, x):
        h = x.new_zeros(len(x), WIDTH)
        for step in x.unbind(1):
            round_ = nn.functional.linear(h, self.U) if self.turned else h @ self.U
            h = self.activation(step @ self.W + round_ + self.b)
        return h @ self.V + self.c


class ScratchGRU(nn.Module):
    def __init__(self, scale):
        super().__init__()
        for gate in "zrn":
            setattr(self, f"W_{gate}", drawn(3, WIDTH, scale=scale))
            setattr(self, f"U_{gate}", drawn(WIDTH, WIDTH, scale=scale))
            setattr(self, f"b_{gate}", nn.Parameter(torch.zeros(WIDTH)))
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x):
        h = x.new_zeros(len(x), WIDTH)
        for step in x.unbind(1):
            z = torch.sigmoid(step @ self.W_z + h @ self.U_z + self.b_z)
            r = torch.sigmoid(step @ self.W_r + h @ self.U_r + self.b_r)
            n = torch.tanh(step @ self.W_n + (r * h) @ self.U_n + self.b_n)
            h = (1 - z) * n + z * h
        return self.head(h)


def loop_of(model):
    (loop,) = bare_loops(Body(model, (), (batch(STEPS),)), None)
    return loop


@pytest.mark.parametrize("turned", [False, True])
def test_the_matrix_of_the_state_is_told_from_those_that_feed_it_and_those_behind(turned):
    loop = loop_of(Scratch(turned=turned))
    assert [m.name for m in loop.states] == ["U"] and [m.name for m in loop.feeds] == ["W"]
    assert [name for name, _ in loop.biases] == ["b"]
    assert loop.steps == STEPS and not loop.gated


def test_layers_of_torch_are_no_bare_matrices():
    class Linears(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.round_ = nn.Linear(3, WIDTH), nn.Linear(WIDTH, WIDTH)

        def forward(self, x):
            h = x.new_zeros(len(x), WIDTH)
            for step in x.unbind(1):
                h = torch.tanh(self.into(step) + self.round_(h))
            return h

    assert bare_loops(Body(Linears(), (), (batch(STEPS),)), None) == []


@pytest.mark.parametrize("activation", [torch.tanh, torch.relu, torch.sigmoid])
def test_what_reaches_the_first_step_is_a_share_and_no_longer_nothing(activation):
    torch.manual_seed(0)
    model = Scratch(activation)
    hears_after_treatment(model, batch(STEPS), activation)


def test_matrices_beside_gates_that_explode_or_saturate_become_orthogonal():
    torch.manual_seed(0)
    model = ScratchGRU(2.0)
    body = Body(model, (), (batch(STEPS),), finding={"code": "LG104"})
    choice = remedy("recurrent").resolve(body, Choice("recurrent"))
    assert choice.variant == "orthogonal"
    treat(model, "recurrent=orthogonal", inputs=batch(STEPS))
    for gate in "zrn":
        matrix = model.get_parameter(f"U_{gate}").detach()
        assert torch.allclose(matrix @ matrix.T, torch.eye(WIDTH), atol=1e-5)
        fed = (batch(STEPS).flatten(0, 1) @ model.get_parameter(f"W_{gate}")).detach()
        assert float(fed.square().mean()) == pytest.approx(1.0, rel=0.01)


def test_the_bias_that_keeps_the_state_is_found_and_held():
    torch.manual_seed(0)
    model = ScratchGRU(0.1)
    assert reach(model, batch(STEPS)) < 1e-4
    forgets = Body(model, (), (batch(STEPS),), finding={"code": "LG102"})
    said = remedy("recurrent").assess(forgets, Choice("recurrent", "orthogonal"))
    assert said.works is False and "b_z" in said.reason
    treatment = treat(model, "recurrent", inputs=batch(STEPS))
    assert str(treatment.choices[0]) == "recurrent=hold"
    # ln(T − 1) where z keeps.
    assert torch.allclose(model.b_z.detach(), torch.full((WIDTH,), 3.66)) and not model.b_r.any()
    assert reach(model, batch(STEPS)) > 0.05


def test_bare_gates_are_not_started_as_a_plain_loop():
    with pytest.raises(Refused):
        treat(ScratchGRU(0.1), "recurrent=identity", inputs=batch(STEPS))


def test_saturation_of_a_loop_of_bare_matrices_asks_for_another_start():
    body = Body(Scratch(scale=1.0), (), (batch(STEPS),))
    assert any(choices[0].remedy == "recurrent" for choices, _ in starts_of_recurrence(body, {"LG201"}))
