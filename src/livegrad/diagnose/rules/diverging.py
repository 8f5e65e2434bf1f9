"""LG106 diverging: the loss leaves the range it had, and the steps grow with it.

What it is. Training runs away: each step makes the loss larger and the next step longer. Left alone it ends
in NaN.

Why it happens. The learning rate is over what the loss's curvature bears (2/λ for gradient descent), or
momentum adds up steps that all point the wrong way, or weights without decay grow until it is so.

How it is decided. The median of the last quarter of the losses lies over the highest of the first third by
more than the range of that third (its 5th to 95th percentile, so noise cannot do it); from there on the
losses have a trend upwards whose 95 % interval excludes zero; and the applied updates' norm has one too, or
where too few of them were sampled the gradient's. A loss that is high because the task changed does not go
on rising with its steps. In programs that train several models the losses of adversaries rise and fall with
each other, and nothing is said. Where a finding says why (an exploding gradient, updates too large, a spike,
NaN), that is reported instead.
"""

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.patient import Patient
from livegrad.theory.trend import block_trend

FEWEST = 18
FEWEST_UPDATES = 5
UPPER, LOWER = 95, 5


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    step, loss = patient.losses
    known = np.isfinite(loss)
    step, loss = step[known].astype(float), loss[known]
    if len(loss) < FEWEST or len(patient.run.subjects) > 1:
        return []
    third = len(loss) // 3
    early, late = loss[:third], loss[third:]
    last = float(np.median(loss[-max(3, len(loss) // 4) :]))
    top, low = np.percentile(early, [UPPER, LOWER])
    if not last > early.max() + (top - low):
        return []
    # What grows by a factor a step is straight in its logarithm; a loss may be negative, a rise over the
    # range not.
    rising = block_trend(step[third:], np.log(np.maximum(late - low, 1e-300)))
    growing, what = _growth(patient, step[third])
    if not rising.low > 0 or growing is None or not growing > 0:
        return []
    return [_finding(patient, last, float(early.max()), rising.slope, growing, what, int(step[third]))]


def _growth(patient: Patient, since: float) -> tuple[float | None, str]:
    """Return by how many nats a step the updates grow (None: they surely do not), and what was measured."""
    pulses = patient.pulses
    squares = pulses.update_norm**2
    sampled = np.isfinite(squares).any(axis=1) & (pulses.step >= since)
    if sampled.sum() >= FEWEST_UPDATES:
        what, rows, size = "updates", sampled, 0.5 * np.log(np.nansum(squares, axis=1) + 1e-300)
    else:
        norm = np.sqrt(np.nansum(pulses.gradient_norm**2, axis=1))
        what, rows, size = "gradient", (pulses.step >= since) & (norm > 0), np.log(norm + 1e-300)
    trend = block_trend(pulses.step[rows].astype(float), size[rows])
    return (trend.slope if trend.low > 0 else None), what


def _finding(
    patient: Patient, last: float, top: float, rise: float, growth: float, what: str, since: int
) -> Finding:
    rate = patient.scalars["learning_rate"]
    known = rate[np.isfinite(rate)]
    shown = f"{known[-1]:g}" if len(known) else "unknown"
    kinds = " and ".join(dict.fromkeys(o.type for o in patient.subject.optimizers)) or None
    return Finding(
        code="LG106",
        name="diverging",
        severity="error",
        subject=patient.subject.name,
        layers=(),
        message=f"the loss rose to {last:.3g}, out of the range it had (up to {top:.3g}), and its steps grow",
        cause=Cause(f"at a learning rate of {shown} each step makes the next one longer", kinds),
        evidence={
            "loss_at_end": last,
            "loss_highest_in_first_third": top,
            "loss_growth_nats_per_step": rise,
            f"{what}_growth_nats_per_step": growth,
            "learning_rate": float(known[-1]) if len(known) else None,
        },
        explanation=(
            "A loss that rises together with its steps does not come back by itself: it ends in NaN, or in a "
            "place far from where it began."
        ),
        first_step=since,
        last_step=int(patient.scalars["step"][-1]),
        remedies=(Remedy("schedule"), Remedy("clip")),
        next=(
            "Lower the learning rate three to ten times (or the momentum), and clip the gradient by its "
            "global norm so that a run that begins to diverge is held."
        ),
    )
