"""recurrent on loops that are written by hand: the state's weights are found, and the gradient arrives."""

import pytest
import torch
from tests.treat.remedies.reach import batch, hears_after_treatment, reach
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.recurrence.loops import looped_layers
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat

WIDTH, STEPS = 48, 60


class Elman(nn.Module):
    """h = φ(x2h x + h2h h), written as people do."""

    def __init__(self, activation=torch.tanh, layers=1):
        super().__init__()
        self.x2h = nn.ModuleList([nn.Linear(3 if i == 0 else WIDTH, WIDTH) for i in range(layers)])
        self.h2h = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(layers)])
        self.head, self.activation = nn.Linear(WIDTH, 2), activation

    def forward(self, x):
        states = [x.new_zeros(len(x), WIDTH) for _ in self.h2h]
        for step in x.unbind(1):
            for i, (into, round_) in enumerate(zip(self.x2h, self.h2h, strict=True)):
                step = states[i] = self.activation(into(step) + round_(states[i]))
        return self.head(states[-1])


class Joined(nn.Module):
    """The same with one layer for both, the state behind the input."""

    def __init__(self, gated=False):
        super().__init__()
        self.i2h, self.head = nn.Linear(3 + WIDTH, WIDTH), nn.Linear(WIDTH, 2)
        self.gate = nn.Linear(3 + WIDTH, WIDTH) if gated else None

    def forward(self, x):
        h = x.new_zeros(len(x), WIDTH)
        for step in x.unbind(1):
            both = torch.cat([step, h], 1)
            new = torch.tanh(self.i2h(both))
            keep = torch.zeros(()) if self.gate is None else torch.sigmoid(self.gate(both))
            h = keep * h + (1 - keep) * new
        return self.head(h)


def found(model):
    return [(layer.name, layer.columns, [n for n, _ in layer.feeds]) for layer in looped(model)]


def looped(model):
    return looped_layers(Body(model, (), (batch(STEPS),)), None)


def test_the_weights_of_the_state_are_told_from_those_that_feed_it():
    assert found(Elman(layers=2)) == [
        ("h2h.0", (0, WIDTH), ["x2h.0"]), ("h2h.1", (0, WIDTH), ["x2h.1"]),
    ]  # fmt: skip
    assert found(Joined()) == [("i2h", (3, 3 + WIDTH), [])]
    assert {layer.steps for layer in looped(Elman())} == {STEPS}


@pytest.mark.parametrize("activation", [torch.tanh, torch.relu, torch.sigmoid])
def test_what_reaches_the_first_step_of_a_loop_is_a_share_and_no_longer_nothing(activation):
    torch.manual_seed(0)
    model = Elman(activation)
    hears_after_treatment(model, batch(STEPS), activation)


def test_what_feeds_the_state_is_held_to_what_it_can_hold():
    """T steps that add 1/T each to its mean square: at the end it is about one, for all T."""
    torch.manual_seed(0)
    model = Elman(nn.Identity())
    treat(model, "recurrent=orthogonal", inputs=batch(STEPS))
    states = []
    model.head.register_forward_pre_hook(lambda _, args: states.append(args[0]))
    model(batch(STEPS))
    assert float(states[0].detach().square().mean()) == pytest.approx(1.0, rel=0.35)


class Cell(nn.Module):
    """A GRU or an LSTM in one's own words. turned: the gate lets in where others keep."""

    def __init__(self, kind, turned=False):
        super().__init__()
        self.kind, self.turned = kind, turned
        self.into, self.round_ = nn.Linear(3, 4 * WIDTH), nn.Linear(WIDTH, 4 * WIDTH)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x):
        h = c = x.new_zeros(len(x), WIDTH)
        for step in x.unbind(1):
            a, b, o, new = (self.into(step) + self.round_(h)).chunk(4, 1)
            a, b, o = torch.sigmoid(a), torch.sigmoid(b), torch.sigmoid(o)
            if self.kind == "lstm":
                c = b * c + a * torch.tanh(new)
                h = o * torch.tanh(c)
            else:
                keep = 1 - a if self.turned else a
                h = keep * h + (1 - keep) * torch.tanh(new)
        return self.head(h)


@pytest.mark.parametrize(
    ("kind", "turned", "rows"),
    [("lstm", False, (WIDTH, 2 * WIDTH)), ("gru", False, (0, WIDTH)), ("gru", True, (0, WIDTH))],
)
def test_the_gate_that_keeps_the_state_is_found_and_held(kind, turned, rows):
    torch.manual_seed(0)
    model = Cell(kind, turned)
    assert reach(model, batch(STEPS)) < 1e-3
    treatment = treat(model, "recurrent", inputs=batch(STEPS))
    assert str(treatment.choices[0]) == "recurrent=hold"
    assert [change.where for change in treatment.changes] == ["into.bias", "round_.bias"]
    assert not model.round_.bias.any()
    bias = model.into.bias.detach()
    # ln(T − 1), of the sign that keeps.
    held = torch.full((WIDTH,), -4.08 if turned else 4.08)
    assert torch.equal(bias[rows[0] : rows[1]], held)
    assert int(bias.count_nonzero()) == WIDTH  # what lets in is at rest
    assert reach(model, batch(STEPS)) > 0.05


def test_gates_that_are_written_by_hand_are_no_plain_loop():
    assert looped(Joined(gated=True)) == []
    with pytest.raises(Refused, match="without gates"):
        treat(Joined(gated=True), "recurrent=orthogonal", inputs=batch(STEPS))
