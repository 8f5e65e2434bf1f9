"""The spine: the chain of operations that every path from a model's output to its deepest parameter must
pass.

In graph terms it is the chain of dominators of the deepest parameter in the autograd graph rooted at the
output. In a plain network every operation is on it; in a residual network the block joins are, and each block
is one segment between two joins. Inside a segment the same rule holds again, so the whole picture is the
dominator tree.
"""

from dataclasses import dataclass

from livegrad.probe.dominators import ROOT, DominatorTree
from livegrad.probe.graph import DataGraph


@dataclass(frozen=True)
class Spine:
    """The dominator tree of a data graph and its longest chain.

    dominator[i]: index of the immediate dominator of node i (ROOT for the output itself). chain: node indices
    on the spine, from the output to the deepest parameter's first use. owner[i]: position in `chain` of the
    cut that node i belongs to: the nearest chain node that dominates it. loop: nodes that use one and the
    same parameter again and again along a path that the spine does not follow, an unrolled recurrence; empty
    if there is none. This is time, not depth. in_time: the loop and every node between two of its steps.
    steps: the number of steps of the longest loop.
    """

    dominator: list[int]
    chain: list[int]
    owner: list[int]
    loop: frozenset[int]
    in_time: frozenset[int]
    steps: int


# Two uses are weight tying (an autoencoder, a language model's embedding and head); a loop has more.
_FEWEST_LOOP_USES = 4
_MOST_LOOP_CANDIDATES = 8
# Share of a parameter's uses that one path must meet for a loop (applied side by side, it meets one), and
# that must lie under different cuts for weights shared over depth.
_MOST_OF_THEM = 0.9


def find_spine(graph: DataGraph) -> Spine:
    """Find the spine of `graph`: the dominator chain of the parameter that lies deepest, by longest path from
    the output.

    A parameter of an unrolled loop counts at the nearest common dominator of its uses, so time does not pass
    for depth.
    """
    tree = DominatorTree(graph.consumers, {0} if graph.nodes else set())
    loops = _find_loops(graph)
    chain = _chain_to(_deepest(graph, tree, set(loops)), tree)
    owner = _owners(graph, chain, tree)
    in_time = {frozenset(nodes) for nodes in loops.values() if not _shared_over_depth(nodes, owner)}
    loop = frozenset().union(*in_time)
    between = frozenset().union(*(_between(graph, nodes) for nodes in in_time))
    return Spine(tree.dominator, chain, owner, loop, between, max(map(len, in_time), default=0))


def _deepest(graph: DataGraph, tree: DominatorTree, looped: set[int]) -> int:
    """Return the node that uses the deepest parameter; the deepest node of all if none uses any."""
    distance = [0] * len(graph.nodes)
    homes: dict[int, int] = {}
    for i, used in enumerate(graph.parameters):
        distance[i] = max((distance[c] + 1 for c in graph.consumers[i]), default=0)
        for parameter in used:
            known = homes.get(parameter)
            homes[parameter] = tree.common(known, i) if known is not None and parameter in looped else i
    found = {home for home in homes.values() if home != ROOT} or range(len(graph.nodes))
    return max(found, key=lambda i: distance[i], default=ROOT)


def _chain_to(node: int, tree: DominatorTree) -> list[int]:
    chain: list[int] = []
    while node != ROOT:
        chain.append(node)
        node = tree.dominator[node]
    return chain[::-1]


def _owners(graph: DataGraph, chain: list[int], tree: DominatorTree) -> list[int]:
    place = {node: k for k, node in enumerate(chain)}
    owner = [0] * len(graph.nodes)
    for i in range(len(graph.nodes)):
        above = tree.dominator[i]
        owner[i] = place[i] if i in place else (owner[above] if above != ROOT else 0)
    return owner


def _find_loops(graph: DataGraph) -> dict[int, list[int]]:
    """Return the parameters that one path meets again and again, each with the nodes that use it."""
    uses: dict[int, list[int]] = {}
    for i, used in enumerate(graph.parameters):
        for parameter in used:
            uses.setdefault(parameter, []).append(i)
    repeated = sorted(
        (p for p in uses if len(uses[p]) >= _FEWEST_LOOP_USES), key=lambda p: len(uses[p]), reverse=True
    )
    found: dict[frozenset[int], bool] = {}
    for parameter in repeated:
        nodes = frozenset(uses[parameter])
        if nodes not in found and len(found) < _MOST_LOOP_CANDIDATES:
            found[nodes] = _most_along_a_path(graph, nodes) >= _MOST_OF_THEM * len(nodes)
    return {p: uses[p] for p in repeated if found.get(frozenset(uses[p]), False)}


def _most_along_a_path(graph: DataGraph, nodes: frozenset[int]) -> int:
    along = [0] * len(graph.nodes)
    for i in reversed(range(len(graph.nodes))):
        along[i] = max((along[j] for j in graph.inputs[i]), default=0) + (i in nodes)
    return max(along)


def _between(graph: DataGraph, nodes: frozenset[int]) -> set[int]:
    """Return `nodes` and whatever lies on a path from one of them to another."""
    below, above = [False] * len(graph.nodes), [False] * len(graph.nodes)
    for i in range(len(graph.nodes)):
        below[i] = i in nodes or any(below[c] for c in graph.consumers[i])
    for i in reversed(range(len(graph.nodes))):
        above[i] = i in nodes or any(above[k] for k in graph.inputs[i])
    return {i for i in range(len(graph.nodes)) if below[i] and above[i]}


def _shared_over_depth(nodes: list[int], owner: list[int]) -> bool:
    """True if the spine follows the repeated uses, one after another: weights shared by the layers of a deep
    network.
    """
    return len({owner[i] for i in nodes}) >= _MOST_OF_THEM * len(nodes)
