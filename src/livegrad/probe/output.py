"""Choosing the output to judge a model by, and peeling the model's own output link off it."""

from dataclasses import fields, is_dataclass
from typing import Any

import torch

from livegrad.probe.activation import is_activation
from livegrad.probe.graph import StepGraph
from livegrad.probe.operation import Operation
from livegrad.probe.trace import ForwardTrace

_LINKS = frozenset(
    {"SoftmaxBackward0", "LogSoftmaxBackward0", "SoftmaxBackward", "LogSoftmaxBackward", "ExpBackward0"}
)
_DEEPEST_NESTING = 4
_MOST_TENSORS = 1000


def choose_output(
    graph: StepGraph, flow: list[bool], height: list[int], trace: ForwardTrace, uses_parameters: Any
) -> tuple[int, int] | None:
    """Return (index of a node, number of its output): where the model's own link and loss end and its last
    layer begins.

    Of the tensors that the model returned and the loss uses, the one with most operations below it counts
    (hidden states and auxiliary heads lie lower); a model that returned nothing the loss uses is judged by
    the highest operation it ran. height: operations below each node. uses_parameters(i): whether node i uses
    a parameter. None: nothing reaches the loss.
    """
    found = _returned(graph, flow, trace) or _ran(graph, flow, trace)
    if not found:
        return None
    index, number = max(found, key=lambda place: height[place[0]])
    return _peel(graph, flow, height, trace, index, number, uses_parameters)


def _returned(graph: StepGraph, flow: list[bool], trace: ForwardTrace) -> list[tuple[int, int]]:
    tensors = [t for value in trace.outputs for t in output_tensors(value) if t.grad_fn in graph.index]
    tensors = [t for t in tensors if t.numel() > 1] or tensors
    places = [(graph.index[t.grad_fn], t.output_nr) for t in tensors]
    return [place for place in places if flow[place[0]]]


def _ran(graph: StepGraph, flow: list[bool], trace: ForwardTrace) -> list[tuple[int, int]]:
    operations = [o for o in trace.operations.values() if o.values and o.node in graph.index]
    operations = [o for o in operations if not o.is_scalar] or operations
    return [(graph.index[o.node], o.values[0].number) for o in operations if flow[graph.index[o.node]]]


def _peel(
    graph: StepGraph,
    flow: list[bool],
    height: list[int],
    trace: ForwardTrace,
    i: int,
    number: int,
    uses_parameters: Any,
) -> tuple[int, int] | None:
    """Walk down from the output past a loss inside the model, then past parameter-free operations of one
    input.

    A final sigmoid or softmax saturates as the network converges; that is success, not disease. One such link
    is peeled, not a chain of them.
    """
    valued: tuple[int, int] | None = None
    links = 0
    while True:
        operation = trace.operations.get(graph.nodes[i])
        if operation is not None and any(value.number == number for value in operation.values):
            valued = (i, number)
        below = [(k, n) for k, n in graph.edges[i] if flow[k]]
        links += is_activation(graph.nodes[i]) or graph.nodes[i].name() in _LINKS
        several = len({k for k, _ in below}) > 1 and not _may_branch(operation, valued, graph, trace)
        last = links > 1 or several or (operation is not None and operation.weighted) or uses_parameters(i)
        if not below or (last and valued is not None):
            return valued
        i, number = max(below, key=lambda place: height[place[0]])


def _may_branch(
    operation: Operation | None, valued: tuple[int, int] | None, graph: StepGraph, trace: ForwardTrace
) -> bool:
    """True inside a loss: above a scalar, or between one and the values it was made of."""
    if operation is None:
        operation = trace.operations.get(graph.nodes[valued[0]]) if valued is not None else None
    return operation is not None and operation.is_scalar


def output_tensors(value: Any, depth: int = 0) -> list[torch.Tensor]:
    """Return the tensors inside a model's output: tuples, lists, dicts, dataclasses, distributions."""
    if isinstance(value, torch.Tensor):
        return [value]
    if (
        depth > _DEEPEST_NESTING
        or value is None
        or isinstance(value, (str, int, float, bool, torch.nn.Module))
    ):
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
