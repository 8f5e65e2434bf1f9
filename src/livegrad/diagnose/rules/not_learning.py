"""LG503 not-learning: the loss stands where a constant answer would have it, though nothing else is wrong.

What it is. The best answer that ignores the input has a known loss: the entropy of the class frequencies, or
the variance of the targets. A model whose loss stays there has learnt at most how frequent the answers are.

Why it happens. The labels do not belong to the inputs (shuffled separately, an index that is off, a wrong
column), or the inputs carry nothing about them; or the weights hardly move because the learning rate is zero
or far too small; or the start was so wild that all steps go into taking it back: logits of N(0, 1) weights
claim the wrong answer with all confidence, and weights of that size take long to change. A network that
cannot hear its loss stands there too, but then that is the fault, and named instead.

How it is decided. The level of a constant answer is read from the targets at the scans, and compared with
the recorded losses only where these are that loss times a fixed factor. Over the later half of the recorded
losses the mean lies no lower than 98 % of the level, three standard errors included; and the robust trend's
95 % interval excludes that such a half again would take off a fifth. Nor does the mean of any stretch (an
eighth of that half, five losses or more) lie under 95 % of it, beyond what noise does. A run that has merely
begun is no evidence: either the weights have come a long way, their steps adding up to their own size or
more, what decay takes left out; or they do not move at all (under a hundred-thousandth of their size a step,
or under a hundredth in all of 200 steps or more; then three quarters of the level will do, which small
batches tell roughly, and the trend as it is). In between nothing is said, but of a loss that comes down from
over twice the level, as much again by its own confidence as by what it does not know, and over the last
quarter still lies above it by three standard errors: such a fall undoes the start and no more. Where the
first answers are smaller than their unit, and it is the targets that lie far off, 200 steps are the fewest,
and a fall that reaches the level in as many steps again is still on its way. A start whose answers are wild
and that over half of the steps took back is said too, though the loss has come under the level since.

In fewer than 40 steps or 12 recorded losses, and in programs that train several models (GANs, actors and
critics), nothing is said. Any other finding of severity warning or error comes first.
"""

import numpy as np

from livegrad.diagnose.decay_share import learnt_share
from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.patient import NO_BETTER, Patient
from livegrad.theory.trend import Trend, block_trend

FEWEST_STEPS = 40
FEWEST_LOSSES = 12
# Another such half would not take this share off the loss.
HOPE = 0.2
# Of 112 healthy trainings all but four had left a constant's loss by the time their weights had come so far.
FAR_WAY = 1.0
# Three standard errors of the mean loss, over the level.
SURE = 0.1
STANDING_STILL = 1e-5
# So many steps in which the weights come no further than this share of their size: at that pace the output
# cannot have come far either.
MANY_STEPS, NO_WAY = 200, 0.01
# A variance from 32 samples is known to a quarter of itself (√(2/32)), and the level is from a few batches.
ROUGHLY = 0.75
STRETCHES, SHORTEST_STRETCH = 8, 5
# A start from so many times the level: as much of it by confidence as by what the answer does not know.
WILD = 2.0
OVER_HALF = 0.5
START_OVER_LEVEL = "loss_at_the_start_over_a_constant_answers"


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    level = patient.constant_loss
    if level is None or not level > 0 or len(patient.run.subjects) > 1 or not patient.is_finite:
        return []
    step, loss = _losses(patient)
    if not len(step) or step[-1] < FEWEST_STEPS or len(loss) < FEWEST_LOSSES or patient.fits:
        return []
    late = np.arange(len(step)) >= len(step) // 2
    pace = _pace(patient)
    if pace is None:
        return []
    way, still = pace * float(step[-1]), _is_still(pace, float(step[-1]))
    standing = _stands(step[late], loss[late], ROUGHLY * level if still else level, still)
    if standing is not None and (still or way >= FAR_WAY):
        return [_finding(patient, level, float(np.mean(loss[late])), standing, pace, step[late])]
    if not patient.learning.first > WILD * level:
        return []
    wild, undone = _answers_wildly(patient), _undone_after(loss, level)
    young = step[-1] < MANY_STEPS or _is_on_its_way(step, loss, level)
    if undone > OVER_HALF if wild else undone == 1.0 and not young:
        return [_of_a_wild_start(patient, level, loss, pace, step, undone)]
    return []


def _losses(patient: Patient) -> tuple[np.ndarray, np.ndarray]:
    step, loss = patient.losses
    known = np.isfinite(loss)
    return step[known], loss[known]


def _stands(step: np.ndarray, loss: np.ndarray, level: float, still: bool) -> Trend | None:
    """Return the trend of a loss that lies no lower than `level` and does not come down, else None.

    still: the weights hardly move; then noise alone is no reason to hope.
    """
    if len(loss) < FEWEST_LOSSES // 2:
        return None
    error = float(np.std(loss, ddof=1)) / len(loss) ** 0.5
    if np.mean(loss) < NO_BETTER * level or 3 * error > SURE * level:
        return None
    stretch = max(SHORTEST_STRETCH, len(loss) // STRETCHES)
    if _lowest(loss, stretch) < min(0.95 * level, level - 4 * _noise(loss) / stretch**0.5):
        return None
    trend = block_trend(step.astype(float), loss)
    ahead = float(step[-1] - step[0])
    fall = -(trend.slope if still else trend.low) * ahead
    return trend if np.isfinite(fall) and fall < HOPE * level else None


def _undone_after(loss: np.ndarray, level: float) -> float:
    """The share of the losses after which they no longer lie above `level`: 1 if the last quarter does."""
    last = loss[-max(3, len(loss) // 4) :]
    if _is_above(last, level):
        return 1.0
    parts = np.array_split(loss, STRETCHES)
    above = [k for k, part in enumerate(parts, 1) if len(part) > 2 and _is_above(part, level)]
    return max(above, default=0) / STRETCHES


def _is_above(loss: np.ndarray, level: float) -> bool:
    return float(np.mean(loss)) - 3 * _noise(loss) / len(loss) ** 0.5 > level


def _answers_wildly(patient: Patient) -> bool:
    """Whether the first answers are larger than their unit, or that is not known."""
    return not patient.profiles or not patient.profiles[0].absolute[-1] < 0


def _is_on_its_way(step: np.ndarray, loss: np.ndarray, level: float) -> bool:
    """Whether at the pace of its last quarter the loss is under `level` in as many steps again: of targets
    with a large mean that is learnt first.
    """
    last = slice(-max(3, len(loss) // 4), None)
    slope = float(np.polyfit(step[last], loss[last], 1)[0])
    return float(np.mean(loss[last])) + slope * float(step[-1] - step[0]) < level


def _lowest(loss: np.ndarray, stretch: int) -> float:
    """The lowest mean of so many losses in a row."""
    if len(loss) < stretch:
        return 0.0
    return float(np.convolve(loss, np.full(stretch, 1 / stretch), "valid").min())


def _noise(loss: np.ndarray) -> float:
    """Standard deviation of a loss about its course, from first differences."""
    return 1.4826 * float(np.median(np.abs(np.diff(loss)))) / 2**0.5


def _pace(patient: Patient) -> float | None:
    """Median share of the weight matrices' size that the loss moves them a step, or None if no update was
    sampled.
    """
    ratios = [
        ratio * learnt_share(patient, patient.tensors[key], ratio)
        for key, ratio in patient.update_ratio.items()
        if key in patient.tensors and len(patient.tensors[key].shape) >= 2 and np.isfinite(ratio)
    ]
    return float(np.median(ratios)) if ratios else None


def _is_still(pace: float, steps: float) -> bool:
    return pace <= STANDING_STILL or (steps >= MANY_STEPS and pace * steps < NO_WAY)


def _finding(
    patient: Patient, level: float, mean: float, trend: Trend, pace: float, step: np.ndarray
) -> Finding:
    still = _is_still(pace, float(step[-1]))
    rate = patient.scalars["learning_rate"]
    cause, advice = _still_words(pace, float(rate[-1])) if still else _moving_words()
    return Finding(
        code="LG503",
        name="not-learning",
        severity="error" if still else "warning",
        subject=patient.subject.name,
        layers=(),
        message=f"the loss stands at {mean:.3g}, where a constant answer would have it ({level:.3g})",
        cause=Cause(cause),
        evidence={
            "loss_in_later_half": mean,
            "loss_of_a_constant_answer": level,
            "loss_change_per_step": trend.slope,
            "loss_change_per_step_low": trend.low,
            "loss_change_per_step_high": trend.high,
            "usual_update_over_weights": pace,
            "way_of_the_weights_in_their_own_size": pace * float(step[-1]),
        },
        explanation=(
            "The model does no better than if it did not look at its input. " + _excluded(patient, still)
        ),
        first_step=int(step[0]),
        last_step=int(step[-1]),
        remedies=(Remedy("schedule"),) if still else (Remedy("data"),),
        next=advice,
    )


def _of_a_wild_start(
    patient: Patient, level: float, loss: np.ndarray, pace: float, step: np.ndarray, undone: float
) -> Finding:
    first, last = patient.learning.first, patient.learning.last
    since = (
        f"is still above it at {last:.3g}"
        if undone == 1.0
        else f"took {undone:.0%} of the steps to undo that"
    )
    no_better = (
        "The model does no better yet than if it did not look at its input: what the steps took off so far is"
    )
    lost = no_better if undone == 1.0 else "What most of the steps took off the loss was"
    return Finding(
        code="LG503",
        name="not-learning",
        severity="warning",
        subject=patient.subject.name,
        layers=(),
        message=f"the loss began at {first:.3g}, at {first / level:.2g} times a constant answer's "
        f"({level:.3g}), and {since}",
        cause=Cause("its first answers lie far from the targets, and training takes them back first"),
        evidence={
            "loss_at_the_start": first,
            "loss_over_the_last_quarter": last,
            "loss_of_a_constant_answer": level,
            START_OVER_LEVEL: first / level,
            "usual_update_over_weights": pace,
            "way_of_the_weights_in_their_own_size": pace * float(step[-1]),
        },
        explanation=f"{lost} what its first answers were off by. {_excluded(patient, still=False)}",
        first_step=int(step[0]),
        last_step=int(step[-1]),
        remedies=(Remedy("init"),),
        next="Draw the weights for their activations, the readout's small, and bring a regression's targets "
        "to mean 0 and spread 1, so that training begins at about a constant answer's loss.",
    )


def _still_words(pace: float, rate: float) -> tuple[str, str]:
    return (
        f"the weights hardly move: {pace:.1e} of their size a step at a learning rate of {rate:g}",
        "Raise the learning rate by tens until the loss moves, and check that the schedule does not begin at "
        "zero.",
    )


def _moving_words() -> tuple[str, str]:
    return (
        "what the model is told does not seem to depend on what it is shown",
        "Look at a few inputs beside their targets exactly as they reach the loss; then train on one small "
        "batch alone: if it can be learnt by heart, the pairing of the data is at fault and not the network.",
    )


def _excluded(patient: Patient, still: bool) -> str:
    """Say what was looked at and found well."""
    well = ["every recorded number is finite"]
    if patient.profiles:
        quietest = min(float(np.nanmin(profile.relative)) for profile in patient.profiles[-1:])
        if quietest > -3:
            well.append("every layer is heard at the output")
    if not still:
        well.append("the weights move")
    return "Excluded: " + ", ".join(well) + "."
