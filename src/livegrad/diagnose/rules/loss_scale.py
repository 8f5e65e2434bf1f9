"""LG303 loss-scale-thrash: the GradScaler skips steps again and again.

What it is. A GradScaler multiplies the loss so that small gradients survive in float16, halves its factor
and skips the step when a gradient overflows, and doubles it after some thousand good steps. A few halvings
at the start find the right factor, and one skipped step in a few thousand is how it works. Skipping every
few steps is not: those batches are never learnt from, and the factor sinks until small gradients underflow.

Why it happens. Some activation or gradient overflows whatever the factor: an exploding layer, a sum or a
norm taken in float16 (its largest number is 65504), a division by nearly zero, an infinite loss for some
batches.

How it is decided. The halvings up to the first eight good steps in a row are the search for the factor and
not counted. After that, at least four skipped steps, and over a twentieth of all, is a warning; it is an
error if the loss does not come down, if a third of the steps is skipped, or if the factor has sunk under
one: then it is not the scaling that overflows. A growth_interval under 20 that the program chose makes such
skips by itself.
"""

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.patient import Patient

FEWEST = 4
OFTEN, VERY_OFTEN = 0.05, 1 / 3
SEARCH_OVER = 8


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    scale = patient.scalars["loss_scale"]
    if not len(scale) or not (scale != 1).any() or len(patient.run.subjects) > 1:
        return []
    step = patient.scalars["step"]
    skipped = _skipped_steps(step, scale)
    begin = _search_end(step, scale, skipped)
    sinks = float(scale[np.isfinite(scale)][-1]) < 1
    late = skipped if sinks else skipped[skipped >= begin]
    steps = int(step[-1]) + 1 - (0 if sinks else begin)
    if len(late) < FEWEST or steps <= 0 or len(late) / steps < OFTEN:
        return []
    share = len(late) / steps
    bad = sinks or share > VERY_OFTEN or not patient.is_learning
    return [_finding(patient, late, share, "error" if bad else "warning")]


def _skipped_steps(step: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Steps that the scaler skipped, ascending, as often as its factor was halved after them.

    Between two recorded steps only the sum of its moves is seen, so this is the least number of skips.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        halved = np.nan_to_num(np.log2(scale[:-1] / scale[1:]), nan=0.0, posinf=0.0, neginf=0.0)
    times = np.clip(np.round(halved), 0, None).astype(int)
    return np.repeat(step[:-1], times)


def _search_end(step: np.ndarray, scale: np.ndarray, skipped: np.ndarray) -> int:
    """The step by which the scaler had found its factor: it grew, or no skip came for a while."""
    with np.errstate(invalid="ignore"):
        grown = np.flatnonzero(np.diff(scale) > 0)
    limit = int(step[grown[0]]) if len(grown) else int(step[-1])
    last = -1
    for each in skipped:
        if each - last > SEARCH_OVER or each >= limit:
            break
        last = int(each)
    return last + 1


def _finding(patient: Patient, late: np.ndarray, share: float, severity: str) -> Finding:
    scale = patient.scalars["loss_scale"]
    known = scale[np.isfinite(scale)]
    return Finding(
        code="LG303",
        name="loss-scale-thrash",
        severity=severity,
        subject=patient.subject.name,
        layers=(),
        message=f"the GradScaler skipped {len(late)} steps ({share:.0%}), and its scale is {known[-1]:g}",
        cause=Cause(
            "gradients overflow although the loss is no longer scaled up"
            if known[-1] < 1
            else "gradients overflow float16 (over 65504) again and again",
            "GradScaler",
        ),
        evidence={
            "skipped_steps_count": len(late),
            "skipped_steps_share": share,
            "loss_scale_highest": float(known.max()),
            "loss_scale_at_end": float(known[-1]),
        },
        explanation=(
            "A skipped step teaches nothing, and each halving of the scale takes small gradients closer to "
            "zero."
        ),
        first_step=int(late[0]),
        last_step=int(late[-1]),
        remedies=(Remedy("precision"), Remedy("clip"), Remedy("normalize")),
        next=(
            "Find what overflows: keep sums, norms and divisions in float32 (torch.autocast(enabled=False) "
            "around them), look for layers whose gradient explodes, or use bfloat16 without a scaler."
        ),
    )
