"""How much of what moves a weight matrix is the loss, and how much its own decay."""

import numpy as np

from livegrad.diagnose.patient import Patient
from livegrad.run.schema import Tensor

_BESIDE_THE_STEP = frozenset({"AdamW", "Lion", "Muon"})


def learnt_share(patient: Patient, tensor: Tensor, ratio: float) -> float:
    """Share, from 0 to 1, of the updates ‖ΔW‖/‖W‖ = `ratio` that answers the loss.

    Decay in the gradient, g + λw, has the share λ‖w‖/(‖g‖ + λ‖w‖) of its direction, whatever the optimizer
    makes of its size. Decay beside the step takes η λ of the weights, at right angles to the rest as far as
    is known.
    """
    decay = patient.setting(tensor, "weight_decay") or 0.0
    if not decay > 0 or not ratio > 0:
        return 1.0
    if patient.optimizer_of(tensor) in _BESIDE_THE_STEP:
        taken = decay * (patient.setting(tensor, "lr") or 0.0)
        return float(np.sqrt(max(0.0, 1 - (taken / ratio) ** 2)))
    column = np.flatnonzero(patient.pulses.tensor == tensor.id)[:1]
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = patient.pulses.gradient_norm[:, column] / patient.pulses.weight_norm[:, column]
    known = gradient[np.isfinite(gradient)]
    return float(np.median(known / (known + decay))) if len(known) else 1.0
