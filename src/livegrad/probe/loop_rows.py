"""The mean step of each unrolled loop as rows of a scan: what its operations do to the true gradient."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livegrad.probe.graph import DataGraph
from livegrad.probe.label import operator_label
from livegrad.probe.layers import LayerNode, LayerSpec
from livegrad.probe.loop_steps import OpenLoop, matrix_of
from livegrad.probe.loop_tap import Course, LoopTap
from livegrad.probe.operation import operator_name
from livegrad.probe.record import Record
from livegrad.probe.recurrence.layer import OUTPUTS, WEIGHTS
from livegrad.probe.source import shown_path
from livegrad.probe.time_rows import TimeRow
from livegrad.theory.activation import CATALOGUE

OTHERS = "what other paths add"
# Rounding.
_NOTHING = 1e-9


def loop_rows(
    graph: DataGraph, record: Record, loops: Sequence[OpenLoop], tap: LoopTap, layers: Sequence[LayerNode]
) -> list[TimeRow]:  # fmt: skip
    """Return for each loop a row of its mean step, and one for each operation on the path by which most of
    the gradient comes down it.
    """
    rows: list[TimeRow] = []
    named = {layer.node: layer.spec for layer in layers}
    for number, loop in enumerate(loops):
        home = _home(graph, record, loop, named)
        heard = tap.courses(number)
        if heard and home is not None:
            rows += _Mean(graph, record, loop, home).rows(heard)
    return rows


def _home(
    graph: DataGraph, record: Record, loop: OpenLoop, named: Mapping[Any, LayerSpec]
) -> LayerSpec | None:
    """The layer that the recurrent weights' use is known by, at any step that has a row."""
    for i in reversed(loop.loop.nodes):
        inside = record.enclosing(graph.nodes[i])
        spec = named.get(graph.nodes[i]) or (named.get(inside.node) if inside is not None else None)
        if spec is not None:
            return spec
    return None


class _Mean:
    def __init__(self, graph: DataGraph, record: Record, loop: OpenLoop, home: LayerSpec) -> None:
        self._graph, self._record, self._loop, self._home = graph, record, loop, home
        self._base = f"{home.name.rpartition('[t=')[0] or home.name}[step]"

    def rows(self, heard: list[Course]) -> list[TimeRow]:
        """The mean over the steps in which most comes down by the same operations as in most steps."""
        ways = Counter(self._way(course) for course in heard)
        way = max(ways, key=lambda found: ways[found])
        alike = [course for course in heard if self._way(course) == way]
        whole = float(np.mean([course.whole for course in alike]))
        ends = len(heard) == len(self._loop.steps)
        total = 0.5 * np.log10(heard[-1].below / heard[0].above) if ends else np.nan
        head = self._row("", self._home.type, None)
        size = {"width": self._loop.count, "samples": len(alike)}
        rows = [TimeRow(head, {"transport": total, "passed": whole, **size})]
        left = whole
        for k, kind in enumerate(way):
            steps = [course.along[k] for course in alike]
            passed = float(np.mean([decades for _, _, decades in steps]))
            if abs(passed) > _NOTHING:
                values = {"passed": passed, "activation_slope": self._expected(steps, kind)}
                rows.append(TimeRow(self._row(f" {k}", kind, head.name, steps[0][0]), values))
                left -= passed
        outside = float(np.mean([course.outside for course in alike]))
        for kind, passed in ((OUTPUTS, outside), (OTHERS, left - outside)):
            if abs(passed) > _NOTHING:
                rows.append(TimeRow(self._row(f" {kind}", kind, head.name), {"passed": passed}))
        return rows

    def _way(self, course: Course) -> tuple[str, ...]:
        return tuple(self._kind(i) for i, _, _ in course.along)

    def _kind(self, i: int) -> str:
        node = self._graph.nodes[i]
        kind = operator_name(node)
        if matrix_of(node) is not None:
            return WEIGHTS
        operation = self._record.operations.get(node)
        kind = kind if operation is None else operator_label(operation)
        return next((name for name in CATALOGUE if name.lower() == kind.lower()), kind)

    def _row(self, suffix: str, kind: str, top: str | None, i: int | None = None) -> LayerSpec:
        operation = None if i is None else self._record.operations.get(self._graph.nodes[i])
        line = None if operation is None else operation.line
        return LayerSpec(
            name=f"{self._base}{suffix}", depth=self._home.depth, type=kind, operator=kind,
            module=self._home.module, tensors=(), kind="step", width=0, made=self._home.made,
            source=self._home.source if line is None else f"{shown_path(line[0])}:{line[1]}",
            segment=top, path=0 if top is None else 1,
        )  # fmt: skip

    def _expected(self, steps: list[tuple[int, int, float]], kind: str) -> float:
        """The factor that theory gives: rms φ' of an activation, ‖W‖_F/√n_out of weights, the rms of the
        other factor of a product; NaN where it says nothing. steps: those of a course.
        """
        found = [self._factor(i, to, kind) for i, to, _ in steps]
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.exp(np.mean(np.log(found))))

    def _factor(self, i: int, to: int, kind: str) -> float:
        if kind == WEIGHTS:
            matrix = matrix_of(self._graph.nodes[i])
            assert matrix is not None
            # x @ W has its outputs last, W @ x (a linear layer) first.
            operation = self._record.operations.get(self._graph.nodes[i])
            wide = operation.shape[-1] if operation is not None and operation.shape else len(matrix)
            return float(matrix.detach().double().norm()) / wide**0.5
        operation = self._record.operations.get(self._graph.nodes[i])
        state = None if operation is None else operation.activation
        if state is not None and state.slope is not None:
            return float(state.slope)
        if kind.lower() == "mul":
            others = [k for k in self._graph.inputs[i] if k != to]
            other = self._record.operations.get(self._graph.nodes[others[0]]) if len(others) == 1 else None
            values = other.values if other is not None and other.line is not None else []
            return (
                float(np.sqrt(values[0].squares.mean() / values[0].entries)) if len(values) == 1 else np.nan
            )
        return np.nan
