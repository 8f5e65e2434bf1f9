"""The operations of a forward pass: which user line and module ran each, and how large its output was.

Functional calls, tensor methods, operators and in-place operations are all seen, because a
`TorchFunctionMode` hands them over, not module hooks.
"""

import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from livegrad.probe.activation import is_activation, measure_activation
from livegrad.probe.attention import is_weighing, measure_weights
from livegrad.probe.cut import CUTTING, Cut
from livegrad.probe.module_stack import ModuleStack
from livegrad.probe.obstacle import packing_obstacle, tracing_obstacle
from livegrad.probe.operation import Operation, Value, is_rearranging, operator_name, shape_of, tensors_in
from livegrad.probe.similarity import take_sample, take_tokens
from livegrad.probe.source import called_from, user_line
from livegrad.probe.squares import is_measurable, measure_rows

_APPLY = torch.autograd.Function.apply.__func__.__code__
_HOOKING = frozenset({"register_hook", "retain_grad"})


class Record:
    """All differentiable operations seen, by autograd node, in order of execution.

    operations: node -> Operation. outputs: what each outermost call of the model returned. finals: node ->
    innermost module whose output it made. outside: nodes that made the inputs of the model. called: id() of
    parameters used with gradients on. batch: samples in the batch, 0 if unknown. first: number that the first
    node of the running outermost call could have. obstacle: why the gradients may not be probed, or None.
    trouble: why the record is not whole, or None. checkpointed: True if a segment will be run again in the
    backward pass. cuts: where values with a gradient were taken out of the graph.
    """

    def __init__(
        self, root: torch.nn.Module, modules: Iterable[torch.nn.Module], running: ModuleStack
    ) -> None:
        self.root = root
        self._running = running
        self._parameters: set[int] = set()
        self._fixed: set[int] = set()
        for module in modules:
            self._parameters.update(id(p) for p in module._parameters.values() if p is not None)
            self._fixed.update(id(b) for b in module._buffers.values() if b is not None)
        self._fixed |= self._parameters
        self.clear()

    def clear(self) -> None:
        """Start anew, keeping no tensor and no node."""
        self.operations: dict[Any, Operation] = {}
        self.outputs: list[Any] = []
        self.finals: dict[Any, torch.nn.Module] = {}
        self.outside: set[Any] = set()
        self.called: set[int] = set()
        self.batch = 0
        self.first = 0
        self.obstacle: str | None = None
        self.trouble: str | None = None
        self.checkpointed = False
        self.cuts: list[Cut] = []
        self._applied: dict[int, tuple[str, int] | None] = {}
        self._calls: list[tuple[int, Operation]] | None = None
        self._ends: list[int] = []
        self._constants: dict[int, weakref.ref[Tensor]] = {}
        self._hooked: set[Any] = set()
        self._alive: list[weakref.ref[Tensor]] = []

    def is_data(self, node: Any) -> bool | None:
        """Say whether an activation flows through `node`; None if it was not seen and nothing tells.

        Inside a call that was seen, what takes a constant besides tracked values takes data: a first layer's
        input.
        """
        operation = self.operations.get(node)
        if operation is not None:
            return operation.uses_data
        operation = self.enclosing(node)
        constant = operation is not None and any(child is None for child, _ in node.next_functions)
        return True if constant and operation is not None and operation.uses_data else None

    def enclosing(self, node: Any) -> Operation | None:
        """Return the operation inside whose call `node` was made, or None."""
        if self._calls is None or len(self._calls) != len(self.operations):
            self._calls = sorted(
                ((o.node._sequence_nr(), o) for o in self.operations.values()), key=itemgetter(0)
            )
            self._ends = [number for number, _ in self._calls]
        number = node._sequence_nr()
        at = bisect_left(self._ends, number)
        operation = self._calls[at][1] if at < len(self._calls) else None
        return operation if operation is not None and operation.first <= number else None

    def hooked_nodes(self) -> set[Any]:
        """Return the nodes of tensors that carry hooks or retain their gradient: a probe that passes them
        would be noticed.
        """
        for reference in self._alive:
            tensor = reference()
            node = tensor.grad_fn if tensor is not None else None
            if tensor is not None and node is not None and (tensor._backward_hooks or tensor.retains_grad):
                self._hooked.add(node)
        return self._hooked

    def note(
        self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], output: Any, first: int
    ) -> None:
        """Record the operation `func(*args, **kwargs) = output`; `first`: number that its first autograd node
        could have.
        """
        call = getattr(func, "__name__", "") or str(func)
        if call in _HOOKING and args and args[0].grad_fn is not None:
            self._hooked.add(args[0].grad_fn)
        if call == "tolist" or (output is None and call != "__setitem__"):
            return
        output = args[0] if output is None else output
        results = list(tensors_in(output))
        made = [t for t in results if t.grad_fn is not None and t.grad_fn not in self.operations]
        if not results or (results[0].grad_fn is not None and not made):
            return
        obstacle = tracing_obstacle()
        if obstacle is not None:
            self.trouble = f"part of it was not seen: {obstacle}"
            return
        sources = [t for value in (*args, *kwargs.values()) for t in tensors_in(value)]
        if made:
            self._note_made(call, sources, output, made, first)
        else:
            if not torch.is_grad_enabled():
                self._note_applied(first - 1)
            elif call in CUTTING or getattr(func, "__self__", None) is torch.Tensor.data:
                self._note_cut(call, sources)
            self._note_constants(sources, results)

    def _note_made(
        self, call: str, sources: list[Tensor], output: Any, made: list[Tensor], first: int
    ) -> None:
        self.note_unseen([t for t in sources if t is not output])
        from_data = [self._carries_data(t) for t in sources]
        used = {id(t) for t in sources} & self._parameters
        self.called |= used
        computed = any(t.grad_fn is not None and not data for t, data in zip(sources, from_data, strict=True))
        uses_data = any(from_data) and not self._running.prepares_weights()
        for tensor in made:
            operation = self.operations.get(tensor.grad_fn)
            if operation is None:
                operation = self._operation(tensor, call, uses_data, first, self._running.innermost)
                operation.weighted = bool(used) or computed
                operation.rearranges = not operation.weighted and is_rearranging(call)
            self._measure(operation, tensor)

    def _note_constants(self, sources: list[Tensor], results: list[Tensor]) -> None:
        # What is made of parameters and buffers alone carries no data (the vectors of a spectral norm, a
        # mask).
        constant = bool(sources) and not any(self._carries_data(t) for t in sources)
        for tensor in results:
            if constant:
                self._constants[id(tensor)] = weakref.ref(tensor)
            else:
                self._constants.pop(id(tensor), None)

    def _note_applied(self, number: int) -> None:
        """Nothing has a gradient for now: if that is the forward of a custom function, whose node bears this
        number, note which line applied it.
        """
        if number not in self._applied:
            self._applied[number] = called_from(_APPLY)

    def _note_cut(self, call: str, sources: list[Tensor]) -> None:
        nodes = [t.grad_fn for t in sources if t.grad_fn is not None]
        line = user_line()
        if nodes and line is not None:
            self.cuts.append(Cut("data" if call == "__get__" else call.strip("_"), line, nodes[0]))

    def note_unseen(self, tensors: list[Tensor], module: torch.nn.Module | None = None) -> None:
        """Record what made `tensors`, met as arguments or leaving `module`, if it bypassed the mode (custom
        autograd functions do).
        """
        for tensor in tensors:
            node = tensor.grad_fn
            if node is None or node in self.outside:
                continue
            known = self.operations.get(node)
            if known is None:
                if tracing_obstacle() is not None:
                    return
                number = node._sequence_nr()
                if number < self.first:
                    self.outside.add(node)
                    continue
                where = module or self._running.at(number)
                known = self._operation(
                    tensor, operator_name(node), not self._running.prepares_weights(), number, where
                )
                known.unseen = True
                known.rearranges = is_rearranging(known.call)
            if known.unseen and all(value.number != tensor.output_nr for value in known.values):
                self._measure(known, tensor)

    def note_final(self, tensor: Tensor, module: torch.nn.Module, entered: int) -> None:
        """`module` has returned `tensor`; it was entered when nodes were numbered `entered`.

        It is the operation's module only if it made it (an identity passes on another's). One that ends by
        rearranging is known by the operation before that.
        """
        self.note_unseen([tensor], module)
        node = tensor.grad_fn
        while node is not None:
            operation = self.operations.get(node)
            if operation is None or operation.first < entered:
                return
            self.finals.setdefault(node, module)
            if not operation.rearranges or operation.module is not module:
                return
            node = next((child for child, _ in node.next_functions if child is not None), None)

    def _carries_data(self, tensor: Tensor) -> bool:
        if tensor.grad_fn is not None:
            made = self.operations.get(tensor.grad_fn)
            return made is None or made.uses_data
        if tensor.ndim == 0 or id(tensor) in self._fixed or isinstance(tensor, torch.nn.Parameter):
            return False
        constant = self._constants.get(id(tensor))
        return constant is None or constant() is not tensor

    def _operation(
        self, tensor: Tensor, call: str, uses_data: bool, first: int, module: torch.nn.Module | None
    ) -> Operation:
        node = tensor.grad_fn
        assert node is not None
        made = Operation(
            node,
            call,
            module,
            self._applied.get(node._sequence_nr()) or user_line(),
            uses_data,
            first,
            shape_of(tensor),
            tensor.dtype,
            tensor.device,
        )
        self.operations[node] = made
        return made

    def _measure(self, operation: Operation, tensor: Tensor) -> None:
        self._alive.append(weakref.ref(tensor))
        if not operation.uses_data or operation.rearranges or not is_measurable(tensor):
            return
        squares, nonfinite = measure_rows(tensor, self.batch)
        entries = tensor.numel() * (2 if tensor.is_complex() else 1) // squares.shape[0]
        sample = None if operation.values else take_sample(tensor, self.batch)
        tokens = None if operation.values else take_tokens(tensor, self.batch)
        operation.values.append(
            Value(tensor.output_nr, tuple(tensor.shape), squares, entries, sample, tokens)
        )
        operation.nonfinite.append(nonfinite)
        obstacle, checkpoint = packing_obstacle()
        self.checkpointed = self.checkpointed or checkpoint
        self.obstacle = self.obstacle or obstacle
        if is_activation(operation.node):
            may_read = obstacle is None and not checkpoint
            operation.activation = measure_activation(operation.node, tensor, may_read)
        elif obstacle is None and not checkpoint and is_weighing(operation.node, operation.call):
            operation.activation = measure_weights(operation.node, operation.first)
