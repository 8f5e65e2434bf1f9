"""Layers that lead to the loss but not to the output a model is judged by: second heads, auxiliary
outputs.
"""

from collections.abc import Sequence

from livegrad.probe.graph import DataGraph, StepGraph, data_graph
from livegrad.probe.label import label, numbered
from livegrad.probe.layers import LayerNames, LayerNode, credit_enclosed, layer_spec
from livegrad.probe.record import Record


def aside_layers(
    record: Record,
    graph: StepGraph,
    flow: list[bool],
    beyond: set[int],
    layers: Sequence[LayerNode],
    names: LayerNames,
) -> list[LayerNode]:
    """Return a branch layer for each operation outside `layers` that owns a parameter none of them owns, in
    order of execution.

    Their depth is that of the layer they hang on. Nothing of them is heard at the output, so they have no
    audibility.
    """
    owned = {tensor for layer in layers for tensor in layer.spec.tensors}
    reached = {names.tensor_ids[p] for p in graph.parameters() if p in names.tensor_ids}
    if reached <= owned or not flow[0]:
        return []
    whole = data_graph(graph, flow, 0, beyond)
    credit_enclosed(record, whole)
    found = _owning(record, whole, names, owned)
    operations = [record.operations[whole.nodes[i]] for i in found]
    labels = [
        label(operation, len(whole.inputs[i]) > 1, record.finals, names.modules, record.root)
        for i, operation in zip(found, operations, strict=True)
    ]
    titles = numbered(labels, taken={layer.spec.name for layer in layers})
    depth = _depths(whole, layers)
    made: list[LayerNode] = []
    for i, operation, title, item in zip(found, operations, titles, labels, strict=True):
        spec = layer_spec(
            record, operation, names, (title, item.type), depth[i], "branch", tuple(sorted(found[i]))
        )
        made.append(LayerNode(spec, operation.node, operation))
    return made


def _owning(record: Record, whole: DataGraph, names: LayerNames, owned: set[int]) -> dict[int, set[int]]:
    """Return node -> ids of the tensors it is the first to use, of those not `owned`, in order of
    execution.
    """
    found: dict[int, set[int]] = {}
    taken = set(owned)
    for i in sorted(range(len(whole.nodes)), key=lambda i: whole.nodes[i]._sequence_nr()):
        operation = record.operations.get(whole.nodes[i])
        fresh = {names.tensor_ids[p] for p in whole.parameters[i] if p in names.tensor_ids} - taken
        if fresh and operation is not None and operation.values:
            found[i] = fresh
            taken |= fresh
    return found


def _depths(whole: DataGraph, layers: Sequence[LayerNode]) -> list[int]:
    known = {layer.node: layer.spec.depth for layer in layers}
    depth = [0] * len(whole.nodes)
    for i in reversed(range(len(whole.nodes))):
        below = max((depth[k] for k in whole.inputs[i]), default=0)
        depth[i] = known.get(whole.nodes[i], below)
    return depth
