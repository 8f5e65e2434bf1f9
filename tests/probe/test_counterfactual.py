"""Causes taken out of a copy: the right one takes the fault away with it, a wrong one does not, for twenty
kinds of sick networks written as modules, as calls, as methods and in place.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.diagnose.confirmation import judge
from livegrad.probe.counterfactual import Experiment, Outcome
from livegrad.probe.intervention.plan import Accusation
from livegrad.probe.replay import BatchKeeper, Replay
from livegrad.probe.scan import StepScan

Body = Callable[["Tower", nn.Module, torch.Tensor, int], torch.Tensor]


class Tower(nn.Module):
    """`depth` linear maps, each followed by what `body` says, and a head."""

    def __init__(self, body: Body, depth: int, gain: float | None = None, bias: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(48, 48) for _ in range(depth))
        self.norm, self.drop, self.head = nn.LayerNorm(48), nn.Dropout(0.1), nn.Linear(48, 5)
        self.body = body
        for linear in self.linear if gain is not None else ():
            nn.init.normal_(linear.weight, 0, gain / math.sqrt(48))
            nn.init.normal_(linear.bias, 0, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for k, linear in enumerate(self.linear):
            x = self.body(self, linear, x, k)
        return self.head(x)


class Functional(nn.Module):
    """A stack written out with parameters and calls alone."""

    def __init__(self, depth: int, step: Callable[[torch.Tensor], torch.Tensor], gain: float = 1.0) -> None:
        super().__init__()
        self.w = nn.ParameterList(gain * torch.randn(48, 48) / 48**0.5 for _ in range(depth))
        self.head, self.step = nn.Parameter(torch.randn(48, 5) / 48**0.5), step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for w in self.w:
            x = self.step(x @ w)
        return x @ self.head


def convolutional() -> nn.Module:
    layers = [layer for _ in range(14) for layer in (nn.Conv2d(6, 6, 3, padding=1), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * 25, 5))


def normalized(kind: type[nn.Module], act: type[nn.Module], depth: int) -> nn.Module:
    layers = [layer for _ in range(depth) for layer in (nn.Linear(48, 48), kind(48), act())]
    return nn.Sequential(*layers, nn.Linear(48, 5))


class Residual(nn.Module):
    """Residual blocks without normalization; scaled(skip, branch) joins the two."""

    def __init__(self, depth: int, join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.branch = nn.ModuleList(nn.Linear(48, 48) for _ in range(depth))
        self.head, self.join = nn.Linear(48, 5), join
        for branch in self.branch:
            nn.init.normal_(branch.weight, 0, math.sqrt(2 / 48))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for branch in self.branch:
            x = self.join(x, branch(torch.relu(x)))
        return self.head(x)


def plus(skip: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
    return skip + branch


def plus_in_place(skip: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
    total = skip.clone()
    total += branch
    return total


def faint_skip(skip: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
    return skip * 0.3 + 0.05 * branch


@dataclass(frozen=True)
class Sick:
    """A network, the code of its finding, and (kind, type of operations) of a right cause and wrong ones."""

    build: Callable[[], nn.Module]
    code: str
    right: tuple[str, str]
    wrong: tuple[tuple[str, str], ...]
    shape: tuple[int, ...] = (32, 48)


SICK = {
    "sigmoid in calls": Sick(
        lambda: Tower(lambda t, lin, x, k: t.drop(torch.sigmoid(lin(x))), 16), "LG101",
        ("activation-slope", "Sigmoid"), (("operation", "Linear"),),
    ),
    "sigmoid in modules, normalized": Sick(
        lambda: normalized(nn.LayerNorm, nn.Sigmoid, 20), "LG101",
        ("activation-slope", "Sigmoid"), (("normalization", "LayerNorm"), ("weights-small", "Linear")),
    ),
    "sigmoid in place": Sick(
        lambda: Tower(lambda t, lin, x, k: lin(x).sigmoid_(), 16), "LG101",
        ("activation-slope", "Sigmoid"), (("residual-scale", "Linear"),),
    ),
    "convolutions with sigmoid": Sick(
        convolutional, "LG101", ("activation-slope", "Sigmoid"), (), (16, 6, 5, 5),
    ),
    "softplus at its gain": Sick(
        lambda: Tower(lambda t, lin, x, k: F.softplus(lin(x)), 30, 1.04), "LG101",
        ("activation-slope", "Softplus"), (("weights-small", "Linear"),),
    ),
    "tanh, default weights": Sick(
        lambda: Tower(lambda t, lin, x, k: lin(x).tanh(), 30), "LG101",
        ("weights-small", "Linear"), (("activation-slope", "Tanh"),),
    ),
    "relu in place, default weights": Sick(
        lambda: Tower(lambda t, lin, x, k: lin(x).relu_(), 30), "LG101",
        ("weights-small", "Linear"), (("activation-slope", "ReLU"),),
    ),
    "tiny weights without biases": Sick(
        lambda: Tower(lambda t, lin, x, k: torch.relu(lin(x)), 20, 0.3), "LG101",
        ("weights-small", "Linear"), (("activation-slope", "ReLU"),),
    ),
    "tanh, large weights": Sick(
        lambda: Tower(lambda t, lin, x, k: torch.tanh(lin(t.norm(x))), 30, 5.0), "LG103",
        ("weights-large", "Linear"), (("normalization", "LayerNorm"),),
    ),
    "relu, large weights": Sick(
        lambda: Tower(lambda t, lin, x, k: torch.relu(lin(x)), 30, 4.0), "LG103",
        ("weights-large", "Linear"), (("activation-slope", "ReLU"),),
    ),
    "matrix products, large weights": Sick(
        lambda: Functional(30, torch.tanh, 5.0), "LG103",
        ("weights-large", "matmul"), (),
    ),
    "batch norm in modules": Sick(
        lambda: normalized(nn.BatchNorm1d, nn.ReLU, 44), "LG103",
        ("normalization", "BatchNorm1d"), (("weights-large", "Linear"),),
    ),
    "batch norm in calls": Sick(
        lambda: Functional(44, lambda x: F.relu(F.batch_norm(x, None, None, training=True))), "LG103",
        ("normalization", "batch_norm"), (("weights-large", "matmul"),),
    ),
    "softmax between layers": Sick(
        lambda: Tower(lambda t, lin, x, k: torch.softmax(lin(x), -1), 8), "LG101",
        ("operation", "Softmax"), (("weights-small", "Linear"),),
    ),
    "clamped to a hundredth": Sick(
        lambda: Tower(lambda t, lin, x, k: lin(x).clamp(-0.01, 0.01), 8), "LG101",
        ("operation", "clamp"), (("weights-small", "Linear"),),
    ),
    "divided by a hundred": Sick(
        lambda: Tower(lambda t, lin, x, k: torch.relu(lin(x)) / 100, 6), "LG101",
        ("operation", "div"), (("activation-slope", "ReLU"), ("weights-small", "Linear")),
    ),
    "multiplied in place": Sick(
        lambda: Tower(lambda t, lin, x, k: F.gelu(lin(x)).mul_(0.01), 6), "LG101",
        ("operation", "mul"), (("activation-slope", "GELU"),),
    ),
    "squares": Sick(
        lambda: Tower(lambda t, lin, x, k: lin(x) ** 2, 6, 1.5), "LG103", ("operation", "pow"), (),
    ),
    "a faint skip": Sick(
        lambda: Residual(24, faint_skip), "LG101", ("residual-scale", "mul"), (("weights-small", "Linear"),),
    ),
    "residual sums that grow": Sick(
        lambda: Residual(30, plus), "LG103", ("residual-scale", "add"), (("activation-slope", "ReLU"),),
    ),
    "residual sums that grow in place": Sick(
        lambda: Residual(30, plus_in_place), "LG103", ("residual-scale", "add"), (),
    ),
}  # fmt: skip


def replay_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor | None = None) -> Replay:
    """Scan one step of `model` and keep it."""
    names = {module: name for name, module in model.named_modules()}
    scan, keeper = (
        StepScan(model, names, {id(p): i for i, p in enumerate(model.parameters())}),
        BatchKeeper(model),
    )
    scan.open()
    keeper.open()
    loss = F.cross_entropy(model(x), torch.arange(len(x)) % 5 if y is None else y)
    keeper.close()
    scan.before_backward(loss)
    loss.backward()
    scan.after_backward()
    result = scan.close()
    assert result is not None, scan.reason
    return keeper.replay(model, tuple(names.values()), result)


def accuse(replay: Replay, code: str, kind: str | None, operator: str) -> Accusation:
    def is_it(spec: Any) -> bool:
        return operator in (spec.type, spec.operator) or spec.type.strip("_").lower() == operator

    blamed = tuple(spec.name for spec in replay.result.layers if is_it(spec))
    assert blamed, operator
    spine = tuple(spec.name for spec in replay.result.layers if spec.kind == "depth")
    return Accusation(code, spine, kind, operator, blamed)


def confirmed(outcome: Outcome, blamed: float | None = None) -> tuple[bool, bool]:
    assert outcome.note is None, outcome
    assert outcome.before is not None
    assert outcome.after is not None
    return judge(outcome.measure, outcome.before, outcome.after, blamed)


@pytest.mark.parametrize("name", SICK)
def test_the_right_cause_is_confirmed_and_a_wrong_one_is_not(name: str) -> None:
    sick = SICK[name]
    torch.manual_seed(0)
    replay = replay_of(sick.build(), torch.randn(sick.shape))
    experiment = Experiment(replay)
    right = experiment.test(accuse(replay, sick.code, *sick.right))
    assert confirmed(right) == (True, True), right
    for kind, operator in sick.wrong:
        wrong = experiment.test(accuse(replay, sick.code, kind, operator))
        assert wrong.note is not None or not confirmed(wrong)[0], wrong


# Two things wrong at once: taking out either leaves the other part. (kind, type, names or None for all, the
# decades that it takes by construction, or by theory at best)
TWO = {
    "sigmoid and clamp": (
        lambda: Tower(lambda t, lin, x, k: torch.sigmoid(lin(x)) if k % 2 else lin(x).clamp(-0.01, 0.01), 12),
        (("activation-slope", "Sigmoid", None, 6 * 0.41), ("operation", "clamp", None, 6 * 0.6)),
    ),
    "softplus and a division": (
        lambda: Tower(lambda t, lin, x, k: F.softplus(lin(x)) / (1 if k else 1e4), 24, 1.04, 0.1),
        (("activation-slope", "Softplus", None, 24 * 0.25), ("operation", "div", None, 4.0)),
    ),
    "two divisions": (
        lambda: Tower(lambda t, lin, x, k: torch.relu(lin(x)) / (1e4 if k in (2, 4) else 1), 6, 1.4, 0.1),
        (("operation", "div", ("div#3",), 4.0), ("operation", "div", ("div#5",), 4.0)),
    ),
    "two layers of tiny weights": (
        lambda: _with_tiny_weights(Tower(lambda t, lin, x, k: torch.tanh(lin(x)), 8, 1.2, 0.1)),
        (
            ("weights-small", "Linear", ("linear.3",), 3.0),
            ("weights-small", "Linear", ("linear.6",), 3.0),
        ),
    ),
    "softmax and a division": (
        lambda: Tower(
            lambda t, lin, x, k: (
                torch.softmax(lin(x), -1) if k in (1, 2, 3) else torch.relu(lin(x)) / (1e5 if k == 5 else 1)
            ),
            7,
            1.4,
            0.1,
        ),
        (("operation", "Softmax", None, 3 * 1.0), ("operation", "div", None, 5.0)),
    ),
}


def _with_tiny_weights(tower: Tower) -> Tower:
    for k in (3, 6):
        nn.init.normal_(tower.linear[k].weight, 0, 1e-4 / 48**0.5)
    return tower


@pytest.mark.parametrize("name", TWO)
def test_of_two_causes_each_is_confirmed_in_part(name: str) -> None:
    build, causes = TWO[name]
    torch.manual_seed(0)
    experiment = Experiment(replay := replay_of(build(), torch.randn(32, 48)))
    for kind, operator, names, planted in causes:
        accused = accuse(replay, "LG101", kind, operator)
        if names is not None:
            accused = replace(accused, blamed=names)
        assert confirmed(outcome := experiment.test(accused), planted) == (True, False), outcome


class Recurrent(nn.Module):
    """A fused recurrent layer over 60 steps, and a head on its last state."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.core, self.head = getattr(nn, kind)(8, 32, batch_first=True), nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.core(x)[0][:, -1])


class Cell(nn.Module):
    """The same, a cell at a time."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.core, self.head = getattr(nn, kind)(8, 32), nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = None
        for t in range(x.shape[1]):
            state = self.core(x[:, t], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class ByHand(nn.Module):
    """The same, written out."""

    def __init__(self, bend: Callable[[torch.Tensor], torch.Tensor], gain: float) -> None:
        super().__init__()
        self.u, self.w, self.head = nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 5)
        self.bend = bend
        nn.init.normal_(self.w.weight, 0, gain / 32**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = x.new_zeros(len(x), 32)
        for t in range(x.shape[1]):
            state = self.bend(self.u(x[:, t]) + self.w(state))
        return self.head(state)


@pytest.mark.parametrize(
    ("build", "code", "said"),
    [
        (lambda: Recurrent("RNN"), "LG102", "orthogonal"),
        (lambda: Recurrent("LSTM"), "LG102", "forget gates of LSTM held open (bias ln 60)"),
        (lambda: Recurrent("GRU"), "LG102", "update gates"),
        (lambda: Cell("RNNCell"), "LG102", "orthogonal"),
        (lambda: Cell("LSTMCell"), "LG102", "forget gates of LSTMCell held open (bias ln 60)"),
        (lambda: Cell("GRUCell"), "LG102", "update gates"),
        (lambda: ByHand(torch.tanh, 0.5), "LG102", "orthogonal"),
        (lambda: ByHand(torch.sigmoid, 1.0), "LG102", "Sigmoid of each step"),
        (lambda: ByHand(torch.tanh, 4.0), "LG104", "orthogonal"),
    ],
)
def test_through_time_what_carries_the_state_is_to_blame(
    build: Callable[[], nn.Module], code: str, said: str
) -> None:
    torch.manual_seed(0)
    replay = replay_of(build(), torch.randn(8, 60, 8))
    names = tuple(spec.name for spec in replay.result.layers if spec.kind == "time")
    outcome = Experiment(replay).test(Accusation(code, names, "time"))
    assert confirmed(outcome)[0], outcome
    assert said in outcome.change


def test_a_recurrence_whose_state_no_square_matrix_carries_is_not_tried() -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.head = nn.Linear(40, 32), nn.Linear(32, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = x.new_zeros(len(x), 32)
            for t in range(x.shape[1]):
                state = self.w(torch.cat([x[:, t], state], 1)).clamp(-1, 1)
            return self.head(state)

    replay = replay_of(Joined(), torch.randn(8, 40, 8))
    names = tuple(spec.name for spec in replay.result.layers if spec.kind == "time")
    outcome = Experiment(replay).test(Accusation("LG102", names, "time"))
    assert outcome.before is None
    assert "by hand" in str(outcome.note)


def test_units_killed_by_their_offset_live_without_it() -> None:
    tower = Tower(lambda t, lin, x, k: torch.relu(lin(x)), 4, 1.4)
    nn.init.constant_(tower.linear[1].bias, -30.0)
    replay = replay_of(tower, torch.randn(64, 48))
    outcome = Experiment(replay).test(Accusation("LG202", ("relu#2",), None, "ReLU"))
    assert confirmed(outcome) == (True, True)
    assert (outcome.measure, outcome.before) == ("dead_share", 1.0)


def test_units_whose_input_is_always_the_same_stay_dead_without_an_offset() -> None:
    tower = Tower(lambda t, lin, x, k: torch.relu(lin(x)), 4, 1.4)
    for k in (1, 2):
        nn.init.constant_(tower.linear[k].bias, -30.0)
    replay = replay_of(tower, torch.randn(64, 48))
    outcome = Experiment(replay).test(Accusation("LG202", ("relu#3",), None, "ReLU"))
    assert outcome.after == 1.0
    assert not confirmed(outcome)[0]


def test_saturation_goes_with_the_size_of_the_inputs() -> None:
    replay = replay_of(Tower(lambda t, lin, x, k: torch.tanh(lin(x)), 3), 100 * torch.randn(64, 48))
    outcome = Experiment(replay).test(Accusation("LG201", ("tanh#1",), None, "Tanh"))
    assert confirmed(outcome) == (True, True)
    assert "tanh#1 at unit size" in outcome.change


def test_of_matrix_products_only_those_with_a_parameter_have_weights() -> None:
    class Spread(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.ParameterList(0.05 * torch.randn(48, 48) for _ in range(12))
            self.b = nn.ParameterList(0.1 * torch.randn(48) for _ in range(12))
            self.graph = (torch.eye(32) * 0.5 + 0.5 / 32).to_sparse()
            self.head = nn.Linear(48, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for w, b in zip(self.w, self.b, strict=True):
                x = torch.relu(torch.mm(self.graph, torch.mm(x, w)) + b)
            return self.head(x)

    torch.manual_seed(0)
    replay = replay_of(Spread(), torch.randn(32, 48))
    outcome = Experiment(replay).test(accuse(replay, "LG101", "weights-small", "mm"))
    assert confirmed(outcome)[0], outcome
