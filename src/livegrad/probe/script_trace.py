"""Following a model that no module holds: tensors of the program's own, and functions of them.

Nothing says where the forward pass of such a model begins, so everything that the program computes is
followed from the end of one optimizer step to the backward pass of the next.
"""

import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch.overrides import _get_current_function_mode_stack

from livegrad.probe.function_mode import WatchOperations, foreign_modes, next_number
from livegrad.probe.inputs import InputRow
from livegrad.probe.module_stack import ModuleStack
from livegrad.probe.obstacle import tracing_obstacle
from livegrad.probe.operation import shape_of, tensors_in
from livegrad.probe.record import Record


class BareModel(torch.nn.Module):
    """Stands for a model that is no module: it names the tensors that are trained, and is never called.

    The tensors need not be parameters: any that an optimizer takes will do.
    """

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self._parameters.update({str(i): tensor for i, tensor in enumerate(tensors)})  # type: ignore[arg-type]


class ScriptTrace:
    """Keeps a `record` of every operation from `open` to `close`, as ForwardTrace does of a module's calls.

    The mode that sees them is put on only where none of the program's own is on, so that leaving a `with`
    block finds on top what entering it put there.
    """

    def __init__(self, root: BareModel) -> None:
        self.record = Record(root, [root], ModuleStack())
        self.called_without_grad: set[int] = set()
        self.without_grad_at: dict[int, tuple[str, int]] = {}
        self.inputs: list[InputRow] = []
        self._mode: WatchOperations | None = None
        self._thread = 0

    def open(self) -> None:
        """Follow what the program computes from here on."""
        self.record.trouble = tracing_obstacle()
        if foreign_modes():
            self.record.trouble = "a torch function mode of the program's own was on between two steps"
        if self.record.trouble is None:
            self.record.first = next_number()
            self._thread = threading.get_ident()
            self._mode = WatchOperations(self._note, self._give_up)
            self._mode.start()

    def close(self) -> None:
        """See nothing more; the record stays.

        `loss.backward()` is itself shown to the mode, and puts it back when it returns: then the mode is only
        silenced here, and `remove` takes it off later.
        """
        if self._mode is not None:
            self._mode.mute()
            self.remove()

    def remove(self) -> None:
        """Take the silenced mode off the stack, if it is there."""
        mine = self._mode
        here = mine is not None and self._thread == threading.get_ident()
        if mine is not None and here and any(mode is mine for mode in _get_current_function_mode_stack()):
            mine.stop(here=True)
            self._mode = None

    def forget(self) -> None:
        """Drop every tensor and node, so that nothing of the step outlives it."""
        self.record.clear()

    def _note(self, func: Any, args: Any, kwargs: dict[str, Any], output: Any, first: int) -> None:
        self.record.batch = self.record.batch or _samples((*args, *kwargs.values()))
        self.record.note(func, args, kwargs, output, first)

    def _give_up(self, error: Exception) -> None:
        self.record.trouble = f"the forward pass could not be followed: {type(error).__name__}: {error}"
        self.record.operations.clear()
        if self._mode is not None:
            self._mode.mute()


def _samples(arguments: Sequence[Any]) -> int:
    """Entries along the first axis of what is given to an operation beside something trained, else 0."""
    given = list(tensors_in(arguments))
    if not any(tensor.requires_grad for tensor in given):
        return 0
    beside = [tensor for tensor in given if not tensor.requires_grad]
    data = (t for t in beside if t.ndim >= (2 if t.is_floating_point() or t.is_complex() else 1))
    return next((shape_of(tensor)[0] for tensor in data), 0)
