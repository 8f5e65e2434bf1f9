"""What one time step does to the gradient: the recurrent weights' share and the activation's.

    plain         ‖W_hh‖_F/√H · (E φ'²)^½
    LSTM          σ(b_f) of the state kept, ‖W_hh‖_F/√4H · σ(b_i) σ(b_o) mixed in; T-th root over T steps
    GRU           likewise, kept σ(b_z), mixed in (1 − σ(b_z)) σ(b_r)

(livegrad.theory.recurrent.) Biases count as zero where their rms is small; the slope is the measured one.
"""

from typing import Any

import numpy as np

from livegrad.diagnose.expected import weight_norms
from livegrad.diagnose.finding import Cause
from livegrad.diagnose.ledger import Line
from livegrad.diagnose.ledger_rows import bill_row
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.time_ledger import OTHERS, OUTPUTS, TimeBill, recurrent_matrix, time_bills
from livegrad.diagnose.time_profile import TimeProfile
from livegrad.run.schema import Layer, Tensor
from livegrad.theory.recurrent import gated_factor

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# Biases under this are no gate's setting: σ moves by less than a twentieth.
_SMALL_BIAS = 0.2
# Share of a step's decades from which on an operation is worth a word.
_WORTH_NAMING = 0.1


def step_cause(
    patient: Patient,
    profile: TimeProfile,
    members: list[TimeProfile],
    gradient: bool = False,
    per_step: float | None = None,
) -> Cause:
    """Return the cause of a gradient that shrinks or grows through time. members: the profiles of all
    operations of the same loop. gradient: whether it is the true gradient that does, and not audibility.
    per_step: decades per time step where no step was taken apart, instead of audibility's.
    """
    bill = _bill(patient, profile, members)
    if gradient and bill is not None:
        per_step = bill.step.decades
    elif per_step is None:
        per_step = profile.per_step_decades
    said = f"each time step passes on {10**per_step:.3g} of the gradient"
    cell = _cell(patient, profile)
    if cell is not None:
        kind, matrix, norm = cell
        return Cause(
            f"{said}: {_cell_words(patient, kind, matrix, norm, profile.length)}", profile.layers[-1].type,
            per_step * profile.length, kind="time", layers=(profile.name,),
            source=_line(patient, profile), bill=_rows(patient, bill),
        )  # fmt: skip
    parts = _parts(per_step, bill)
    if parts:
        said += f": {' and '.join(map(_part_words, parts))}"
    growing = per_step > 0
    worst = (max if growing else min)(parts, key=lambda part: part.factor, default=None)
    named = profile if worst is None else _member(worst, bill, members) or profile
    blamed = named.layers[-1] if worst is None or named is not profile else worst.example
    return Cause(
        said, blamed.type, per_step * profile.length, kind="time", layers=(named.name,),
        source=_line(patient, profile, blamed), bill=_rows(patient, bill),
    )  # fmt: skip


def _member(part: Line, bill: TimeBill | None, members: list[TimeProfile]) -> TimeProfile | None:
    """The operation of the loop, as its time steps know it, that a line of the bill is of."""
    if part.role == "weights" and bill is not None:
        return next((m for m in members if m.name == bill.name), None)
    return next((m for m in members if m.layers[0].type == part.label), None)


def _part_words(part: Line) -> str:
    expected = "" if part.expected is None else f" (expected {10 ** (part.expected / part.count):.3g})"
    return f"{part.label} {part.factor:.3g}{expected}"


def _bill(patient: Patient, profile: TimeProfile, members: list[TimeProfile]) -> TimeBill | None:
    """The bill of the recurrence, where a scan took its step apart."""
    scan = next(s for s in reversed(patient.scans) if s.step == profile.step)
    names = {profile.name, *(member.name for member in members)}
    return next((bill for bill in time_bills(patient, scan) if bill.name in names), None)


def _rows(patient: Patient, bill: TimeBill | None) -> tuple[dict[str, Any], ...]:
    """What the operations of a step do, over all steps looked at, as the JSON document holds it."""
    if bill is None:
        return ()
    # One matrix alone keeps what it carries at the gain 1; beside gates none is needed.
    plain = len(bill.step.paths) == 1 and any(line.role == "weights" for line in bill.lines)
    return tuple(
        bill_row(patient, line, 1.0 if plain and line.role == "weights" else None)
        for line in sorted(bill.lines, key=lambda line: line.decades)
    )


def _line(patient: Patient, profile: TimeProfile, blamed: Layer | None = None) -> str | None:
    layer = blamed or profile.layers[0]
    if layer.made or layer.source:
        return layer.made or layer.source
    # A fused layer's steps have no line of their own: that of the call.
    whole = [other for other in patient.layers.values() if other.module == layer.module and other.source]
    return whole[0].source if whole else None


def _cell(patient: Patient, profile: TimeProfile) -> tuple[str, Tensor, float] | None:
    """The kind of a recurrent layer or cell of torch's own, its recurrent matrix and that one's norm."""
    kind = next((kind for kind in _GATES if profile.layers[0].type.upper().startswith(kind)), None)
    if kind is None:
        return None
    matrix = recurrent_matrix(profile.layers[0], patient.tensors)
    norms = weight_norms(patient, profile.step)
    return (kind, matrix, norms[matrix.id]) if matrix is not None and matrix.id in norms else None


def _cell_words(patient: Patient, kind: str, matrix: Tensor, norm: float, steps: int) -> str:
    gain = norm / matrix.shape[0] ** 0.5
    if kind == "RNN":
        return (
            f"the gain of its recurrent weights is {gain:.2f}, and 1 (orthogonal) would keep what they carry"
        )
    bias = _bias_rms(patient, matrix)
    if bias is None or bias > _SMALL_BIAS:
        return f"what its gates let through, beside recurrent weights of gain {gain:.2f}"
    keep, mix = 0.5, gain * 0.25
    expected = gated_factor(keep, mix, max(1, steps))
    gate = "forget gate starts with a bias" if kind == "LSTM" else "update gate starts with a bias"
    return (
        f"its {gate} near 0 and keeps {keep:.2f} of the state, recurrent weights of gain "
        f"{gain:.2f} add to it; expected {expected:.2f}"
    )


def _bias_rms(patient: Patient, matrix: Tensor) -> float | None:
    norms = weight_norms(patient, 0)
    wanted = {matrix.name.replace("weight_hh", "bias_hh"), matrix.name.replace("weight_hh", "bias_ih")}
    found = [t for t in patient.tensors.values() if t.name in wanted and t.id in norms]
    if not found:
        return None
    return float(np.sqrt(sum(norms[t.id] ** 2 / max(1, t.count) for t in found)))


def _parts(per_step: float, bill: TimeBill | None) -> list[Line]:
    """The operations that do most of a step, if the true gradient goes the way that is to be explained."""
    if bill is None or bill.step.decades * per_step <= 0:
        return []
    parts = [line for line in bill.lines if line.label not in (OUTPUTS, OTHERS)]
    return [part for part in parts if abs(part.decades) > _WORTH_NAMING * abs(bill.step.decades) * part.count]
