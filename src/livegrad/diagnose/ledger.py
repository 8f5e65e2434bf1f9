"""The ledger: what each operation between a network's output and its deepest layer does to the gradient.

    log10 ‖δ_first‖/‖δ_output‖ = Σ over the cuts of the spine of  log10 ‖δ_below‖/‖δ_above‖

The step from one cut to the next towards the input goes backwards through the upper cut's operation, and is
put down to it. Where several paths run side by side between two cuts (a residual block, an attention), the
step is opened: each path's own steps add up to what comes down it, and how the paths add up at the fork is
the joining operation's doing. All numbers are decades of the true gradient's norm (its transport).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from livegrad.diagnose.expected import Context, expected_decades
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.role import activation_of, joins, role
from livegrad.diagnose.spine_profile import SpineProfile
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer
from livegrad.theory.activation import gain


@dataclass(frozen=True)
class Entry:
    """One operation's step. expected: decades that theory gives for its weights and inputs, best: the most
    it can pass on, None where theory says nothing. forward: decades by which it makes the activation larger
    (rms per entry), NaN if not known. given: rms of what it works on. paths: what runs side by side under it,
    () if nothing.
    """

    layer: Layer
    role: str
    decades: float
    expected: float | None = None
    best: float | None = None
    forward: float = float("nan")
    given: float = float("nan")
    paths: tuple["Branch", ...] = ()

    @property
    def factor(self) -> float:
        """What it passes on, as a factor on the gradient's norm."""
        return float(10**self.decades)


@dataclass(frozen=True)
class Branch:
    """One path of an opened segment. kind: "identity", "chain" or "tangle" (its operations depend on each
    other crosswise; only their sum is known). entries: the output side first, adding up to `decades`, the
    first being what the operation above hands on to this path. members: names of its operations.
    """

    number: int
    kind: str
    decades: float
    entries: tuple[Entry, ...]
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """Entries of one kind, or of one module, added up. layers: their names, input side first; example: the
    one that passes on least.
    """

    label: str
    role: str | None
    count: int
    decades: float
    expected: float | None
    best: float | None
    layers: tuple[str, ...]
    example: Layer

    @property
    def factor(self) -> float:
        """What one of them passes on, as a factor: the geometric mean."""
        return float(10 ** (self.decades / max(1, self.count)))


@dataclass(frozen=True)
class Ledger:
    """The bill of one scan. segments: one entry per step between spine cuts, the output side first, their
    decades adding up to `total`. measured: "gradient", or "audibility" where no true gradient passed.
    """

    step: int
    measured: str
    total: float
    segments: tuple[Entry, ...]

    @property
    def steps(self) -> tuple[Entry, ...]:
        """Every operation's own step along the main path through each segment, the output side first.

        That is the skip, or where it is under half as loud as another path, that one. The steps add up to
        `total`: what the other paths add at a fork is part of the joining operation's step.
        """
        return tuple(step for entry in self.segments for step in _along_the_main_path(entry))

    @property
    def kinds(self) -> tuple[Line, ...]:
        """The steps added up by type of operation, the greatest loss first."""
        return _lines(self.steps, lambda entry: entry.layer.type)

    @property
    def modules(self) -> tuple[Line, ...]:
        """The steps added up by the module that ran them, the greatest loss first."""
        return _lines(self.steps, lambda entry: entry.layer.module or "(model)")

    @property
    def activation(self) -> str | None:
        """The activation that occurs most often, by its name in the catalogue; None if there is none."""
        names = [name for entry in self.steps if (name := activation_of(entry.layer)) is not None]
        return max(names, key=names.count, default=None)

    def needed(self, item: Line) -> float | None:
        """The gain that weights need in this network: that of its activation, or 1 where it has none."""
        if item.role != "weights":
            return None
        return 1.0 if self.activation is None else gain(self.activation)


def latest_ledger(patient: Patient) -> Ledger | None:
    """Return the ledger of the latest scan that measured audibility on finite numbers."""
    return ledger(patient, patient.profiles[-1]) if patient.profiles else None


def ledger(patient: Patient, profile: SpineProfile, by: str | None = None) -> Ledger:
    """Return the ledger of the scan that `profile` is of.

    Cuts past the point where the gradient is exactly zero in the dtype are left out: nothing can be read
    there. by: "gradient" or "audibility" to have it of that; the true gradient if it passed otherwise.
    """
    known = np.isfinite(profile.transport).sum() > 1
    measured = by or ("gradient" if known else "audibility")
    course = profile.transport if measured == "gradient" else profile.relative
    scan = next(s for s in reversed(patient.scans) if s.step == profile.step)
    book = _Book(patient, scan)
    entries = []
    for below, above in pairwise(range(len(course))):
        if np.isfinite(course[below]) and np.isfinite(course[above]):
            step = float(course[below] - course[above])
            inside = measured == "gradient"
            rows = int(profile.rows[above]), int(profile.rows[below])
            entries.append(book.entry(*rows, step, opened=inside))
    entries.reverse()
    return Ledger(profile.step, measured, float(sum(e.decades for e in entries)), tuple(entries))


class _Book:
    """One scan's rows, and which of them lie on which path."""

    def __init__(self, patient: Patient, scan: Scan) -> None:
        self._layers = patient.layers
        self._tensors = patient.tensors
        self._scan = scan
        self._expect = Context(patient, scan)
        self._ends: dict[int, dict[int, int]] = defaultdict(dict)
        self._along: dict[tuple[int, int], list[int]] = defaultdict(list)
        for row, key in enumerate(scan.layer):
            layer = patient.layers[int(key)]
            if layer.segment is not None and layer.kind == "path":
                self._ends[layer.segment][layer.path] = row
            elif layer.segment is not None and layer.kind == "branch":
                self._along[layer.segment, layer.path].append(row)

    def entry(self, row: int, below: int, decades: float, opened: bool = True) -> Entry:
        """The step backwards through the operation of `row`, to the layer of row `below`."""
        layer = self._layers[int(self._scan.layer[row])]
        paths = self._branches(row, below) if opened else ()
        what = role(layer, self._tensors)
        if paths and joins(layer):
            what = "join"  # whatever the block is called that ends in it
        expected, best = expected_decades(self._expect, what, row, below)
        if paths:
            expected, best = None, None
        given = float(self._scan.activation_rms[below])
        return Entry(layer, what, decades, expected, best, self._forward(row, below), given, paths)

    def _forward(self, row: int, below: int) -> float:
        after, before = self._scan.activation_rms[row], self._scan.activation_rms[below]
        known = 0 < after < np.inf and 0 < before < np.inf
        return float(np.log10(after) - np.log10(before)) if known else float("nan")

    def _branches(self, top: int, below: int) -> tuple[Branch, ...]:
        key = int(self._scan.layer[top])
        ends = sorted(self._ends.get(key, {}).items())
        found = [self._branch(top, below, number, end) for number, end in ends]
        return tuple(b for b in found if b is not None) if all(found) else ()

    def _branch(self, top: int, below: int, number: int, end: int) -> Branch | None:
        key = int(self._scan.layer[top])
        value, kind = self._scan.transport, self._layers[int(self._scan.layer[end])].type
        rows = self._along[key, number][::-1]
        total = float(value[end] - value[top])
        members = tuple(self._layers[int(self._scan.layer[row])].name for row in rows)
        along = [top, *rows, end] if kind == "chain" else [top, end]
        # A path that brings exactly nothing is no reason to leave the others closed.
        if np.isneginf(value[end]) and np.isfinite(value[top]):
            return Branch(number, kind, -np.inf, (), members)
        if not np.isfinite(value[along]).all():
            return None
        first = self._handed_on(
            top, along[1] if len(along) > 2 else below, float(value[along[1]] - value[top])
        )
        steps = [
            self.entry(here, there if there != end else below, float(value[there] - value[here]))
            for here, there in pairwise(along[1:])
        ]
        return Branch(number, kind, total, (first, *steps), members)

    def _handed_on(self, top: int, below: int, decades: float) -> Entry:
        """What the joining operation does to the gradient on its way into one path."""
        entry = self.entry(top, below, decades, opened=False)
        what = "join" if joins(entry.layer) else entry.role
        return replace(entry, role=what, expected=None, best=None)


def _main_path(entry: Entry) -> Branch | None:
    """The loudest path; a skip that is nearly as loud goes before it."""
    loudest = max(entry.paths, key=lambda b: b.decades, default=None)
    skips = [b for b in entry.paths if loudest and b.kind == "identity" and b.decades > loudest.decades - 0.3]
    return skips[0] if skips else loudest


def _along_the_main_path(entry: Entry) -> Iterator[Entry]:
    branch = _main_path(entry)
    if branch is None or branch.kind == "tangle" or not np.isfinite(branch.decades):
        yield replace(entry, paths=())
        return
    first, *rest = branch.entries
    together = entry.decades - branch.decades
    powers = [10 ** (2 * (b.decades - branch.decades)) for b in entry.paths]
    apart = 0.5 * float(np.log10(sum(powers)))
    # Paths that know nothing of each other add up like the sides of a right angle.
    expected = first.decades + apart if first.role == "join" else None
    yield replace(first, decades=first.decades + together, expected=expected, paths=())
    for step in rest:
        yield from _along_the_main_path(step)


def _lines(steps: Sequence[Entry], label_of) -> tuple[Line, ...]:
    grouped: dict[str, list[Entry]] = defaultdict(list)
    for entry in steps:
        grouped[label_of(entry)].append(entry)
    found = [line(label, entries) for label, entries in grouped.items()]
    return tuple(sorted(found, key=lambda item: item.decades))


def line(label: str, entries: Sequence[Entry]) -> Line:
    """Add up entries, the output side first, under one label."""
    roles = {entry.role for entry in entries}
    return Line(
        label,
        roles.pop() if len(roles) == 1 else None,
        len(entries),
        float(sum(entry.decades for entry in entries)),
        _sum([entry.expected for entry in entries]),
        _sum([entry.best for entry in entries]),
        tuple(entry.layer.name for entry in reversed(entries)),
        min(entries, key=lambda entry: entry.decades).layer,
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(sum(known)) if known and len(known) == len(values) else None
