"""A scan: the deep measurement of one training step, taken while the user's own step runs.

open() before the forward pass, before_backward(loss) when the graph is complete (one extra vector-Jacobian product for
audibility), after_backward() when the true gradients have passed, close() for the result.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch

from livegrad.probe.audibility import GradientTap, probe_output
from livegrad.probe.graph import DataGraph, data_graph, reached_parameters, topological
from livegrad.probe.layers import LayerNode, LayerSpec, choose_layers
from livegrad.probe.output_scale import output_scale
from livegrad.probe.spine import Spine, find_spine
from livegrad.probe.trace import ForwardTrace


@dataclass(frozen=True)
class ScanResult:
    """What one scan found.

    layers: L rows. columns: name -> array (L,), the columns of a run's scan stream without step, subject and layer.
    reached: ids of the parameters the loss reaches; called: ids of those whose module ran with gradients on;
    called_without_grad: ids of those whose module ran under no_grad.
    """

    layers: list[LayerSpec]
    columns: dict[str, np.ndarray]
    reached: frozenset[int]
    called: frozenset[int]
    called_without_grad: frozenset[int]


class StepScan:
    """Scan one training step of `root`.

    module_names: every module of root -> its dotted name. parameter_ids: id(parameter) -> tensor id of the run.
    made_at(module): where the module was created ("file:line") or None. `reason` says why a part was not measured.
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
        self._trace = ForwardTrace(root)
        self._module_names = module_names
        self._parameter_ids = parameter_ids
        self._seed = seed
        self._made_at = made_at
        self._layers: list[LayerNode] = []
        self._output: LayerNode | None = None
        self._tap: GradientTap | None = None
        self._probed: dict[Any, torch.Tensor] = {}
        self._reached: set[int] = set()
        self._samples = 1
        self._unit: float | None = None
        self._done = False

    def open(self) -> None:
        """Watch the forward passes of the root until before_backward or close."""
        self._trace.open()

    def before_backward(self, loss: torch.Tensor) -> None:
        """Find the spine under the model's output and probe it; `loss` is the root of the backward pass about to run."""
        if self._tap is not None or loss.grad_fn is None:
            return
        self._trace.close()
        in_loss = set(topological([loss.grad_fn]))
        self._reached |= {self._parameter_ids[p] for p in reached_parameters([loss.grad_fn]) if p in self._parameter_ids}
        if not self._trace.operations:
            self.reason = "the model's forward pass did not run before backward, so it could not be followed"
            return
        start = self._output_node(in_loss)
        if start is None:
            self.reason = "no output of the model's forward pass leads to the loss"
            return
        graph = data_graph([start], self._is_data)
        spine = find_spine(graph, {0})
        self._layers = choose_layers(
            self._trace, graph, spine, self._module_names, self._parameter_ids, self._made_at
        )
        self._output = self._layer_of(start)
        self._unit = output_scale(loss.grad_fn, start)
        self._tap = GradientTap(layer.node for layer in self._layers)
        self._probe(graph, spine, start)

    def after_backward(self) -> None:
        """Stop listening: the gradients of the true loss have passed."""
        if self._tap is not None:
            self._tap.close()
            self._done = True

    def close(self) -> ScanResult | None:
        """Remove every hook and return what was measured, or None with `reason` set."""
        self._trace.close()
        if self._tap is not None:
            self._tap.close()
        if not self._layers or self._output is None:
            self.reason = self.reason or "no differentiable operation of the model was seen"
            return None
        result = ScanResult(
            [layer.spec for layer in self._layers],
            self._columns(),
            frozenset(self._reached),
            frozenset(self._ids(self._trace.called)),
            frozenset(self._ids(self._trace.called_without_grad)),
        )
        self._layers, self._output, self._tap, self._probed = [], None, None, {}
        self._trace = ForwardTrace(self._trace.root)
        return result

    def _is_data(self, node: Any) -> bool | None:
        operation = self._trace.operations.get(node)
        return None if operation is None else operation.uses_data

    def _output_node(self, in_loss: set[Any]) -> Any | None:
        """Choose the output to judge the model by, and peel the model's own output link off it."""
        tensors = [t for value in self._trace.outputs for t in _tensors_in(value)]
        live = [t for t in tensors if t.grad_fn is not None and t.grad_fn in in_loss]
        live = [t for t in live if t.numel() > 1] or live
        if not live:
            return None
        starts = _not_below_another([t.grad_fn for t in live])
        best = max(starts, key=lambda node: len(find_spine(data_graph([node], self._is_data), {0}).chain))
        return self._peel(data_graph([best], self._is_data))

    def _peel(self, graph: DataGraph) -> Any:
        """Walk down from the output past parameter-free operations of one input: softmax, sigmoid, pooling, a loss inside the model.

        A final sigmoid or softmax saturates as the network converges; that is success, not disease.
        """
        i = 0
        while not graph.parameters[i] and len(graph.inputs[i]) == 1:
            i = graph.inputs[i][0]
        # The nearest node whose value is known: the inner product of a linear call is seen at its outer view.
        while i > 0 and not self._is_valued(graph.nodes[i]):
            i = graph.consumers[i][0]
        return graph.nodes[i]

    def _is_valued(self, node: Any) -> bool:
        operation = self._trace.operations.get(node)
        return operation is not None and operation.squares is not None

    def _layer_of(self, node: Any) -> LayerNode | None:
        return next((layer for layer in self._layers if layer.node is node), None)

    def _probe(self, graph: DataGraph, spine: Spine, start: Any) -> None:
        if self._output is None or self._tap is None:
            return
        if self._trace.user_hooks:
            self.reason = "the model has backward hooks of its own, which a probe would run: audibility was not measured"
            return
        ends = _open_ends(graph)
        self._samples = self._output.operation.squares.numel() if self._output.operation.squares is not None else 1
        try:
            found = probe_output(start, self._output.operation.shape, self._output.operation.example, ends, self._seed)
        except (RuntimeError, NotImplementedError) as error:
            self.reason = f"audibility was not measured: {str(error).splitlines()[0]}"
            self._tap.clear()
            return
        self._probed = {**found, **self._tap.squares}
        self._tap.clear()

    def _ids(self, parameters: set[int]) -> set[int]:
        return {self._parameter_ids[p] for p in parameters if p in self._parameter_ids}

    def _columns(self) -> dict[str, np.ndarray]:
        assert self._output is not None
        loss = self._tap.squares if self._tap is not None else {}
        rows = [self._row(layer, loss) for layer in self._layers]
        columns = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
        out = self._layers.index(self._output)
        # In units of σ_y where the loss tells it, else of the output itself.
        unit = columns["audibility"][out] if self._unit is None else self._unit
        with np.errstate(divide="ignore", invalid="ignore"):
            columns["audibility"] = columns["audibility"] / unit
        columns["audibility_output"] = np.full(len(rows), columns["audibility"][out])
        with np.errstate(divide="ignore", invalid="ignore"):
            columns["transport"] = 0.5 * np.log10(columns["transport"] / columns["transport"][out])
        columns["null_sd"] = _null_sd(self._layers, out)
        return {k: v.astype(np.int64) if k in ("nonfinite", "width", "samples") else v for k, v in columns.items()}

    def _row(self, layer: LayerNode, loss: dict[Any, torch.Tensor]) -> dict[str, float]:
        operation = layer.operation
        assert operation.squares is not None
        squares = operation.squares.cpu().numpy()
        entries = operation.entries
        gradient = loss[layer.node].cpu().numpy() if layer.node in loss else np.array([np.nan])
        probed = self._probed.get(layer.node)
        state = operation.activation
        return {
            "audibility": np.nan if probed is None else _audibility(probed.cpu().numpy(), squares, entries, self._samples),
            "transport": float(gradient.sum()),
            "gradient_rms": float(np.sqrt(gradient.sum() / (squares.size * entries))),
            "activation_rms": float(np.sqrt(squares.mean() / entries)),
            "activation_slope": np.nan if state is None else float(state.slope),
            "saturated": np.nan if state is None or state.saturated is None else float(state.saturated),
            "dead": np.nan if state is None or state.dead is None else float(state.dead),
            "nonfinite": float((~np.isfinite(squares)).sum() + (np.isinf(gradient).sum() if layer.node in loss else 0)),
            "width": float(entries),
            "samples": float(squares.size),
        }


def _audibility(probed: np.ndarray, squares: np.ndarray, entries: int, samples: int) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        if probed.shape == squares.shape:
            total = float((probed * squares).sum()) / entries
        else:
            total = float(probed.sum()) * float(squares.mean()) / entries
        return float(np.sqrt(total / samples))


def _null_sd(layers: list[LayerNode], out: int) -> np.ndarray:
    """Return the s.d. of ln S that finite width alone causes, √(5 Σ 1/n)/2, summed from the output down (Hanin & Nica 2020)."""
    by_depth: dict[int, float] = {}
    for layer in layers:
        if layer.spec.kind == "depth" and layer.spec.tensors:
            by_depth[layer.spec.depth] = 5.0 / max(1, layer.operation.channels)
    top = layers[out].spec.depth
    return np.array([0.5 * np.sqrt(sum(v for d, v in by_depth.items() if s.spec.depth < d < top)) for s in layers])


def _open_ends(graph: DataGraph) -> list[tuple[Any, int]]:
    """Return (node, output number) of every data node below which no activation flows, for each output that is used."""
    ends: set[int] = {i for i in range(len(graph.nodes)) if not graph.inputs[i]}
    numbers: dict[int, set[int]] = {}
    for node in graph.nodes:
        for child, number in node.next_functions:
            i = graph.index.get(child)
            if i in ends:
                numbers.setdefault(i, set()).add(number)
    return [(graph.nodes[i], k) for i in sorted(ends) for k in sorted(numbers.get(i, {0}))]


def _not_below_another(nodes: list[Any]) -> list[Any]:
    """Drop the nodes that lie in the graph of another one (hidden states returned beside the logits)."""
    unique = list(dict.fromkeys(nodes))
    if len(unique) == 1:
        return unique
    below: set[Any] = set()
    for node in sorted(unique, key=lambda n: n._sequence_nr(), reverse=True):
        if node not in below:
            below |= set(topological([node])) - {node}
    return [node for node in unique if node not in below]


def _tensors_in(value: Any, depth: int = 0) -> list[torch.Tensor]:
    """Return every tensor inside a model's output: tuples, lists, dicts, dataclasses, distributions."""
    if isinstance(value, torch.Tensor):
        return [value]
    if depth > 4 or value is None or isinstance(value, (str, int, float, bool)):
        return []
    if isinstance(value, dict):
        items = list(value.values())
    elif isinstance(value, (tuple, list, set)):
        items = list(value)
    elif is_dataclass(value):
        items = [getattr(value, f.name, None) for f in fields(value)]
    else:
        items = list(vars(value).values()) if hasattr(value, "__dict__") else []
    return [tensor for item in items for tensor in _tensors_in(item, depth + 1)]
