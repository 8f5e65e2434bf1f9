"""A scan: the deep measurement of one training step, taken while the user's own step runs.

open() before the forward pass, before_backward(loss) when the graph is complete (one extra vector-Jacobian
product for audibility), after_backward() when the true gradients have passed, close() for the result.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from livegrad.probe.audibility import GradientTap, gaussian_probe, open_ends, send_probe
from livegrad.probe.collection import no_collection
from livegrad.probe.cut import parameters_cut_off
from livegrad.probe.depth_axis import DepthAxis, StepFlow
from livegrad.probe.eager import Eager
from livegrad.probe.graph import StepGraph, step_graph
from livegrad.probe.inputs import with_input_rows
from livegrad.probe.layers import MOST_LAYERS, LayerNames, LayerNode, LayerSpec
from livegrad.probe.loops import LoopScan
from livegrad.probe.measure import GradientSquares, columns
from livegrad.probe.obstacle import function_obstacle
from livegrad.probe.output import output_tensors, used_outputs
from livegrad.probe.pairing import PairingSpec, as_json, find_pairings
from livegrad.probe.path_rows import PathRow, path_rows, with_paths
from livegrad.probe.path_tap import PathTap
from livegrad.probe.reach import PROBE, TRUTH, RecurrentReach
from livegrad.probe.rerun import unchanged_by_rerun
from livegrad.probe.script_trace import ScriptTrace
from livegrad.probe.similarity import likeness, token_likeness
from livegrad.probe.squares import is_measurable, row_squares
from livegrad.probe.target import Target, in_output_units, read_target
from livegrad.probe.time_rows import TimeRow, with_time_rows
from livegrad.probe.trace import ForwardTrace

_HOOKED = "the model has tensor hooks of its own, which a probe would run"


@dataclass(frozen=True)
class ScanResult:
    """What one scan found.

    layers: L rows. columns: name -> array (L,), the columns of a run's scan stream without step, subject and
    layer. reached: ids of the parameters the loss reaches; called: ids of those whose module ran with
    gradients on; called_without_grad: ids of those whose module ran under no_grad. pairings: what does not
    fit between the output and the loss, as run.json holds it. seed: of the probe. unit: σ_y, None if the loss
    does not tell. outputs: places of the tensors the loss uses, among those the model returned; empty if it
    was not one single call. cut_off: id of a parameter that the loss does not reach -> what cut it off, and
    at which line.
    """

    layers: list[LayerSpec]
    columns: dict[str, np.ndarray]
    reached: frozenset[int]
    called: frozenset[int]
    called_without_grad: frozenset[int]
    pairings: tuple[dict[str, Any], ...] = ()
    seed: int = 0
    unit: float | None = None
    outputs: tuple[int, ...] = ()
    cut_off: dict[int, tuple[str, str]] = field(default_factory=dict)


class StepScan:
    """Scan one training step of `root`.

    module_names: every module of root -> its dotted name. parameter_ids: id(parameter) -> tensor id of the
    run. made_at(module): where the module was created ("file:line") or None. most_layers: rows of each kind.
    trace: what follows the forward pass, where that is not the root's own calls.
    `reason` says why a part was not measured. No method raises: training goes on whatever happens here.
    """

    def __init__(
        self,
        root: torch.nn.Module,
        module_names: dict[torch.nn.Module, str],
        parameter_ids: dict[int, int],
        seed: int = 0,
        made_at: Callable[[torch.nn.Module], str | None] = lambda module: None,
        most_layers: int = MOST_LAYERS,
        trace: ForwardTrace | ScriptTrace | None = None,
    ) -> None:
        self.reason: str | None = None
        self._most_layers = most_layers
        self._root = root
        self._trace = trace or ForwardTrace(root, module_names)
        self._eager = Eager()
        self._reach = RecurrentReach(module_names)
        self._time: list[TimeRow] = []
        self._names = LayerNames(module_names, parameter_ids, made_at)
        self._seed = seed
        self._layers: list[LayerNode] = []
        self._out = 0
        self._target = Target()
        self._outputs: tuple[int, ...] = ()
        self._pairings: list[PairingSpec] = []
        self._tap: GradientTap | None = None
        self._path_tap: PathTap | None = None
        self._paths: list[PathRow] = []
        self._loops: LoopScan | None = None
        self._probed: GradientSquares = {}
        self._reached: set[int] = set()
        self._cut_off: dict[int, tuple[str, str]] = {}

    @property
    def probed(self) -> bool:
        """True once a backward pass of this step has been met: later ones are not listened to."""
        return self._tap is not None

    @property
    def layers(self) -> list[LayerNode]:
        """The layers with their autograd nodes, from before_backward to close."""
        return self._layers

    def open(self) -> None:
        """Watch the forward passes of the root until before_backward or close."""
        self._eager.begin()
        self._trace.open()
        self._reach.open()

    def before_backward(self, loss: torch.Tensor, target: Target | None = None) -> None:
        """Find the spine under the model's output and probe it; `loss` is the root of the backward pass about
        to run.

        A loss that does not depend on the model is passed over, and its next forward pass still watched.
        target: what is known of the output's unit where `loss` is not the true one.
        """
        if self._tap is not None or loss.grad_fn is None:
            return
        try:
            with no_collection():
                self._find_layers(loss.grad_fn, target)
        except Exception as error:
            self.reason = f"the step could not be scanned: {type(error).__name__}: {error}"
            self._stop_watching()
            self.after_backward()
            self._layers = []

    def after_backward(self) -> None:
        """Stop listening: the gradients of the true loss have passed."""
        if self._tap is not None:
            self._tap.close()
        if self._path_tap is not None:
            self._path_tap.close()
        if self._loops is not None:
            self._loops.close()
        self._reach.close()

    def close(self) -> ScanResult | None:
        """Remove every hook and return what was measured, or None with `reason` set. Nothing of the step is
        kept.
        """
        self._stop_watching()
        self.after_backward()
        try:
            with no_collection():
                return self._result() if self._layers and self._tap is not None else None
        except Exception as error:
            self.reason = f"the step could not be measured: {type(error).__name__}: {error}"
            return None
        finally:
            self.reason = self.reason or self._trace.record.trouble
            if not self._layers:
                self.reason = self.reason or "no differentiable operation of the model was seen"
            self._layers, self._probed, self._target, self._pairings = [], {}, Target(), []
            if self._tap is not None:
                self._tap.take()
            self._path_tap, self._paths, self._loops = None, [], None
            self._trace.forget()
            self._reach.forget()
            self._time = []

    def _stop_watching(self) -> None:
        self._trace.close()
        self._reach.close()
        self._eager.end()

    def _find_layers(self, loss: Any, target: Target | None) -> None:
        record = self._trace.record
        graph = step_graph(loss)
        self._note_reached(graph)
        if not record.operations:
            self.reason = record.trouble or (
                "the model's forward pass did not run before backward, so it could not be followed"
            )
            return
        flow = StepFlow(graph, record)
        output = flow.output()
        if isinstance(output, str):
            self.reason = record.trouble or output
            return
        self._stop_watching()
        axis = flow.axis(output, self._names, self._most_layers)
        self._layers, self._out = axis.layers, axis.out
        self._tap = GradientTap((layer.node for layer in self._layers), record.batch)
        self._probe(axis)
        # These listen to the true backward pass alone.
        self._paths = path_rows(axis.data, axis.paths, self._layers)
        self._path_tap = PathTap(axis.data, axis.paths if self._paths else (), record.batch)
        self._loops = LoopScan(axis.data, record, axis.loops) if axis.loops else None
        self._outputs = used_outputs(record.outputs, graph)
        ids = self._names.tensor_ids
        self._cut_off = parameters_cut_off(record.cuts, self._trace.without_grad_at, self._reached, ids)
        if target is None:
            self._read_loss(loss, axis.data.nodes[0])
        else:
            self._target = target

    def _note_reached(self, graph: StepGraph) -> None:
        self.reason = None
        self._reached |= self._ids(graph.parameters())
        if any(node.name() == "CheckpointFunctionBackward" for node in graph.nodes):
            # A reentrant checkpoint hides the parameters that it used, and ran its segment without gradients
            # for now.
            self._trace.record.called |= self._trace.called_without_grad
            self._reached |= self._ids(self._trace.called_without_grad)

    def _read_loss(self, loss: Any, output: Any) -> None:
        if self._trace.record.obstacle is not None:
            return
        # What a loss saved may be gone, packed away or of any form: the unit then stays unknown.
        with contextlib.suppress(Exception):
            answers = [t for value in self._trace.record.outputs for t in output_tensors(value)]
            self._target = read_target(loss, output, answers)
        with contextlib.suppress(Exception):
            self._pairings = find_pairings(loss, output)

    def _probe(self, axis: DepthAxis) -> None:
        data, number = axis.data, axis.number
        record, output = self._trace.record, self._layers[self._out].operation
        hooked = not record.hooked_nodes().isdisjoint(data.nodes)
        obstacle = record.obstacle or (_HOOKED if hooked else None) or function_obstacle(data.nodes)
        if obstacle is not None:
            self.reason = f"audibility was not measured: {obstacle}"
            return
        value = next(value for value in output.values if value.number == number)
        ends = open_ends(data)
        try:
            probe = gaussian_probe(value.shape, output.dtype, output.device, self._seed)
            with unchanged_by_rerun(self._root, output.device, record.checkpointed):
                self._reach.listen(PROBE)
                found = send_probe((data.nodes[0], number), probe, ends)
        except Exception as error:
            self.reason = (
                f"audibility was not measured: {(str(error) or type(error).__name__).splitlines()[0]}"
            )
            self._clear_tap()
        else:
            self._probed = self._clear_tap()
            self._take_ends(ends, found)
            self._reach.take_ends(ends, found)
            self._reach.listen(TRUTH)

    def _measure_time(self, output: dict[int, Any] | None) -> None:
        depth = {layer.spec.module: layer.spec.depth for layer in self._layers}
        said = list(output.values()) if output else None
        try:
            self._time = self._reach.rows(self._names, lambda name: depth.get(name, 0), said)
        except Exception as error:
            self.reason = f"the reach through time was not measured: {type(error).__name__}: {error}"

    def _take_ends(self, ends: list[tuple[Any, int]], found: list[torch.Tensor | None]) -> None:
        """Add the gradients at the ends of the graph, which no hook sees because the probe stops there."""
        place = {layer.node: i for i, layer in enumerate(self._layers)}
        for (node, number), gradient in zip(ends, found, strict=True):
            if gradient is not None and node in place and is_measurable(gradient):
                squares = row_squares(gradient, self._trace.record.batch)
                self._probed.setdefault(place[node], {})[number] = squares

    def _clear_tap(self) -> GradientSquares:
        return self._tap.take() if self._tap is not None else {}

    def _ids(self, parameters: set[int]) -> set[int]:
        ids = self._names.tensor_ids
        return {ids[p] for p in parameters if p in ids}

    def _result(self) -> ScanResult | None:
        assert self._tap is not None
        found = columns(self._layers, self._out, self._probed, self._tap.squares, self._tap.nonfinite)
        firsts = [layer.operation.values[0] for layer in self._layers]
        found |= likeness([value.sample for value in firsts])
        found["token_similarity"] = token_likeness([value.tokens for value in firsts])
        self._measure_time(self._tap.squares.get(self._out))
        if self._loops is not None:
            self._time += self._loops.rows(self._layers)
        if self._path_tap is not None:
            out = self._tap.squares.get(self._out)
            found = with_paths(found, self._layers, self._paths, out, self._path_tap.squares)
        found = with_input_rows(with_time_rows(found, self._time), self._trace.inputs)
        return ScanResult(
            [row.spec for row in (*self._layers, *self._paths, *self._time, *self._trace.inputs)],
            in_output_units(found, self._target),
            frozenset(self._reached),
            frozenset(self._ids(self._trace.record.called)),
            frozenset(self._ids(self._trace.called_without_grad)),
            tuple(as_json(spec, self._trace.record, self._names.modules) for spec in self._pairings),
            self._seed,
            self._target.unit,
            self._outputs,
            self._cut_off,
        )
