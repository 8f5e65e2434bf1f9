"""The depth axis of one training step: which of its operations are the layers, in the order of the spine."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from livegrad.probe.aside import aside_layers
from livegrad.probe.graph import (
    DataGraph,
    StepGraph,
    data_flow,
    data_graph,
    heights,
    nodes_under,
    parameters_of,
)
from livegrad.probe.layers import (
    LayerNames,
    LayerNode,
    choose_layers,
    credit_enclosed,
    is_cut,
    is_hand_written_norm,
)
from livegrad.probe.output import OutputChoice, Place
from livegrad.probe.output_link import link_layers
from livegrad.probe.record import Record
from livegrad.probe.segments import Path, open_segments
from livegrad.probe.spine import Loop, find_spine


@dataclass(frozen=True)
class DepthAxis:
    """data: the graph from the model's output down. number: which tensor of its first node is the output.

    layers: from the input to the output, then those aside of it and the output's link. out: place of the
    output among them. paths: the ways through blocks. loops: unrolled recurrences.
    """

    data: DataGraph
    number: int
    layers: list[LayerNode]
    out: int
    paths: Sequence[Path]
    loops: Sequence[Loop]


class StepFlow:
    """How data flows through the graph of a step. record: what the forward pass was seen to do."""

    def __init__(self, graph: StepGraph, record: Record) -> None:
        self._graph, self._record = graph, record
        self._beyond = _beyond(graph, record)
        self._flow = data_flow(graph, record.is_data, self._beyond)

    def output(self) -> Place | str:
        """The output that the model is judged by, or why there is none."""
        uses_parameters = partial(parameters_of, self._graph, self._flow, beyond=self._beyond)
        height = heights(self._graph, self._flow)
        return OutputChoice(self._graph, self._flow, height, self._record, uses_parameters).choose()

    def axis(self, output: Place, names: LayerNames, most_layers: int) -> DepthAxis:
        """The layers under that output, at most so many of each kind."""
        record, around = self._record, (self._graph, self._flow)
        data = data_graph(*around, output[0], self._beyond)
        credit_enclosed(record, data)
        spine = find_spine(data, [is_cut(record, data, i) for i in range(len(data.nodes))])
        paths = open_segments(data, spine.chain, partial(_known_by, record, data), spine.in_time)
        layers = choose_layers(record, data, spine, names, paths, most_layers)
        out = next(i for i, layer in enumerate(layers) if layer.node is data.nodes[0])
        layers = [*layers, *aside_layers(record, *around, self._beyond, layers, names)]
        layers = [*layers, *link_layers(record, *around, data, layers, names)]
        return DepthAxis(data, output[1], layers, out, paths, spine.loops)


def _known_by(record: Record, graph: DataGraph, i: int) -> int | None:
    """The node that stands for the operation node i belongs to; None if it is none, or a normalization's
    own.
    """
    operation = record.operations.get(graph.nodes[i]) or record.enclosing(graph.nodes[i])
    home = None if operation is None else graph.index.get(operation.node)
    if operation is None or home is None or not is_cut(record, graph, home):
        return None
    return None if is_hand_written_norm(operation.module) else home


def _beyond(graph: StepGraph, record: Record) -> set[int]:
    """Nodes that made the model's inputs and under which the model itself did not run (its own earlier state
    is no input).
    """
    outside = [graph.index[node] for node in record.outside if node in graph.index]
    return {i for i in outside if record.operations.keys().isdisjoint(nodes_under(graph, i))}
