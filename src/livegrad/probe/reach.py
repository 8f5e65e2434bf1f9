"""The reach of a fused recurrent layer (nn.RNN, nn.LSTM, nn.GRU): what the output still hears of its state at
each time step, and what one step does to the gradient.

A fused kernel hides time inside one operation. So in a scan the layer's recurrence is run once more on the
side, step by step, for a few samples, and the gradients that the probe and the true loss brought to the
layer's outputs are sent back through it. The user's graph, parameters, buffers and random state are not
touched.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livegrad.probe.layers import LayerNames
from livegrad.probe.recurrence.layout import Layout, layout_of
from livegrad.probe.recurrence.stack import Stack
from livegrad.probe.time_rows import Heard, TimeRow, time_rows

PROBE, TRUTH = 0, 1


@dataclass
class _Call:
    """One forward call of a recurrent module: its input and state, of a few samples, and the autograd outputs
    that its results came from, by what they are (0 the outputs, 1 and 2 the final states).
    """

    module: torch.nn.RNNBase
    layout: Layout
    batch: int
    sequence: Tensor
    state: Any
    results: dict[int, tuple[Any, int]]
    gradients: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def catch(self, which: int, place: int, gradient: Tensor | None) -> None:
        """Keep the chosen samples of a gradient that came to result `place`; the first of a kind counts."""
        if gradient is not None and (which, place) not in self.gradients:
            few = self.layout.of_sequence if place == 0 else self.layout.of_state
            self.gradients[which, place] = few(gradient)


class RecurrentReach:
    """Follows the fused ones of `modules` during one scan; does nothing where there are none."""

    def __init__(self, modules: Iterable[torch.nn.Module]) -> None:
        self._modules = [m for m in modules if isinstance(m, torch.nn.RNNBase)]
        self._calls: dict[torch.nn.Module, list[_Call | None]] = {}
        self._handles: list[Any] = []

    def open(self) -> None:
        """Note the calls of the recurrent modules from now on."""
        self._handles = [m.register_forward_hook(self._note, with_kwargs=True) for m in self._modules]

    def listen(self, which: int) -> None:
        """Catch the gradient that the probe, or the true loss, brings to each module's outputs."""
        self.close()
        for call in self._single():
            for place, (node, number) in call.results.items():
                self._handles.append(node.register_prehook(_catcher(call, which, place, number)))

    def take_ends(self, ends: list[tuple[Any, int]], gradients: list[Tensor | None]) -> None:
        """Take the gradients at the ends of the probe, where no hook fires: a first layer fed with data is
        one.
        """
        at = dict(zip(ends, gradients, strict=True))
        for call in self._single():
            for place, end in call.results.items():
                call.catch(PROBE, place, at.get(end))

    def close(self) -> None:
        """Remove every hook."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def forget(self) -> None:
        """Let go of everything that belongs to the step."""
        self.close()
        self._calls = {}

    def _single(self) -> list[_Call]:
        return [calls[0] for calls in self._calls.values() if len(calls) == 1 and calls[0] is not None]

    def _note(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if not torch.is_grad_enabled():
            return
        try:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                call = _followed(module, [*args, *kwargs.values()], output)
        except Exception:  # the user's forward pass goes on; this module's reach stays unknown
            call = None
        # A call that cannot be followed counts all the same: what the others are heard of is not all.
        self._calls.setdefault(module, []).append(call)

    def rows(
        self, names: LayerNames, depth_of: Callable[[str], int], output: Sequence[Any] | None
    ) -> list[TimeRow]:
        """Return the rows of every module that was called once and heard by the probe.

        output: sums of squares per sample of the true gradient at the output cut, None if none passed.
        """
        found: list[TimeRow] = []
        for call in self._single():
            if any(which == PROBE for which, _ in call.gradients):
                name = names.modules.get(call.module) or type(call.module).__name__
                heard = _measure(call, output)
                found += time_rows(heard, call.module, name, names.made_at(call.module), depth_of(name))
        return found


def _followed(module: Any, given: list[Any], output: Any) -> _Call | None:
    """The call as it is to be run again; None if it was not differentiated or is of no kind known."""
    wide = module.num_layers * (2 if module.bidirectional else 1) * module.hidden_size
    layout = layout_of(given[0] if given else None, module.batch_first, wide)
    if layout is None:
        return None
    packed = isinstance(given[0], torch.nn.utils.rnn.PackedSequence)
    sequence = given[0].data if packed else given[0]
    first = output[0].data if packed else output[0]
    results = dict(enumerate([first, *_flat(output[1])]))
    sources = {k: (t.grad_fn, t.output_nr) for k, t in results.items() if t.grad_fn is not None}
    if not sources:
        return None
    kept = torch.float64 if module.weight_hh_l0.dtype is torch.float64 else torch.float32
    state = given[1] if len(given) > 1 and given[1] is not None else None
    parts = None if state is None else tuple(layout.of_state(s).to(kept) for s in _flat(state))
    batch = len(layout.samples) if layout.batch is None else _flat(output[1])[0].shape[1]
    return _Call(
        module, layout, batch, layout.of_sequence(sequence).to(kept),
        parts[0] if parts is not None and len(parts) == 1 else parts, sources,
    )  # fmt: skip


def _catcher(call: _Call, which: int, place: int, number: int) -> Callable[[Any], None]:
    def catch(gradients: tuple[Tensor | None, ...]) -> None:
        try:
            if number < len(gradients) and not torch._C._len_torch_dispatch_stack():
                with torch._C.DisableTorchFunction(), torch.no_grad():
                    call.catch(which, place, gradients[number])
        except Exception:  # the user's backward pass goes on
            call.gradients.clear()

    return catch


def _flat(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else list(value)


def _measure(call: _Call, output: Sequence[Any] | None) -> Heard:
    """Run the recurrence again and send the caught gradients back through it."""
    kinds = sorted({which for which, _ in call.gradients})
    with (
        torch._C.DisableTorchFunction(),
        torch.no_grad(),
        torch.autocast(call.sequence.device.type, enabled=False),
    ):
        stack = Stack(call.module, call.sequence, call.state, call.layout)
        lanes = stack.back(*(_together(call, kinds, place) for place in range(3)))
    whole = np.nan
    if output is not None and TRUTH in kinds:
        whole = sum(call.layout.of_rows(squares, call.batch) for squares in output)
    return Heard(lanes, kinds.index(PROBE), kinds.index(TRUTH) if TRUTH in kinds else None, float(whole))


def _together(call: _Call, kinds: list[int], place: int) -> Tensor | None:
    """The gradients of result `place` that came from each of `kinds`, stacked: along the second dimension for
    the outputs, the first for a state; zeros where none came, None if none came at all.
    """
    found = [call.gradients.get((which, place)) for which in kinds]
    some = next((g for g in found if g is not None), None)
    if some is None:
        return None
    each = [torch.zeros_like(some) if g is None else g for g in found]
    return torch.stack(each, 1 if place == 0 else 0).to(call.sequence.dtype)
