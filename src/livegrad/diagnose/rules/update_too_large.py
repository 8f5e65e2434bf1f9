"""LG402 update-too-large: single steps change the weights by a large part of themselves, and the loss does
not follow.

What it is. A healthy step changes a weight matrix by about a thousandth of its norm. A step as large as the
matrix forgets what was learnt; it kills rectifiers and makes losses jump.

How it is decided. ‖ΔW‖/‖W‖ of a weight matrix is over 0.3 in the median of the sampled steps, or over 1 in
any step after the first, and the loss is not falling (or is not finite). Over 0.03 in the median is enough
where the loss of a program's one model has fallen back: its mean over the last quarter lies over that of its
best eighth by a fifth and by six standard errors, for steps of that size soon add up to all of the weights;
or where decay alone takes over a hundredth a step, learning rate times weight decay, so that whatever was
learnt a hundred steps ago is forgotten. A large step from which training recovers is not held against it,
nor are matrices that start at zero or next to it, as class tokens and gates do: their first steps are larger
than they are, and rightly so.
"""

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.naming import layers_text
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.places import source_of
from livegrad.run.schema import Tensor

USUAL_STEP = 0.3
SINGLE_STEP = 1.0
# What is enough once the loss has fallen back: by this share, and so many standard errors.
WIDE_STEP = 0.03
FALLEN_BACK, ERRORS = 0.2, 6.0
FEWEST_LOSSES = 64
# Share of the weights that decay takes a step: 1 over the steps that they remember.
FORGETS = 0.01
# √fan-in · rms of a matrix that starts next to zero; those drawn for an activation lie between 0.3 and 3.
NEAR_ZERO_GAIN = 0.01


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    if patient.is_finite and patient.is_learning:
        return []
    found = [(t, *sizes) for t in patient.tensors.values() if (sizes := update_sizes(patient, t)) is not None]
    alone = len(patient.run.subjects) == 1
    wide = alone and (fell_back(patient.losses[1]) or _decay(patient) > FORGETS)
    enough = WIDE_STEP if wide else USUAL_STEP
    large = [(t, usual, most, step) for t, usual, most, step in found if usual > enough or most > SINGLE_STEP]
    if not large or (patient.learning.state == "unknown" and patient.is_finite and not _by_far(large)):
        return []
    names = tuple(dict.fromkeys(t.module or t.name for t, *_ in large))
    worst = max(large, key=lambda entry: entry[2])
    rate = patient.scalars["learning_rate"]
    return [
        Finding(
            code="LG402",
            name="update-too-large",
            severity="error",
            subject=patient.subject.name,
            layers=names,
            layers_text=layers_text(names),
            source=patient.optimizer_line(worst[0]) or source_of(patient, [worst[0]]),
            message=f"one step changed {worst[0].name} by {_times(worst[2])} its own size",
            cause=Cause(_why(_decay(patient), rate), patient.optimizer_of(worst[0])),
            evidence={
                "largest_update_over_weights": worst[2],
                "usual_update_over_weights": float(np.median([usual for _, usual, _, _ in large])),
                "first_such_step": min(step for *_, step in large),
                "matrices_count": len(large),
                "learning_rate": float(rate[0]) if len(rate) else None,
                "loss_at_start": patient.learning.first,
                "loss_at_end": patient.learning.last,
            },
            explanation=(
                "A step as large as the weights themselves throws away what they held, instead of "
                "improving it."
            ),
            first_step=min(step for *_, step in large),
            last_step=int(patient.pulses.step[-1]),
            remedies=(Remedy("schedule"), Remedy("clip")),
            next=(
                "Lower the learning rate ten times and look again; a warm-up and gradient clipping guard "
                "the first steps."
            ),
        )
    ]


def _decay(patient: Patient) -> float:
    """The largest share of its weights that an optimizer's decay takes a step. Of Adam's own decay, which is
    added to the gradient and divided with it, that is not known.
    """
    shares = [0.0]
    for optimizer in patient.subject.optimizers:
        rate, decay = optimizer.settings.get("lr"), optimizer.settings.get("weight_decay")
        if isinstance(rate, int | float) and isinstance(decay, int | float):
            shares.append(rate * decay if optimizer.type in ("AdamW", "SGD") else 0.0)
    return max(shares)


def fell_back(loss: np.ndarray) -> bool:
    """Whether the losses (S,) end well over what they had come down to."""
    known = loss[np.isfinite(loss)]
    if len(known) < FEWEST_LOSSES:
        return False
    eighth, last = len(known) // 8, known[-(len(known) // 4) :]
    means = [float(np.mean(known[i : i + eighth])) for i in range(0, len(known) - eighth + 1, eighth)]
    noise = 1.4826 * float(np.median(np.abs(np.diff(known)))) / 2**0.5
    error = noise * (1 / eighth + 1 / len(last)) ** 0.5
    rise = float(np.mean(last)) - min(means)
    return rise > max(FALLEN_BACK * abs(min(means)), ERRORS * error)


def update_sizes(patient: Patient, tensor: Tensor) -> tuple[float, float, int] | None:
    """Return (median, largest, first step over 1) of a matrix's ‖ΔW‖/‖W‖; None if it starts next to 0."""
    if len(tensor.shape) < 2 or tensor.count < 16:
        return None
    pulses = patient.pulses
    column = np.flatnonzero(pulses.tensor == tensor.id)
    if not len(column):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (pulses.update_norm / pulses.weight_norm)[:, column[0]]
    weight = pulses.weight_norm[:, column[0]]
    known = np.flatnonzero(np.isfinite(ratio) & (weight > 0))
    if not len(known) or weight[np.isfinite(weight)][0] < NEAR_ZERO_GAIN * np.sqrt(tensor.shape[0]):
        return None
    large = known[ratio[known] > SINGLE_STEP]
    at = large[0] if len(large) else known[int(np.argmax(ratio[known]))]
    return float(np.median(ratio[known])), float(ratio[known].max()), int(pulses.step[at])


def _by_far(large: list[tuple[Tensor, float, float, int]]) -> bool:
    return max(most for _, _, most, _ in large) > 10 * SINGLE_STEP


def _why(decay: float, rate: np.ndarray) -> str:
    if decay > FORGETS:
        return f"weight decay takes {decay:.1%} of the weights a step, at a learning rate of {_shown(rate)}"
    return f"the learning rate ({_shown(rate)}) is too high for these gradients"


def _times(ratio: float) -> str:
    return f"{ratio:.0%} of" if ratio < 2 else f"{ratio:.3g} times"


def _shown(rate: np.ndarray) -> str:
    finite = rate[np.isfinite(rate)]
    return f"{finite[0]:g}" if len(finite) else "unknown"
