"""The spine: the chain of operations that every path from a model's output to its deepest parameter must
pass.

In graph terms it is the chain of dominators of the deepest parameter in the autograd graph rooted at the
output. In a plain network every operation is on it; in a residual network the block joins are, and each block
is one segment between two joins. Inside a segment the same rule holds again, so the whole picture is the
dominator tree.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from livegrad.probe.dominators import ROOT, DominatorTree
from livegrad.probe.graph import DataGraph


@dataclass(frozen=True)
class Loop:
    """An unrolled recurrence: time, not depth.

    nodes: those that use one and the same parameters again and again, in order of execution. between: them
    and every node between two of them. steps: how often the parameters are used.
    """

    nodes: tuple[int, ...]
    between: frozenset[int]
    steps: int


@dataclass(frozen=True)
class Spine:
    """The dominator tree of a data graph and the chain in it that stands for the network's depth.

    dominator[i]: index of the immediate dominator of node i (ROOT for the output itself). chain: node indices
    on the spine, from the output to the deepest parameter's first use. loops: the unrolled loops that the
    spine does not follow, longest first.
    """

    dominator: list[int]
    chain: list[int]
    loops: tuple[Loop, ...]

    @cached_property
    def in_time(self) -> frozenset[int]:
        """Every node that belongs to a loop."""
        return frozenset().union(*(loop.between for loop in self.loops))


# Two uses are weight tying (an autoencoder, a language model's embedding and head); a loop has more.
_FEWEST_LOOP_USES = 4
_MOST_LOOP_CANDIDATES = 8
# Share of a parameter's uses that one path must meet for a loop (applied side by side, it meets one), and
# that must lie under different cuts for weights shared over depth.
_MOST_OF_THEM = 0.9
# A chain that ends inside a bypassed segment is the network's depth only if it passes this many times the
# cuts of the one that ends at the far end of the longest path (a U-Net; a value fed to every layer). A
# residual branch does not.
_FAR_MORE = 3


def find_spine(graph: DataGraph, counts: Sequence[bool] | None = None) -> Spine:
    """Find the spine of `graph`: the dominator chain of the parameter that lies at the far end of the longest
    path.

    Where something passes the whole network by, that chain is short, and the one with most cuts stands for
    the depth. counts[i]: whether node i counts as a cut (all do if not given). A parameter of an unrolled
    loop counts at the nearest common dominator of its uses, so time does not pass for depth.
    """
    if not graph.nodes:
        return Spine([], [], ())
    counts = counts if counts is not None else [True] * len(graph.nodes)
    tree = DominatorTree(graph.consumers, {0})
    uses = _loop_uses(graph)
    chain = _chain_to(_deepest(graph, tree, uses.keys(), counts), tree)
    owner = _owners(graph, chain, tree)
    found = {frozenset(nodes) for nodes in uses.values() if not _shared_over_depth(nodes, owner)}
    loops = [_loop(graph, nodes) for nodes in sorted(found, key=lambda nodes: (-len(nodes), min(nodes)))]
    return Spine(tree.dominator, chain, tuple(loops))


def _deepest(graph: DataGraph, tree: DominatorTree, looped: Set[int], counts: Sequence[bool]) -> int:
    """Return the node that uses the deepest parameter; the deepest node of all if none uses any."""
    cuts, distance = [0] * len(graph.nodes), [0] * len(graph.nodes)
    for i, above in enumerate(tree.dominator):
        cuts[i] = counts[i] + (cuts[above] if above != ROOT else 0)
        distance[i] = max((distance[c] + 1 for c in graph.consumers[i]), default=0)

    def far(i: int) -> tuple[int, int, int]:
        return distance[i], cuts[i], -graph.nodes[i]._sequence_nr()

    homes: dict[int, int] = {}
    for i, used in enumerate(graph.parameters):
        for parameter in used:
            known = homes.get(parameter, i)
            homes[parameter] = tree.common(known, i) if parameter in looped else max(known, i, key=far)
    found = {home for home in homes.values() if home != ROOT} or range(len(graph.nodes))
    farthest = max(found, key=far)
    cut_off = max(found, key=lambda i: (cuts[i], far(i)))
    return cut_off if cuts[cut_off] > _FAR_MORE * cuts[farthest] else farthest


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


def _loop_uses(graph: DataGraph) -> dict[int, list[int]]:
    """Return the parameters of unrolled loops, each with the nodes that use it.

    One path meets the recurrent weight again and again; the weights of the inputs are used as many times,
    side by side.
    """
    uses: dict[int, list[int]] = {}
    for i, used in enumerate(graph.parameters):
        for parameter in used:
            uses.setdefault(parameter, []).append(i)
    repeated = [p for p in uses if len(uses[p]) >= _FEWEST_LOOP_USES]
    repeated.sort(key=lambda p: len(uses[p]), reverse=True)
    found: dict[frozenset[int], bool] = {}
    for parameter in repeated:
        nodes = frozenset(uses[parameter])
        if nodes not in found and len(found) < _MOST_LOOP_CANDIDATES:
            found[nodes] = _most_along_a_path(graph, nodes) >= _MOST_OF_THEM * len(nodes)
    steps = {len(nodes) for nodes, is_loop in found.items() if is_loop}
    return {p: uses[p] for p in repeated if len(uses[p]) in steps}


def _most_along_a_path(graph: DataGraph, nodes: frozenset[int]) -> int:
    along = [0] * len(graph.nodes)
    for i in reversed(range(len(graph.nodes))):
        along[i] = max((along[j] for j in graph.inputs[i]), default=0) + (i in nodes)
    return max(along)


def _loop(graph: DataGraph, nodes: frozenset[int]) -> Loop:
    below, above = [False] * len(graph.nodes), [False] * len(graph.nodes)
    for i in range(len(graph.nodes)):
        below[i] = i in nodes or any(below[c] for c in graph.consumers[i])
    for i in reversed(range(len(graph.nodes))):
        above[i] = i in nodes or any(above[k] for k in graph.inputs[i])
    between = frozenset(i for i in range(len(graph.nodes)) if below[i] and above[i])
    return Loop(tuple(sorted(nodes, key=lambda i: graph.nodes[i]._sequence_nr())), between, len(nodes))


def _shared_over_depth(nodes: list[int], owner: list[int]) -> bool:
    """True if the spine follows the repeated uses, one after another: weights shared by the layers of a deep
    network.
    """
    return len({owner[i] for i in nodes}) >= _MOST_OF_THEM * len(nodes)
