"""Omens: what a few scanned steps show that decides whether training can work, each with its weight.

"fatal": a condition for learning is missing. "doubt": it may be missing, or the task decides. The bounds are
those of the rules (docs/how-it-decides.md) and of theory: six e-foldings over depth.
"""

from dataclasses import dataclass

import numpy as np

from livegrad.diagnose.depth_reach import DepthReach
from livegrad.diagnose.finding import Finding
from livegrad.diagnose.harm import MOSTLY, STARVED_AGAINST_OTHERS, STARVED_ALONE, harm_to
from livegrad.diagnose.naming import spoken
from livegrad.diagnose.number import short
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.rules.dead_units import ALL_DEAD
from livegrad.diagnose.rules.disconnected import SMALL_SHARE
from livegrad.diagnose.rules.not_learning import FAR_WAY
from livegrad.diagnose.spine_profile import SpineProfile
from livegrad.diagnose.time_reach import is_gated, time_reach

FLOOR_DECADES = 3.0
# A signal that sinks by this much within the steps looked at is being destroyed by them.
SINKING_DECADES = 1.0
# At this pace the weights could be others after as many steps as few trainings have.
STANDSTILL = 1e-5
# A smaller share of the matrices is no fault of the whole.
FEW = 0.25
# An output so far over its unit is not brought down by steps of a sane size.
FAR_OVER_DECADES = 6.0
SATURATED_SHARE = 0.9
# The misfit of the outputs must fall by this to be more than the scatter from batch to batch.
NEARER = 0.98
_MANTISSA_BITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}

# Findings that need a longer look than a check takes, or are no matter of training or not.
_TOO_EARLY = {"LG105", "LG403", "LG503"}


@dataclass(frozen=True)
class Omen:
    """code: of the finding it belongs to. weight: "fatal" or "doubt". text: one sentence, without its end."""

    code: str
    weight: str
    text: str


def omens(patient: Patient, findings: list[Finding], reach: DepthReach | None) -> tuple[Omen, ...]:
    """Return what speaks against training, the worst first; at most one of each code."""
    found = [omen for finding in findings if (omen := _of_finding(patient, finding)) is not None]
    found += _of_depth(patient, reach, {omen.code for omen in found})
    found += _of_course(patient, {omen.code for omen in found})
    found += _of_pace(patient) + _of_direction(patient)
    worst: dict[str, Omen] = {}
    for omen in sorted(found, key=lambda omen: omen.weight != "fatal"):
        worst.setdefault(omen.code, omen)
    return tuple(worst.values())


def _of_finding(patient: Patient, finding: Finding) -> Omen | None:
    if finding.code == "LG102":
        return _of_time(patient, finding)
    if finding.severity == "info" or finding.code in _TOO_EARLY:
        return None
    weigh = _WEIGHERS.get(finding.code, _usual_weight)
    weight = weigh(patient, finding)
    return Omen(finding.code, weight, finding.message) if weight else None


def _usual_weight(patient: Patient, finding: Finding) -> str | None:
    return "doubt"


def _always(patient: Patient, finding: Finding) -> str:
    return "fatal"


def _as_severe(patient: Patient, finding: Finding) -> str:
    return "fatal" if finding.severity == "error" else "doubt"


def _vanishing(patient: Patient, finding: Finding) -> str:
    return "doubt" if is_carried(patient) or learns(patient) else "fatal"


def _exploding(patient: Patient, finding: Finding) -> str | None:
    if not patient.is_finite or not patient.profiles:
        return "fatal"
    profile = patient.profiles[-1]
    growth, size = float(np.nanmax(profile.relative)), float(np.nanmax(profile.absolute))
    if max(growth, size) >= FAR_OVER_DECADES:
        return "fatal"
    if growth >= FLOOR_DECADES:
        return "doubt" if learns(patient) else "fatal"
    # An output that is merely large comes down by itself, if the steps do any good.
    return None if learns(patient) and size < FLOOR_DECADES else "doubt"


def _of_time(patient: Patient, finding: Finding) -> Omen | None:
    """Whether the task needs what lies so far back, no measurement of the network can tell: a doubt.

    But where half of the sequence arrives smaller than the dtype resolves, and no gate could open to it, most
    of the input does not exist for the network. And a signal d decades under another stands out from that
    one's scatter after 10^{2d} samples: where that is a million for half of the sequence, and the other half
    has taught nothing while the weights came a way of their own size, what is to be learnt is not in it.
    """
    if learns(patient):
        return None
    reach = next((t for t in time_reach(patient) if t.name == finding.layers[0]), None)
    if reach is None:
        return Omen("LG102", "doubt", finding.message)
    drowned = reach.half_decades < -FLOOR_DECADES and way(patient) > FAR_WAY
    lost = (drowned or reach.half_decades < -resolution(patient)) and not is_gated(patient)
    heard = f"about the latest {reach.reach} of its {reach.steps} time steps"
    fate = "fatal" if lost else "doubt"
    return Omen("LG102", fate, f"the recurrence {spoken(reach.name)} hears {heard}")


def _saturated(patient: Patient, finding: Finding) -> str:
    share = float(finding.evidence.get("saturated_share") or 0.0)
    return "fatal" if share >= SATURATED_SHARE and not learns(patient) else "doubt"


def _starved(patient: Patient, finding: Finding) -> str | None:
    if "under_eps_share" in finding.evidence:
        if is_warming_up(patient):  # how slow it will be is not known, but the eps is as large later on
            return "doubt"
        matrices = [t.id for t in patient.tensors.values() if len(t.shape) >= 2]
        ratios = [r for k, r in patient.update_ratio.items() if k in matrices and np.isfinite(r)]
        return "fatal" if ratios and float(np.median(ratios)) < STANDSTILL else "doubt"
    return None if is_warming_up(patient) else _as_severe(patient, finding)


def _too_large(patient: Patient, finding: Finding) -> str | None:
    """Steps over the size of a few small parameters are nothing; over that of the network they are."""
    if not patient.is_finite:
        return "fatal"
    matrices = [t for t in patient.tensors.values() if len(t.shape) >= 2 and t.trainable]
    few = int(finding.evidence.get("matrices_count") or 0) < FEW * len(matrices)
    risen = patient.learning.last > patient.learning.first
    if few:
        return "doubt" if risen else None
    return "fatal" if risen else "doubt"


def _dead(patient: Patient, finding: Finding) -> str:
    """A layer that is dead altogether blocks the way; one that is nearly so may wake its last units."""
    share = float(finding.evidence.get("dead_share") or 0.0)
    return "fatal" if finding.severity == "error" and share > ALL_DEAD else "doubt"


def _pairing(patient: Patient, finding: Finding) -> str:
    """A loss that says nothing of the task is fatal; one that expects another form is a handicap."""
    meaningless = finding.severity == "error" and "another form" not in finding.message
    return "fatal" if meaningless else "doubt"


def _disconnected(patient: Patient, finding: Finding) -> str | None:
    """A part on the way from input to output is missed; one beside it may be an output that nobody uses."""
    if finding.severity != "error":
        return "doubt"
    tensors = patient.tensors.values()
    cut = {t.id for t in tensors if (t.module or t.name) in finding.layers}
    heard = [t.id for t in tensors if t.trainable and t.id not in cut]
    spine = {t for profile in patient.profiles[-1:] for layer in profile.layers for t in layer.tensors}
    if not heard or cut & spine or not finding.evidence.get("forward_called_them"):
        return "fatal"
    share = sum(t.count for t in tensors if t.id in cut) / max(1, sum(t.count for t in tensors))
    inside = min(heard) < min(cut) and max(cut) < max(heard)
    if share >= SMALL_SHARE or not patient.profiles:
        return "fatal"
    return None if inside else "doubt"


_WEIGHERS = {
    "LG101": _vanishing,
    "LG103": _exploding,
    "LG104": _as_severe,
    "LG106": _as_severe,
    "LG201": _saturated,
    "LG202": _dead,
    "LG301": _always,
    "LG303": _as_severe,
    "LG401": _starved,
    "LG402": _too_large,
    "LG404": _disconnected,
    "LG502": _pairing,
}


def _of_depth(patient: Patient, reach: DepthReach | None, known: set[str]) -> list[Omen]:
    """The network is certainly deeper than its signal reaches, though no layer is past the rules' bounds."""
    if reach is None or not reach.beyond or {"LG101", "LG103"} & known:
        return []
    code = "LG103" if reach.growing else "LG101"
    doing = "is amplified" if reach.growing else "dies out"
    text = f"at a factor of {short(reach.factor)} each the signal {doing} within {reach.reach:.0f} of the "
    text += f"{reach.layers} {reach.unit}s"
    return [
        Omen(code, "doubt" if learns(patient) or (code == "LG101" and is_carried(patient)) else "fatal", text)
    ]


def _of_course(patient: Patient, known: set[str]) -> list[Omen]:
    """The signal sinks with the steps, in the output's own unit, and nothing is learnt by it."""
    profiles = patient.profiles
    if len(profiles) < 4 or {"LG101", "LG103"} & known or learns(patient):
        return []
    course = np.array([min(np.min(p.relative), np.min(p.absolute)) for p in profiles])
    still = course[-1] < course[len(course) // 2] - SINKING_DECADES / 4
    if not (still and course[-1] < min(-FLOOR_DECADES, course[0] - SINKING_DECADES)):
        return []
    pace = (course[0] - course[-1]) / max(1, profiles[-1].step - profiles[0].step)
    sinks = (
        f"sinks by {short(pace)} decades with every step" if np.isfinite(pace) else "dies out in a few steps"
    )
    text = f"the signal {sinks}, and nothing is learnt by it"
    return [Omen("LG101", "fatal", text)]


def _of_pace(patient: Patient) -> list[Omen]:
    """Not even the fastest weights will ever be others."""
    matrices = {t.id for t in patient.tensors.values() if len(t.shape) >= 2 and t.trainable}
    ratios = [r for k, r in patient.update_ratio.items() if k in matrices and np.isfinite(r)]
    done = patient.fits or patient.learning.state == "converged"
    if not ratios or max(ratios) >= STANDSTILL or done or is_warming_up(patient):
        return []
    if max(ratios) == 0:
        return [Omen("LG401", "fatal", "no weight matrix moves at all")]
    text = f"at this pace the fastest weights could be others after {short(1 / max(ratios))} steps"
    # Small steps may be right for a network that knows something already, never for one that has to learn.
    level = patient.constant_loss
    begins = level is not None and patient.learning.last >= level
    return [Omen("LG401", "fatal" if begins or max(ratios) < STARVED_ALONE else "doubt", text)]


def _of_direction(patient: Patient) -> list[Omen]:
    """The loss, which is over what a constant answer costs, goes up; and no other model is its opponent."""
    level, learning = patient.constant_loss, patient.learning
    if (
        level is None
        or len(patient.run.subjects) > 1
        or learning.state != "rising"
        or learning.last <= max(level, learning.first)
    ):
        return []
    climbing = any(optimizer.settings.get("maximize") for optimizer in patient.subject.optimizers)
    text = "the optimizer climbs the loss: maximize=True" if climbing else "the loss rises with the steps"
    return [Omen("LG106", "fatal" if climbing else "doubt", text)]


def is_carried(patient: Patient) -> bool:
    """True if the optimizer moves the silent layers as it moves the others, so that they can come back.

    That is what Adam does to small gradients that are not yet lost in its eps or in the dtype's resolution.
    A silence that deepens from step to step is the training's own doing and does not come back.
    """
    profiles = patient.profiles
    if not profiles or not patient.update_ratio:
        return False
    first, last = _lowest(profiles[0]), _lowest(profiles[-1])
    if not last > -resolution(patient) or last < first - SINKING_DECADES:
        return False
    harm = harm_to(patient, _quiet_tensors(profiles[-1]))
    behind = harm.update_ratio < max(STANDSTILL, STARVED_AGAINST_OTHERS * harm.others)
    return harm.known and not behind and not harm.swallowed > MOSTLY


def resolution(patient: Patient) -> float:
    """Decades between one and the smallest relative change that the weights' dtype can hold; at least three.

    A signal that arrives smaller than that is lost in rounding, whatever the optimizer does.
    """
    bits = [_MANTISSA_BITS.get(t.dtype, 24) for t in patient.tensors.values() if len(t.shape) >= 2]
    return max(FLOOR_DECADES, max(bits, default=24) * float(np.log10(2.0)))


def way(patient: Patient) -> float:
    """Return how far the weights came over all steps, in units of their own size: the median matrix, as if
    every step had led the same way.
    """
    ratios = [r for t, r in patient.update_ratio.items() if len(patient.tensors[t].shape) >= 2]
    finite = [r for r in ratios if np.isfinite(r)]
    return float(np.median(finite)) * patient.run.info.steps if finite else 0.0


def learns(patient: Patient) -> bool:
    """True if the loss comes down, and the outputs come nearer to the targets than a constant answer is."""
    known = patient.residuals
    nearer = len(known) < 2 or known[-1] < NEARER * known[0]
    return patient.is_learning and (nearer or patient.fits)


def _lowest(profile: SpineProfile) -> float:
    """Decades of the quietest layer, against the output and in the output's unit."""
    return float(min(np.min(profile.relative), np.max(profile.absolute)))


def _quiet_tensors(profile: SpineProfile) -> set[int]:
    """Of the layers in the quieter half of the way from the output to the quietest."""
    half = float(np.min(profile.relative)) / 2
    quiet = zip(profile.layers, profile.relative, strict=True)
    return {t for layer, r in quiet if r <= half for t in layer.tensors}


def is_warming_up(patient: Patient) -> bool:
    """True if the learning rate still rises: what the steps will be is not known yet."""
    rate = patient.scalars["learning_rate"]
    rate = rate[np.isfinite(rate)]
    return len(rate) > 1 and bool(rate[-1] > 1.001 * rate[0])
