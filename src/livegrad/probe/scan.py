"""A scan: the deep measurement of one training step, taken while the user's own step runs.

open() before the forward pass, before_backward(loss) when the graph is complete (one extra vector-Jacobian
product for audibility), after_backward() when the true gradients have passed, close() for the result.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from livegrad.probe.audibility import GradientTap, gaussian_probe, open_ends, send_probe
from livegrad.probe.eager import Eager
from livegrad.probe.graph import (
    DataGraph,
    StepGraph,
    data_flow,
    data_graph,
    heights,
    nodes_under,
    parameters_of,
    step_graph,
)
from livegrad.probe.layers import LayerNames, LayerNode, LayerSpec, choose_layers, credit_enclosed
from livegrad.probe.measure import Squares, columns
from livegrad.probe.obstacle import function_obstacle
from livegrad.probe.output import choose_output
from livegrad.probe.rerun import unchanged_by_rerun
from livegrad.probe.spine import find_spine
from livegrad.probe.squares import is_measurable, row_squares
from livegrad.probe.target import Target, in_output_units, read_target
from livegrad.probe.trace import ForwardTrace


@dataclass(frozen=True)
class ScanResult:
    """What one scan found.

    layers: L rows. columns: name -> array (L,), the columns of a run's scan stream without step, subject and
    layer. reached: ids of the parameters the loss reaches; called: ids of those whose module ran with
    gradients on; called_without_grad: ids of those whose module ran under no_grad.
    """

    layers: list[LayerSpec]
    columns: dict[str, np.ndarray]
    reached: frozenset[int]
    called: frozenset[int]
    called_without_grad: frozenset[int]


class StepScan:
    """Scan one training step of `root`.

    module_names: every module of root -> its dotted name. parameter_ids: id(parameter) -> tensor id of the
    run. made_at(module): where the module was created ("file:line") or None. `reason` says why a part was not
    measured. No method raises: training goes on whatever happens here.
    """

    def __init__(
        self,
        root: torch.nn.Module,
        module_names: dict[torch.nn.Module, str],
        parameter_ids: dict[int, int],
        seed: int = 0,
        made_at: Callable[[torch.nn.Module], str | None] = lambda module: None,
    ) -> None:
        self.reason: str | None = None
        self._root = root
        self._trace = ForwardTrace(root)
        self._eager = Eager()
        self._names = LayerNames(module_names, parameter_ids, made_at)
        self._seed = seed
        self._layers: list[LayerNode] = []
        self._out = 0
        self._target = Target()
        self._tap: GradientTap | None = None
        self._probed: Squares = {}
        self._reached: set[int] = set()

    @property
    def probed(self) -> bool:
        """True once a backward pass of this step has been met: later ones are not listened to."""
        return self._tap is not None

    def open(self) -> None:
        """Watch the forward passes of the root until before_backward or close."""
        self._eager.begin()
        self._trace.open()

    def before_backward(self, loss: torch.Tensor) -> None:
        """Find the spine under the model's output and probe it; `loss` is the root of the backward pass about
        to run.
        """
        if self._tap is not None or loss.grad_fn is None:
            return
        self._stop_watching()
        try:
            self._find_layers(loss)
        except Exception as error:
            self.reason = f"the step could not be scanned: {type(error).__name__}: {error}"
            self._layers = []

    def after_backward(self) -> None:
        """Stop listening: the gradients of the true loss have passed."""
        if self._tap is not None:
            self._tap.close()

    def close(self) -> ScanResult | None:
        """Remove every hook and return what was measured, or None with `reason` set. Nothing of the step is
        kept.
        """
        self._stop_watching()
        self.after_backward()
        try:
            return self._result() if self._layers and self._tap is not None else None
        except Exception as error:
            self.reason = f"the step could not be measured: {type(error).__name__}: {error}"
            return None
        finally:
            self.reason = self.reason or self._trace.trouble
            if not self._layers:
                self.reason = self.reason or "no differentiable operation of the model was seen"
            self._layers, self._probed = [], {}
            self._trace.forget()

    def _stop_watching(self) -> None:
        self._trace.close()
        self._eager.end()

    def _find_layers(self, loss: torch.Tensor) -> None:
        trace = self._trace
        graph = step_graph(loss.grad_fn)
        self._reached |= self._ids(graph.parameters())
        if not trace.operations:
            self.reason = (
                trace.trouble
                or "the model's forward pass did not run before backward, so it could not be followed"
            )
            return
        outside = _outside(graph, trace)
        flow = data_flow(graph, trace.is_data, outside)
        beyond = {graph.index[node] for node in outside}
        start = choose_output(
            graph, flow, heights(graph, flow), trace, lambda i: bool(parameters_of(graph, flow, i, beyond))
        )
        if start is None:
            self.reason = "no output of the model's forward pass leads to the loss"
            return
        data = data_graph(graph, flow, start[0], beyond)
        credit_enclosed(trace, data)
        layers = choose_layers(trace, data, find_spine(data), self._names)
        self._out = next(i for i, layer in enumerate(layers) if layer.node is data.nodes[0])
        self._tap = GradientTap((layer.node for layer in layers), trace.batch)
        self._layers = layers
        self._target = read_target(loss.grad_fn, data.nodes[0])
        self._probe(data, start[1])

    def _probe(self, data: DataGraph, number: int) -> None:
        trace, output = self._trace, self._layers[self._out].operation
        hooked = not trace.hooked_nodes().isdisjoint(data.nodes)
        obstacle = trace.obstacle or (
            "the model has tensor hooks of its own, which a probe would run" if hooked else None
        )
        obstacle = obstacle or function_obstacle(data.nodes)
        if obstacle is not None:
            self.reason = f"audibility was not measured: {obstacle}"
            return
        value = next(value for value in output.values if value.number == number)
        probe = gaussian_probe(value.shape, output.dtype, output.device, self._seed)
        ends = open_ends(data)
        try:
            with unchanged_by_rerun(self._root, trace.checkpointed):
                found = send_probe((data.nodes[0], number), probe, ends)
        except Exception as error:
            self.reason = f"audibility was not measured: {str(error).splitlines()[0]}"
            self._clear_tap()
        else:
            self._probed = self._clear_tap()
            self._take_ends(ends, found)

    def _take_ends(self, ends: list[tuple[Any, int]], found: list[torch.Tensor | None]) -> None:
        """Add the gradients at the ends of the graph, which no hook sees because the probe stops there."""
        place = {layer.node: i for i, layer in enumerate(self._layers)}
        for (node, number), gradient in zip(ends, found, strict=True):
            if gradient is not None and node in place and is_measurable(gradient):
                squares = row_squares(gradient, self._trace.batch)
                self._probed.setdefault(place[node], {})[number] = squares

    def _clear_tap(self) -> Squares:
        return self._tap.take() if self._tap is not None else {}

    def _ids(self, parameters: set[int]) -> set[int]:
        ids = self._names.tensor_ids
        return {ids[p] for p in parameters if p in ids}

    def _result(self) -> ScanResult | None:
        assert self._tap is not None
        trace = self._trace
        found = columns(self._layers, self._out, self._probed, self._tap.squares, self._tap.nonfinite)
        return ScanResult(
            [layer.spec for layer in self._layers],
            in_output_units(found, self._target),
            frozenset(self._reached),
            frozenset(self._ids(trace.called)),
            frozenset(self._ids(trace.called_without_grad)),
        )


def _outside(graph: StepGraph, trace: ForwardTrace) -> set[Any]:
    """Nodes that made the model's inputs and under which the model itself did not run (its own earlier state
    is no outside).
    """
    found = set()
    for node in trace.outside:
        if node in graph.index and not any(
            under in trace.operations for under in nodes_under(graph, graph.index[node])
        ):
            found.add(node)
    return found
