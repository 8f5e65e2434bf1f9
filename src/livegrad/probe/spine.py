"""The spine: the chain of operations that every path from a model's output to its deepest parameter must pass.

In graph terms it is the chain of dominators of the deepest parameter in the autograd graph rooted at the output.
In a plain network every operation is on it; in a residual network the block joins are, and each block is one segment
between two joins. Inside a segment the same rule holds again, so the whole picture is the dominator tree
(Lengauer & Tarjan 1979; on an acyclic graph one sweep in topological order suffices, Cooper, Harvey & Kennedy 2001).
"""

from dataclasses import dataclass

from livegrad.probe.graph import DataGraph

ROOT = -1


@dataclass(frozen=True)
class Spine:
    """The dominator tree of a data graph and its longest chain.

    dominator[i]: index of the immediate dominator of node i (ROOT for the nodes right below the output).
    level[i]: number of dominators above node i (0 for the output itself).
    chain: node indices on the spine, from the output to the deepest parameter's first use.
    owner[i]: position in `chain` of the cut that node i belongs to: the nearest chain node that dominates it.
    rejoins[i]: True if node i lies inside a segment that the spine passes by (a residual branch, a gate), so that
    silence in it does not cut off what lies below.
    loop: nodes that use one and the same parameter again and again along a path (an unrolled recurrence, or weights
    shared over depth), from the last use to the first; empty if there is no such path. This is time, not depth.
    """

    dominator: list[int]
    level: list[int]
    chain: list[int]
    owner: list[int]
    rejoins: list[bool]
    loop: frozenset[int]


# Two uses are weight tying (an autoencoder, a language model's embedding and head); a loop has more.
_FEWEST_LOOP_USES = 4
_MOST_LOOP_CANDIDATES = 8


def immediate_dominators(graph: DataGraph, root_nodes: set[int]) -> tuple[list[int], list[int]]:
    """Return (dominator, level) of every node of `graph`, entered at `root_nodes` from a virtual root."""
    count = len(graph.nodes)
    dominator, level = [ROOT] * count, [0] * count
    for i in range(count):
        best: int | None = None if i not in root_nodes else ROOT
        for consumer in graph.consumers[i]:
            best = consumer if best is None else _common(best, consumer, dominator, level)
        dominator[i] = ROOT if best is None else best
        level[i] = 0 if dominator[i] == ROOT else level[dominator[i]] + 1
    return dominator, level


def _common(a: int, b: int, dominator: list[int], level: list[int]) -> int:
    while a != b:
        if a == ROOT or b == ROOT:
            return ROOT
        if level[a] >= level[b]:
            a = dominator[a]
        else:
            b = dominator[b]
    return a


def find_spine(graph: DataGraph, root_nodes: set[int]) -> Spine:
    """Find the spine of `graph`: the dominator chain of the parameter that lies deepest, by longest path from the output.

    A parameter of an unrolled loop counts at the nearest common dominator of its uses, so time does not pass for depth.
    """
    dominator, level = immediate_dominators(graph, root_nodes)
    loop = _find_loop(graph)
    distance = [0] * len(graph.nodes)
    for i in range(len(graph.nodes)):
        distance[i] = max((distance[c] + 1 for c in graph.consumers[i]), default=0)
    looped = {parameter for i in loop for parameter in graph.parameters[i]}
    homes: dict[int, int] = {}
    for i, used in enumerate(graph.parameters):
        for parameter in used:
            known = homes.get(parameter)
            if known is None or parameter not in looped:
                homes[parameter] = i
            else:
                homes[parameter] = _common(known, i, dominator, level)
    deepest = max((h for h in homes.values() if h != ROOT), key=lambda i: distance[i], default=ROOT)
    if deepest == ROOT and graph.nodes:
        deepest = max(range(len(graph.nodes)), key=lambda i: distance[i])
    chain: list[int] = []
    while deepest != ROOT:
        chain.append(deepest)
        deepest = dominator[deepest]
    chain.reverse()
    owner, rejoins = _owners(graph, chain, dominator)
    return Spine(dominator, level, chain, owner, rejoins, loop)


def _owners(graph: DataGraph, chain: list[int], dominator: list[int]) -> tuple[list[int], list[bool]]:
    place = {node: k for k, node in enumerate(chain)}
    count = len(graph.nodes)
    owner = [0] * count
    for i in range(count):
        owner[i] = place[i] if i in place else (owner[dominator[i]] if dominator[i] != ROOT else 0)
    # The deepest chain position each node can still reach: a side node that reaches a deeper cut is a branch beside the spine.
    reach = [0] * count
    for i in reversed(range(count)):
        below = max((reach[j] for j in graph.inputs[i]), default=0)
        reach[i] = max(place.get(i, 0), below)
    rejoins = [i not in place and reach[i] > owner[i] for i in range(count)]
    return owner, rejoins


def _find_loop(graph: DataGraph) -> frozenset[int]:
    uses: dict[int, list[int]] = {}
    for i, used in enumerate(graph.parameters):
        for parameter in used:
            uses.setdefault(parameter, []).append(i)
    repeated = sorted((u for u in uses.values() if len(u) >= _FEWEST_LOOP_USES), key=len, reverse=True)
    members: set[int] = set()
    for nodes in repeated[:_MOST_LOOP_CANDIDATES]:
        uses_here = set(nodes)
        # Most uses met along any one path: the whole of them for a recurrence, one for weights applied side by side.
        along = [0] * len(graph.nodes)
        for i in reversed(range(len(graph.nodes))):
            along[i] = max((along[j] for j in graph.inputs[i]), default=0) + (i in uses_here)
        if max(along) >= 0.9 * len(nodes):
            members |= uses_here
    return frozenset(members)
