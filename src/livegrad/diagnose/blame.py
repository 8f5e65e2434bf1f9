"""Who is to blame for a gradient that shrinks or grows towards the input: the first suspect, put into words.

livegrad.diagnose.suspects says which operations leave what a healthy network would do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from livegrad.diagnose.expected import steepest
from livegrad.diagnose.feeding import shrinker
from livegrad.diagnose.finding import Cause
from livegrad.diagnose.ledger import Entry, Ledger, Line, ledger
from livegrad.diagnose.ledger_rows import bill_rows
from livegrad.diagnose.naming import spoken
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.recurrence import step_cause
from livegrad.diagnose.role import activation_of, line_of
from livegrad.diagnose.spine_profile import SpineProfile
from livegrad.diagnose.suspects import (
    LOSSY,
    SMALL_INPUT,
    Suspect,
    flatter_when_small,
    normalized_by,
    suspects,
)
from livegrad.diagnose.time_profile import time_profiles
from livegrad.run.schema import Layer
from livegrad.theory.activation import backward_factor, gain, normalized_backward_factor

# A second type is worth a word if it makes up this share of what is wrong.
_ALSO = 0.2


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
    if not found or _holds_a_loop(found[0]):
        return _beside_the_spine(patient, profile), None
    return _Verdict(patient, profile, book, steps, found, growing).cause()


def _holds_a_loop(suspect: Suspect) -> bool:
    """True for a sum in a loop's last step: what lies under it is the doing of all the steps."""
    return suspect.line.role == "join" and suspect.line.count == 1 and "[t=" in suspect.line.example.name


def _beside_the_spine(patient: Patient, profile: SpineProfile) -> Cause:
    """The cause where no operation of the spine does more or less than it should: in a loop, if there is
    one.
    """
    scan = next(s for s in reversed(patient.scans) if s.step == profile.step)
    loops = time_profiles(scan, patient.layers)
    if loops:
        loudest = max(loops, key=lambda p: abs(p.per_step_decades) * p.length)
        return step_cause(patient, loudest, [loudest], gradient=True)
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
        drowned = self._drowned(first)
        if drowned is not None:
            return drowned, layer
        return Cause(
            summary, _operator(first.line), self._decades(first), kind=kind, layers=first.line.layers,
            source=line_of(layer, self.patient.tensors),
            bill=tuple(bill_rows(self.patient, self.book)),
        ), layer  # fmt: skip

    def _drowned(self, suspect: Suspect) -> Cause | None:
        """The cause where weights are given next to nothing, so that their biases alone are heard: not they,
        but what made it so small.
        """
        item = suspect.line
        if self.growing or item.role != "weights" or self.book.measured != "audibility":
            return None
        scan = next(s for s in reversed(self.patient.scans) if s.step == self.profile.step)
        row = next(i for i, key in enumerate(scan.layer) if int(key) == item.example.id)
        origin = shrinker(self.patient, scan, row)
        if origin is None or origin.layer is None:
            return None
        named = f"{spoken(origin.layer.name)} ({origin.layer.type})"
        words = f"{named} leaves {origin.factor:.2g} of the size of what it is given, and beside the biases "
        words += f"of {spoken(item.example.name)} that is nothing"
        return Cause(
            words, origin.layer.type, float(np.log10(origin.factor)), layers=(origin.layer.name,),
            source=self._made(origin.layer), bill=tuple(bill_rows(self.patient, self.book)),
        )  # fmt: skip

    def _made(self, layer: Layer) -> str | None:
        """Where the layer's module was made; of a fused layer its time steps tell."""
        same = (other.made for other in self.patient.layers.values() if other.module == layer.module)
        return layer.made or next((made for made in same if made), layer.source)

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
        small = self._given(item) < SMALL_INPUT and flatter_when_small(name)
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
        sections = [set(normalized_by(self.steps, i)) for i in norms]
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
            # A sum with something that does not lead to the input joins no paths.
            near = [e.role for e in (below, above) if e is not None and e.expected is not None]
            if entry.layer.name in names and (entry.layer.segment is not None or "join" in near):
                return True
        return False


def _operator(item: Line) -> str:
    """A block is known by its own name, what its last operation joins by that operation's."""
    return (item.example.operator or item.label).lower() if item.role == "join" else item.label


def _counted(item: Line, of: int | None = None) -> str:
    count = f"{item.count}" if of in (None, item.count) else f"{item.count} of {of}"
    name = f" ({spoken(item.layers[0])})" if item.count == 1 and item.layers[0] != item.label else ""
    return f"{count} {item.label}{name}: {item.decades:+.1f} decades"
