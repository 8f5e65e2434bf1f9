"""Layers: the operations of a traced forward pass that deserve a row, with the names a user knows them by."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from livegrad.probe.activation import is_activation
from livegrad.probe.graph import DataGraph
from livegrad.probe.source import shown_path
from livegrad.probe.spine import Spine
from livegrad.probe.trace import ForwardTrace, Operation

MOST_LAYERS = 4000
_PRETTY = {
    "Relu": "ReLU", "Gelu": "GELU", "Silu": "SiLU", "Elu": "ELU", "LeakyRelu": "LeakyReLU", "Celu": "CELU",
    "Threshold": "ReLU6", "LogSigmoid": "LogSigmoid",
}  # fmt: skip
_QUIET_CALLS = frozenset({"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"})


@dataclass(frozen=True)
class LayerSpec:
    """One row of a scan.

    depth counts spine cuts from the input side (0 nearest the input). kind: "depth" (a cut on the spine), "branch" (an
    operation beside it) or "time" (a step of an unrolled loop below the spine's end). tensors: ids of the parameters it
    owns. width: entries of its activation per sample. source: call site; made: where its module was created.
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


@dataclass(frozen=True)
class LayerNode:
    """A layer and the autograd node it stands for."""

    spec: LayerSpec
    node: Any
    operation: Operation


def operator_name(node: Any) -> str:
    """Return the autograd operation's plain name: SigmoidBackward0 → Sigmoid, AddmmBackward0 → Addmm."""
    name = node.name().rstrip("0123456789").removesuffix("Backward")
    return _PRETTY.get(name, name)


def choose_layers(
    trace: ForwardTrace,
    graph: DataGraph,
    spine: Spine,
    module_names: dict[torch.nn.Module, str],
    tensor_ids: dict[int, int],
    made_at: Callable[[torch.nn.Module], str | None],
) -> list[LayerNode]:
    """Pick and name the layers of `graph`: spine cuts from the input side up, then branches in the same order."""
    place = {i: k for k, i in enumerate(spine.chain)}
    chosen = _thin([i for i in range(len(graph.nodes)) if _deserves_row(graph, trace, i, i in place)], place)
    cuts = [i for i in reversed(spine.chain) if i in chosen]
    depth_of = {i: d for d, i in enumerate(cuts)}
    others = [i for i in sorted(chosen, reverse=True) if i not in place]
    owned = _owned_tensors(graph, spine, chosen, tensor_ids)
    below = _nearest_depth(spine, depth_of)
    layers: list[LayerNode] = []
    taken: Counter[str] = Counter()
    labels = {i: _label(trace, graph, i, module_names) for i in (*cuts, *others)}
    repeated = {name for name, n in Counter(name for name, _ in labels.values()).items() if n > 1}
    numbered: dict[int, str] = {}
    for i in sorted(labels, key=lambda i: graph.nodes[i]._sequence_nr()):
        name = labels[i][0]
        taken[name] += 1
        numbered[i] = f"{name}#{taken[name]}" if name in repeated else name
    in_time = {_home(spine, i, chosen) for i in spine.loop} - set(cuts)
    for i in (*cuts, *others):
        operation = trace.operations[graph.nodes[i]]
        name, kind = numbered[i], labels[i][1]
        module = trace.finals.get(operation.node) or operation.module
        spec = LayerSpec(
            name=name,
            depth=depth_of.get(i, below[i]),
            type=kind,
            operator=operator_name(operation.node),
            module=module_names.get(module) if module is not None else None,
            source=_shown(operation.line),
            made=made_at(module) if module is not None else None,
            tensors=tuple(sorted(owned.get(i, ()))),
            kind="depth" if i in place else ("time" if i in in_time else "branch"),
            width=operation.entries,
        )
        layers.append(LayerNode(spec, operation.node, operation))
    return layers


def _deserves_row(graph: DataGraph, trace: ForwardTrace, i: int, on_spine: bool) -> bool:
    operation = trace.operations.get(graph.nodes[i])
    if operation is None or operation.squares is None or operation.call in _QUIET_CALLS:
        return False
    return on_spine or bool(graph.parameters[i]) or is_activation(graph.nodes[i])


def _thin(found: list[int], place: dict[int, int]) -> set[int]:
    cuts = [i for i in found if i in place]
    others = [i for i in found if i not in place]
    for group in (cuts, others):
        if len(group) > MOST_LAYERS:
            step = len(group) / MOST_LAYERS
            group[:] = [group[int(k * step)] for k in range(MOST_LAYERS - 1)] + [group[-1]]
    return {*cuts, *others}


def _owned_tensors(graph: DataGraph, spine: Spine, chosen: set[int], tensor_ids: dict[int, int]) -> dict[int, set[int]]:
    owner: dict[int, int] = {}
    # From the output down, so that a tied weight ends at its deepest use; a loop's weights stay at its last step.
    for i in range(len(graph.nodes)):
        for parameter in graph.parameters[i]:
            tensor = tensor_ids.get(parameter)
            home = None if tensor is None else _home(spine, i, chosen)
            if tensor is not None and home is not None and (tensor not in owner or i not in spine.loop):
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


def _nearest_depth(spine: Spine, depth_of: dict[int, int]) -> list[int]:
    depths = [0] * len(spine.dominator)
    for i, above in enumerate(spine.dominator):
        depths[i] = depth_of[i] if i in depth_of else (depths[above] if above >= 0 else len(depth_of))
    return depths


def _label(trace: ForwardTrace, graph: DataGraph, i: int, module_names: dict[torch.nn.Module, str]) -> tuple[str, str]:
    operation = trace.operations[graph.nodes[i]]
    module = operation.module
    operator = operator_name(operation.node)
    call = operator if is_activation(operation.node) else operation.call
    path = module_names.get(module, "") if module is not None else ""
    if module is not None and next(module.children(), None) is None and module is not trace.root:
        if trace.finals.get(operation.node) is module:
            return path or type(module).__name__, type(module).__name__
        return f"{path}.{call.strip('_')}", call
    whole = trace.finals.get(operation.node)
    joins = len(graph.inputs[i]) > 1
    if whole is not None and whole is not trace.root and joins:
        return module_names.get(whole, path), type(whole).__name__
    prefix = f"{path}." if path else ""
    return f"{prefix}{call.strip('_').lower()}", call if is_activation(operation.node) else call.strip("_")


def _shown(line: tuple[str, int] | None) -> str | None:
    return None if line is None else f"{shown_path(line[0])}:{line[1]}"
