"""The ledger of a recurrence: what the gradient loses or gains over its time steps, and what of it each
operation of a step does.

    total = Σ over the steps of  log10 ‖δ(t−1)‖/‖δ(t)‖        δ(t): at all that step t hands on to the next

The mean step is opened: of the paths that run from a state to the one before (what a gate keeps, what comes
through the recurrent weights by each gate), each path's operations add up to what comes down it, in the mean
over the steps. The gradient is that of the true loss.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from livegrad.diagnose.expected import Context, rms_slope, steepest
from livegrad.diagnose.ledger import Branch, Entry, Line
from livegrad.diagnose.number import log10_of_positive
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.role import activation_of
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer, Tensor
from livegrad.theory.gaussian import expect

KEPT, WEIGHTS = "kept state", "recurrent weights"
OUTPUTS, OTHERS = "other outputs", "what other paths add"
_HEAD = re.compile(r"^(?P<base>.*)\[step\]$")
# σ' ≤ 1/4, times what the gate multiplies: at most 1 (a tanh), or 2 (the old state less the new).
_BEST = {"input gate": 0.25, "output gate": 0.25, "update gate": 0.5, "candidate": 1.0, KEPT: 1.0}


@dataclass(frozen=True)
class TimeBill:
    """One recurrence. name: what its time steps are called. steps: how many there are from the first state to
    the last; total: decades of the true gradient over them, NaN where it was not measured throughout. step:
    the mean one, its paths being those from state to state; opened: over how many steps the mean goes.
    """

    name: str
    steps: int
    total: float
    step: Entry
    opened: int

    @property
    def main_path(self) -> Branch | None:
        """The path along which most of the gradient comes down a step."""
        return max(self.step.paths, key=lambda path: path.decades, default=None)

    @property
    def lines(self) -> tuple[Line, ...]:
        """The operations along the main path, over all the steps looked at, and what the other paths add:
        together what these steps come to.
        """
        path = self.main_path
        if path is None:
            return ()
        found = [self._line(entry, entry.layer.type) for entry in path.entries[1:]]
        rest = replace(self.step, decades=self.step.decades - path.decades)
        return (*found, self._line(rest, OTHERS)) if abs(rest.decades) > 1e-6 else (*found,)

    def _line(self, entry: Entry, label: str) -> Line:
        expected = None if entry.expected is None else entry.expected * self.opened
        best = None if entry.best is None else entry.best * self.opened
        decades = entry.decades * self.opened
        names = (entry.layer.name,)
        return Line(label, entry.role, self.opened, decades, expected, best, names, entry.layer)


def time_bills(patient: Patient, scan: Scan) -> tuple[TimeBill, ...]:
    """Return the bill of every recurrence that `scan` took apart."""
    book = _Book(patient, scan)
    heads = [row for row, key in enumerate(scan.layer) if _HEAD.match(patient.layers[int(key)].name)]
    known = [row for row in heads if np.isfinite(scan.passed[row])]
    return tuple(book.bill(row) for row in known if patient.layers[int(scan.layer[row])].kind == "step")


class _Book:
    def __init__(self, patient: Patient, scan: Scan) -> None:
        self._layers, self._tensors, self._scan = patient.layers, patient.tensors, scan
        self._expect = Context(patient, scan)
        self._inside: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row, key in enumerate(scan.layer):
            layer = patient.layers[int(key)]
            if layer.kind == "step" and layer.segment is not None:
                self._inside[layer.segment][layer.path].append(row)

    def bill(self, head: int) -> TimeBill:
        layer = self._layers[int(self._scan.layer[head])]
        match = _HEAD.match(layer.name)
        base = match["base"] if match else layer.name
        per_step = float(self._scan.passed[head])
        paths = tuple(
            self._path(number, rows, layer) for number, rows in sorted(self._inside[layer.id].items())
        )
        step = Entry(layer, "operation", per_step, paths=paths)
        steps, opened = int(self._scan.width[head]), int(self._scan.samples[head])
        return TimeBill(base, steps, float(self._scan.transport[head]), step, opened)

    def _path(self, number: int, rows: list[int], head: Layer) -> Branch:
        entries = tuple(self._entry(row, head) for row in rows)
        whole = float(sum(entry.decades for entry in entries))
        # What the state hands on to a path comes first in every branch of a ledger: here, all of it.
        first = Entry(head, "operation", 0.0)
        names = tuple(entry.layer.type for entry in entries)
        return Branch(number, "chain", whole, (first, *entries), names)

    def _entry(self, row: int, head: Layer) -> Entry:
        layer = self._layers[int(self._scan.layer[row])]
        mean, size = float(self._scan.activation_mean[row]), float(self._scan.activation_rms[row])
        told = float(self._scan.activation_slope[row])  # what the probe saw of weights or slopes
        expected, best, what = told if np.isfinite(told) else None, _BEST.get(layer.type), "operation"
        if layer.type == WEIGHTS:
            expected, what = self._gain(head) or expected, "weights"
        elif layer.type == KEPT:
            expected = _rms_gate(mean, size)
        elif activation_of(layer) is not None:
            name, what = activation_of(layer) or "", "activation"
            spread, best = size**2 - mean**2, steepest(name)
            if np.isfinite(spread) and spread >= 0:
                expected = rms_slope(name, float(f"{mean:.3g}"), float(f"{spread**0.5:.3g}"))
        return Entry(
            layer, what, float(self._scan.passed[row]), log10_of_positive(expected), log10_of_positive(best)
        )

    def _gain(self, head: Layer) -> float | None:
        matrix = recurrent_matrix(head, self._tensors)
        norm = None if matrix is None else self._expect.norm(matrix)
        return None if matrix is None or norm is None else norm / matrix.shape[0] ** 0.5


def recurrent_matrix(layer: Layer, tensors: dict[int, Tensor]) -> Tensor | None:
    """Return the recurrent weights of the layer and direction whose step `layer` is, None if not one of
    torch's own.
    """
    lane = re.search(r"\.(l\d+(?:_reverse)?)(?:\[|$)", layer.name)
    suffix = f"weight_hh_{lane[1] if lane else 'l0'}"
    mine = [t for t in tensors.values() if t.module == layer.module and len(t.shape) == 2]
    found = [t for t in mine if t.name.endswith(suffix)] or [t for t in mine if t.name.endswith("weight_hh")]
    return found[0] if found else None


def _rms_gate(mean: float, size: float) -> float | None:
    """(E σ(h)²)^½, h normal with this mean and rms."""
    spread = size**2 - mean**2
    if not np.isfinite(spread) or spread < 0:
        return None
    return expect(lambda x: (1 + np.tanh((mean + x) / 2)) ** 2 / 4, (), spread**0.5) ** 0.5
