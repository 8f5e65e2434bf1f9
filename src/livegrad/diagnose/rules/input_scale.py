"""LG501 input-scale: what the model is given lies far from unit size, and the model suffers by it.

What it is. Initializations and learning rates are made for inputs of mean 0 and size 1. Grey values up to
255, prices, years and other raw features are far from it; one such column among others of size 1 hides
these.

Why it matters. The first layer's output and its gradient grow with the inputs: activations behind it
saturate or die, and its steps are too large at a rate at which the others learn. Far too small inputs drown
in the biases. Inputs that are all nearly one vector (a large offset, one huge column) cannot be told apart.

How it is decided. The rms of each floating-point input of the model over 10 or under 0.03, or samples whose
mean cosine is over 0.99 while one direction holds nearly all of them (effective rank under 1.2), at most of
the scans. That alone is at most mentioned: a normalization may come first, and many nets bear it. It is an
error only where the loss does not come down and the harm is seen: behind the first weights most units are
saturated or dead; or their output is over ten, or under a hundredth; or the first matrix makes up nearly all
of the gradient's norm or takes steps of a tenth of itself; or, for inputs that are all alike what leaves
the first weights is so too, or for large ones it is so from the start.
"""

from dataclasses import dataclass

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.gradient_share import module_shares
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.patient import Patient
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer

LARGE, SMALL = 10.0, 0.03
ALIKE, ONE_DIRECTION = 0.99, 1.2
MOST, NEARLY_ALL = 0.5, 0.8
DOMINATES = 0.9
LARGE_STEP = 0.1
BEHIND = 3


@dataclass(frozen=True)
class Given:
    """One input over all scans, medians. constant: share of entries that never change within a batch."""

    layer: Layer
    rms: float
    mean: float
    constant: float
    similarity: float
    rank: float

    @property
    def fault(self) -> str | None:
        """ "large", "small", "alike" or None."""
        if self.rms > LARGE:
            return "large"
        if 0 < self.rms < SMALL:
            return "small"
        alike = self.similarity > ALIKE and self.rank < ONE_DIRECTION
        return "alike" if alike else None


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    # What a generator makes may well be all alike, and is nobody's data.
    several = len(patient.run.subjects) > 1
    odd = [g for g in _inputs(patient) if g.fault is not None and not (several and g.fault == "alike")]
    if not odd:
        return []
    worst = max(odd, key=lambda given: abs(np.log10(given.rms)) if given.rms > 0 else 0.0)
    learns = patient.is_learning and patient.is_finite
    harm = _harm(patient, worst, learns)
    if harm is None and worst.fault == "alike":
        return []
    return [_finding(patient, worst, harm, _severity(harm, learns))]


def _inputs(patient: Patient) -> list[Given]:
    rows: dict[int, list[tuple[float, ...]]] = {}
    for scan in patient.scans:
        for row, key in enumerate(scan.layer):
            if patient.layers[int(key)].kind == "input":
                columns = (
                    scan.activation_rms,
                    scan.activation_mean,
                    scan.dead,
                    scan.similarity,
                    scan.effective_rank,
                )
                rows.setdefault(int(key), []).append(tuple(float(column[row]) for column in columns))
    return [Given(patient.layers[key], *np.median(seen, axis=0).tolist()) for key, seen in rows.items()]


def _severity(harm: str | None, learns: bool) -> str:
    if harm is None:
        return "info"
    return "warning" if learns else "error"


def _harm(patient: Patient, given: Given, learns: bool) -> str | None:
    """Say how the first weights suffer by this input, or None where nothing is seen.

    While the loss comes down only units that nearly all are saturated or dead count.
    """
    scan = patient.scans[-1]
    spine = sorted(
        (patient.layers[int(key)].depth, row)
        for row, key in enumerate(scan.layer)
        if patient.layers[int(key)].kind == "depth"
    )
    first = next(
        (i for i, (_, row) in enumerate(spine) if patient.layers[int(scan.layer[row])].tensors), None
    )
    if first is None:
        return None
    near = [row for _, row in spine[first : first + BEHIND]]
    flat = (
        _flat_behind(patient, scan, near, NEARLY_ALL if learns else MOST) if given.fault != "alike" else None
    )
    if flat or learns:
        return flat
    seen = _size_behind(patient, scan, near[0], given)
    return seen or _pace_of_first(patient, patient.layers[int(scan.layer[near[0]])], given)


def _flat_behind(patient: Patient, scan: Scan, near: list[int], most: float) -> str | None:
    for row in near:
        for share, word in ((scan.saturated[row], "saturated"), (scan.dead[row], "dead")):
            if np.isfinite(share) and share > most:
                return f"{share:.0%} of {spoken(patient.layers[int(scan.layer[row])].name)} is {word}"
    return None


def _size_behind(patient: Patient, scan: Scan, row: int, given: Given) -> str | None:
    name = spoken(patient.layers[int(scan.layer[row])].name)
    size, alike = float(scan.activation_rms[row]), float(scan.similarity[row])
    if given.fault == "large" and size > LARGE:
        return f"the output of {name} has rms {size:.3g}"
    # Large inputs drive the gates inside a recurrent layer into saturation, and that is all that shows of it.
    # Later it may come of other things: all samples getting one answer.
    if given.fault == "large":
        alike = _at_first(patient, scan.layer[row])
    if given.fault in ("alike", "large") and alike > ALIKE:
        return f"what leaves {name} is the same for all samples (cosine {alike:.3f})"
    if given.fault == "small" and size < LARGE_STEP**2:
        return f"the output of {name} has rms {size:.2g}"
    return None


def _at_first(patient: Patient, layer: int) -> float:
    """The mean cosine of what leaves a layer, at the first scan."""
    scan = patient.scans[0]
    rows = np.flatnonzero(scan.layer == layer)
    return float(scan.similarity[rows[0]]) if len(rows) else 0.0


def _pace_of_first(patient: Patient, first: Layer, given: Given) -> str | None:
    if given.fault != "large":
        return None
    ratios = [patient.update_ratio[t] for t in first.tensors if t in patient.update_ratio]
    if ratios and max(ratios) > LARGE_STEP:
        return f"a step changes {spoken(first.name)} by {max(ratios):.0%} of itself"
    share = module_shares(patient, np.arange(len(patient.pulses.step))).get(first.module or first.name, 0.0)
    return f"{spoken(first.name)} makes up {share:.0%} of the gradient's norm" if share > DOMINATES else None


_WORDS = {
    "large": ("far over unit size", "Standardize the inputs: subtract the mean and divide by the standard "
    "deviation "
              "of each column over the training set (ToTensor and Normalize for images)."),
    "small": ("far under unit size", "Divide the inputs by their standard deviation over the training set."),
    "alike": ("nearly the same vector for every sample", "Subtract each column's mean over the training "
    "set, divide "
              "by its standard deviation, and look for one column that is far larger than the rest."),
}  # fmt: skip


def _finding(patient: Patient, given: Given, harm: str | None, severity: str) -> Finding:
    words, advice = _WORDS[given.fault or "large"]
    name = given.layer.name
    return Finding(
        code="LG501",
        name="input-scale",
        severity=severity,
        subject=patient.subject.name,
        layers=(name,),
        layers_text=layers_text((name,)),
        source=given.layer.source,
        message=f"{name} is {words}: rms {given.rms:.3g}"
        + (f", mean {given.mean:.3g}" if np.isfinite(given.mean) else ""),
        cause=Cause(harm or "no harm by it is seen"),
        evidence={
            "input_rms": given.rms,
            "input_mean": given.mean,
            "constant_entries_share": given.constant,
            "input_similarity": given.similarity,
            "input_effective_rank": given.rank,
            "loss_at_start": patient.learning.first,
            "loss_at_end": patient.learning.last,
        },
        explanation=(
            "Initial weights and learning rates are made for inputs of unit size."
            + (
                f" Here {harm}."
                if harm
                else " This model copes: the loss comes down, or a normalization comes first."
            )
        ),
        first_step=patient.scans[0].step,
        last_step=patient.scans[-1].step,
        remedies=(Remedy("data"), Remedy("normalize")),
        next=advice
        if harm
        else "Nothing needs doing; standardized inputs would allow a higher learning rate.",
    )
