"""The autograd graph of one forward pass, as plain lists: nodes, their consumers, the parameters they use.

A *data* node lies on a path along which an activation flows; a *weight* node only prepares a parameter (a transpose,
a cast, a weight norm) and is left out, its parameters being credited to the data node that uses them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class DataGraph:
    """Data nodes in topological order from the roots towards the inputs (index 0 is nearest the output).

    inputs[i]: indices of the data nodes whose outputs node i reads (they come later in the order).
    consumers[i]: indices of the data nodes that read node i (they come earlier).
    parameters[i]: id() of every parameter that node i uses, directly or through weight nodes.
    """

    nodes: list[Any] = field(default_factory=list)
    index: dict[Any, int] = field(default_factory=dict)
    inputs: list[list[int]] = field(default_factory=list)
    consumers: list[list[int]] = field(default_factory=list)
    parameters: list[set[int]] = field(default_factory=list)


def topological(roots: Iterable[Any]) -> list[Any]:
    """Return every autograd node reachable from `roots`, each before the nodes it points to (iterative: depth is unbounded)."""
    order: list[Any] = []
    state: dict[Any, int] = {}
    for root in roots:
        stack = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                order.append(node)
                continue
            if node in state:
                continue
            state[node] = 1
            stack.append((node, True))
            stack.extend((child, False) for child, _ in node.next_functions if child is not None and child not in state)
    order.reverse()
    return order


def reached_parameters(roots: Iterable[Any]) -> set[int]:
    """Return id() of every leaf tensor that the graph under `roots` reaches."""
    return {id(node.variable) for node in topological(roots) if hasattr(node, "variable")}


def data_graph(roots: Iterable[Any], is_data: Callable[[Any], bool | None]) -> DataGraph:
    """Build the graph of data nodes under `roots`.

    is_data(node) says True (an activation), False (a weight computation) or None (unknown: a node is then a
    weight node exactly when everything it points to is).
    """
    order = topological(roots)
    flow: dict[Any, bool] = {}
    uses: dict[Any, set[int]] = {}
    for node in reversed(order):
        if hasattr(node, "variable"):
            flow[node], uses[node] = False, {id(node.variable)}
            continue
        children = [child for child, _ in node.next_functions if child is not None]
        known = is_data(node)
        flow[node] = (any(flow[c] for c in children) or not children) if known is None else known
        uses[node] = set().union(*(uses[c] for c in children if not flow[c])) if children else set()
    graph = DataGraph()
    for node in order:
        if flow[node]:
            graph.index[node] = len(graph.nodes)
            graph.nodes.append(node)
            graph.parameters.append(uses[node])
    graph.inputs = [[] for _ in graph.nodes]
    graph.consumers = [[] for _ in graph.nodes]
    for i, node in enumerate(graph.nodes):
        children = {graph.index[c] for c, _ in node.next_functions if c is not None and flow[c]}
        graph.inputs[i] = sorted(children)
        for child in graph.inputs[i]:
            graph.consumers[child].append(i)
    return graph
