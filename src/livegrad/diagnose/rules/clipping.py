"""LG403 clipping-always-on: the gradient is clipped at nearly every step, and by a lot.

What it is. Clipping is meant for the rare gradient that is too large. If nearly every gradient is over the
limit then every step has the same length, and the limit is the learning rate.

Why it matters. Under SGD the step is then limit · rate whatever the gradient says: far smaller than meant,
and no smaller as training converges. Adam divides by the gradient's own size, so a factor that hardly
changes cancels; there it does no harm. Many recipes for language models clip at 1.0 and do so at most early
steps; that is well.

How it is decided. Of the recorded steps of the later half at least nine in ten were clipped, and the median
factor is under a half. That by itself is only mentioned. It is a warning if the optimizer does not divide by
the gradient's size, the loss does not come down, and the weights need over ten thousand steps to become
others: then clipping starves them. The limit recommended is the 90 % quantile of the recorded norms of that
half: it cuts one step in ten, the largest. (Pascanu et al. 2013 take half to ten times the mean norm.)
"""

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.gradient_share import module_shares
from livegrad.diagnose.harm import turnover
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.optimizer_kind import SCALE_FREE
from livegrad.diagnose.patient import Patient

NEARLY_EVERY = 0.9
BY_A_LOT = 0.5
CLIPPED = 0.99
FEWEST = 12
STARVED_TURNOVER = 1e4
QUANTILE = 0.9


def find(patient: Patient) -> list[Finding]:
    """Return a finding per optimizer whose gradients are clipped all the time."""
    scalars = patient.scalars
    found = []
    for optimizer in np.unique(scalars["optimizer"]):
        rows = np.flatnonzero((scalars["optimizer"] == optimizer) & np.isfinite(scalars["clip_limit"]))
        rows = rows[len(rows) // 2 :]
        factor = scalars["clip_factor"][rows]
        rows, factor = rows[np.isfinite(factor)], factor[np.isfinite(factor)]
        if len(rows) < FEWEST // 2:
            continue
        share = float(np.mean(factor < CLIPPED))
        if share >= NEARLY_EVERY and np.median(factor) < BY_A_LOT:
            found.append(_finding(patient, int(optimizer), rows, factor, share))
    return found


def _severity(patient: Patient, optimizer: int) -> str:
    kind = patient.subject.optimizers[optimizer].type if optimizer < len(patient.subject.optimizers) else "?"
    if kind in SCALE_FREE or patient.is_learning or patient.fits:
        return "info"
    slow = _pace(patient, optimizer) < 1 / STARVED_TURNOVER
    return "warning" if slow else "info"


def _pace(patient: Patient, optimizer: int) -> float:
    ratios = [
        patient.update_ratio[t.id]
        for t in patient.tensors.values()
        if t.optimizer == optimizer and len(t.shape) >= 2 and t.id in patient.update_ratio
    ]
    return float(np.median(ratios)) if ratios else float("inf")


def _finding(patient: Patient, optimizer: int, rows: np.ndarray, factor: np.ndarray, share: float) -> Finding:
    scalars = patient.scalars
    norms = scalars["gradient_norm"][rows]
    norms = norms[np.isfinite(norms)]
    steps = scalars["step"][rows]
    shares = module_shares(patient, np.flatnonzero(np.isin(patient.pulses.step, steps)))
    names = tuple(name for name, part in list(shares.items())[:5] if part > 0.1)
    limit = float(scalars["clip_limit"][rows][-1])
    wanted = float(np.quantile(norms, QUANTILE)) if len(norms) else float("nan")
    severity = _severity(patient, optimizer)
    pace = _pace(patient, optimizer)
    return Finding(
        code="LG403",
        name="clipping-always-on",
        severity=severity,
        subject=patient.subject.name,
        layers=names,
        layers_text=layers_text(names),
        source=patient.subject.optimizers[optimizer].clip
        if optimizer < len(patient.subject.optimizers)
        else None,
        message=f"the gradient is clipped at {share:.0%} of the steps, to {np.median(factor):.2g} of itself",
        cause=Cause(
            f"the limit {limit:g} lies far under the usual norm, {np.median(norms):.3g}"
            + (f"; {spoken(names[0])} alone makes up {shares[names[0]]:.0%} of it" if names else "")
        ),
        evidence={
            "clipped_steps_share": share,
            "median_clip_factor": float(np.median(factor)),
            "clip_limit": limit,
            "median_gradient_norm": float(np.median(norms)) if len(norms) else None,
            "recommended_clip_limit": wanted,
            "turnover_steps": turnover(pace) if np.isfinite(pace) else None,
        },
        explanation=(
            "Every step has the length that the limit gives it, so the limit is the learning rate; at this "
            "one the weights hardly move."
            if severity == "warning"
            else "Every step has the length that the limit gives it. The loss does not suffer by it."
        ),
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        remedies=(Remedy("clip"), Remedy("schedule")),
        next=(
            f"Raise the limit to about {wanted:.2g}, the norm that nine in ten of the recorded steps stay "
            "under, and lower the learning rate if the loss then jumps."
            if severity == "warning"
            else f"Nothing needs doing; a limit of {wanted:.2g} would cut one step in ten."
        ),
    )
