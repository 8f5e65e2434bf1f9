"""Layers: the operations of a traced forward pass that deserve a row, with the names a user knows them by."""

from bisect import bisect_right
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import torch

from livegrad.probe.activation import is_activation
from livegrad.probe.graph import DataGraph
from livegrad.probe.label import is_leaf, label, numbered, operator_label
from livegrad.probe.operation import Operation
from livegrad.probe.record import Record
from livegrad.probe.segments import Path
from livegrad.probe.source import shown_path
from livegrad.probe.spine import Spine

# What a layer passes back is only its own where its neighbours have rows too: of 10,000 layers with an
# activation each, all are kept.
MOST_LAYERS = 25_000
MOST_TIME_ROWS = 600
_QUIET_CALLS = frozenset(
    {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"}
)


@dataclass(frozen=True)
class LayerSpec:
    """One row of a scan.

    depth counts spine cuts from the input side (0 nearest the input). kind: "depth" (a cut on the spine),
    "branch" (an operation beside it), "time" (a step of an unrolled loop below the spine's end), "step" (a
    recurrence's mean step, or an operation in it) or "path" (one way through an opened segment). tensors: ids
    of the parameters it owns. width: entries of its activation per sample. source: call site; made: where the
    module that stands for nothing else was created. segment, path: name of the row at the output side of the
    innermost opened segment it lies in, and which of its paths.
    """

    name: str
    depth: int
    type: str
    operator: str
    module: str | None
    source: str | None
    made: str | None
    tensors: tuple[int, ...]
    kind: str
    width: int
    dtype: str | None = None
    segment: str | None = None
    path: int = 0


@dataclass(frozen=True)
class LayerNode:
    """A layer and the autograd node it stands for."""

    spec: LayerSpec
    node: Any
    operation: Operation


@dataclass(frozen=True)
class LayerNames:
    """What is known of the model by name. tensor_ids: id(parameter) -> tensor id of the run. made_at(module):
    "file:line" or None.
    """

    modules: dict[torch.nn.Module, str]
    tensor_ids: dict[int, int]
    made_at: Callable[[torch.nn.Module], str | None]


def choose_layers(
    record: Record,
    graph: DataGraph,
    spine: Spine,
    names: LayerNames,
    paths: Sequence[Path] = (),
    most: int = MOST_LAYERS,
) -> list[LayerNode]:
    """Pick and name the layers of `graph`: spine cuts from the input side up, then the others in order of
    execution. paths: those of the opened segments; the cuts along them get rows. most: of each kind, evenly
    spread where there are more.
    """
    place = set(spine.chain)
    found = [i for i in range(len(graph.nodes)) if is_cut(record, graph, i)]
    found.sort(key=lambda i: graph.nodes[i]._sequence_nr())
    titles = _titles(record, graph, spine, found, names.modules)
    along = {i for path in paths for i in path.chain if not _inside_norm(record, graph, i)}
    found = [i for i in found if i in place or i in along or _deserves_row_beside(record, graph, i)]
    in_time = spine.in_time | {i for i in found if "[t=" in titles[i][0]}
    chosen = _thin(graph, spine, in_time, found, most)
    cuts = [i for i in reversed(spine.chain) if i in chosen]
    others = [i for i in found if i in chosen and i not in place]
    depth = _depths(spine, {i: d for d, i in enumerate(cuts)})
    owned = _owned_tensors(graph, spine, chosen, names.tensor_ids)
    homes = {i: (titles[top][0], number) for i, (top, number) in _homes(paths).items() if top in chosen}
    layers: list[LayerNode] = []
    for i in (*cuts, *others):
        operation = record.operations[graph.nodes[i]]
        kind = "depth" if i in place else ("time" if i in in_time else "branch")
        spec = layer_spec(
            record, operation, names, titles[i], depth[i], kind, tuple(sorted(owned.get(i, ())))
        )
        if i in homes and kind == "branch":
            spec = replace(spec, segment=homes[i][0], path=homes[i][1])
        layers.append(LayerNode(spec, operation.node, operation))
    return layers


def _homes(paths: Sequence[Path]) -> dict[int, tuple[int, int]]:
    """Node -> (top, number) of the innermost path that it lies on; outer paths come before inner ones."""
    return {i: (path.top, path.number) for path in paths for i in path.chain or path.inside}


def layer_spec(
    record: Record,
    operation: Operation,
    names: LayerNames,
    title: tuple[str, str],
    depth: int,
    kind: str,
    tensors: tuple[int, ...],
) -> LayerSpec:
    whole = record.finals.get(operation.node)
    module = whole or operation.module
    line = operation.line
    return LayerSpec(
        name=title[0],
        depth=depth,
        type=title[1],
        operator=operator_label(operation),
        module=names.modules.get(module) if module is not None else None,
        source=None if line is None else f"{shown_path(line[0])}:{line[1]}",
        # The line that made a whole block says nothing of one operation in it.
        made=names.made_at(whole) if whole is not None and is_leaf(whole) else None,
        tensors=tensors,
        kind=kind,
        width=sum(value.entries for value in operation.values),
        dtype=str(operation.dtype).removeprefix("torch."),
    )


def credit_enclosed(record: Record, graph: DataGraph) -> None:
    """Credit the parameters that a call uses inside itself to the call (a linear map of three dimensions ends
    in a view).
    """
    for i, node in enumerate(graph.nodes):
        if graph.parameters[i] and node not in record.operations:
            operation = record.enclosing(node)
            home = None if operation is None else graph.index.get(operation.node)
            if home is not None:
                graph.parameters[home] |= graph.parameters[i]
                graph.parameters[i] = set()


def is_cut(record: Record, graph: DataGraph, i: int) -> bool:
    """True if node i can stand as a cut: it was seen and measured, and does more than rearrange or drop
    entries.
    """
    operation = record.operations.get(graph.nodes[i])
    return operation is not None and bool(operation.values) and (i == 0 or operation.call not in _QUIET_CALLS)


def is_hand_written_norm(module: torch.nn.Module | None) -> bool:
    """True for a module without parts that is called a normalization (blocks are called so too)."""
    return module is not None and is_leaf(module) and "Norm" in type(module).__name__


def _inside_norm(record: Record, graph: DataGraph, i: int) -> bool:
    operation = record.operations.get(graph.nodes[i])
    module = None if operation is None else operation.module
    return is_hand_written_norm(module) and record.finals.get(graph.nodes[i]) is not module


def _deserves_row_beside(record: Record, graph: DataGraph, i: int) -> bool:
    operation = record.operations[graph.nodes[i]]
    return bool(graph.parameters[i]) or operation.weighted or is_activation(graph.nodes[i])


def _thin(graph: DataGraph, spine: Spine, in_time: Set[int], found: list[int], most: int) -> set[int]:
    """Keep a bounded number of rows, evenly: cuts (both ends kept), steps of time (whole steps, the last
    kept), branches.
    """
    place = set(spine.chain)
    cuts = [i for i in found if i in place]
    time = [i for i in found if i in in_time and i not in place]
    branches = [i for i in found if i not in in_time and i not in place]
    if len(time) > MOST_TIME_ROWS:
        stride = -(-len(time) // MOST_TIME_ROWS)
        starts = [graph.nodes[i]._sequence_nr() for i in spine.loops[0].nodes]
        to_go = {i: len(starts) - bisect_right(starts, graph.nodes[i]._sequence_nr()) for i in time}
        time = [i for i in time if to_go[i] % stride == 0]
    return {*_spread(cuts, most), *_spread(time, most), *_spread(branches, most)}


def _spread(group: list[int], most: int) -> list[int]:
    if len(group) <= most:
        return group
    step = len(group) / most
    return [group[0], *(group[int(k * step)] for k in range(1, most - 1)), group[-1]]


def _titles(
    record: Record, graph: DataGraph, spine: Spine, order: list[int], module_names: dict[torch.nn.Module, str]
) -> dict[int, tuple[str, str]]:
    """Return node -> (unique name, type) of the nodes in `order`, the order of execution."""
    labels = [
        label(
            record.operations[graph.nodes[i]],
            len(graph.inputs[i]) > 1,
            record.finals,
            module_names,
            record.root,
        )
        for i in order
    ]
    places: dict[str, list[int]] = {}
    for i, item in zip(order, labels, strict=True):
        places.setdefault(item.name, []).append(i)
    each = {name: _times_in_each_step(spine, nodes) for name, nodes in places.items()} if spine.loops else {}
    names = numbered(labels, each)
    return {i: (name, item.type) for i, name, item in zip(order, names, labels, strict=True)}


def _times_in_each_step(spine: Spine, nodes: list[int]) -> int:
    """How often the operations `nodes` occur in each step of a loop; 0 if they belong to none.

    Those after the recurrent weight's last use are no longer between two uses, but in its last step all the
    same, unless they were peeled off the output there.
    """
    inside = sum(i in spine.in_time for i in nodes)
    for loop in spine.loops:
        each, rest = divmod(len(nodes), loop.steps)
        if not rest and inside and inside >= each * (loop.steps - 1):
            return each
        if len(nodes) == inside == loop.steps - 1:
            return 1
    return 0


def _owned_tensors(
    graph: DataGraph, spine: Spine, chosen: set[int], tensor_ids: dict[int, int]
) -> dict[int, set[int]]:
    owner: dict[int, int] = {}
    looped = {i for loop in spine.loops for i in loop.nodes}
    # From the output down, so that a tied weight ends at its deepest use; a loop's weights stay at its last
    # step.
    for i in range(len(graph.nodes)):
        for parameter in graph.parameters[i]:
            tensor = tensor_ids.get(parameter)
            home = None if tensor is None else _home(spine, i, chosen)
            if tensor is not None and home is not None and (tensor not in owner or i not in looped):
                owner[tensor] = home
    owned: dict[int, set[int]] = {}
    for tensor, home in owner.items():
        owned.setdefault(home, set()).add(tensor)
    return owned


def _home(spine: Spine, i: int, chosen: set[int]) -> int | None:
    """Return the layer that node i belongs to: itself, the view around it, else the join of its segment."""
    node = i
    while node not in chosen:
        if spine.dominator[node] < 0:
            return None
        node = spine.dominator[node]
    return node


def _depths(spine: Spine, depth_of: dict[int, int]) -> list[int]:
    """Depth of every node: its own on the spine, else that of the nearest cut that dominates it."""
    depths = [0] * len(spine.dominator)
    for i, above in enumerate(spine.dominator):
        depths[i] = depth_of[i] if i in depth_of else (depths[above] if above >= 0 else len(depth_of))
    return depths
