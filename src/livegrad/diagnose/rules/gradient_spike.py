"""LG105 gradient-spike: on a few steps the gradient is many times what it is on the steps around them.

What it is. A rare outlier of the gradient's norm against the run's own history: a batch that is broken or
very unlike the others, a division by something near zero, the edge of what the learning rate can bear.

Why it matters. Under SGD the step is as large as the gradient; under Adam a spike stays in the second moment
for 1/(1 - β₂) steps. Many spikes do nothing, because they are clipped or because one step does not matter. A
spike after which the loss is higher than before has thrown away what was learnt.

How it is decided. On the logarithm of the recorded norms, each against the 32 before it: a spike lies over
their median by 6 robust standard deviations (1.4826 MAD) and by a factor of three, which normal scatter does
once in 10⁹ steps. There is no limit on the norm itself. The first 8 recorded steps only teach; the norm has
to fall from its peak by a factor of three within the next steps (a norm that stays is another regime, not a
spike), unless that step is known to have changed a weight matrix by half of itself; and if there is more
than one such event in ten recorded steps then the norms are heavy-tailed and none of them is an event. The
loss of the spike's own batch is not counted: harm is a median of the next five losses over the level before
by 6 robust standard deviations and a fifth, after a step that is not known to have changed every weight
matrix by under a tenth. It is a warning if the loss came back by the end and an error if not; otherwise
the spike is only mentioned.
"""

from dataclasses import dataclass

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.norm_history import norm_history
from livegrad.diagnose.optimizer_kind import are_scale_free
from livegrad.diagnose.patient import Patient
from livegrad.run.schema import Tensor

ROBUST_Z = 6.0
FACTOR = 3.0
HISTORY = 32
TEACHING = 8
# Recorded steps in which one event may go on.
STRETCH = 8
RARE = 0.1
AFTER = 5
RISE = 0.2
# A step that changes every weight matrix by less than a tenth does not undo what it had learnt; one that
# changes one by half of itself does.
THROWN, WRECKED = 0.1, 0.5


@dataclass(frozen=True)
class Spike:
    """One spike. row: in the rows of its optimizer. usual: the norm around it. z: robust standard deviations.

    settles: the norms after its peak are under it by a factor of three. jump: rise of the loss after it over
    the level before; 0 where there is none.
    """

    row: int
    step: int
    norm: float
    usual: float
    z: float
    settles: bool = True
    jump: float = 0.0


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    scalars = patient.scalars
    found: list[tuple[Spike, float]] = []
    for optimizer in np.unique(scalars["optimizer"]):
        rows = np.flatnonzero(scalars["optimizer"] == optimizer)
        norm, loss = scalars["gradient_norm"][rows], scalars["loss"][rows]
        clip = scalars["clip_factor"][rows]
        for spike in spikes(scalars["step"][rows], norm):
            usual, change = _change(patient, spike, float(clip[spike.row]))
            wrecked = change is not None and change > WRECKED and usual is not None and usual < THROWN
            if not spike.settles and not wrecked:
                continue
            jump = 0.0 if change is not None and change < THROWN else _jump(loss, spike.row)
            found.append((Spike(**{**vars(spike), "jump": jump}), float(clip[spike.row])))
    if not found:
        return []
    worst, clip = max(found, key=lambda pair: (pair[0].jump, pair[0].z))
    return [_finding(patient, worst, clip, [spike for spike, _ in found])]


def spikes(step: np.ndarray, norm: np.ndarray) -> list[Spike]:
    """Return the spikes among the norms (S,) recorded at these steps, one for each stretch of high ones."""
    good = np.flatnonzero(np.isfinite(norm) & (norm > 0))
    logs = np.log(norm[good])
    found: list[Spike] = []
    history = norm_history(logs, HISTORY, TEACHING)
    reach = np.fmax(np.log(FACTOR), ROBUST_Z * history[1])
    over, free = np.flatnonzero(logs[:-1] - history[0][:-1] > reach[:-1]).tolist(), 0
    for i in over:
        if i < free:
            continue
        usual, scatter = float(history[0][i]), float(history[1][i])
        stretch = logs[i : i + STRETCH]
        z = float((logs[i] - usual) / scatter) if scatter > 0 else float("inf")
        row, settles = int(good[i]), _comes_down(stretch)
        found.append(Spike(row, int(step[row]), float(norm[row]), float(np.exp(usual)), z, settles))
        free = i + STRETCH
    return found if len(found) <= max(1, RARE * len(logs)) else []


def _comes_down(stretch: np.ndarray) -> bool:
    """True if the norms after the peak of a stretch lie under it by the factor that makes a spike."""
    peak = int(np.argmax(stretch))
    after = stretch[peak + 1 : peak + 1 + AFTER]
    return len(after) > 0 and bool(np.median(after) < stretch[peak] - np.log(FACTOR))


def _change(patient: Patient, spike: Spike, clip: float) -> tuple[float | None, float | None]:
    """Largest ‖ΔW‖/‖W‖ of a matrix at the last sampled step before a spike, and at the spike; None if
    unknown.

    Where a task changes the gradient and the loss grow too, but not because a step has thrown the weights
    about. A step that was not sampled is taken to be as much larger than the usual ones as its clipped
    gradient was, and at most ten times under an optimizer that divides by the gradient's size.
    """
    pulses = patient.pulses
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = pulses.update_norm / pulses.weight_norm
    now, before = ratio[pulses.step == spike.step], ratio[pulses.step < spike.step]
    sampled = before[np.isfinite(before).any(axis=1)]
    usual = float(np.nanmax(sampled[-1])) if len(sampled) else None
    now = now[np.isfinite(now)]
    if len(now):
        return usual, float(now.max())
    times = spike.norm / spike.usual * (clip if np.isfinite(clip) else 1.0)
    optimizers = patient.subject.optimizers
    if are_scale_free(optimizer.type for optimizer in optimizers):
        first, second = _betas(optimizers[0].settings.get("betas"))
        times = (first + (1 - first) * times) / (1 + (1 - second) * times**2) ** 0.5
    return usual, None if usual is None else usual * times


def _betas(given: object) -> tuple[float, float]:
    if isinstance(given, list | tuple) and len(given) == 2:
        return float(given[0]), float(given[1])
    return 0.9, 0.999


def _jump(loss: np.ndarray, row: int) -> float:
    """By how much the losses after `row` lie over the level before; 0 where that is within their scatter.

    The scatter is that of first differences, so that a loss that comes down quickly is not taken for noise.
    """
    before = loss[max(0, row - TEACHING) : row]
    before = before[np.isfinite(before)]
    after = loss[row + 1 : row + 1 + AFTER]
    if len(before) < TEACHING // 2 or not len(after):
        return 0.0
    if not np.isfinite(after).all():
        return float("inf")
    level = float(np.median(before))
    scatter = 1.4826 * float(np.median(np.abs(np.diff(before)))) / 2**0.5
    rise = float(np.median(after)) - level
    return rise if rise > max(ROBUST_Z * scatter, RISE * abs(level)) else 0.0


def _severity(patient: Patient, spike: Spike) -> str:
    if spike.jump <= 0:
        return "info"
    loss = patient.scalars["loss"]
    steps = patient.scalars["step"]
    before = loss[(steps < spike.step) & np.isfinite(loss)][-HISTORY:]
    recovered = patient.is_finite and patient.learning.last <= float(np.median(before)) * (1 + RISE)
    return "warning" if recovered else "error"


def _loudest(patient: Patient, step: int) -> list[tuple[Tensor, float]]:
    """The weights whose gradient grew most at `step` over its median before, and by how much."""
    pulses = patient.pulses
    at, before = np.flatnonzero(pulses.step == step), np.flatnonzero(pulses.step < step)
    if not len(at) or not len(before):
        return []
    found = []
    for column, key in enumerate(pulses.tensor):
        tensor = patient.tensors.get(int(key))
        usual = pulses.gradient_norm[before[-HISTORY:], column]
        usual = usual[np.isfinite(usual) & (usual > 0)]
        now = pulses.gradient_norm[at, column]
        now = now[np.isfinite(now)]
        if tensor is not None and len(tensor.shape) >= 2 and len(usual) and len(now):
            found.append((tensor, float(now[0] / np.median(usual))))
    found.sort(key=lambda pair: -pair[1])
    return [pair for pair in found if pair[1] > found[0][1] / 2][:5]


def _finding(patient: Patient, spike: Spike, clip: float, every: list[Spike]) -> Finding:
    loudest = _loudest(patient, spike.step)
    names = tuple(dict.fromkeys(tensor.module or tensor.name for tensor, _ in loudest))
    severity = _severity(patient, spike)
    times = f"{spike.norm / spike.usual:.3g} times"
    clipped = clip < 0.9
    return Finding(
        code="LG105",
        name="gradient-spike",
        severity=severity,
        subject=patient.subject.name,
        layers=names,
        layers_text=layers_text(names),
        source=loudest[0][0].source if loudest else None,
        message=f"the gradient at step {spike.step} was {times} what it is around it"
        + (", and the loss jumped after it" if spike.jump > 0 else ""),
        cause=Cause(
            f"it grew most in {spoken(names[0])}, by {loudest[0][1]:.3g} times"
            if names
            else "one step's batch or weights"
        ),
        evidence={
            "gradient_norm_at_spike": spike.norm,
            "gradient_norm_around": spike.usual,
            "robust_z": spike.z,
            "spikes_count": len(every),
            "clip_factor_at_spike": clip,
            "loss_rise_after": spike.jump,
            "loss_at_end": patient.learning.last,
        },
        explanation=_explanation(severity, clipped),
        first_step=min(each.step for each in every),
        last_step=max(each.step for each in every),
        remedies=(Remedy("clip"), Remedy("schedule"), Remedy("data")),
        next=(
            "Nothing needs doing; if it recurs, look at that step's batch."
            if severity == "info"
            else f"Look at the batch of step {spike.step}; clip the gradient's norm at about "
            f"{3 * spike.usual:.2g}, three times what is usual here, so that one batch cannot undo the "
            "others."
        ),
    )


def _explanation(severity: str, clipped: bool) -> str:
    if severity == "info":
        return "Clipping took it down to size." if clipped else "The loss went on as before."
    return (
        "A single step along a gradient many times the usual throws away what earlier steps had learnt."
        + (" It was clipped, but not enough." if clipped else "")
    )
