"""activation: what the swapped net passes back is what theory says, and what must not be touched is not."""

import copy
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from livegrad.theory.correlation_map import covariance
from livegrad.theory.propagation import backward_gain
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Refused
from livegrad.treat.tailored import SMOOTH, Tailored, tailor
from livegrad.treat.treatment import treat

DEPTH, WIDTH = 30, 128


def stack(activation, depth=DEPTH, width=WIDTH):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


class Functional(nn.Module):
    """Sigmoids as functions, methods and in place, one of them on the last layer's output."""

    def __init__(self, depth=6, width=WIDTH):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        for layer in [*self.layers[:2]]:
            x = torch.sigmoid(layer(x))
        for layer in [*self.layers[2:4]]:
            x = layer(x).sigmoid_()
        for layer in [*self.layers[4:], self.head]:
            x = F.sigmoid(layer(x))
        return x


@pytest.fixture
def batch():
    return torch.randn(64, WIDTH, generator=torch.Generator().manual_seed(7))


# One draw at this depth and width differs from theory by √(5·30/128)/2 nats = 0.24 decades (s.d.).
@pytest.mark.parametrize("variant", ["relu", "leaky-relu", "elu", "selu", "tanh", "tailored"])
def test_the_measured_audibility_is_the_predicted_one(variant, batch):
    torch.manual_seed(0)
    proof = treat(stack(nn.Sigmoid), f"activation={variant}", inputs=batch).certificate
    assert proof.decades_before < -10
    assert proof.decades_after == pytest.approx(proof.decades_predicted, abs=0.8)


def test_auto_takes_a_sigmoid_to_tanh_and_dead_units_to_a_slope(batch):
    torch.manual_seed(0)
    treatment = treat(stack(nn.Sigmoid, 10), "activation", inputs=batch)
    assert str(treatment.choices[0]) == "activation=tanh"
    assert abs(treatment.certificate.decades_after) < 1.5
    body = Body(stack(nn.ReLU, 4), (), (batch,), {}, {"code": "LG202", "cause": {"operator": "ReLU"}})
    assert remedy("activation").resolve(body, Choice("activation")).variant == "leaky-relu"


def test_functional_calls_are_swapped_except_the_output_link(batch):
    torch.manual_seed(0)
    model = Functional()
    before = model(batch)
    treatment = treat(model, "activation=relu:init=false", inputs=batch, force=True)
    x = batch
    for layer in model.layers:
        x = F.relu(layer(x))
    expected = torch.sigmoid(model.head(x))
    assert torch.equal(model(batch), expected)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(batch), expected)
        with torch.no_grad():
            twin.head.weight.zero_()
        assert not torch.equal(twin(batch), model(batch))
    assert list(model.state_dict()) == list(Functional().state_dict())
    treatment.undo()
    assert torch.equal(model(batch), before) and "forward" not in model.__dict__


def test_a_swapped_model_trains_as_one_written_so(batch):
    class Written(Functional):
        def forward(self, x):
            for layer in self.layers:
                x = F.silu(layer(x))
            return torch.sigmoid(self.head(x))

    torch.manual_seed(0)
    model = Functional()
    written = Written()
    treat(model, "activation=silu:init=false", inputs=batch, force=True)
    written.load_state_dict(model.state_dict())
    for net in (model, written):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            net(batch).square().mean().backward()
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), written.parameters(), strict=True))


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_runs_the_swap_too(batch):
    model = Functional()
    treat(model, "activation=relu", inputs=batch)
    with torch.no_grad():
        assert torch.allclose(torch.compile(model, backend="eager")(batch), model(batch))


def test_a_healthy_rectifier_is_never_taken_to_a_saturating_one(batch):
    body = Body(stack(nn.ReLU, 4), (), (batch,), {})
    assert remedy("activation").resolve(body, Choice("activation")).variant == "leaky-relu"


class Gated(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.value, self.gate, self.out = (nn.Linear(width, width) for _ in range(3))
        self.sigmoid, self.tanh = nn.Sigmoid(), nn.Tanh()

    def forward(self, x):
        t = self.sigmoid(self.gate(x))
        return self.out(t * self.tanh(self.value(x)) + (1 - t) * x)


class Cell(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.u, self.w, self.out = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x):
        h = torch.zeros_like(x)
        for _ in range(4):
            h = torch.tanh(self.u(x) + self.w(h))
        return self.out(h)


class Swish(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.a, self.b = nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x):
        z = self.a(x)
        return self.b(z * torch.sigmoid(z)).sigmoid()


def test_a_gate_stays_and_what_it_lets_through_is_swapped(batch):
    model = Gated()
    changes = treat(model, "activation=relu:init=false", inputs=batch, force=True).changes
    assert [c.where for c in changes] == ["tanh"]
    assert isinstance(model.sigmoid, nn.Sigmoid) and isinstance(model.tanh, nn.ReLU)


@pytest.mark.parametrize(("kind", "why"), [(Cell, "in a loop"), (Swish, "as gates.*output")])
def test_loops_gates_and_outputs_are_named_as_the_reason_for_a_refusal(kind, why, batch):
    with pytest.raises(Refused, match=why):
        treat(kind(), "activation=relu", inputs=batch)


def test_frozen_layers_keep_their_activation(batch):
    model = stack(nn.Sigmoid, 4)
    for p in model[0].parameters():
        p.requires_grad_(False)
    treat(model, "activation=relu:init=false", inputs=batch, force=True)
    assert [type(m).__name__ for m in model[1::2]] == ["Sigmoid", "ReLU", "ReLU", "ReLU"]


def test_a_module_shared_with_the_output_is_swapped_at_its_hidden_calls_only(batch):
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.act = nn.Linear(WIDTH, 8), nn.Linear(8, 1), nn.Sigmoid()

        def forward(self, x):
            return self.act(self.b(self.act(self.a(x))))

    model = Shared()
    treat(model, "activation=relu:init=false", inputs=batch, force=True)
    assert torch.equal(model(batch), torch.sigmoid(model.b(F.relu(model.a(batch)))))


def test_undo_puts_modules_and_weights_back_bit_for_bit(batch):
    model = stack(nn.Sigmoid, 4)
    kept, modules = [p.detach().clone() for p in model.parameters()], list(model)
    treat(model, "activation=gelu", inputs=batch).undo()
    assert list(model) == modules
    assert all(torch.equal(a, b) for a, b in zip(kept, model.parameters(), strict=True))


def test_without_a_batch_a_plain_stack_is_treated_and_other_models_are_not():
    model = stack(nn.Sigmoid, 4)
    treat(model, "activation=relu")
    assert not any(isinstance(m, nn.Sigmoid) for m in model)
    with pytest.raises(Refused, match="batch"):
        treat(Gated(), "activation=relu")


def test_a_swap_that_leaves_the_gradient_lost_is_refused(batch):
    """Poole et al. 2016: tanh with weights of gain 5 is chaotic, and its gradients explode."""
    model = stack(nn.Sigmoid)
    with torch.no_grad():
        for layer in model[::2]:
            nn.init.normal_(layer.weight, std=5 / math.sqrt(WIDTH))
    with pytest.raises(Refused, match=r"decades over 31 layers"):
        treat(model, "activation=tanh:init=false", inputs=batch)
    assert abs(treat(model, "activation=tanh", inputs=batch).certificate.decades_after) < 1.5


@pytest.mark.parametrize("base", [*SMOOTH, "ReLU"])
def test_a_tailored_activation_keeps_length_and_gradient(base):
    shape = tailor(base, 100)
    found = backward_gain(shape.activation, 1.0, depth=100)
    assert found.decades == pytest.approx(0, abs=1e-6) and found.forward_decades == pytest.approx(0, abs=1e-6)
    x = torch.linspace(-3, 3, 50, dtype=torch.float64)
    assert Tailored(shape)(x).numpy() == pytest.approx(shape.activation.function(x.numpy()), rel=1e-6)


def test_through_the_tailored_rectifier_strangers_end_up_alike_by_nine_tenths():
    """Zhang et al. 2022, η = 0.9, by the correlation map of the theory."""
    shape, alike = tailor("ReLU", 50), 0.0
    for _ in range(50):
        alike = covariance(shape.activation, alike)
    assert alike == pytest.approx(0.9, abs=2e-3)
    assert tailor("ReLU", 1).slope == 0  # a shallow net needs no help


@pytest.mark.parametrize("made", [nn.Sigmoid, nn.Tanh])
def test_edits_name_the_line_that_made_the_module(made, batch):
    model = stack(made, 3)
    sources = {"1": "net.py:4", "3": "net.py:4", "5": "net.py:9"}
    body = Body(model, (), (batch,), {}, sources=sources)
    choice = Choice("activation", "relu", {"init": False})
    changes = remedy("activation").apply(body, choice)
    edits = remedy("activation").edits(body, choice, changes)
    assert [(e.kind, e.source, e.target, e.code) for e in edits] == [
        ("replace-call", "net.py:4", made.__name__, "nn.ReLU()"),
        ("replace-call", "net.py:9", made.__name__, "nn.ReLU()"),
    ]


def test_weights_that_cannot_be_drawn_are_predicted_as_they_are(batch):
    """Weight norm keeps torch's σ_w² = 1/3: a ReLU then passes back √(1/6) per layer."""
    norm = torch.nn.utils.parametrizations.weight_norm
    layers = [(norm(nn.Linear(WIDTH, WIDTH)), nn.Tanh()) for _ in range(6)]
    model = nn.Sequential(*[module for pair in layers for module in pair], nn.Linear(WIDTH, 2))
    assessment = treat(model, "activation=relu", inputs=batch).assessments[0]
    assert assessment.predicted["backward_gain_per_layer"] == pytest.approx(6**-0.5, rel=0.02)
