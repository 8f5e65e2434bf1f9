"""Following the forward passes of a model: its calls start and stop the record, and say which module is
running.
"""

import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

import torch

from livegrad.probe.function_mode import WatchOperations, next_number
from livegrad.probe.inputs import InputRow, measure_inputs
from livegrad.probe.module_calls import start_listening, stop_listening
from livegrad.probe.module_stack import ModuleStack
from livegrad.probe.obstacle import has_backward_hooks, tracing_obstacle
from livegrad.probe.operation import shape_of, tensors_in
from livegrad.probe.record import Record
from livegrad.probe.source import user_line

# Their fast path for inference, taken where nothing needs a gradient, is refused while any mode is on.
_FAST_IN_EVALUATION = ("MultiheadAttention", "TransformerEncoderLayer", "TransformerEncoder")


class ForwardTrace:
    """Keeps a `record` of the forward passes of `root`, or where only parts of it are called, of those parts.

    The mode that sees the operations is on only while an outermost call runs with gradients enabled, in one
    thread. modules: all of the root's. called_without_grad: id() of the parameters whose module ran without
    gradients; without_grad_at: the line that called it there, inside the root's own forward pass. inputs:
    what the latest outermost call was given.
    """

    def __init__(self, root: torch.nn.Module, modules: Collection[torch.nn.Module]) -> None:
        self._members = {id(m): m for m in modules}
        self._running = ModuleStack()
        self.record = Record(root, modules, self._running)
        self.called_without_grad: set[int] = set()
        self.without_grad_at: dict[int, tuple[str, int]] = {}
        self.inputs: list[InputRow] = []
        self._mode: WatchOperations | None = None
        self._paused_by: torch.nn.Module | None = None
        self._thread: int | None = None
        self._broken = False

    def open(self) -> None:
        """Listen to the calls of the model's modules."""
        start_listening(self)

    def close(self) -> None:
        """Stop listening; the record stays."""
        stop_listening(self)
        self._stop_recording()
        self._running.clear()

    def forget(self) -> None:
        """Drop every tensor and node, so that nothing of the step outlives it."""
        self.record.clear()
        self.inputs = []

    # Whatever goes wrong in here must not reach the user's forward pass.

    def enter(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Called before a module runs."""
        if id(module) not in self._members or self._thread not in (None, threading.get_ident()):
            return False
        try:
            with torch._C.DisableTorchFunction():
                return self._entered(module, args, kwargs)
        except Exception as error:
            self._give_up(error)
            return False

    def leave(self, module: torch.nn.Module, output: Any, failed: bool) -> None:
        """Called after a module has run."""
        if self._running.innermost is not module:
            return
        try:
            with torch._C.DisableTorchFunction():
                self._left(module, output, failed)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Record no more. The mode is taken off where it was put on: an operation that it is showing may be
        running.
        """
        self.record.trouble = f"the forward pass could not be followed: {type(error).__name__}: {error}"
        self.record.operations.clear()
        self._broken = True
        if self._mode is not None:
            self._mode.mute()

    def _entered(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        inputs = (*args, *kwargs.values())
        grad = torch.is_grad_enabled()
        called = self.record.called if grad else self.called_without_grad
        own = [id(p) for p in _own_parameters(module)]
        called.update(own)
        if not grad and self._running and own and (line := user_line()) is not None:
            self.without_grad_at.update(dict.fromkeys(own, line))
        if self._broken or (not grad and not self._running):
            return False
        if not self._running:
            if torch._C._current_autograd_node() is not None:
                return False  # a checkpointed segment that backward runs again
            self._begin(inputs)
            self._measure_inputs(module, args, kwargs)
        elif self._mode is not None:
            self.record.note_unseen(list(tensors_in(inputs)))
        self._running.push(module, next_number())
        if grad and has_backward_hooks(module):
            self.record.obstacle = "the model has backward hooks of its own, which a probe would run"
        if self._mode is not None and _takes_fast_path(module):
            self._stop_recording()
            self._paused_by = module
        return True

    def _begin(self, inputs: Any) -> None:
        self._thread = threading.get_ident()
        self.record.trouble = tracing_obstacle()
        if self.record.trouble is None:
            self.record.first = next_number()
            self.record.batch = self.record.batch or next(
                (shape_of(t)[0] for t in tensors_in(inputs) if len(shape_of(t)) >= 2), 0
            )
            self._start_recording()

    def _measure_inputs(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if module is self.record.root and self.record.trouble is None:
            with suppress(Exception):  # an input that cannot be read goes without a row
                self.inputs = measure_inputs(module, args, kwargs, self.record.batch)

    def _left(self, module: torch.nn.Module, output: Any, failed: bool) -> None:
        entered = self._running.pop()
        if not self._running:
            self._stop_recording()
            self._paused_by = None
        elif module is self._paused_by:
            self._paused_by = None
            self._start_recording()
        if failed or self._broken:
            return
        for tensor in tensors_in(output):
            self.record.note_final(tensor, module, entered)
        if not self._running:
            self.record.outputs.append(output)

    def _start_recording(self) -> None:
        self._mode = WatchOperations(self.record.note, self._give_up)
        self._mode.start()

    def _stop_recording(self) -> None:
        mode, self._mode = self._mode, None
        if mode is not None:
            mode.stop(here=self._thread == threading.get_ident())


def _own_parameters(module: torch.nn.Module) -> Iterator[torch.nn.Parameter]:
    """The parameters that the call of `module` itself stands for: those of a scripted module's children
    too.
    """
    return module.parameters(recurse=isinstance(module, torch.jit.ScriptModule))


def _takes_fast_path(module: torch.nn.Module) -> bool:
    return (
        type(module).__name__ in _FAST_IN_EVALUATION
        and not module.training
        and not any(p.requires_grad for p in module.parameters())
    )
