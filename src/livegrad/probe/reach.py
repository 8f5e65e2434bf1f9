"""The reach of a fused recurrent layer (nn.RNN, nn.LSTM, nn.GRU): what the output still hears of its state at
each time step.

A fused kernel hides time inside one operation. So during a scan the layer's recurrence is run once more on
the side, step by step, on detached inputs, and the gradient that the probe brought to the layer's outputs is
sent back through it. The user's graph, parameters, buffers and random state are not touched.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livegrad.probe.audibility import pull_back
from livegrad.probe.layers import LayerNames, LayerSpec

# Longer sequences are cut into this many chunks, and the state is read at their ends.
MOST_STEPS = 128
# The recurrence is run again for so many of the batch: S is a mean over samples, states and probe entries.
MOST_SAMPLES = 4


@dataclass
class _Call:
    """One forward call of a recurrent module: its input and state, and the autograd outputs its results came
    from.
    """

    module: torch.nn.RNNBase
    sequence: Tensor
    state: Any
    results: list[tuple[Any, int]]
    gradients: list[Tensor | None] = field(default_factory=list)


@dataclass(frozen=True)
class TimeRow:
    """One time step: the layer it is shown as, S at the module's state there, and the state's rms."""

    spec: LayerSpec
    audibility: float
    activation_rms: float
    samples: int


class RecurrentReach:
    """Follows the fused ones of `modules` during one scan; does nothing where there are none."""

    def __init__(self, modules: Iterable[torch.nn.Module]) -> None:
        self._modules = [m for m in modules if isinstance(m, torch.nn.RNNBase)]
        self._calls: dict[torch.nn.Module, list[_Call]] = {}
        self._handles: list[Any] = []

    def open(self) -> None:
        """Note the calls of the recurrent modules from now on."""
        self._handles = [m.register_forward_hook(self._note, with_kwargs=True) for m in self._modules]

    def listen(self) -> None:
        """Catch the gradient that a probe brings to each module's outputs."""
        self.close()
        for calls in self._calls.values():
            if len(calls) == 1:
                call = calls[0]
                call.gradients = [None] * len(call.results)
                for place, (node, number) in enumerate(call.results):
                    self._handles.append(node.register_prehook(_catcher(call, place, number)))

    def take_ends(self, ends: list[tuple[Any, int]], gradients: list[Tensor | None]) -> None:
        """Take the gradients at the ends of the probe, where no hook fires: a first layer fed with data is
        one.
        """
        at = {end: gradient for end, gradient in zip(ends, gradients, strict=True) if gradient is not None}
        for calls in self._calls.values():
            for call in calls:
                for place, end in enumerate(call.results):
                    if end in at and place < len(call.gradients) and call.gradients[place] is None:
                        call.gradients[place] = at[end]

    def close(self) -> None:
        """Remove every hook."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def forget(self) -> None:
        """Let go of everything that belongs to the step."""
        self.close()
        self._calls = {}

    def _note(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        try:
            call = _followed(module, [*args, *kwargs.values()], output)
        except Exception:  # the user's forward pass goes on; this module's reach stays unknown
            self._calls.pop(module, None)
            return
        if call is not None:
            self._calls.setdefault(module, []).append(call)

    def rows(self, names: LayerNames, depth_of: Callable[[str], int]) -> list[TimeRow]:
        """Return a row per time step of every module that was called once and heard by the probe, earliest
        first.
        """
        found: list[TimeRow] = []
        for module, calls in self._calls.items():
            if len(calls) == 1 and any(g is not None for g in calls[0].gradients):
                name = names.modules.get(module) or type(module).__name__
                found += _measure(calls[0], name, names.made_at(module), depth_of(name))
        return found


def with_time_rows(columns: dict[str, np.ndarray], rows: list[TimeRow]) -> dict[str, np.ndarray]:
    """Return the columns of a scan, shape (L,), with the time rows appended; what was not measured there is
    NaN.
    """
    if not rows:
        return columns
    known = {
        "audibility": [row.audibility for row in rows],
        "audibility_output": [float(columns["audibility_output"][0])] * len(rows),
        "activation_rms": [row.activation_rms for row in rows],
        "width": [row.spec.width for row in rows],
        "samples": [row.samples for row in rows],
    }
    added = {}
    for name, values in columns.items():
        missing = np.nan if values.dtype.kind == "f" else 0
        added[name] = np.array(known.get(name, [missing] * len(rows)), dtype=values.dtype)
    return {name: np.concatenate([values, added[name]]) for name, values in columns.items()}


def _followed(module: Any, given: list[Any], output: Any) -> _Call | None:
    """The call as it is to be run again; None if it is of a kind that is not (packed, bidirectional,
    projected, unbatched).
    """
    sequence = given[0] if given else None
    if not isinstance(sequence, Tensor) or sequence.ndim != 3 or module.bidirectional:
        return None
    if not torch.is_grad_enabled() or getattr(module, "proj_size", 0):
        return None
    results = [(t.grad_fn, t.output_nr) for t in _flat(output) if t.grad_fn is not None]
    state = given[1] if len(given) > 1 else None
    return _Call(module, sequence.detach(), _detached(state), results) if results else None


def _catcher(call: _Call, place: int, number: int) -> Callable[[Any], None]:
    def catch(gradients: tuple[Tensor | None, ...]) -> None:
        if call.gradients[place] is None and number < len(gradients):
            call.gradients[place] = gradients[number]

    return catch


def _flat(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [t for item in value for t in _flat(item)] if isinstance(value, (tuple, list)) else []


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    return tuple(_detached(item) for item in value) if isinstance(value, (tuple, list)) else None


def _measure(call: _Call, name: str, made: str | None, depth: int) -> list[TimeRow]:
    """Run the recurrence again in chunks, send the caught gradient back, and read S at every chunk's end."""
    call = _of_few_samples(call)
    twin = copy.copy(call.module)
    # The twin shares the parameters; dropout between its layers would draw random numbers.
    twin.dropout = 0.0
    time = 1 if call.module.batch_first else 0
    steps = call.sequence.shape[time]
    edges = np.unique(np.linspace(0, steps, min(steps, MOST_STEPS) + 1).astype(int))
    states, outputs, state = [], [], call.state
    with torch.enable_grad(), torch._C.DisableTorchFunction(), _without_onednn():
        for first, last in pairwise(edges):
            # Not twin(…): the user's hooks would run once more.
            output, state = twin.forward(call.sequence.narrow(time, int(first), int(last - first)), state)
            state = tuple(s * 1.0 for s in state) if isinstance(state, tuple) else state * 1.0
            states.append(state)
            outputs.append(output)
        joined = [torch.cat(outputs, time), *_flat(state)]
        pairs = [
            (j, g)
            for j, g in zip(joined, call.gradients, strict=False)
            if g is not None and g.shape == j.shape
        ]
        wanted = [t for s in states for t in _flat(s)]
        found = pull_back([j for j, _ in pairs], [g.to(j.dtype) for j, g in pairs], wanted)
    per = len(wanted) // len(states)
    rows = []
    for k, last in enumerate(edges[1:]):
        group = range(k * per, (k + 1) * per)
        values = [wanted[i].detach() for i in group]
        heard = [found[i] for i in group]
        heard[0] = _with_own_output(heard[0], values[0], call, int(last) - 1)
        audibility, size, samples = _state_audibility(values, heard)
        spec = LayerSpec(
            name=f"{name}[t={int(last) - 1}]", depth=depth, type=type(call.module).__name__,
            operator=type(call.module).__name__, module=name, source=None, made=made, tensors=(), kind="time",
            width=sum(v.numel() for v in values) // max(1, samples),
        )  # fmt: skip
        rows.append(TimeRow(spec, audibility, size, samples))
    return rows


def _of_few_samples(call: _Call) -> _Call:
    """The same call for the first samples of its batch alone."""
    batch = 0 if call.module.batch_first else 1
    number = min(MOST_SAMPLES, call.sequence.shape[batch])

    def few(value: Any, dimension: int) -> Any:
        if isinstance(value, tuple):
            return tuple(few(item, dimension) for item in value)
        return None if value is None else value.narrow(dimension, 0, number)

    # The first result is the outputs, laid out as the input; states have the batch second.
    gradients = [few(g, 1 if place else batch) for place, g in enumerate(call.gradients)]
    return replace(call, sequence=few(call.sequence, batch), state=few(call.state, 1), gradients=gradients)


@contextmanager
def _without_onednn() -> Iterator[None]:
    # Its recurrent kernels pack the weights anew for each call, and differentiate all of them: twice as slow,
    # step by step.
    enabled = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(enabled)


def _with_own_output(heard: Tensor | None, state: Tensor, call: _Call, at: int) -> Tensor | None:
    """Add what is heard of the top state at its own step, where it is the output."""
    gradient = call.gradients[0]
    if gradient is None or gradient.ndim != 3:
        return heard
    own = gradient.select(1 if call.module.batch_first else 0, at)
    total = torch.zeros_like(state) if heard is None else heard.clone()
    total[-1] += own.to(total.dtype)
    return total


def _state_audibility(values: list[Tensor], heard: Sequence[Tensor | None]) -> tuple[float, float, int]:
    """S of one state, (layers, B, H) tensors: √(mean over samples of ‖g‖²‖h‖²/N); its rms; and the number of
    samples.
    """
    squares = torch.stack([v.double().square().sum((0, 2)) for v in values]).sum(0)
    got = [g.double().square().sum((0, 2)) for g in heard if g is not None]
    gradient = torch.stack(got).sum(0) if got else torch.zeros_like(squares)
    samples = squares.numel()
    entries = sum(v.numel() for v in values) / max(1, samples)
    return (
        float((gradient * squares / entries).mean().sqrt()),
        float((squares.mean() / entries).sqrt()),
        samples,
    )
