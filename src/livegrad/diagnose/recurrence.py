"""What one time step does to the gradient: the recurrent weights' share and the activation's.

    plain         ‖W_hh‖_F/√H · (E φ'²)^½
    LSTM          σ(b_f) of the state kept, ‖W_hh‖_F/√4H · σ(b_i) σ(b_o) mixed in; T-th root over T steps
    GRU           likewise, kept σ(b_z), mixed in (1 − σ(b_z)) σ(b_r)

(livegrad.theory.recurrent.) Biases count as zero where their rms is small; the slope is the measured one.
"""

from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from livegrad.diagnose.expected import weight_norms
from livegrad.diagnose.finding import Cause
from livegrad.diagnose.ledger_rows import bill_row
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.role import activation_of, weight_of
from livegrad.diagnose.time_ledger import recurrent_matrix, time_bills
from livegrad.diagnose.time_profile import TimeProfile
from livegrad.run.schema import Layer, Tensor
from livegrad.theory.recurrent import gated_factor

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# Biases under this are no gate's setting: σ moves by less than a twentieth.
_SMALL_BIAS = 0.2


@dataclass(frozen=True)
class _Part:
    """One operation of a time step. factor: what it passes back by itself."""

    name: str
    type: str
    factor: float
    layer: Layer


def step_cause(patient: Patient, profile: TimeProfile, members: list[TimeProfile]) -> Cause:
    """Return the cause of a gradient that shrinks or grows through time. members: the profiles of all
    operations of the same loop.
    """
    factor = 10**profile.per_step_decades
    said = f"each time step passes on {factor:.3g} of the gradient"
    bill = _bill(patient, profile, members)
    cell = _cell(patient, profile)
    if cell is not None:
        kind, matrix, norm = cell
        return Cause(
            f"{said}: {_cell_words(patient, kind, matrix, norm, profile.length)}", profile.layers[-1].type,
            profile.per_step_decades * profile.length, kind="time", layers=(profile.name,),
            source=_line(patient, profile), bill=bill,
        )  # fmt: skip
    parts = _parts(patient, profile, members)
    if parts:
        said += f": {' and '.join(f'{part.name} ({part.type}) {part.factor:.3g}' for part in parts)}"
    growing = profile.per_step_decades > 0
    worst = (max if growing else min)(parts, key=lambda part: part.factor, default=None)
    blamed = profile.layers[-1] if worst is None else worst.layer
    return Cause(
        said, blamed.type, profile.per_step_decades * profile.length, kind="time",
        layers=(profile.name if worst is None else worst.name,), source=_line(patient, profile, blamed),
        bill=bill,
    )  # fmt: skip


def _bill(patient: Patient, profile: TimeProfile, members: list[TimeProfile]) -> tuple[dict[str, Any], ...]:
    """What the operations of a step do, over all steps, where a scan took the step apart."""
    scan = next(s for s in reversed(patient.scans) if s.step == profile.step)
    names = {profile.name, *(member.name for member in members)}
    found = next((bill for bill in time_bills(patient, scan) if bill.name in names), None)
    if found is None:
        return ()
    # One matrix alone keeps what it carries at the gain 1; beside gates none is needed.
    needed = 1.0 if len(found.step.paths) == 1 else None
    return tuple(
        bill_row(patient, line, needed if line.role == "weights" else None)
        for line in sorted(found.lines, key=lambda line: line.decades)
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


def _parts(patient: Patient, profile: TimeProfile, members: list[TimeProfile]) -> list[_Part]:
    """The loop's recurrent weights and its activation, where both can be told."""
    scan = next(s for s in reversed(patient.scans) if s.step == profile.step)
    row_of = {int(key): row for row, key in enumerate(scan.layer)}
    norms = weight_norms(patient, profile.step)
    found: list[_Part] = []
    for member in members:
        layer = member.layers[-1]
        slopes = [
            float(scan.activation_slope[row_of[step.id]]) for step in member.layers if step.id in row_of
        ]
        finite = [slope for slope in slopes if np.isfinite(slope)]
        name = activation_of(layer)
        if name is not None and finite:
            found.append(_Part(member.name, name, median(finite), layer))
        weight = next(
            (w for step in member.layers if (w := weight_of(step, patient.tensors)) is not None), None
        )
        square = weight is not None and len(weight.shape) == 2 and weight.shape[0] == weight.shape[1]
        if weight is not None and square and weight.id in norms:
            gain = norms[weight.id] / weight.shape[0] ** 0.5
            found.append(_Part(member.name, layer.type, gain, layer))
    weights = [part for part in found if activation_of(part.layer) is None]
    # Two square matrices in a step, one for the input: which of them recurs cannot be told.
    return found if len(weights) == 1 and len(found) <= 2 else []
