"""LG102 vanishing-through-time and LG104 exploding-through-time: a recurrent network hears too little, or too
much, of the past.

What it is. Backpropagation through time multiplies one factor per time step. Over T steps a factor of 0.9
leaves 0.9^T of the signal; a factor of 1.1 makes it explode.

How it is decided. The audibility of the earliest tenth of the time steps lies over three decades under (or
over) that of the latest, at the latest scan and at most of the later ones. Forgetting is no fault in itself:
it is held against the network only if the loss does not fall, which is how a task that needs the reach shows.
A loop of homogeneous operations (ReLU) is heard alike at all steps however its state grows; it counts as
exploding if the state grows by three decades, the output is far over its unit, and nothing is learnt.
Of a fused module the first layer's lanes, in both directions, are read together (livegrad.diagnose.lanes).
"""

import numpy as np

from livegrad.diagnose.finding import Finding, Remedy
from livegrad.diagnose.lanes import Lanes, is_lane, read_lanes
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.patient import Patient, persists
from livegrad.diagnose.recurrence import step_cause
from livegrad.diagnose.spine_profile import SpineProfile, spine_profile
from livegrad.diagnose.time_profile import TimeProfile, time_profiles

REACH_DECADES = 3.0
# An output that is larger than its unit by so much is no answer; as in LG103.
OUTPUT_DECADES = 1.5


_CALMER = (
    "Start the recurrent weights orthogonal (spectral radius 1), and clip the gradient by its global norm."
)


def _early(profile: TimeProfile) -> float:
    """Return the median decades of the earliest tenth of the steps; −inf if exactly silent."""
    return float(np.median(profile.relative[: max(1, len(profile.relative) // 10)]))


def find(patient: Patient) -> list[Finding]:
    """Return a finding per recurrence and direction, or nothing."""
    return [*_of_loops(patient), *_of_lanes(patient)]


def _of_loops(patient: Patient) -> list[Finding]:
    series: dict[str, list[TimeProfile]] = {}
    members: dict[str, list[TimeProfile]] = {}
    swollen: dict[str, list[bool]] = {}
    for scan in patient.scans:
        overflowing = _output_size(spine_profile(scan, patient.layers)) > OUTPUT_DECADES
        profiles = [p for p in time_profiles(scan, patient.layers) if not is_lane(p)]
        for loop in _loops(profiles):
            loudest = max(loop, key=_early)
            owner = _owner(loudest) or min(profile.name for profile in loop)
            series.setdefault(owner, []).append(loudest)
            members[owner] = loop
            swollen.setdefault(owner, []).append(overflowing and _growth(loop) > REACH_DECADES)
    found = []
    for owner, profiles in series.items():
        early = [_early(profile) for profile in profiles]
        if persists([value < -REACH_DECADES for value in early]):
            found.append(_vanishing(patient, profiles[-1], early[-1], members[owner]))
        elif persists([value > REACH_DECADES for value in early]):
            found.append(_exploding(patient, profiles[-1], early[-1], members[owner]))
        elif persists(swollen[owner]) and not patient.is_learning:
            found.append(_swelling(patient, members[owner]))
    return found


def _growth(loop: list[TimeProfile]) -> float:
    """Decades by which the loop's states grow: of all its operations those of the one that grows most."""
    return max((p.growth for p in loop if np.isfinite(p.growth)), default=0.0)


def _output_size(profile: SpineProfile) -> float:
    """Decades of the output over its own unit; 0 where that is not known."""
    return float(profile.absolute[-1]) if len(profile.layers) and np.isfinite(profile.absolute[-1]) else 0.0


def _of_lanes(patient: Patient) -> list[Finding]:
    """Findings of fused modules of several layers, or of both directions."""
    series: dict[str, list[Lanes]] = {}
    for scan in patient.scans:
        for lanes in read_lanes(scan, patient.layers):
            series.setdefault(lanes.module, []).append(lanes)
    found = []
    for course in series.values():
        last = course[-1]
        # Where both ends explode, the middle is quiet beside them.
        if last.loud is not None and persists([lanes.growth > REACH_DECADES for lanes in course]):
            found.append(_exploding(patient, last.loud, last.growth, [last.loud]))
        elif last.quiet is not None and persists([lanes.silence < -REACH_DECADES for lanes in course]):
            found.append(_vanishing(patient, last.quiet, last.silence, [last.quiet]))
    return found


def _owner(profile: TimeProfile) -> str:
    return profile.name.rpartition(".")[0]


def _loops(profiles: list[TimeProfile]) -> list[list[TimeProfile]]:
    """Group the operations of one loop: those of one module that run in turns. The one that keeps most of
    the past speaks for it.
    """
    loops: list[list[TimeProfile]] = []
    for profile in sorted(profiles, key=lambda p: p.layers[0].id):
        same = [loop for loop in loops if _owner(loop[0]) == _owner(profile) and _in_turns(loop[0], profile)]
        if same:
            same[0].append(profile)
        else:
            loops.append([profile])
    return loops


def _in_turns(one: TimeProfile, other: TimeProfile) -> bool:
    """Layers are numbered as they run, so those of one loop are numbered in turns."""
    return one.layers[0].id < other.layers[-1].id and other.layers[0].id < one.layers[-1].id


def _vanishing(patient: Patient, profile: TimeProfile, early: float, members: list[TimeProfile]) -> Finding:
    learning = patient.learning
    severity = "info" if patient.is_learning else ("warning" if learning.state == "unknown" else "error")
    silent = [
        layer.name
        for layer, r in zip(profile.layers, profile.relative, strict=True)
        if not r > -REACH_DECADES
    ]
    lost = f"{-early:.1f} decades" if np.isfinite(early) else "all of it, in this precision,"
    return _finding(
        patient, profile, early, members, "LG102", "vanishing-through-time", severity, silent,
        f"what {spoken(profile.name)} saw first loses {lost} over {profile.length} time steps",
        "The gradient through time shrinks by the same factor at every step, so the network cannot learn "
        "to use what lies far back."
        + (" The loss falls all the same: this task does not need the reach." if severity == "info" else ""),
        "Nothing needs doing while the loss falls."
        if severity == "info"
        else "Use an LSTM or GRU whose forget bias starts at the length of the sequences (chrono "
        "initialization), or start "
        "the recurrent weights orthogonal or as the identity. Clipping does not help vanishing.",
    )  # fmt: skip


def _exploding(patient: Patient, profile: TimeProfile, early: float, members: list[TimeProfile]) -> Finding:
    severity = "warning" if patient.is_learning and patient.is_finite else "error"
    loud = [
        layer.name for layer, r in zip(profile.layers, profile.relative, strict=True) if r > REACH_DECADES
    ]
    return _finding(
        patient, profile, early, members, "LG104", "exploding-through-time", severity, loud,
        f"the gradient of {spoken(profile.name)} grows by {early:.1f} decades back over "
        f"{len(profile.layers)} time steps",
        "The gradient through time grows by the same factor at every step, so a small change long ago "
        "decides the output.",
        _CALMER,
    )  # fmt: skip


def _swelling(patient: Patient, members: list[TimeProfile]) -> Finding:
    largest = max(members, key=lambda p: p.growth if np.isfinite(p.growth) else -np.inf)
    return _finding(
        patient, largest, _early(largest), members, "LG104", "exploding-through-time", "error",
        [layer.name for layer in largest.layers],
        f"the state of {spoken(largest.name)} grows by {largest.growth:.1f} decades over {largest.length} "
        "time steps, and the gradient back over them with it",
        "Each time step multiplies the state by more than one, and the gradient on its way back by the same; "
        "the outputs are far from anything that the targets ask for.",
        _CALMER,
        growth=largest.growth,
    )  # fmt: skip


def _finding(
    patient: Patient, profile: TimeProfile, early: float, members: list[TimeProfile], code: str, name: str,
    severity: str, layers: list[str], message: str, explanation: str, advice: str,
    growth: float | None = None,
) -> Finding:  # fmt: skip
    per_step = None if growth is None else growth / max(1, profile.length - 1)
    factor = 10 ** (profile.per_step_decades if per_step is None else per_step)
    names = tuple(layers)
    cause = step_cause(patient, profile, members, gradient=growth is not None, per_step=per_step)
    return Finding(
        code=code,
        name=name,
        severity=severity,
        subject=patient.subject.name,
        layers=(profile.name, *names),
        layers_text=layers_text(names) or layers_text((profile.name,)),
        source=cause.source,
        message=message,
        cause=cause,
        evidence={
            "factor_per_time_step": factor,
            "time_steps": profile.length,
            **(
                {"earliest_audibility_decades": early} if growth is None else {"state_growth_decades": growth}
            ),
            "loss_at_start": patient.learning.first,
            "loss_at_end": patient.learning.last,
        },
        explanation=explanation,
        first_step=patient.scans[0].step,
        last_step=profile.step,
        remedies=(Remedy("recurrent"), Remedy("clip")) if code == "LG104" else (Remedy("recurrent"),),
        next=advice,
    )
