"""One call of a module, run once more on a copy with every value looked at: its forward pass, and a backward
pass from given gradients.

The copy shares the parameters' memory and nothing else, random states are put back, and what the program
prints meanwhile is swallowed: training does not notice.
"""

import contextlib
import copy
import io
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes

from livegrad.probe.forensics.operand import tensors_within
from livegrad.probe.forensics.provenance import Birth, Place, Provenance
from livegrad.probe.forensics.value_mode import ValueMode, plain_name
from livegrad.probe.function_mode import next_number
from livegrad.probe.source import shown_path, user_line

_COMMUNICATES = ("SyncBatchNorm", "DistributedDataParallel", "FullyShardedDataParallel", "DTensor")


@dataclass(eq=False, slots=True)
class Call:
    """An outermost call of a module, as it is kept until its step is over.

    first, last: the numbers of the autograd nodes made in it (last is None while it runs). outputs: the
    number of the node behind each tensor it returned, None for one without. versions: of the tensors among
    its arguments; numbers: of the nodes behind them. random: the state of the CPU's generator, and of the
    device's, before it. line: of the program, that made the call. step: optimizer steps taken before it.
    """

    module: Callable[[], nn.Module | None]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    first: int
    autocast: tuple[tuple[str, bool, torch.dtype], ...] = ()
    random: tuple[Tensor, ...] = ()
    versions: tuple[int, ...] = ()
    numbers: tuple[int | None, ...] = ()
    line: tuple[str, int] | None = None
    step: int = 0
    last: int | None = None
    outputs: tuple[int | None, ...] = ()

    def made(self, number: int) -> bool:
        """Whether the autograd node `number` was made in this call."""
        return self.last is not None and self.first <= number < self.last

    def changed(self) -> bool:
        """Whether an argument has been written to since."""
        return self.versions != versions_of((self.args, self.kwargs))


def versions_of(value: Any) -> tuple[int, ...]:
    """The version counter of every tensor in `value`."""
    return tuple([0 if t.is_inference() else t._version for t in tensors_within(value)])


def numbers_of(value: Any) -> tuple[int | None, ...]:
    """The number of the autograd node behind every tensor in `value`, None for one without."""
    return tuple([t.grad_fn._sequence_nr() if t.grad_fn is not None else None for t in tensors_within(value)])


@dataclass(eq=False)
class Replay:
    """What one replay found.

    outputs: its tensors in the order of the call's. birth: of the first output that is not finite.
    error: what it raised, if it did. names: parameters of the copy by name.
    """

    provenance: Provenance
    outputs: list[Tensor] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    error: Exception | None = None
    parameters: dict[str, Tensor] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)
    module_names: list[str] = field(default_factory=list)
    trouble: str | None = None

    @property
    def birth(self) -> Birth | None:
        """The birth of what is not finite in an output; where the call broke off, the first that happened."""
        found = [b for b in map(self.provenance.of, self.outputs) if b is not None]
        if self.error is not None and not found:
            found = [b for b in self.provenance.births if not b.meant]
        return min(found, key=lambda b: (b.meant, b.number), default=None)


def obstacle_to_replay(call: Call) -> str | None:
    """Return why `call` must not be run again, or None."""
    module = call.module()
    if module is None:
        return "the module is gone"
    kinds = {type(m).__name__ for m in module.modules()}
    kinds |= {type(p).__name__ for p in module.parameters()}
    if not kinds.isdisjoint(_COMMUNICATES):
        return "it communicates with other processes"
    if isinstance(module, torch.jit.ScriptModule):
        return "it is scripted"
    return None


def replay(call: Call, provenance: Provenance) -> Replay:
    """Run the forward pass of `call` again and follow every value; never raises what the module raises.

    Raises whatever copying the module raises.
    """
    module = call.module()
    assert module is not None
    twin = twin_of(module)
    found = Replay(provenance, parameters=dict(twin.named_parameters()))
    args, kwargs = _fresh(call.args), _fresh(call.kwargs)
    found.inputs = list(tensors_within((args, kwargs)))
    _introduce(twin, args, kwargs, provenance)
    running = _follow_modules(twin)
    mode = ValueMode(provenance, lambda name: _place_forward(found, name, running))
    with contextlib.ExitStack() as stack:
        stack.enter_context(undisturbed(call.random))
        stack.enter_context(torch.enable_grad())
        for device, enabled, dtype in call.autocast:
            stack.enter_context(torch.autocast(device, dtype, enabled=enabled, cache_enabled=False))
        stack.enter_context(mode)
        try:
            result = nn.Module.__call__(twin, *args, **kwargs)
            found.outputs = list(tensors_within(result))
        except Exception as error:
            found.error = error
    found.trouble = mode.trouble
    return found


def backward(found: Replay, cotangents: list[Tensor | None]) -> dict[str, Birth]:
    """Run the backward pass of a replay from these gradients of its outputs.

    Returns name -> birth for every parameter (and "input 0", …) whose gradient is not finite.
    """
    provenance = found.provenance
    pairs = [
        (t, g) for t, g in zip(found.outputs, cotangents, strict=True) if g is not None and t.requires_grad
    ]
    wanted = {name: p for name, p in found.parameters.items() if p.requires_grad}
    wanted |= {f"input {i}": t for i, t in enumerate(found.inputs) if t.requires_grad}
    if not pairs or not wanted:
        return {}
    here = sys._getframe()
    mode = ValueMode(provenance, lambda name: _place_backward(found, name, here))
    provenance.backward = True
    with undisturbed(()), mode:
        gradients = torch.autograd.grad(
            [t for t, _ in pairs], list(wanted.values()), [g for _, g in pairs], allow_unused=True
        )
    found.trouble = found.trouble or mode.trouble
    found_births = {name: provenance.of(g) for name, g in zip(wanted, gradients, strict=True)}
    return {name: birth for name, birth in found_births.items() if birth is not None}


def twin_of(module: nn.Module) -> nn.Module:
    """A copy of `module` that shares the parameters' memory; buffers and all else are copied."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for parameter in part._parameters.values():
            if parameter is not None and id(parameter) not in memo:
                memo[id(parameter)] = nn.Parameter(parameter.detach(), parameter.requires_grad)
        for value in vars(part).values():
            for tensor in tensors_within(value):
                if tensor.grad_fn is not None and id(tensor) not in memo:
                    memo[id(tensor)] = tensor.detach().clone()
    return copy.deepcopy(module, memo)


@contextlib.contextmanager
def undisturbed(random_state: tuple[Tensor, ...]) -> Iterator[None]:
    """Put back all random states afterwards, swallow what is printed, and keep the program's own modes out.

    random_state: of the CPU's generator, then of the CUDA device's, to start from; empty: as they are.
    """
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    device = torch.cuda.get_rng_state() if cuda else None
    quiet = io.StringIO()
    try:
        with (
            _disable_current_modes(),
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
            torch.autograd.set_detect_anomaly(False),
        ):
            if random_state:
                torch.set_rng_state(random_state[0])
            if cuda and len(random_state) > 1:
                torch.cuda.set_rng_state(random_state[1])
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if device is not None:
            torch.cuda.set_rng_state(device)


def _fresh(value: Any) -> Any:
    """`value` with every tensor copied: the module may write into what it is given."""
    if isinstance(value, Tensor):
        copied = value.detach().clone()
        return copied.requires_grad_(value.requires_grad or value.grad_fn is not None)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_fresh, value))
    if isinstance(value, (tuple, list)):
        return type(value)(_fresh(item) for item in value)
    if isinstance(value, dict):
        try:
            return type(value)((key, _fresh(item)) for key, item in value.items())
        except TypeError:
            return {key: _fresh(item) for key, item in value.items()}
    return value


def _introduce(twin: nn.Module, args: Any, kwargs: Any, provenance: Provenance) -> None:
    for name, parameter in twin.named_parameters():
        provenance.give(parameter, f"parameter {name}")
    for name, buffer in twin.named_buffers():
        provenance.give(buffer, f"buffer {name}")
    for i, tensor in enumerate(tensors_within(args)):
        provenance.give(tensor, f"input {i}")
    for key, value in kwargs.items():
        for tensor in tensors_within(value):
            provenance.give(tensor, f"input {key}")


def _follow_modules(twin: nn.Module) -> list[str]:
    """Keep the paths of the running modules of `twin` in a list, innermost last."""
    running: list[str] = []
    for name, module in twin.named_modules():

        def enter(m: nn.Module, args: Any, name: str = name) -> None:
            running.append(name)

        def leave(m: nn.Module, args: Any, output: Any) -> None:
            running.pop()

        with contextlib.suppress(Exception):  # scripted parts take no hooks
            module.register_forward_pre_hook(enter)
            module.register_forward_hook(leave, always_call=True)
    return running


def _place_forward(found: Replay, name: str, running: list[str]) -> Place:
    line = user_line(2)
    source = None if line is None else f"{shown_path(line[0])}:{line[1]}"
    place = Place(plain_name(name), source, (running[-1] or None) if running else None)
    found.places.setdefault(next_number() - 1, place)
    return place


def _place_backward(found: Replay, name: str, stop: Any) -> Place:
    """Where a backward formula is: the user's own lines if it is written in Python, else the line of the
    operation it is the derivative of.
    """
    node: Any = torch._C._current_autograd_node()
    if node is None:
        return Place(plain_name(name))
    forward = found.places.get(node._sequence_nr())
    line = user_line(2, stop)
    source = f"{shown_path(line[0])}:{line[1]}" if line is not None else forward and forward.source
    return Place(node.name(), source, forward.module if forward is not None else None, plain_name(name))
