"""Layers of two runs side by side: which are heard better or worse, which move again or stopped moving."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from livegrad.diagnose.harm import STARVED_AGAINST_OTHERS, STARVED_ALONE, turnover
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.rules.dead_units import DEAD_SHARE
from livegrad.diagnose.rules.saturation import SATURATED_SHARE
from livegrad.diagnose.rules.update_too_large import USUAL_STEP
from livegrad.diagnose.rules.vanishing_gradient import HARMFUL_DECADES, NULL_DEVIATIONS
from livegrad.run.scans import Scan

# A change of less is no change: the same program started twice with other seeds differs by as much.
CHANGED_DECADES = 1.0


@dataclass(frozen=True)
class LayerState:
    """One layer of one run at one scan.

    audibility: over the output's; NaN where it was not measured. null_sd: in decades, what finite width
    alone does to it. broken: its activation or gradient is not finite. pace: "starved", "moving", "too fast"
    or None where no update was sampled.
    """

    name: str
    kind: str
    type: str
    depth: int
    audibility: float
    null_sd: float
    gradient_rms: float
    turnover_steps: float | None
    pace: str | None
    saturated: float
    dead: float
    broken: bool

    @property
    def distance(self) -> float:
        """Decades between the layer's audibility and the output's, either way; NaN where it is unknown."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(abs(np.log10(self.audibility)))


@dataclass(frozen=True)
class LayerChange:
    """A layer that both runs have. change: "better", "worse", "mixed", "alike" or "unknown"."""

    before: LayerState
    after: LayerState
    change: str
    reasons: tuple[str, ...]

    def to_json(self, subject: str) -> dict[str, Any]:
        """Return the change as the JSON document holds it."""
        names = ("audibility", "gradient_rms", "turnover_steps", "saturated", "dead")
        return {
            "subject": subject,
            "name": self.after.name,
            "kind": self.after.kind,
            "type": self.after.type,
            "depth": self.after.depth,
            "change": self.change,
            "reasons": list(self.reasons),
            **{name: [_known(getattr(state, name)) for state in (self.before, self.after)] for name in names},
        }


def common_step(before: Patient, after: Patient) -> tuple[int, int] | None:
    """Return the steps of the scans to compare: the last that both measured at, else the last of each."""
    steps = [[profile.step for profile in patient.profiles] for patient in (before, after)]
    steps = [
        known or [scan.step for scan in patient.scans]
        for known, patient in zip(steps, (before, after), strict=True)
    ]
    if not all(steps):
        return None
    shared = set(steps[0]) & set(steps[1])
    return (max(shared), max(shared)) if shared else (steps[0][-1], steps[1][-1])


def layer_states(patient: Patient, step: int) -> dict[str, LayerState]:
    """Return the layers of the scan at `step` by name, input side first; a name met again gets a number."""
    scan = next(scan for scan in reversed(patient.scans) if scan.step == step)
    pace = _paces(patient)
    found: dict[str, LayerState] = {}
    rows = sorted(range(len(scan)), key=lambda row: patient.layers[int(scan.layer[row])].depth)
    for row in rows:
        if patient.layers[int(scan.layer[row])].kind == "input":
            continue
        state = _state(patient, scan, row, pace)
        name, again = state.name, 2
        while name in found:
            name, again = f"{state.name} ({again})", again + 1
        found[name] = state
    return found


def _paces(patient: Patient) -> dict[int, str]:
    """Tensor id -> pace of each weight matrix whose updates were sampled."""
    ratios = {
        t.id: patient.update_ratio[t.id]
        for t in patient.tensors.values()
        if t.trainable and len(t.shape) >= 2 and t.id in patient.update_ratio
    }
    finite = [ratio for ratio in ratios.values() if np.isfinite(ratio)]
    usual = float(np.quantile(finite, 0.75)) if finite else 0.0
    slowest = max(STARVED_ALONE, STARVED_AGAINST_OTHERS * usual)
    return {
        k: "starved" if ratio < slowest else "too fast" if ratio > USUAL_STEP else "moving"
        for k, ratio in ratios.items()
    }


def _state(patient: Patient, scan: Scan, row: int, pace: dict[int, str]) -> LayerState:
    layer = patient.layers[int(scan.layer[row])]
    matrices = [t for t in layer.tensors if t in pace]
    ratios = [patient.update_ratio[t] for t in matrices]
    with np.errstate(divide="ignore", invalid="ignore"):
        audibility = float(scan.audibility[row] / scan.audibility_output[row])
    kinds = {pace[t] for t in matrices}
    worst = next((kind for kind in ("starved", "too fast", "moving") if kind in kinds), None)
    return LayerState(
        name=layer.name,
        kind=layer.kind,
        type=layer.type,
        depth=layer.depth,
        audibility=audibility,
        null_sd=float(scan.null_sd[row]) / float(np.log(10.0)),
        gradient_rms=float(scan.gradient_rms[row]),
        turnover_steps=turnover(float(np.median(ratios))) if ratios else None,
        pace=worst,
        saturated=float(scan.saturated[row]),
        dead=float(scan.dead[row]),
        broken=bool(scan.nonfinite[row] > 0 or not np.isfinite(scan.activation_rms[row])),
    )


def judge_layer(before: LayerState, after: LayerState, fits: bool = False) -> LayerChange:
    """Say whether a layer got better or worse.

    By its audibility, if that came nearer to the output's (or went further) by a decade or more, and by more
    than finite width does, and if one of the two lies two decades off; by its pace, unless the outputs fit
    (`fits`) and small steps are right; by the shares of saturated and dead units crossing the findings'
    thresholds. The gradient is not judged: it shrinks as the loss does.
    """
    better, worse = _by_audibility(before, after)
    if not fits and None not in (before.pace, after.pace) and before.pace != after.pace:
        (better if after.pace == "moving" else worse if before.pace == "moving" else []).append(
            f"{before.pace} before, {after.pace} now"
        )
    for word, limit in (("saturated", SATURATED_SHARE), ("dead", DEAD_SHARE)):
        was, now = getattr(before, word), getattr(after, word)
        if was > limit >= now or now > limit >= was:
            (better if was > now else worse).append(f"{was:.0%} {word} before, {now:.0%} now")
    known = np.isfinite(before.distance + after.distance) or before.pace == after.pace is not None
    change = "mixed" if better and worse else "better" if better else "worse" if worse else "alike"
    if change == "alike" and not known and np.isnan([before.distance, after.distance]).any():
        change = "unknown"
    return LayerChange(before, after, change, (*better, *worse))


def _by_audibility(before: LayerState, after: LayerState) -> tuple[list[str], list[str]]:
    if before.broken != after.broken:
        return (["finite again"], []) if before.broken else ([], ["not finite any more"])
    was, now = before.distance, after.distance
    if np.isnan([was, now]).any() or was == now:
        return [], []
    needed = max(
        CHANGED_DECADES, NULL_DEVIATIONS * float(np.nan_to_num(np.hypot(before.null_sd, after.null_sd)))
    )
    if max(was, now) <= -HARMFUL_DECADES or abs(was - now) < needed:
        return [], []
    by = abs(was - now)
    amount = (
        "from silence"
        if np.isinf(by) and was > now
        else "to silence"
        if np.isinf(by)
        else f"{by:.1f} decades"
    )
    return (
        ([f"{amount} nearer to the output's audibility"], [])
        if was > now
        else ([], [f"{amount} further from the output's audibility"])
    )


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value
