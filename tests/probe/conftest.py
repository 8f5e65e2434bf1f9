"""Scanning one training step of a model, and proving that the model did not notice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from livegrad.probe.layers import LayerSpec
from livegrad.probe.scan import ScanResult, StepScan

Forward = Callable[[], Tensor]
Build = Callable[[], tuple[nn.Module, Forward]]


@dataclass(frozen=True)
class Scanned:
    """One scanned step: what was found, under the names that the model's own parameters have."""

    model: nn.Module
    result: ScanResult | None
    reason: str | None

    @property
    def layers(self) -> list[LayerSpec]:
        """Every layer, without the rows that say what the model was given."""
        assert self.result is not None, self.reason
        return [layer for layer in self.result.layers if layer.kind != "input"]

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The columns of `layers`."""
        return self._columns(inputs=False)

    @property
    def inputs(self) -> dict[str, dict[str, float]]:
        """Name of each input -> its row."""
        assert self.result is not None, self.reason
        names = [layer.name for layer in self.result.layers if layer.kind == "input"]
        columns = self._columns(inputs=True)
        return {
            name: {key: float(column[i]) for key, column in columns.items()} for i, name in enumerate(names)
        }

    def _columns(self, inputs: bool) -> dict[str, np.ndarray]:
        assert self.result is not None, self.reason
        chosen = np.array([(layer.kind == "input") is inputs for layer in self.result.layers])
        return {name: column[chosen] for name, column in self.result.columns.items()}

    def names(self, kind: str = "depth") -> list[str]:
        return [layer.name for layer in self.layers if layer.kind == kind]

    def layer(self, name: str) -> LayerSpec:
        return next(layer for layer in self.layers if layer.name == name)

    def value(self, name: str, column: str) -> float:
        return float(self.columns[column][[layer.name for layer in self.layers].index(name)])

    @property
    def owners(self) -> dict[str, str]:
        """Name of each owned parameter -> name of the layer that owns it."""
        parameters = [name for name, _ in self.model.named_parameters()]
        return {parameters[tensor]: layer.name for layer in self.layers for tensor in layer.tensors}


def scan(model: nn.Module, forward: Forward, seed: int = 0, **options: Any) -> Scanned:
    """Run one training step under a scan; forward() returns the loss. options: StepScan's own."""
    names = {module: name for name, module in model.named_modules()}
    step = StepScan(model, names, {id(p): i for i, p in enumerate(model.parameters())}, seed, **options)
    step.open()
    loss = forward()
    step.before_backward(loss)
    loss.backward()
    step.after_backward()
    return Scanned(model, step.close(), step.reason)


@pytest.fixture
def scan_step() -> Callable[..., Scanned]:
    return scan


@pytest.fixture
def scan_unnoticed() -> Callable[..., Scanned]:
    """`scan_unnoticed(build)` runs one step of the model that build() makes without a scan and one with; all
    else must agree.

    It holds for the loss, every gradient, the buffers, all version counters and hooks, and the global random
    state. Every parameter that the loss reaches must belong to exactly one layer (to one at most if not
    `all_owned`), and names must be unique.
    """

    def compare(build: Build, all_owned: bool = True) -> Scanned:
        without = _step(build, watched=False)[1]
        scanned, after = _step(build, watched=True)
        for name, expected in without.items():
            assert _same(after[name], expected), f"{name} differs under the scan"
        if scanned.result is not None:
            _assert_sound(scanned, all_owned)
        return scanned

    return compare


def _step(build: Build, watched: bool) -> tuple[Scanned, dict[str, Any]]:
    torch.manual_seed(0)
    model, forward = build()
    losses = []

    def run() -> Tensor:
        losses.append(forward())
        return losses[0]

    if watched:
        scanned = scan(model, run)
    else:
        run().backward()
        scanned = Scanned(model, None, None)
    return scanned, {"loss": losses[0].detach(), **_state(model)}


def _state(model: nn.Module) -> dict[str, Any]:
    parameters, buffers = list(model.parameters()), list(model.buffers())
    return {
        "gradients": [p.grad for p in parameters],
        "buffers": buffers,
        "versions": [t._version for t in (*parameters, *buffers)],
        "hooks": [
            (
                len(m._forward_hooks),
                len(m._forward_pre_hooks),
                len(m._backward_hooks),
                len(m._backward_pre_hooks),
            )
            for m in model.modules()
        ],
        "random state": torch.get_rng_state(),
    }


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, Tensor) and isinstance(expected, Tensor):
        found, expected = (t.to_dense() if t.layout is not torch.strided else t for t in (found, expected))
        return bool(
            torch.equal(found.isnan(), expected.isnan())
            and torch.equal(found.nan_to_num(), expected.nan_to_num())
        )
    if isinstance(found, list):
        return len(found) == len(expected) and all(_same(a, b) for a, b in zip(found, expected, strict=True))
    return found == expected


def _assert_sound(scanned: Scanned, all_owned: bool) -> None:
    assert scanned.result is not None
    owned = [tensor for layer in scanned.layers for tensor in layer.tensors]
    assert len(owned) == len(set(owned)), "a parameter belongs to two layers"
    assert not all_owned or set(owned) == scanned.result.reached, (
        "a parameter that the loss reaches belongs to no layer"
    )
    assert scanned.result.reached <= scanned.result.called
    names = [layer.name for layer in scanned.layers]
    assert len(names) == len(set(names))
    assert all(len(column) == len(names) for column in scanned.columns.values())


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Whatever a test does, nothing that we change in torch may outlive it."""
    registry, call = nn.modules.module, nn.Module.__call__
    yield
    assert nn.Module.__call__ is call
    assert not registry._global_forward_hooks
    assert not registry._global_forward_pre_hooks
    left = torch.overrides._get_current_function_mode_stack()
    while torch._C._len_torch_function_stack():
        torch.overrides._pop_mode()
    assert left == []
