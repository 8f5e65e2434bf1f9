"""Who is to blame: the operations of a ledger whose steps leave what a healthy network would do.

What one step should be, in decades, for the activation φ with gain g = (E φ²)^-½ at z ~ N(0, 1):

    activation    −log10 g: with well-scaled weights the two cancel but for log10 g (E φ'²)^½
    weights       +log10 g of the activation that feeds them, 0 if none does
    average       what averaging over so many entries does
    the rest      0

A normalization undoes the scale of what comes before it, forwards and backwards. So of those steps, and of
its own, only what they do beyond their scale is counted: decades of the gradient less those by which they
make the activation larger. Weights then count nothing whatever their size, BatchNorm the mean that it takes
off, a join the share that the branch takes from the skip.

The excess over that is summed by type; the largest in the direction of the fault is the cause, unless a few
operations stand out among many of their type, or an activation whose slope is too small at its best
((E φ'²/E φ²)^½ < 0.9) takes a good part of the whole.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from livegrad.diagnose.expected import rms_slope, steepest
from livegrad.diagnose.finding import Cause
from livegrad.diagnose.ledger import Entry, Ledger, Line, ledger, line
from livegrad.diagnose.ledger_rows import bill_rows
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.recurrence import step_cause
from livegrad.diagnose.role import activation_of, line_of
from livegrad.diagnose.spine_profile import SpineProfile
from livegrad.diagnose.time_profile import time_profiles
from livegrad.run.schema import Layer
from livegrad.theory.activation import backward_factor, gain, normalized_backward_factor

# An activation that passes on less than this share of the gradient per layer even at its best weights is the
# cause itself, if what it takes at its best is this share of the whole.
LOSSY = 0.9
_GOOD_PART = 0.25
# A few of many stand out if they are at most a third of their type and make up most of all that is wrong.
_FEW = 1 / 3
_MOST = 0.6
_STANDS_OUT_DECADES = 0.5
# Under this rms inputs are small for an activation.
_SMALL_INPUT = 0.5
_LESS = 0.95
# A second type is worth a word if it makes up this share of what is wrong.
_ALSO = 0.2


@dataclass(frozen=True)
class Suspect:
    """Steps of one type that share the blame. excess: decades beyond what a healthy network's would be, more
    is worse; alone: they are a few that stand out among many of their type.
    """

    line: Line
    excess: float
    alone: bool = False


def blame(patient: Patient, profile: SpineProfile, growing: bool) -> tuple[Cause, Layer | None]:
    """Name the operations responsible for a gradient that shrinks (or, if `growing`, grows) towards the
    input, and the layer that is the worst example.
    """
    book = _telling(patient, profile, growing)
    steps = book.steps[::-1]
    if not steps:
        return Cause(
            "the gradient is exactly zero from the output on, so no operation can be told apart"
        ), None
    found = suspects(steps, growing)
    if not found:
        return _beside_the_spine(patient, profile), None
    return _Verdict(patient, profile, book, steps, found, growing).cause()


def _beside_the_spine(patient: Patient, profile: SpineProfile) -> Cause:
    """The cause where no operation of the spine does more or less than it should: in a loop, if there is
    one.
    """
    scan = next(s for s in reversed(patient.scans) if s.step == profile.step)
    loops = time_profiles(scan, patient.layers)
    if loops:
        loudest = max(loops, key=lambda p: abs(p.per_step_decades) * p.length)
        return step_cause(patient, loudest, [loudest])
    return Cause("no operation between output and input does more or less than it should")


def _telling(patient: Patient, profile: SpineProfile, growing: bool) -> Ledger:
    """The ledger of the true gradient, or where that does not show the fault, of audibility."""
    book = ledger(patient, profile)
    sign = 1 if growing else -1
    if book.measured == "gradient" and sign * book.total < 1:
        heard = ledger(patient, profile, by="audibility")
        if sign * heard.total > max(1.0, sign * book.total):
            return heard
    return book


def suspects(steps: Sequence[Entry], growing: bool) -> list[Suspect]:
    """Return who is to blame, the worst first; steps: input side first."""
    sign = 1 if growing else -1
    beyond = sign * np.array(excess(steps))
    if growing:
        # Nothing grows because of an activation; with a normalization they are one thing.
        for i, entry in enumerate(steps):
            if entry.role == "activation":
                for norm in list(_normalizing(steps, i))[:1]:
                    beyond[norm] += beyond[i]
                beyond[i] = 0.0
    wrong = float(beyond[beyond > 0].sum())
    groups: dict[str, list[int]] = defaultdict(list)
    for i, entry in enumerate(steps):
        groups[entry.layer.type].append(i)
    for kind, group in groups.items():
        # A sum with something that does not lead to the input joins no paths.
        joining = [i for i in group if steps[i].role == "join" and steps[i].expected is not None]
        groups[kind] = joining or group
    found = [
        Suspect(_line(steps, group, beyond), float(beyond[group].sum()))
        for group in groups.values()
        if beyond[group].sum() > 0
    ]
    found.sort(key=lambda suspect: -suspect.excess)
    few = _few_that_stand_out(beyond, groups, steps, wrong)
    if few is not None:
        return [few, *(s for s in found if s.line.label != few.line.label)]
    if not growing:
        found = _lossy_first(steps, _starving_first(steps, found))
    return found


def _starving_first(steps: Sequence[Entry], found: list[Suspect]) -> list[Suspect]:
    """An activation that is flatter on small inputs than on those of unit size (GELU, SiLU) is not driven
    flat: the weights before it are too small.
    """
    if not found or activation_of(found[0].line.example) is None:
        return found
    names = set(found[0].line.layers)
    given = [entry.given for entry in steps if entry.layer.name in names and np.isfinite(entry.given)]
    weights = [suspect for suspect in found if suspect.line.role == "weights"]
    name = activation_of(found[0].line.example) or ""
    if not given or float(np.median(given)) > _SMALL_INPUT or not weights or not _flatter_when_small(name):
        return found
    return [weights[0], *(other for other in found if other is not weights[0])]


def _flatter_when_small(name: str) -> bool:
    return rms_slope(name, 0.0, 0.1) < _LESS * backward_factor(name) / gain(name)


def _normalizing(steps: Sequence[Entry], i: int) -> Iterator[int]:
    """The normalizations in whose section step i lies, the nearest first."""
    for k in range(i + 1, len(steps)):
        if steps[k].role == "norm" and i in _normalized_by(steps, k):
            yield k


def _line(steps: Sequence[Entry], group: Sequence[int], beyond: np.ndarray) -> Line:
    # Of many the line that most of them share is the one to edit, not that of an odd one out (a head).
    lines = Counter((steps[i].layer.made, steps[i].layer.source) for i in group)
    most = max(lines.values())
    usual = [i for i in group if lines[steps[i].layer.made, steps[i].layer.source] == most]
    worst = max(usual, key=lambda i: beyond[i])
    made = line(steps[group[0]].layer.type, [steps[i] for i in reversed(group)])
    return replace(made, example=steps[worst].layer)


def _few_that_stand_out(
    beyond: np.ndarray, groups: dict[str, list[int]], steps: Sequence[Entry], wrong: float
) -> Suspect | None:
    worst = int(np.argmax(beyond))
    if beyond[worst] < _STANDS_OUT_DECADES:
        return None
    few = [int(i) for i in np.flatnonzero(beyond > beyond[worst] / 2)]
    group = groups[steps[worst].layer.type]
    if not set(few) <= set(group) or len(few) > max(1, _FEW * len(group)):
        return None
    if beyond[few].sum() < _MOST * wrong:
        return None
    return Suspect(_line(steps, few, beyond), float(beyond[few].sum()), alone=len(group) > len(few))


def _lossy_first(steps: Sequence[Entry], found: list[Suspect]) -> list[Suspect]:
    total = sum(entry.decades for entry in steps)
    for suspect in found:
        name = activation_of(suspect.line.example)
        best = 1.0 if name is None else backward_factor(name)
        if best < LOSSY and suspect.line.count * np.log10(best) < _GOOD_PART * total:
            return [suspect, *(other for other in found if other is not suspect)]
    return found


def excess(steps: Sequence[Entry]) -> list[float]:
    """Return the decades by which each step leaves what a healthy network's would be; steps: input side
    first.
    """
    found = _beyond_usual(steps)
    for i, entry in enumerate(steps):
        if entry.role == "norm":
            section = _normalized_by(steps, i)
            for k in section:
                found[k] = _without_scale(steps[k])
            # What weights add to the mean alone, the normalization right after them takes off: one thing.
            for k in _right_before(steps, i):
                found[i] += found[k]
                found[k] = 0.0
    return found


def _right_before(steps: Sequence[Entry], norm: int) -> list[int]:
    """The weights and factors that the normalization works on directly."""
    found: list[int] = []
    for k in range(norm - 1, -1, -1):
        if steps[k].role not in ("weights", "rescale"):
            break
        found.append(k)
    return found


def _beyond_usual(steps: Sequence[Entry]) -> list[float]:
    found: list[float] = []
    needed = 0.0
    for entry in steps:
        value, name = entry.decades, activation_of(entry.layer)
        if entry.role == "activation" and name is not None:
            needed = float(np.log10(gain(name)))
            value += needed
        elif entry.role == "weights":
            value, needed = value - needed, 0.0
        elif entry.role == "average":
            value -= entry.expected or 0.0
        elif entry.role != "rescale":
            needed = 0.0
        found.append(float(value))
    return found


def _normalized_by(steps: Sequence[Entry], norm: int) -> list[int]:
    """The steps whose scale the normalization undoes, itself included: down to the one before, or past one
    join to the next (a stream of many blocks is normalized as a whole, and their shares of it stay).
    """
    found, joins = [norm], 0
    for k in range(norm - 1, -1, -1):
        joins += steps[k].role == "join"
        if steps[k].role == "norm" or joins > 1:
            break
        found.append(k)
    return found


def _without_scale(entry: Entry) -> float:
    """What a step does beyond its scale: passed back, over passed on forwards."""
    known = np.isfinite(entry.forward)
    if entry.role in ("weights", "rescale", "norm") and not known:
        return 0.0
    return float(entry.decades - entry.forward) if known else entry.decades


@dataclass(frozen=True)
class _Verdict:
    """Puts the first suspect into words."""

    patient: Patient
    profile: SpineProfile
    book: Ledger
    steps: Sequence[Entry]
    found: Sequence[Suspect]
    growing: bool

    def cause(self) -> tuple[Cause, Layer | None]:
        first = self.found[0]
        kind, summary = self._judged(first)
        wrong = sum(suspect.excess for suspect in self.found)
        for other in self.found[1:2]:
            if other.excess > _ALSO * wrong:
                summary += f". Beside that {self._judged(other)[1]}"
        layer = first.line.example
        return Cause(
            summary, _operator(first.line), self._decades(first), kind=kind, layers=first.line.layers,
            source=line_of(layer, self.patient.tensors),
            bill=tuple(bill_rows(self.patient, self.book)),
        ), layer  # fmt: skip

    def _judged(self, suspect: Suspect) -> tuple[str, str]:
        """The kind of cause, and what is said of it."""
        item, what = suspect.line, suspect.line.role
        if what == "activation":
            return self._activation(item)
        counted = _counted(item, self._of_how_many(suspect))
        if what == "weights" and (item.decades > 0) != self.growing and self._is_normalized(suspect, past=1):
            return "operation", self._against_the_grain(suspect)
        if what == "weights":
            kind = "weights-large" if self.growing else "weights-small"
            return kind, f"{counted}{self._because(suspect)}"
        if what == "norm":
            return "normalization", self._normalization(suspect)
        if what == "join":
            return "residual-scale", self._join(suspect)
        if what == "rescale":
            beside = self._beside_a_join(item)
            return ("residual-scale" if beside else "operation"), f"{counted}{self._because(suspect)}"
        return "operation", f"{counted}{self._because(suspect)}"

    def _against_the_grain(self, suspect: Suspect) -> str:
        # Judged without their scale: forwards they pass on more than they pass back.
        item = suspect.line
        share = 10 ** (-suspect.excess / item.count)
        return (
            f"{_counted(item)}. Normalization takes their size away; without it each leaves {share:.2f}, "
            "because they enlarge what all samples have in common, or their biases, more than what differs"
        )

    def _of_how_many(self, suspect: Suspect) -> int:
        same = sum(entry.layer.type == suspect.line.label for entry in self.steps)
        return same if suspect.alone else suspect.line.count

    def _activation(self, item: Line) -> tuple[str, str]:
        name = activation_of(item.example) or item.label
        best, top = backward_factor(name), steepest(name)
        ceiling = "" if item.best is None or item.best > -0.05 else f" ({item.best:+.1f} at best: "
        ceiling += f"its slope is at most {top:.3g})" if ceiling else ""
        slope = self._slope(item)
        usual = best / gain(name)
        if best < LOSSY and not (np.isfinite(slope) and slope < 0.5 * usual):
            return "activation-slope", (
                f"{_counted(item)}{ceiling}. Its slope is too small: even with the best weights each layer "
                f"passes on at most {best:.2f} of the gradient"
            )
        if self.growing:
            return "operation", f"{_counted(item)}: each passes on {item.factor:.3g} of the gradient"
        said = (
            f"their rms slope is {slope:.2f}" if np.isfinite(slope) else f"each passes on {item.factor:.3g}"
        )
        small = self._given(item) < _SMALL_INPUT and _flatter_when_small(name)
        where = "Their inputs are so small that they are flat there" if small else ""
        where = where or "They are driven into their flat parts"
        return "activation-saturated", (
            f"{_counted(item)}. {where}: {said}, where inputs of unit size would give {usual:.2f}"
        )

    def _given(self, item: Line) -> float:
        names = set(item.layers)
        sizes = [e.given for e in self.steps if e.layer.name in names and np.isfinite(e.given)]
        return float(np.median(sizes)) if sizes else float("nan")

    def _slope(self, item: Line) -> float:
        scan = next(s for s in reversed(self.patient.scans) if s.step == self.profile.step)
        names = set(item.layers)
        slopes = [
            scan.activation_slope[row]
            for row, key in enumerate(scan.layer)
            if self.patient.layers[int(key)].name in names
        ]
        finite = [s for s in slopes if np.isfinite(s)]
        return float(np.median(finite)) if finite else float("nan")

    def _because(self, suspect: Suspect) -> str:
        item, factor = suspect.line, suspect.line.factor
        does = "multiplies the gradient by" if factor > 1 else "passes on"
        of = "" if factor > 1 else " of the gradient"
        each = "it" if item.count == 1 else "each"
        if item.role == "weights":
            size = "large" if factor > (self.book.needed(item) or 1.0) else "small"
            needed = self._needed_text()
            whose = "Its" if item.count == 1 else "Their"
            return f". {whose} weights are too {size}: {each} {does} {factor:.3g}{of}{needed}"
        if item.role == "activation" and activation_of(item.example) is not None:
            return f", where inputs of unit size would give {self._unit(item):+.1f}"
        return f": {each} {does} {factor:.3g}{of}"

    def _unit(self, item: Line) -> float:
        name = activation_of(item.example) or ""
        return item.count * float(np.log10(backward_factor(name) / gain(name)))

    def _needed_text(self) -> str:
        name = self.book.activation
        return "" if name is None else f", where {name} needs {gain(name):.2f}"

    def _normalization(self, suspect: Suspect) -> str:
        item, name = suspect.line, self.book.activation
        taken = self._decades(suspect)
        each = 10 ** (taken / item.count)
        beside = "the weights before them" if item.count > 1 else "the weights before it"
        beside += f" and {name}" if name is not None else ""
        said = f"{item.count} {item.label}, with {beside}: {taken:+.1f} decades. "
        if self.growing:
            theory = ""
            if name is not None and "batch" in item.label.lower():
                theory = f" ({normalized_backward_factor(name):.2f} in a wide net, whatever its weights)"
            each_layer = "In a deep net without skips each such layer multiplies the gradient by"
            return f"{said}{each_layer} {each:.2f}{theory}"
        return f"{said}Each divides by the size of what it is given, and leaves {each:.2f} of the gradient"

    def _decades(self, suspect: Suspect) -> float:
        """What the suspect adds or takes; a normalization and a join under it without their scale."""
        if suspect.line.role != "norm" and not self._is_normalized(suspect):
            return suspect.line.decades
        return suspect.excess if self.growing else -suspect.excess

    def _is_normalized(self, suspect: Suspect, past: int = 0) -> bool:
        """True if scale was not counted: a normalization follows right after, or after so many joins."""
        if self.growing or suspect.line.role not in ("join", "weights"):
            return False
        names = set(suspect.line.layers)
        places = [i for i, entry in enumerate(self.steps) if entry.layer.name in names]
        norms = [i for i, entry in enumerate(self.steps) if entry.role == "norm"]
        sections = [set(_normalized_by(self.steps, i)) for i in norms]
        right_before = {i - 1 for i in norms}
        inside = [
            i in right_before if not past else any(i in section for section in sections) for i in places
        ]
        return bool(places) and 2 * sum(inside) > len(places)

    def _join(self, suspect: Suspect) -> str:
        item = suspect.line
        said = f"{item.count} {item.label}: {self._decades(suspect):+.1f} decades"
        if self.growing:
            return (
                f"{said}. At each, what the branch brings is added to what the skip brings: "
                f"{item.factor:.2f} times the gradient, and nothing takes that back"
            )
        if self._is_normalized(suspect):
            share = 10 ** (-suspect.excess / item.count)
            return f"{said}. At each the skip is {share:.2f} of the sum, which is then normalized"
        return f"{said}. At each the paths' gradients leave {item.factor:.2f} of what came"

    def _beside_a_join(self, item: Line) -> bool:
        names = set(item.layers)
        for below, entry, above in zip(
            [None, *self.steps[:-1]], self.steps, [*self.steps[1:], None], strict=True
        ):
            near = [e.role for e in (below, above) if e is not None]
            if entry.layer.name in names and (entry.layer.segment is not None or "join" in near):
                return True
        return False


def _operator(item: Line) -> str:
    """A block is known by its own name, what its last operation joins by that operation's."""
    return (item.example.operator or item.label).lower() if item.role == "join" else item.label


def _counted(item: Line, of: int | None = None) -> str:
    count = f"{item.count}" if of in (None, item.count) else f"{item.count} of {of}"
    name = f" ({item.layers[0]})" if item.count == 1 and item.layers[0] != item.label else ""
    return f"{count} {item.label}{name}: {item.decades:+.1f} decades"
