"""A record of one forward pass: which user line and module ran each differentiable operation, and how large its output was.

Functional calls, tensor methods, operators and in-place operations are all seen, because the record is taken by a
`TorchFunctionMode`, not by module hooks. The mode is active only while the root module's forward runs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from livegrad.probe.activation import ActivationState, is_activation, measure_activation
from livegrad.probe.source import user_line

# Operations that only rearrange or relabel entries: their gain is 1, so they make no layer of their own.
REARRANGING = frozenset(
    "view reshape flatten unflatten transpose permute t T mT squeeze unsqueeze contiguous clone to float double half bfloat16 "
    "type detach_ requires_grad_ expand expand_as view_as movedim swapaxes swapdims type_as __get__".split()
)


@dataclass
class Operation:
    """One differentiable operation of the forward pass.

    squares: float64 (B,), the sum of squares of each sample's activation; samples lie along dimension 0, and a tensor of
    fewer than two dimensions is one sample. entries: entries per sample. uses_data: False if only parameters and
    buffers went in.
    """

    node: Any
    call: str
    module: torch.nn.Module | None
    line: tuple[str, int] | None
    uses_data: bool
    squares: torch.Tensor | None = None
    entries: int = 0
    rearranges: bool = False
    activation: ActivationState | None = None
    shape: tuple[int, ...] = ()
    example: Any = None

    @property
    def channels(self) -> int:
        """Number of units: channels of an image tensor, features otherwise."""
        if len(self.shape) < 2:
            return 1
        return self.shape[1] if len(self.shape) in (4, 5) else self.shape[-1]


@dataclass
class ForwardTrace:
    """All operations of the forward passes seen since `open`, by autograd node, in order of execution."""

    root: torch.nn.Module
    operations: dict[Any, Operation] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)
    finals: dict[Any, torch.nn.Module] = field(default_factory=dict)
    called: set[int] = field(default_factory=set)
    called_without_grad: set[int] = field(default_factory=set)
    user_hooks: bool = False
    _handles: list[Any] = field(default_factory=list)
    _stack: list[torch.nn.Module] = field(default_factory=list)
    _modes: list["_Recorder"] = field(default_factory=list)
    _fixed: set[int] = field(default_factory=set)

    def open(self) -> None:
        """Install the module hooks that start and stop the record around the root's forward."""
        registry = torch.nn.modules.module
        self._fixed = {id(t) for t in self.root.parameters()} | {id(t) for t in self.root.buffers()}
        self._members = {id(m) for m in self.root.modules()}
        self._handles = [
            registry.register_module_forward_pre_hook(self._enter),
            registry.register_module_forward_hook(self._leave, always_call=True),
        ]

    def close(self) -> None:
        """Remove the hooks; the record stays."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        while self._modes:
            self._modes.pop().__exit__(None, None, None)
        self._stack.clear()

    def _enter(self, module: torch.nn.Module, inputs: Any) -> None:
        if id(module) not in self._members:
            return
        grad = torch.is_grad_enabled()
        seen = self.called if grad else self.called_without_grad
        seen.update(id(p) for p in module._parameters.values() if p is not None)
        if module._backward_hooks or module._backward_pre_hooks:
            self.user_hooks = True
        self._stack.append(module)
        if module is self.root and grad and not self._modes:
            mode = _Recorder(self)
            mode.__enter__()
            self._modes.append(mode)

    def _leave(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        if not self._stack or self._stack[-1] is not module:
            return
        self._stack.pop()
        for tensor in _tensors(output):
            if tensor.grad_fn is not None:
                self.finals.setdefault(tensor.grad_fn, module)
        if module is self.root and module not in self._stack and self._modes:
            self._modes.pop().__exit__(None, None, None)
            self.outputs.append(output)

    def note(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], output: Any) -> None:
        """Record the operation `func(*args, **kwargs) = output` if it is differentiable."""
        call = getattr(func, "__name__", str(func))
        if call == "register_hook":
            self.user_hooks = True
        for tensor in _tensors(output):
            node = tensor.grad_fn if tensor.requires_grad else None
            if node is not None and node not in self.operations:
                sources = [t for value in (*args, *kwargs.values()) for t in _tensors(value)]
                self._note_unseen(sources)
                self.operations[node] = self._measure(node, tensor, call, any(self._is_data(t) for t in sources))

    def _note_unseen(self, sources: list[torch.Tensor]) -> None:
        # Custom autograd functions and fused recurrent kernels bypass the mode: their output is first met as an argument.
        for tensor in sources:
            node = tensor.grad_fn
            if node is not None and node not in self.operations:
                name = node.name().removesuffix("Backward0").removesuffix("Backward")
                self.operations[node] = self._measure(node, tensor, name, True)

    def _is_data(self, tensor: torch.Tensor) -> bool:
        if tensor.grad_fn is not None:
            made = self.operations.get(tensor.grad_fn)
            return made is None or made.uses_data
        return id(tensor) not in self._fixed and not isinstance(tensor, torch.nn.Parameter)

    def _measure(self, node: Any, tensor: torch.Tensor, call: str, uses_data: bool) -> Operation:
        module = self._stack[-1] if self._stack else None
        operation = Operation(node, call, module, user_line(), uses_data, rearranges=call in REARRANGING)
        operation.shape, operation.example = tuple(tensor.shape), tensor.detach().new_empty(0)
        if uses_data and not operation.rearranges and tensor.numel() and tensor.is_floating_point():
            operation.squares = row_squares(tensor)
            operation.entries = tensor.numel() // operation.squares.numel()
            if is_activation(node):
                operation.activation = measure_activation(node, tensor.detach())
        return operation


class _Recorder(TorchFunctionMode):
    def __init__(self, trace: ForwardTrace) -> None:
        super().__init__()
        self._trace = trace

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        self._trace.note(func, args, kwargs or {}, output)
        return output


def row_squares(tensor: torch.Tensor) -> torch.Tensor:
    """Return the float64 sum of squares of each sample of `tensor` (samples along dimension 0), shape (B,) or (1,)."""
    with torch.no_grad():
        rows = tensor.detach()
        rows = rows.flatten(1) if rows.ndim >= 2 else rows.reshape(1, -1)
        wide = torch.float64 if rows.device.type != "mps" else torch.float32
        return torch.linalg.vector_norm(rows, dim=1, dtype=wide).square()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
