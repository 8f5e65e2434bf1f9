"""Which parameters a gradient's norm is made of."""

import numpy as np

from livegrad.diagnose.patient import Patient


def module_shares(patient: Patient, rows: np.ndarray) -> dict[str, float]:
    """Return module -> share of the squared gradient norm, median over `rows` of the pulses, sorted."""
    pulses = patient.pulses
    squares = np.nan_to_num(pulses.gradient_norm[rows] ** 2, nan=0.0, posinf=0.0)
    whole = squares.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.nan_to_num(squares / whole)
    by_module: dict[str, np.ndarray] = {}
    for column, key in enumerate(pulses.tensor):
        tensor = patient.tensors.get(int(key))
        if tensor is not None:
            name = tensor.module or tensor.name
            by_module[name] = by_module.get(name, 0.0) + shares[:, column]
    found = {name: float(np.median(share)) for name, share in by_module.items() if len(share)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
