"""Choosing the output to judge a model by, and peeling the model's own output link off it."""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch

from livegrad.probe.activation import is_activation
from livegrad.probe.graph import StepGraph, leaves_under
from livegrad.probe.operation import Operation
from livegrad.probe.record import Record

_LINKS = frozenset(
    {"SoftmaxBackward0", "LogSoftmaxBackward0", "SoftmaxBackward", "LogSoftmaxBackward", "ExpBackward0"}
)
_DEEPEST_NESTING = 4
_MOST_TENSORS = 1000
_MOST_WEIGHED = 16

Place = tuple[int, int]  # index of a node in a StepGraph, number of its output


@dataclass(frozen=True)
class OutputChoice:
    """What is needed to choose: the graph of the step, which nodes carry data, how many lie below each, and
    which use parameters.
    """

    graph: StepGraph
    flow: list[bool]
    height: list[int]
    record: Record
    uses_parameters: Callable[[int], object]

    def choose(self) -> Place | str:
        """Return where the model's last layer begins, below its own link and loss, or why there is no such
        place.

        Of the tensors that the model returned and the loss uses, the one that most parameters lead to counts,
        then the one with most operations below it (hidden states and auxiliary heads lie lower). A model that
        returned nothing the loss uses is judged by the highest operation it ran.
        """
        found = self._returned() or self._ran()
        if not found:
            return "no output of the model's forward pass leads to the loss"
        place = self._peel(*self._main(found))
        return (
            place
            or "no output of the model's forward pass could be measured (it is empty, or no plain tensor)"
        )

    def _returned(self) -> list[Place]:
        tensors = [
            t for value in self.record.outputs for t in output_tensors(value) if t.grad_fn in self.graph.index
        ]
        tensors = [t for t in tensors if t.numel() > 1] or tensors
        # In the order they were returned, so that of two alike the same one counts each time.
        places = dict.fromkeys((self.graph.index[t.grad_fn], t.output_nr) for t in tensors)
        return [place for place in places if self.flow[place[0]]]

    def _ran(self) -> list[Place]:
        operations = [o for o in self.record.operations.values() if o.values and o.node in self.graph.index]
        operations = [o for o in operations if not o.is_scalar] or operations
        places = [(self.graph.index[o.node], o.values[0].number) for o in operations]
        return sorted((p for p in places if self.flow[p[0]]), key=lambda p: self.height[p[0]])[-1:]

    def _main(self, places: list[Place]) -> Place:
        """The place that most parameters lead to; the highest, if they are many."""
        if len({i for i, _ in places}) == 1:
            return min(places)
        weigh = len(places) <= _MOST_WEIGHED
        return max(
            places, key=lambda p: (leaves_under(self.graph, p[0]) if weigh else 0, self.height[p[0]], -p[1])
        )

    def _peel(self, i: int, number: int) -> Place | None:
        """Walk down from the output past a loss inside the model, then past parameter-free operations of one
        input.

        A final sigmoid or softmax saturates as the network converges; that is success, not disease. One such
        link is peeled, not a chain of them.
        """
        valued: Place | None = None
        links = 0
        while True:
            node = self.graph.nodes[i]
            operation = self.record.operations.get(node)
            if operation is not None and any(value.number == number for value in operation.values):
                valued = (i, number)
            below = [(k, n) for k, n in self.graph.edges[i] if self.flow[k]]
            links += is_activation(node) or node.name() in _LINKS
            several = len({k for k, _ in below}) > 1 and not self._in_loss(operation, valued)
            weighted = (operation is not None and operation.weighted) or bool(self.uses_parameters(i))
            if not below or (valued is not None and (links > 1 or several or weighted)):
                return valued
            i, number = self._main(below)

    def _in_loss(self, operation: Operation | None, valued: Place | None) -> bool:
        """True above a scalar, and between one and the values it was made of."""
        if operation is None and valued is not None:
            operation = self.record.operations.get(self.graph.nodes[valued[0]])
        return operation is not None and operation.is_scalar


def output_tensors(value: Any, depth: int = 0) -> list[torch.Tensor]:
    """Return the tensors inside a model's output: tuples, lists, dicts, dataclasses, distributions."""
    if isinstance(value, torch.Tensor):
        return [value]
    if depth > _DEEPEST_NESTING or value is None or isinstance(value, (str, int, float, torch.nn.Module)):
        return []
    if isinstance(value, dict):
        items = list(value.values())
    elif isinstance(value, (tuple, list, set)):
        items = list(value)
    elif is_dataclass(value):
        items = [getattr(value, f.name, None) for f in fields(value)]
    else:
        items = list(vars(value).values()) if hasattr(value, "__dict__") else []
    return [tensor for item in items[:_MOST_TENSORS] for tensor in output_tensors(item, depth + 1)]


def used_outputs(returned: list[Any], graph: StepGraph) -> tuple[int, ...]:
    """Return the places, among the tensors of the one value returned, of those in `graph`; () if there were
    several calls.
    """
    if len(returned) != 1:
        return ()
    return tuple(k for k, tensor in enumerate(output_tensors(returned[0])) if tensor.grad_fn in graph.index)
