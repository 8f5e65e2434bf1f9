"""Segments: what lies between two cuts of a chain, opened into the paths that run side by side through it.

A residual block is a segment: from its join the gradient comes down the identity and the branch, and what
they bring adds up at the fork. A path may be a chain of operations with segments in it (an attention inside
the branch), so the same rule is applied again. Paths that share operations crosswise (a dense block, a
highway's gate) are told apart at the end where the gradient leaves them.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from livegrad.probe.dominators import ROOT, DominatorTree
from livegrad.probe.graph import DataGraph

# Deeper nesting (a U-Net has one level per scale) is left closed.
_MOST_NESTED = 12
MOST_PATHS = 2000
_MOST_ENDS = 16


@dataclass(frozen=True)
class Path:
    """One way through a segment, from the node at its output side down to the node `bottom`.

    top: node that the operation at the output side is known by. number: 1, 2, … among the segment's paths.
    chain: nodes that every way inside it passes, the output side
    first; () if it is a mere edge or cannot be taken apart (`tangled`). inside: all its nodes. edges: the
    (consumer, bottom) pairs by which its gradient reaches the bottom.
    """

    top: int
    bottom: int
    number: int
    chain: tuple[int, ...]
    inside: frozenset[int]
    edges: tuple[tuple[int, int], ...]

    @property
    def tangled(self) -> bool:
        return bool(self.inside) and not self.chain


def open_segments(
    graph: DataGraph,
    chain: Sequence[int],
    known_by: Callable[[int], int | None],
    closed: Set[int] = frozenset(),
) -> list[Path]:
    """Return every path of every segment between two neighbours of `chain`, and of those inside them; outer
    ones before those inside them.

    known_by(node): the node that its operation is known by (one call makes several), None where the segment
    under it may not be opened. closed: nodes of unrolled loops; a segment that holds any stays closed.
    """
    found: list[Path] = []
    opened: set[int] = set()
    for segment in _open(graph, chain, range(len(graph.nodes)), known_by, closed, 0):
        if segment[0].top not in opened and len(found) < MOST_PATHS:
            opened.add(segment[0].top)
            found += segment
    return found


def _open(
    graph: DataGraph, chain: Sequence[int], within: Sequence[int] | Set[int],
    known_by: Callable[[int], int | None], closed: Set[int], nested: int,
) -> Iterator[list[Path]]:  # fmt: skip
    """Yield the paths of each segment, outer segments first."""
    for top, bottom in pairwise(chain):
        inside = _between(graph, top, bottom, within)
        direct = bottom in graph.inputs[top]
        groups = _components(graph, inside)
        ends = sum(consumer in inside for consumer in graph.consumers[bottom])
        if max(len(groups), ends) + direct < 2 or not closed.isdisjoint(inside):
            continue
        name = known_by(top)
        if name is None:
            continue
        paths = [Path(name, bottom, 1, (), frozenset(), ((top, bottom),))] if direct else []
        for group in groups:
            inner = _chain_through(graph, top, bottom, group) if nested < _MOST_NESTED else ()
            edges = tuple((consumer, bottom) for consumer in graph.consumers[bottom] if consumer in group)
            parts = [(inner, frozenset(group), edges)] if inner else _ends(graph, group, edges)
            paths += [Path(name, bottom, len(paths) + k, *part) for k, part in enumerate(parts, 1)]
        yield paths
        for path in paths:
            yield from _open(graph, (*path.chain, bottom), path.inside, known_by, closed, nested + 1)


def _between(graph: DataGraph, top: int, bottom: int, within: Sequence[int] | Set[int]) -> set[int]:
    """Nodes on a way from `top` down to `bottom`, a node that `top` dominates; both ends left out."""
    inside: set[int] = set()
    waiting = [bottom]
    while waiting:
        for consumer in graph.consumers[waiting.pop()]:
            if consumer > top and consumer not in inside and consumer in within:
                inside.add(consumer)
                waiting.append(consumer)
    return inside


def _components(graph: DataGraph, inside: Set[int]) -> list[set[int]]:
    """Split `inside` into parts that no edge joins, in the order of their nodes nearest the output."""
    left, found = set(inside), []
    for start in sorted(inside):
        if start not in left:
            continue
        left.discard(start)
        part, waiting = {start}, [start]
        while waiting:
            i = waiting.pop()
            near = {k for k in (*graph.inputs[i], *graph.consumers[i]) if k in left}
            left -= near
            part |= near
            waiting.extend(near)
        found.append(part)
    return found


def _ends(
    graph: DataGraph, group: Set[int], edges: Sequence[tuple[int, int]]
) -> list[tuple[tuple[int, ...], frozenset[int], tuple[tuple[int, int], ...]]]:
    """Take a tangle apart at its lower end: one path for each edge by which its gradient reaches the bottom.

    What these bring adds up to what the tangle brings. Of each the chain goes up from the bottom as far as it
    runs by itself: to a value that several operations read, or before one that reads something else of the
    tangle. It stays whole if it has too many ends.
    """
    whole = [((), frozenset(group), tuple(edges))]
    if not 1 < len(edges) <= _MOST_ENDS:
        return whole
    found = []
    for edge in edges:
        chain = [edge[0]]
        while (above := _alone_above(graph, chain[-1], group, edge[1])) is not None:
            chain.append(above)
        found.append((tuple(reversed(chain)), frozenset(chain), (edge,)))
    return found


def _alone_above(graph: DataGraph, node: int, group: Set[int], bottom: int) -> int | None:
    """What alone reads `node`, if it reads nothing else of the tangle, nor the bottom itself; else None."""
    above = set(graph.consumers[node])
    nearest = above.pop() if len(above) == 1 else None
    if nearest is None or nearest not in group:
        return None
    beside = [k for k in graph.inputs[nearest] if k != node and (k in group or k == bottom)]
    return None if beside else nearest


def _chain_through(graph: DataGraph, top: int, bottom: int, group: Set[int]) -> tuple[int, ...]:
    """Nodes of `group` that every way from `top` to `bottom` through it passes, the output side first.

    () where `top` reads several of them: what comes down each cannot be told apart from what the others do.
    """
    order = [top, *sorted(group), bottom]
    place = {node: k for k, node in enumerate(order)}
    consumers = [
        [place[c] for c in graph.consumers[node] if c in place and not (c == top and node == bottom)]
        for node in order
    ]
    if sum(top in graph.consumers[node] for node in group) > 1:
        return ()
    tree = DominatorTree([[], *consumers[1:]], {0})
    chain: list[int] = []
    at = tree.dominator[len(order) - 1]
    while at not in (0, ROOT):
        chain.append(order[at])
        at = tree.dominator[at]
    return tuple(reversed(chain))
