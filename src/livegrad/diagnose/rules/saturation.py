"""LG201 saturation: an activation sits in its flat parts for nearly every input, so it passes on next to no
gradient.

What it is. Sigmoid, tanh and their kin are flat for large inputs. Inputs or weights that are too large drive
them there, and the gradient is multiplied by a slope near zero.

How it is decided. More than four fifths of an activation's entries have a slope under 5 % of its largest, at
the latest scan and at most of the later ones. The model's own output link (a final sigmoid) saturates as the
network converges; it is judged only where the outputs are far from the targets. Saturation makes gradients
vanish, never explode.
"""

from collections.abc import Callable

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy, layers_text
from livegrad.diagnose.patient import Patient, persists
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer

SATURATED_SHARE = 0.8
NEARLY_ALL = 0.9
FEWEST_ENTRIES = 16


def persistent_layers(patient: Patient, sick: Callable[[Scan, int], bool]) -> list[tuple[Layer, int]]:
    """Return (layer, its row in the last scan) of every layer whose symptom persists over the scans, input
    side first.
    """
    if not patient.scans:
        return []
    flags: dict[int, list[bool]] = {}
    for scan in patient.scans:
        for row, layer in enumerate(scan.layer):
            if patient.layers[int(layer)].kind == "input":
                continue
            flags.setdefault(int(layer), []).append(sick(scan, row))
    last = {int(layer): row for row, layer in enumerate(patient.scans[-1].layer)}
    found = [(patient.layers[k], last[k]) for k in last if persists(flags.get(k, []))]
    # A final sigmoid is flat where its network is sure: a fault only if it is sure of the wrong answer.
    found = [pair for pair in found if patient.answers_wrongly or not patient.is_output_link(pair[0])]
    return sorted(found, key=lambda pair: pair[0].depth)


def _saturated(scan: Scan, row: int) -> bool:
    entries = int(scan.samples[row]) * int(scan.width[row])
    return bool(
        np.isfinite(scan.saturated[row])
        and scan.saturated[row] > SATURATED_SHARE
        and entries >= FEWEST_ENTRIES
    )


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    found = persistent_layers(patient, _saturated)
    if not found:
        return []
    scan = patient.scans[-1]
    shares = [float(scan.saturated[row]) for _, row in found]
    learning = patient.is_learning
    if learning and max(shares) < NEARLY_ALL:
        return []
    layers = [layer for layer, _ in found]
    names = tuple(layer.name for layer in layers)
    worst = layers[int(np.argmax(shares))]
    return [
        Finding(
            code="LG201",
            name="saturation",
            severity="warning" if learning else "error",
            subject=patient.subject.name,
            layers=names,
            layers_text=layers_text(names),
            source=patient.line(worst),
            message=f"{max(shares):.0%} of {worst.name} is saturated: its slope there is next to zero",
            cause=Cause(
                f"the inputs of {worst.type} are far larger than the range in which it has a slope",
                worst.type,
                kind="activation-saturated",
                layers=names,
            ),
            evidence={
                "saturated_share": max(shares),
                "rms_slope": float(scan.activation_slope[found[int(np.argmax(shares))][1]]),
                "rms_of_inputs": _input_size(scan, worst, patient),
                "layers_saturated": len(found),
            },
            explanation=(
                "Where an activation is flat, the gradient is multiplied by a slope near zero, and the "
                "layers before it hear "
                "nothing."
            ),
            first_step=patient.scans[0].step,
            last_step=scan.step,
            remedies=(Remedy("init"), Remedy("normalize"), Remedy("activation")),
            next=(
                "Bring what goes into it to unit size: scale the data, use smaller initial weights or a "
                "lower learning rate, or "
                "put a normalization layer before it."
            ),
        )
    ]


def _input_size(scan: Scan, layer: Layer, patient: Patient) -> float | None:
    below = [
        row
        for row, k in enumerate(scan.layer)
        if patient.layers[int(k)].kind == layer.kind == "depth"
        and patient.layers[int(k)].depth == layer.depth - 1
    ]
    return float(scan.activation_rms[below[0]]) if below else None
