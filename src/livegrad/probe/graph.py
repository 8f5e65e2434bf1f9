"""The autograd graph of one training step as plain lists of integers, and the part of it along which
activations flow.

A *data* node lies on a path along which an activation flows; a *weight* node only prepares a parameter (a
transpose, a cast, a weight norm) and is left out, its parameters being credited to the data node that uses
them.
"""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class StepGraph:
    """Every autograd node under a loss, each before the nodes it reads from.

    edges[i]: (index of the node read, number of that node's output), without repeats.
    """

    nodes: list[Any]
    index: dict[Any, int]
    edges: list[list[tuple[int, int]]]

    def leaf(self, i: int) -> Any | None:
        """The parameter or input that node i stands for, or None if it is an operation."""
        node = self.nodes[i]
        return node.variable if type(node).__name__ == "AccumulateGrad" else None

    def parameters(self) -> set[int]:
        """id() of every leaf tensor."""
        leaves = (self.leaf(i) for i in range(len(self.nodes)))
        return {id(leaf) for leaf in leaves if leaf is not None}


@dataclass
class DataGraph:
    """Data nodes in topological order from the output towards the inputs (index 0 is the output).

    inputs[i]: indices of the data nodes whose outputs node i reads (they come later in the order).
    consumers[i]: indices of the data nodes that read node i (they come earlier).
    parameters[i]: id() of every parameter that node i uses, directly or through weight nodes.
    reads[i]: (index, output number) of every data value that node i reads.
    """

    nodes: list[Any] = field(default_factory=list)
    index: dict[Any, int] = field(default_factory=dict)
    inputs: list[list[int]] = field(default_factory=list)
    consumers: list[list[int]] = field(default_factory=list)
    parameters: list[set[int]] = field(default_factory=list)
    reads: list[list[tuple[int, int]]] = field(default_factory=list)


def step_graph(root: Any) -> StepGraph:
    """Read the graph under the autograd node `root`, in time linear in its size and without recursion."""
    found, number, edges = [root], {root: 0}, []
    waiting = [0]
    for node in found:
        row = []
        for child, output in node.next_functions:
            if child is not None:
                if child not in number:
                    number[child] = len(found)
                    found.append(child)
                    waiting.append(0)
                row.append((number[child], output))
        row = list(dict.fromkeys(row))
        edges.append(row)
        for k, _ in row:
            waiting[k] += 1
    order, ready = [], [0]
    while ready:
        i = ready.pop()
        order.append(i)
        for k, _ in edges[i]:
            waiting[k] -= 1
            if not waiting[k]:
                ready.append(k)
    place = {i: position for position, i in enumerate(order)}
    nodes = [found[i] for i in order]
    return StepGraph(
        nodes,
        {node: i for i, node in enumerate(nodes)},
        [[(place[k], n) for k, n in edges[i]] for i in order],
    )


def data_flow(
    graph: StepGraph, is_data: Callable[[Any], bool | None], beyond: Set[int] = frozenset()
) -> list[bool]:
    """Return for each node whether an activation flows through it.

    is_data(node) says True (an activation), False (a weight computation) or None (unknown: a node is then a
    weight node exactly when everything it reads is). beyond: nodes that made the model's inputs; no data
    comes from them.
    """
    flow = [False] * len(graph.nodes)
    for i in reversed(range(len(graph.nodes))):
        if i not in beyond and graph.leaf(i) is None:
            known = is_data(graph.nodes[i])
            children = graph.edges[i]
            flow[i] = (not children or any(flow[k] for k, _ in children)) if known is None else known
    return flow


def heights(graph: StepGraph, flow: list[bool]) -> list[int]:
    """Return for each data node the number of data nodes on the longest path below it, itself included; 0 for
    the rest.
    """
    height = [0] * len(graph.nodes)
    for i in reversed(range(len(graph.nodes))):
        if flow[i]:
            height[i] = 1 + max((height[k] for k, _ in graph.edges[i]), default=0)
    return height


def data_graph(graph: StepGraph, flow: list[bool], start: int, beyond: Set[int] = frozenset()) -> DataGraph:
    """Return the data nodes under node `start`, `start` among them. `beyond`: nodes that made the model's
    inputs.
    """
    seen = [False] * len(graph.nodes)
    seen[start] = True
    for i in range(start, len(graph.nodes)):
        if seen[i]:
            for k, _ in graph.edges[i]:
                seen[k] = seen[k] or flow[k]
    kept = [i for i in range(start, len(graph.nodes)) if seen[i]]
    place = {i: position for position, i in enumerate(kept)}
    data = DataGraph([graph.nodes[i] for i in kept], {graph.nodes[i]: p for i, p in place.items()})
    data.reads = [[(place[k], n) for k, n in graph.edges[i] if k in place] for i in kept]
    data.inputs = [sorted({k for k, _ in reads}) for reads in data.reads]
    data.consumers = [[] for _ in kept]
    for p, inputs in enumerate(data.inputs):
        for k in inputs:
            data.consumers[k].append(p)
    data.parameters = [parameters_of(graph, flow, i, beyond) for i in kept]
    return data


def nodes_under(graph: StepGraph, i: int) -> Iterator[Any]:
    """Node i and every node below it."""
    seen, stack = {i}, [i]
    while stack:
        k = stack.pop()
        yield graph.nodes[k]
        fresh = {child for child, _ in graph.edges[k]} - seen
        seen |= fresh
        stack.extend(fresh)


def leaves_under(graph: StepGraph, i: int) -> int:
    """Return the number of parameters and inputs that node i depends on."""
    return sum(graph.leaf(graph.index[node]) is not None for node in nodes_under(graph, i))


def parameters_of(graph: StepGraph, flow: list[bool], i: int, beyond: Set[int]) -> set[int]:
    """Return id() of every parameter that node i uses, directly or through weight nodes."""
    found: set[int] = set()
    seen: set[int] = set()
    stack = [k for k, _ in graph.edges[i]]
    while stack:
        k = stack.pop()
        if k in seen or flow[k] or k in beyond:
            continue
        seen.add(k)
        leaf = graph.leaf(k)
        if leaf is not None:
            found.add(id(leaf))
        stack.extend(child for child, _ in graph.edges[k])
    return found
