"""A record of one forward pass: which user line and module ran each differentiable operation, and how large
its output was.

Functional calls, tensor methods, operators and in-place operations are all seen, because the record is taken
by a `TorchFunctionMode`, not by module hooks. The mode is active only while the model's forward runs.
"""

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, _pop_mode, _push_mode

from livegrad.probe.activation import is_activation, measure_activation
from livegrad.probe.obstacle import has_backward_hooks, packing_obstacle, tracing_obstacle
from livegrad.probe.operation import Operation, Value, is_rearranging, tensors_in
from livegrad.probe.source import user_line
from livegrad.probe.squares import count_nonfinite, is_measurable, row_squares

_next_number: Callable[[], int] = torch._C._autograd._get_sequence_nr  # pyright: ignore[reportAttributeAccessIssue]
_HOOKING = frozenset({"register_hook", "retain_grad"})
# Their fast path for inference, taken where nothing needs a gradient, is refused while any mode is on.
_FAST_IN_EVALUATION = ("MultiheadAttention", "TransformerEncoderLayer", "TransformerEncoder")


class ForwardTrace:
    """All operations of the forward passes seen since `open`, by autograd node, in order of execution.

    operations: node -> Operation. outputs: what each outermost call of the model returned. finals: node ->
    innermost module whose output it made. outside: nodes that made the inputs of the model. called,
    called_without_grad: id() of the parameters used with and without gradients on. batch: samples in the
    batch, 0 if unknown. obstacle: why the gradients may not be probed, or None. trouble: why the record is
    not whole, or None.
    """

    def __init__(self, root: torch.nn.Module) -> None:
        self.root = root
        self.operations: dict[Any, Operation] = {}
        self.outputs: list[Any] = []
        self.finals: dict[Any, torch.nn.Module] = {}
        self.outside: set[Any] = set()
        self.called: set[int] = set()
        self.called_without_grad: set[int] = set()
        self.batch = 0
        self.obstacle: str | None = None
        self.trouble: str | None = None
        self.hooked: set[Any] = set()
        self.checkpointed = False
        self._handles: list[Any] = []
        self._stack: list[torch.nn.Module] = []
        self._depth = 0
        self._mode: _Recorder | None = None
        self._paused_by: torch.nn.Module | None = None
        self._thread: int | None = None
        self._first_number = 0
        self._alive: list[weakref.ref[torch.Tensor]] = []

    def open(self) -> None:
        """Install the module hooks that start and stop the record around the model's forward."""
        registry = torch.nn.modules.module
        self._parameters = {id(t) for t in self.root.parameters()}
        self._fixed = self._parameters | {id(t) for t in self.root.buffers()}
        self._members = {id(m) for m in self.root.modules()}
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
        self._stack.clear()

    def forget(self) -> None:
        """Drop every tensor and node, so that nothing of the step outlives it."""
        self.operations, self.outputs, self.finals, self._alive = {}, [], {}, []
        self.outside, self.hooked = set(), set()

    def hooked_nodes(self) -> set[Any]:
        """Return the nodes of tensors that carry hooks or retain their gradient: a probe that passes them
        would be noticed.
        """
        for reference in self._alive:
            tensor = reference()
            if (
                tensor is not None
                and tensor.grad_fn is not None
                and (tensor._backward_hooks or tensor.retains_grad)
            ):
                self.hooked.add(tensor.grad_fn)
        return self.hooked

    # Module hooks. Whatever goes wrong in them must not reach the user's forward pass.

    def _enter(self, module: torch.nn.Module, inputs: Any) -> None:
        if id(module) not in self._members or self._thread not in (None, threading.get_ident()):
            return
        try:
            with torch._C.DisableTorchFunction():
                self._entered(module, inputs)
        except Exception as error:
            self._give_up(error)

    def _leave(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        if not self._stack or self._stack[-1] is not module or self._thread != threading.get_ident():
            return
        try:
            with torch._C.DisableTorchFunction():
                self._left(module, output)
        except Exception as error:
            self._give_up(error)

    def _entered(self, module: torch.nn.Module, inputs: Any) -> None:
        if self._stack and module is self._stack[0] and _frame_depth() <= self._depth:
            self._stack.clear()  # left behind by a KeyboardInterrupt, which calls no hook on its way out
            self._stop_recording()
        grad = torch.is_grad_enabled()
        seen = self.called if grad else self.called_without_grad
        seen.update(id(p) for p in module._parameters.values() if p is not None)
        outermost = not self._stack
        if outermost and not grad:
            return
        self._stack.append(module)
        if outermost:
            self._depth = _frame_depth()
            self._begin(inputs)
        if grad and has_backward_hooks(module):
            self.obstacle = "the model has backward hooks of its own, which a probe would run"
        if self._mode is not None and _takes_fast_path(module):
            self._stop_recording()
            self._paused_by = module

    def _left(self, module: torch.nn.Module, output: Any) -> None:
        self._stack.pop()
        if self._mode is not None:
            for tensor in tensors_in(output):
                node = tensor.grad_fn
                if node is not None:
                    self._note_unseen([tensor], module)
                    self._note_final(node, module)
        if module is self._paused_by and self._stack:
            self._paused_by = None
            self._start_recording()
        if not self._stack:
            self._stop_recording()
            self._paused_by = None
            self.outputs.append(output)

    def _note_final(self, node: Any, module: torch.nn.Module) -> None:
        # A module that ends by rearranging its result is known by the operation before that.
        while node is not None:
            self.finals.setdefault(node, module)
            operation = self.operations.get(node)
            if operation is None or not operation.rearranges or operation.module is not module:
                return
            node = next((child for child, _ in node.next_functions if child is not None), None)

    def _begin(self, inputs: Any) -> None:
        self._thread = threading.get_ident()
        self.trouble = tracing_obstacle()
        if self.trouble is not None:
            return
        self._first_number = _next_number()
        given = list(tensors_in(inputs))
        if not self.batch:
            self.batch = next((t.shape[0] for t in given if t.ndim >= 2), 0)
        self._start_recording()

    def _start_recording(self) -> None:
        self._mode = _Recorder(self)
        _push_mode(self._mode)

    def _stop_recording(self) -> None:
        mode, self._mode = self._mode, None
        if mode is not None:
            mode.trace = None
            if self._thread == threading.get_ident():
                _remove_mode(mode)

    def _give_up(self, error: Exception) -> None:
        self.trouble = f"the forward pass could not be followed: {type(error).__name__}: {error}"
        self.close()

    # The record.

    def note(
        self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], output: Any, first: int
    ) -> None:
        """Record the operation `func(*args, **kwargs) = output` if it is differentiable; `first`: its first
        node's number.
        """
        call = getattr(func, "__name__", "") or str(func)
        if call in _HOOKING and args and args[0].grad_fn is not None:
            self.hooked.add(args[0].grad_fn)
        if call == "tolist" or (output is None and call != "__setitem__"):
            return
        output = args[0] if output is None else output
        made = [t for t in tensors_in(output) if t.requires_grad and t.grad_fn is not None]
        made = [t for t in made if t.grad_fn not in self.operations]
        if not made or tracing_obstacle() is not None:
            return
        sources = [t for value in (*args, *kwargs.values()) for t in tensors_in(value)]
        self._note_unseen([t for t in sources if t is not output], None)
        uses_data = any(self._is_data(t) for t in sources) and not self._prepares_weights()
        used = {id(t) for t in sources} & self._parameters
        self.called |= used
        weighted = bool(used) or any(not self._is_data(t) for t in sources if t.grad_fn is not None)
        for tensor in made:
            self._add(tensor, call, uses_data, weighted, first, self._stack[-1] if self._stack else None)

    def _note_unseen(self, tensors: list[torch.Tensor], module: torch.nn.Module | None) -> None:
        # Custom autograd functions bypass the mode: their output is first met as an argument, or leaving its
        # module.
        for tensor in tensors:
            node = tensor.grad_fn
            known = self.operations.get(node)
            if (
                known is not None
                and known.unseen
                and tensor.output_nr not in {v.number for v in known.values}
            ):
                self._measure(known, node, tensor)
            if node is None or known is not None or node in self.outside:
                continue
            number = node._sequence_nr()
            if number < self._first_number:
                self.outside.add(node)
                continue
            name = node.name().rstrip("0123456789").removesuffix("Backward")
            where = module or (self._stack[-1] if self._stack else None)
            self._add(tensor, name, not self._prepares_weights(), False, number, where)
            self.operations[node].unseen = True

    def is_data(self, node: Any) -> bool | None:
        """Say whether an activation flows through `node`; None if it was not seen."""
        operation = self.operations.get(node)
        return None if operation is None else operation.uses_data

    def _is_data(self, tensor: torch.Tensor) -> bool:
        if tensor.grad_fn is not None:
            made = self.operations.get(tensor.grad_fn)
            return made is None or made.uses_data
        return (
            tensor.ndim > 0 and id(tensor) not in self._fixed and not isinstance(tensor, torch.nn.Parameter)
        )

    def _prepares_weights(self) -> bool:
        return any(isinstance(m, torch.nn.utils.parametrize.ParametrizationList) for m in self._stack)

    def _add(
        self,
        tensor: torch.Tensor,
        call: str,
        uses_data: bool,
        weighted: bool,
        first: int,
        module: torch.nn.Module | None,
    ) -> None:
        node = tensor.grad_fn
        self._alive.append(weakref.ref(tensor))
        operation = self.operations.get(node)
        if operation is None:
            operation = Operation(
                node,
                call,
                module,
                user_line(),
                uses_data,
                weighted,
                first,
                tuple(tensor.shape),
                tensor.dtype,
                tensor.device,
            )
            operation.rearranges = not weighted and is_rearranging(call)
            self.operations[node] = operation
        self._measure(operation, node, tensor)

    def _measure(self, operation: Operation, node: Any, tensor: torch.Tensor) -> None:
        if not operation.uses_data or operation.rearranges or not is_measurable(tensor):
            return
        squares = row_squares(tensor, self.batch)
        entries = tensor.numel() * (2 if tensor.is_complex() else 1) // squares.numel()
        operation.values.append(Value(tensor.output_nr, tuple(tensor.shape), squares, entries))
        operation.nonfinite.append(count_nonfinite(tensor, squares))
        obstacle, checkpoint = packing_obstacle()
        self.checkpointed |= checkpoint
        self.obstacle = self.obstacle or obstacle
        if is_activation(node):
            operation.activation = measure_activation(node, tensor, obstacle is None and not checkpoint)


class _Recorder(TorchFunctionMode):
    def __init__(self, trace: ForwardTrace) -> None:
        super().__init__()
        self.trace: ForwardTrace | None = trace

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = _next_number()
        output = func(*args, **(kwargs or {}))
        trace = self.trace
        if trace is not None and not (output.__class__ in _PLAIN or not torch.is_grad_enabled()):
            try:
                with torch._C.DisableTorchFunction():
                    trace.note(func, args, kwargs or {}, output, first)
            except Exception as error:
                trace._give_up(error)
        return output


_PLAIN = frozenset({int, float, bool, str, torch.Size, torch.device, torch.dtype, torch.layout})


def _takes_fast_path(module: torch.nn.Module) -> bool:
    return (
        type(module).__name__ in _FAST_IN_EVALUATION
        and not module.training
        and not any(p.requires_grad for p in module.parameters())
    )


def _remove_mode(mode: TorchFunctionMode) -> None:
    """Take `mode` off the stack of modes, from under any that a user's hook has pushed on top of it and not
    yet removed.
    """
    above = []
    while torch._C._len_torch_function_stack():
        top = _pop_mode()
        if top is mode:
            break
        above.append(top)
    for other in reversed(above):
        _push_mode(other)


def _frame_depth() -> int:
    depth, frame = 0, sys._getframe(1)
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    return depth
