"""What feeds a layer: the row of a scan below it, and which operation made its inputs so large or small."""

from dataclasses import dataclass

import numpy as np

from livegrad.diagnose.patient import Patient
from livegrad.diagnose.role import line_of, role
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer

# Sizes up to here are ordinary: the inputs of a layer after an activation or a normalization.
ORDINARY_RMS = 3.0
# Beside biases of ordinary size, inputs under this one are nothing that a sum of float32 could show.
NOTHING_RMS = 1e-7
_MOST_STEPS = 50


def row_below(patient: Patient, scan: Scan, row: int) -> int | None:
    """Return the row of the layer whose output the layer of `row` works on; None if it is not known.

    On the spine that is the next cut, the model's input under the last; in a path of a segment the operation
    before, and at the path's end what the segment starts from.
    """
    layer = patient.layers[int(scan.layer[row])]
    if layer.kind == "depth":
        return _spine_below(patient, scan, layer)
    if layer.kind != "branch" or layer.segment is None:
        return None
    top = None
    found = None
    for other, key in enumerate(scan.layer):
        near = patient.layers[int(key)]
        if near.id == layer.segment:
            top = other
        if other < row and near.kind == "branch" and (near.segment, near.path) == (layer.segment, layer.path):
            found = other  # rows of a path stand in order of execution
    return found if found is not None else (None if top is None else row_below(patient, scan, top))


def _spine_below(patient: Patient, scan: Scan, layer: Layer) -> int | None:
    kinds = [(patient.layers[int(key)].kind, patient.layers[int(key)].depth) for key in scan.layer]
    if layer.depth > 0:
        return kinds.index(("depth", layer.depth - 1)) if ("depth", layer.depth - 1) in kinds else None
    inputs = [row for row, (kind, _) in enumerate(kinds) if kind == "input"]
    return inputs[0] if len(inputs) == 1 else None


@dataclass(frozen=True)
class Enlarger:
    """What made the inputs of a layer large. layer: None if the data themselves are. factor: on the rms of
    what it is given, or for the data their rms.
    """

    layer: Layer | None
    factor: float
    source: str | None = None


def enlarger(patient: Patient, scan: Scan, row: int) -> Enlarger | None:
    """Return the operation below `row` that multiplies the size of what it is given most, looked for down to
    where sizes are ordinary; None if that is not known.
    """
    found: list[Enlarger] = []
    at = row_below(patient, scan, row)
    for _ in range(_MOST_STEPS):
        if at is None or not scan.activation_rms[at] > ORDINARY_RMS:
            break
        layer, size = patient.layers[int(scan.layer[at])], float(scan.activation_rms[at])
        if layer.kind == "input":
            found.append(Enlarger(None, size))
            break
        below = row_below(patient, scan, at)
        given = np.nan if below is None else float(scan.activation_rms[below])
        if given > 0 and role(layer, patient.tensors) != "activation":
            found.append(Enlarger(layer, size / given, line_of(layer, patient.tensors)))
        at = below
    return max(found, key=lambda item: item.factor, default=None)


def shrinker(patient: Patient, scan: Scan, row: int) -> Enlarger | None:
    """Return the operation below `row` that makes what it is given smallest, where what `row` works on is
    next to nothing; None if it is not, or if nothing below made it so.
    """
    found: list[Enlarger] = []
    at = row_below(patient, scan, row)
    for _ in range(_MOST_STEPS):
        if at is None or not scan.activation_rms[at] < NOTHING_RMS:
            break
        layer, below = patient.layers[int(scan.layer[at])], row_below(patient, scan, at)
        given = np.nan if below is None else float(scan.activation_rms[below])
        if given > 0:
            factor = float(scan.activation_rms[at]) / given
            found.append(Enlarger(layer, factor, line_of(layer, patient.tensors)))
        at = below
    return min(found, key=lambda item: item.factor, default=None)
