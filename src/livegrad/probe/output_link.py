"""A model's own output link: the activation between its last layer and what it returns."""

from collections.abc import Sequence

from livegrad.probe.graph import DataGraph, StepGraph
from livegrad.probe.label import label, numbered
from livegrad.probe.layers import LayerNames, LayerNode, layer_spec
from livegrad.probe.record import Record


def link_layers(
    record: Record,
    graph: StepGraph,
    flow: list[bool],
    data: DataGraph,
    layers: Sequence[LayerNode],
    names: LayerNames,
) -> list[LayerNode]:
    """Return a branch layer for each activation above the output a model is judged by: its own output link.

    data: what lies under that output, of which `layers` may be a choice. Their depth is one more than the
    output's. A link that saturates as the network converges is no fault; one that is flat where the answers
    are wrong is.
    """
    known = {*data.index, *(layer.node for layer in layers)}
    top = max(layer.spec.depth for layer in layers if layer.spec.kind == "depth")
    found = [
        operation
        for operation in record.operations.values()
        if operation.activation is not None
        and operation.values
        and operation.node not in known
        and operation.node in graph.index
        and flow[graph.index[operation.node]]
    ]
    labels = [label(operation, False, record.finals, names.modules, record.root) for operation in found]
    titles = numbered(labels, taken={layer.spec.name for layer in layers})
    return [
        LayerNode(
            layer_spec(record, operation, names, (title, item.type), top + 1, "branch", ()),
            operation.node,
            operation,
        )
        for operation, title, item in zip(found, titles, labels, strict=True)
    ]
