"""A step run again on a copy: model, program and memory are as before; what could do more than compute is
refused.
"""

import copy
import gc
import random
import weakref
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from torch import nn
from torch.nn import functional as F

from livegrad.probe.counterfactual import Experiment, Outcome
from livegrad.probe.intervention.plan import Accusation
from livegrad.probe.replay import BatchKeeper, Replay
from livegrad.probe.scan import StepScan
from livegrad.probe.twin import CannotCopy, make_twin


def _misfit(out: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(out, torch.arange(len(out)) % 5)


def replay_of(model: nn.Module, *args: Any, loss_of: Any = _misfit, **kwargs: Any) -> Replay:
    names = {module: name for name, module in model.named_modules()}
    ids = {id(p): i for i, p in enumerate(model.parameters())}
    scan, keeper = StepScan(model, names, ids, seed=3), BatchKeeper(model)
    scan.open()
    keeper.open()
    out = model(*args, **kwargs)
    keeper.close()
    loss = loss_of(out)
    scan.before_backward(loss)
    loss.backward()
    scan.after_backward()
    result = scan.close()
    assert result is not None, scan.reason
    return keeper.replay(model, tuple(names.values()), result)


def without_sigmoid(replay: Replay) -> Outcome:
    layers = tuple(spec.name for spec in replay.result.layers if spec.kind == "depth")
    blamed = tuple(spec.name for spec in replay.result.layers if spec.operator == "Sigmoid")
    return Experiment(replay).test(Accusation("LG101", layers, "activation-slope", "Sigmoid", blamed))


def sigmoid_stack(*more: nn.Module) -> list[nn.Module]:
    return [m for _ in range(8) for m in (nn.Linear(16, 16), *map(copy.deepcopy, more), nn.Sigmoid())]


class Stack(nn.Module):
    """A batch norm, eight sigmoid layers with dropout, and a head."""

    def __init__(self) -> None:
        super().__init__()
        body = sigmoid_stack(nn.Dropout(0.2))
        self.body, self.head = nn.Sequential(nn.BatchNorm1d(16), *body), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class Bare(nn.Module):
    """Eight sigmoid layers; what is to be tried is written in the forward pass of a subclass."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Sequential(*sigmoid_stack()), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def state_of(model: nn.Module) -> list[Any]:
    tensors = [*model.parameters(), *model.buffers()]
    return [
        [t.detach().clone() for t in tensors],
        [t._version for t in tensors],
        [None if t.grad is None else t.grad.clone() for t in model.parameters()],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        torch.is_grad_enabled(),
    ]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_neither_the_model_nor_the_program_notices() -> None:
    model = Stack()
    replay = replay_of(model, x := torch.randn(32, 16))
    before, given = state_of(model), x.clone()
    with torch.no_grad():
        outcome = without_sigmoid(replay)
        assert not torch.is_grad_enabled()
    assert outcome.note is None
    assert same(state_of(model), before)
    assert torch.equal(x, given)
    assert nn.Module.__call__.__module__ == "torch.nn.modules.module"
    assert torch._C._len_torch_function_stack() == 0


def test_the_copy_draws_what_the_step_drew() -> None:
    torch.manual_seed(1)
    replay = replay_of(Stack(), torch.randn(32, 16))
    torch.randn(1000)
    outcome = without_sigmoid(replay)
    names = [spec.name for spec in replay.result.layers if spec.kind == "depth"]
    columns = replay.result.columns
    decades = np.log10(columns["audibility"] / columns["audibility_output"])[: len(names)]
    assert outcome.before == pytest.approx(float(decades.min()), abs=1e-4)


def test_a_step_later_the_copy_is_what_the_model_was() -> None:
    model = Stack()
    replay = replay_of(model, torch.randn(32, 16))
    first = without_sigmoid(replay)
    torch.optim.SGD(model.parameters(), lr=100.0).step()
    assert without_sigmoid(replay) == first


def test_an_input_that_the_model_or_the_script_overwrites_was_kept() -> None:
    class Overwriting(Bare):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.detach()
            x.mul_(3.0)
            return super().forward(x)

    x = torch.randn(32, 16)
    replay = replay_of(Overwriting(), x)
    x.zero_()
    assert without_sigmoid(replay).note is None


def test_nothing_outlives_the_replay() -> None:
    model = Stack()
    replay = replay_of(model, torch.randn(32, 16))
    assert without_sigmoid(replay).note is None
    kept = [weakref.ref(thing) for thing in (replay.twin, *replay.twin.parameters(), *replay.batch.args)]
    alive = [weakref.ref(thing) for thing in (model, *model.parameters())]
    del replay, model
    gc.collect()
    assert [r for r in (*kept, *alive) if r() is not None] == []


def test_the_users_hooks_stay_with_the_user() -> None:
    model, heard = Stack(), []
    model.head.register_forward_hook(lambda module, args, output: heard.append(output))
    model.head.register_forward_pre_hook(lambda module, args: heard.append(args))
    model.head.weight.register_hook(lambda gradient: heard.append(gradient))
    replay = replay_of(model, torch.randn(32, 16))
    count = len(heard)
    assert without_sigmoid(replay).note is None
    assert len(heard) == count == 3
    assert not replay.twin.get_submodule("head")._forward_hooks


def test_weights_that_a_hook_of_torch_computes_are_computed_in_the_copy() -> None:
    model = Bare()
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(model.head)
    twin = make_twin(model)
    x = torch.randn(4, 16)
    assert torch.equal(twin(x), model(x))
    twin.get_parameter("head.weight_g").data.zero_()
    assert torch.equal(twin.get_submodule("head")(x), twin.get_parameter("head.bias").expand(4, 5))


def test_tensors_with_a_history_that_hang_on_a_module_are_no_hindrance() -> None:
    class Remembering(Bare):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.last = super().forward(x)
            return self.last

    model = Remembering()
    assert without_sigmoid(replay_of(model, torch.randn(32, 16))).note is None
    assert model.last.grad_fn is not None


def test_arguments_of_many_kinds_are_kept() -> None:
    class Manifold(Bare):
        def forward(self, batch: dict[str, Any], *, scale: float, pair: tuple[Any, ...]) -> torch.Tensor:
            return super().forward(batch["x"] * scale + pair[0] + pair[1]["y"])

    batch = {"x": torch.randn(32, 16), "mask": None}
    replay = replay_of(Manifold(), batch, scale=2.0, pair=(torch.randn(16), {"y": torch.randn(1)}))
    batch["x"] += 1e3
    assert without_sigmoid(replay).note is None


def test_automatic_precision_is_that_of_the_step() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        replay = replay_of(Bare(), torch.randn(32, 16))
    assert replay.batch.autocast == {"cpu": torch.bfloat16}
    outcome = without_sigmoid(replay)
    assert outcome.note is None
    assert not torch.is_autocast_enabled("cpu")
    assert replay_of(Bare(), torch.randn(32, 16)).batch.autocast == {}


GENERATOR = torch.Generator()
NUMBERS = np.random.default_rng(0)
STREAM = iter(range(1000))
KEPT: list[Any] = []
TOTAL = torch.zeros(16)
OUTSIDE = nn.BatchNorm1d(16)
COUNT = 0


class Prints(Bare):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print(x.shape)
        return super().forward(x)


class Collects(Bare):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        KEPT.append(x)
        return super().forward(x)


class Counts(Bare):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        global COUNT
        COUNT += 1
        return super().forward(x)


def head(x: torch.Tensor) -> torch.Tensor:
    """Has the name of an attribute that every model here calls, and is not called by any."""
    KEPT.append(x)
    return x


def _note(x: torch.Tensor) -> torch.Tensor:
    KEPT.append(x)
    return x


class CollectsElsewhere(Bare):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(_note(x))


class WritesIntoGlobal(Bare):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            TOTAL.add_(x.mean(0))
        return super().forward(x)


class CallsOutside(Bare):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(OUTSIDE(x))


class DrawsOutside(Bare):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x + float(NUMBERS.normal()))


class Consumes(Bare):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x + next(STREAM))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (DrawsOutside, "drawing from 'NUMBERS'"),
        (Consumes, "drawing from 'STREAM'"),
        (Prints, "print() at tests/probe/test_replay.py:"),
        (Collects, "KEPT.append() at"),
        (Counts, "'COUNT'"),
        (CollectsElsewhere, "KEPT.append() at"),
        (WritesIntoGlobal, "writes (add_) into a tensor that is not the model's"),
        (CallsOutside, "calls a BatchNorm1d that the copy does not hold"),
    ],
)
def test_a_forward_pass_that_does_more_than_compute_is_not_run_again(
    kind: type[Bare], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    KEPT.clear()
    replay = replay_of(kind(), torch.randn(32, 16))
    before = (len(KEPT), COUNT, TOTAL.clone(), OUTSIDE.running_mean.clone(), capsys.readouterr().out != "")
    outcome = without_sigmoid(replay)
    assert outcome.before is None
    assert said in str(outcome.note)
    after = (len(KEPT), COUNT, TOTAL, OUTSIDE.running_mean, before[4])
    assert all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
        for a, b in zip(before, after, strict=True)
    )
    assert capsys.readouterr().out == ""


def test_a_generator_of_the_programs_own_goes_on_where_it_was() -> None:
    class Noisy(Bare):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            noise = torch.randn(x.shape, generator=GENERATOR)
            return super().forward(x + 0.01 * noise + torch.zeros_like(x).normal_(generator=GENERATOR) * 0.01)

    replay = replay_of(Noisy(), torch.randn(32, 16))
    before = GENERATOR.get_state()
    assert without_sigmoid(replay).note is None
    assert torch.equal(GENERATOR.get_state(), before)


def test_of_two_heads_alike_the_same_one_is_measured() -> None:
    class Heads(Bare):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleList(nn.Linear(16, 5) for _ in range(4))

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
            x = self.body(x)
            return {str(k): head(x) * 10.0**k for k, head in enumerate(self.heads)}

    def loss_of(out: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.stack([out[key].square().mean() for key in ("3", "1", "0")]).sum()

    for seed in range(5):
        torch.manual_seed(seed)
        replay = replay_of(Heads(), torch.randn(32, 16), loss_of=loss_of)
        assert replay.result.outputs == (0, 1, 3)
        assert without_sigmoid(replay).note is None


def test_a_sparse_input_is_kept() -> None:
    class Spread(Bare):
        def forward(self, graph: torch.Tensor, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return super().forward(torch.sparse.mm(graph, x))

    graph = torch.eye(32).to_sparse()
    assert without_sigmoid(replay_of(Spread(), graph, torch.randn(32, 16))).note is None


def test_what_is_taken_out_of_a_checkpointed_segment_stays_out() -> None:
    class Checkpointed(Bare):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.utils.checkpoint.checkpoint(self.body, x, use_reentrant=False)
            return self.head(x)

    outcome = without_sigmoid(replay_of(Checkpointed(), torch.randn(32, 16)))
    assert outcome.before < -4
    assert abs(outcome.after) < 1


def test_a_custom_function_is_replaced_like_any_call() -> None:
    class Bend(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            y = torch.sigmoid(x)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            (y,) = ctx.saved_tensors
            return gradient * y * (1 - y)

    class Custom(Bare):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.body:
                x = layer(x) if isinstance(layer, nn.Linear) else Bend.apply(x)
            return self.head(x)

    apply = vars(torch.autograd.Function)["apply"]
    replay = replay_of(Custom(), torch.randn(32, 16))
    layers = tuple(spec.name for spec in replay.result.layers if spec.kind == "depth")
    blamed = tuple(name for name in layers if "bend" in name.lower())
    assert len(blamed) == 8
    outcome = Experiment(replay).test(Accusation("LG101", layers, "activation-slope", "Bend", blamed))
    assert outcome.note is None
    assert outcome.before < -4
    assert abs(outcome.after) < 1
    assert vars(torch.autograd.Function)["apply"] is apply


def test_a_forward_replaced_by_a_closure_over_the_model_does_not_touch_it() -> None:
    model = Stack()
    plain = model.forward
    model.forward = lambda x: plain(x) * 2.0  # type: ignore[method-assign]
    replay = replay_of(model, torch.randn(32, 16))
    before = state_of(model)
    outcome = without_sigmoid(replay)
    assert "does not hold" in str(outcome.note)
    assert same(state_of(model), before)


def test_a_model_that_carries_state_from_step_to_step_does_not_repeat_it() -> None:
    class Drifting(Bare):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.ones(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.head(self.body(x) / self.scale)
            self.scale = self.scale * 1e4
            return y

    outcome = without_sigmoid(replay_of(Drifting(), torch.randn(32, 16)))
    assert "does not repeat the step" in str(outcome.note)


def test_a_model_with_a_data_set_hanging_on_it_is_not_copied() -> None:
    class Laden(Bare):
        def __init__(self) -> None:
            super().__init__()
            self.data = [np.zeros(2**21, np.float64) for _ in range(5)]

    with pytest.raises(CannotCopy, match="no part of a model"):
        replay_of(Laden(), torch.randn(32, 16))


def test_what_cannot_be_copied_is_said() -> None:
    class Generating(Bare):
        def __init__(self) -> None:
            super().__init__()
            self.stream = (i for i in range(3))

    with pytest.raises(CannotCopy, match="cannot be copied: TypeError"):
        replay_of(Generating(), torch.randn(32, 16))


def test_hooks_on_all_modules_forbid_a_copy() -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: None)
    try:
        with pytest.raises(CannotCopy, match="hooks on the calls of all modules"):
            make_twin(Bare())
    finally:
        handle.remove()


def test_two_calls_in_a_step_are_not_told_apart() -> None:
    model = Bare()
    keeper = BatchKeeper(model)
    keeper.open()
    model(torch.randn(2, 16))
    model(torch.randn(2, 16))
    keeper.close()
    assert keeper.batch is None
    assert keeper.reason == "the model was called several times in the step"
