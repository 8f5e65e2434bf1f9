"""The layers of a report: what the latest usable scan says of each, with the pace of the weights it owns."""

from typing import Any

import numpy as np

from livegrad.diagnose.harm import turnover
from livegrad.diagnose.patient import Patient
from livegrad.run.scans import Scan


def layer_rows(patient: Patient) -> list[dict[str, Any]]:
    """Return one row per layer of the latest scan whose audibility was measured, spine first, input side
    first.
    """
    scan = _latest(patient)
    if scan is None:
        return []
    rows = []
    for i, key in enumerate(scan.layer):
        layer = patient.layers[int(key)]
        if layer.kind not in ("depth", "time", "branch"):
            continue
        broken = bool(scan.nonfinite[i] > 0)
        ratios = [
            patient.update_ratio[t]
            for t in layer.tensors
            if _is_matrix(patient, t) and t in patient.update_ratio
        ]
        rows.append(
            {
                "subject": patient.subject.name,
                "id": layer.id,
                "name": layer.name,
                "depth": layer.depth,
                "type": layer.type,
                "kind": layer.kind,
                "source": layer.source or layer.made,
                "audibility": _known(scan.audibility[i], broken),
                "audibility_ratio": _ratio(scan.audibility[i], scan.audibility_output[i]),
                "transport": _known(scan.transport[i], broken),
                "activation_rms": float(scan.activation_rms[i]),
                "gradient_rms": _known(scan.gradient_rms[i], broken),
                "activation_slope": _known(scan.activation_slope[i]),
                "saturated": _known(scan.saturated[i]),
                "dead": _known(scan.dead[i]),
                "turnover_steps": turnover(float(np.median(ratios))) if ratios else None,
                "tensors": [patient.tensors[t].name for t in layer.tensors if t in patient.tensors],
            }
        )
    return rows


def _latest(patient: Patient) -> Scan | None:
    measured = {profile.step for profile in patient.profiles}
    usable = [scan for scan in patient.scans if scan.step in measured]
    return usable[-1] if usable else (patient.scans[-1] if patient.scans else None)


def _is_matrix(patient: Patient, tensor: int) -> bool:
    return tensor in patient.tensors and len(patient.tensors[tensor].shape) >= 2


def _known(value: float, broken: bool = False) -> float | None:
    # NaN in a scan means "not measured here", unless the layer's numbers themselves are not finite.
    return None if np.isnan(value) and not broken else float(value)


def _ratio(audibility: float, output: float) -> float | None:
    if np.isnan(audibility) or np.isnan(output) or output == 0:
        return None
    return float(audibility / output)
