"""What a network is made of, as far as theory asks: its activation, its weights' gain, its normalization, its
skips.
"""

from collections import Counter
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from livegrad.diagnose.depth_reach import weighted_positions
from livegrad.diagnose.patient import Patient
from livegrad.run.schema import Tensor
from livegrad.theory.activation import CATALOGUE

# What takes a layer's inputs back to unit size, and whether it also takes their mean over the batch.
_NORMALIZATIONS = {"BatchNorm": "batch", "LayerNorm": "layer", "RMSNorm": "layer", "GroupNorm": "layer"}
_WEIGHTED = ("Linear", "Conv1d", "Conv2d", "Conv3d", "NonDynamicallyQuantizableLinear")


@dataclass(frozen=True)
class Design:
    """layers: weighted layers (or blocks) along the spine. activation: the commonest one's name in the
    catalogue, or None. gain: √fan_in times the median weight rms of its matrices before the first step (1
    keeps the size of what comes in); bias: the biases' rms. normalization: "batch", "layer" or None: one for
    at least every other layer. residual: whether most of the layers are blocks with a skip; branch: weighted
    layers in each.
    """

    layers: int
    activation: str | None
    gain: float
    bias: float
    normalization: str | None
    residual: bool
    branch: int = 1


def design_of(patient: Patient) -> Design | None:
    """Return what the subject is made of; None where no spine was measured."""
    if not patient.profiles:
        return None
    profile = patient.profiles[-1]
    position, unit = weighted_positions(patient, profile)
    layers = int(position[-1]) if len(position) else 0
    if not layers:
        return None
    rows = [layer for layer in patient.layers.values() if layer.kind in ("depth", "branch")]
    kinds = Counter(layer.type for layer in rows)
    acting = [(count, kind) for kind, count in kinds.items() if kind in CATALOGUE]
    matrices = [t for t in patient.tensors.values() if t.module_type in _WEIGHTED and len(t.shape) >= 2]
    return Design(
        layers=layers,
        activation=max(acting)[1] if acting else None,
        gain=_median([_rms(patient, t) * sqrt(prod(t.shape[1:])) for t in matrices]),
        bias=_median([_rms(patient, t) for t in patient.tensors.values() if _is_bias(t)], 0.0),
        normalization=_normalization(kinds, len(matrices)),
        residual=unit == "block",
        branch=max(1, round(len(matrices) / layers)) if unit == "block" else 1,
    )


def _normalization(kinds: Counter, matrices: int) -> str | None:
    found = Counter[str]()
    for kind, count in kinds.items():
        for prefix, name in _NORMALIZATIONS.items():
            if kind.startswith(prefix):
                found[name] += count
    name, count = max(found.items(), key=lambda item: item[1], default=("", 0))
    return name if 2 * count >= matrices and count else None


def _is_bias(tensor: Tensor) -> bool:
    return tensor.module_type in _WEIGHTED and len(tensor.shape) == 1


def _rms(patient: Patient, tensor: Tensor) -> float:
    columns = np.flatnonzero(patient.pulses.tensor == tensor.id)
    values = patient.pulses.weight_rms[:, columns].ravel()
    known = values[np.isfinite(values)]
    return float(known[0]) if len(known) else float("nan")


def _median(values: list[float], unknown: float = float("nan")) -> float:
    known = [value for value in values if value == value]
    return float(np.median(known)) if known else unknown
