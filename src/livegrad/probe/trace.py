"""Following the forward passes of a model: module hooks start and stop the record, and say which module is
running.
"""

import sys
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.modules import module as registry

from livegrad.probe.function_mode import WatchOperations, next_number
from livegrad.probe.module_stack import ModuleStack
from livegrad.probe.obstacle import has_backward_hooks, tracing_obstacle
from livegrad.probe.operation import tensors_in
from livegrad.probe.record import Record

# Their fast path for inference, taken where nothing needs a gradient, is refused while any mode is on.
_FAST_IN_EVALUATION = ("MultiheadAttention", "TransformerEncoderLayer", "TransformerEncoder")


class ForwardTrace:
    """Keeps a `record` of the forward passes of `root`, or where only parts of it are called, of those parts.

    The mode that sees the operations is on only while an outermost call runs with gradients enabled, in one
    thread. called_without_grad: id() of the parameters whose module ran without.
    """

    def __init__(self, root: torch.nn.Module) -> None:
        self._root = root
        self._running = ModuleStack()
        self.record = Record(root, self._running)
        self.called_without_grad: set[int] = set()
        self._members: set[int] = set()
        self._handles: list[Any] = []
        self._mode: WatchOperations | None = None
        self._paused_by: torch.nn.Module | None = None
        self._thread: int | None = None
        self._depth = 0

    def open(self) -> None:
        """Install the module hooks that start and stop the record around the model's forward."""
        self._members = {id(m) for m in self._root.modules()}
        self._handles = [
            registry.register_module_forward_pre_hook(self._enter),
            registry.register_module_forward_hook(self._leave, always_call=True),
        ]

    def close(self) -> None:
        """Remove the hooks and the mode; the record stays."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._stop_recording()
        self._running.clear()

    def forget(self) -> None:
        """Drop every tensor and node, so that nothing of the step outlives it."""
        self.record = Record(self._root, self._running)

    # Whatever goes wrong in a hook must not reach the user's forward pass.

    def _enter(self, module: torch.nn.Module, inputs: Any) -> None:
        if id(module) not in self._members or self._thread not in (None, threading.get_ident()):
            return
        try:
            with torch._C.DisableTorchFunction():
                self._entered(module, inputs)
        except Exception as error:
            self._give_up(error)

    def _leave(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        if self._running.innermost is not module or self._thread != threading.get_ident():
            return
        try:
            with torch._C.DisableTorchFunction():
                self._left(module, output)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.record.trouble = f"the forward pass could not be followed: {type(error).__name__}: {error}"
        self.close()

    def _entered(self, module: torch.nn.Module, inputs: Any) -> None:
        if module is self._running.outermost and _frame_depth() <= self._depth:
            self._running.clear()  # left behind by a KeyboardInterrupt, which calls no hook on its way out
            self._stop_recording()
        grad = torch.is_grad_enabled()
        called = self.record.called if grad else self.called_without_grad
        called.update(id(p) for p in _own_parameters(module))
        if not grad and not self._running:
            return
        if not self._running:
            self._begin(inputs)
        elif self._mode is not None:
            self.record.note_unseen(list(tensors_in(inputs)))
        self._running.push(module, next_number())
        if grad and has_backward_hooks(module):
            self.record.obstacle = "the model has backward hooks of its own, which a probe would run"
        if self._mode is not None and _takes_fast_path(module):
            self._stop_recording()
            self._paused_by = module

    def _begin(self, inputs: Any) -> None:
        self._thread = threading.get_ident()
        self._depth = _frame_depth()
        self.record.trouble = tracing_obstacle()
        if self.record.trouble is None:
            self.record.first = next_number()
            self.record.batch = self.record.batch or next(
                (t.shape[0] for t in tensors_in(inputs) if t.ndim >= 2), 0
            )
            self._start_recording()

    def _left(self, module: torch.nn.Module, output: Any) -> None:
        self._running.pop()
        if self._mode is not None:
            for tensor in tensors_in(output):
                self.record.note_final(tensor, module)
        if not self._running:
            self._stop_recording()
            self._paused_by = None
            self.record.outputs.append(output)
        elif module is self._paused_by:
            self._paused_by = None
            self._start_recording()

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


def _frame_depth() -> int:
    depth, frame = 0, sys._getframe(1)
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    return depth
