"""LG201 saturation: an activation sits in its flat parts for nearly every input, so it passes on next to no
gradient.

What it is. Sigmoid, tanh and their kin are flat for large inputs. Inputs or weights that are too large drive
them there, and the gradient is multiplied by a slope near zero.

How it is decided. More than four fifths of an activation's entries have a slope under 5 % of its largest, at
the latest scan and at most of the later ones. The model's own output link (a final sigmoid) saturates as the
network converges; it is judged only where the outputs are far from the targets. Saturation makes gradients
vanish, never explode.

A softmax that weighs, as attention's, is flat where a row puts all weight on one entry: queries and keys then
hear nothing. Networks that learn come to that by themselves, so it is a fault only where it was so from the
first scan on and little is learnt.
"""

from collections.abc import Callable

import numpy as np

from livegrad.diagnose.feeding import enlarger, row_below
from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.patient import LEARNT, Patient, persists
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer

SATURATED_SHARE = 0.8
NEARLY_ALL = 0.9
FEWEST_ENTRIES = 16
_GATES = {"Sigmoid", "Hardsigmoid"}
_WEIGHING = ("softmax", "attention", "scaleddotproduct")


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
    found = [pair for pair in found if not _is_gate(patient, patient.scans[-1], pair[0])]
    found = [pair for pair in found if not _weighs(pair[0]) or _is_stuck(patient, pair[0])]
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
    born = _born(patient, {layer.id for layer in layers})
    return [
        Finding(
            code="LG201",
            name="saturation",
            severity="warning" if learning else "error",
            subject=patient.subject.name,
            layers=names,
            layers_text=layers_text(names),
            source=patient.line(worst),
            message=f"{max(shares):.0%} of {spoken(worst.name, worst.type)} is saturated: its slope there is "
            "next to zero",
            cause=_cause(patient, scan, found[int(np.argmax(shares))], names, born),
            evidence={
                "saturated_share": max(shares),
                "rms_slope": _known(scan.activation_slope[found[int(np.argmax(shares))][1]]),
                "rms_of_inputs": _input_size(patient, scan, found[int(np.argmax(shares))][1]),
                "layers_saturated": len(found),
                "first_seen_step": born,
            },
            explanation=(
                "Where an activation is flat, the gradient is multiplied by a slope near zero, and the "
                "layers before it hear "
                "nothing."
            ),
            first_step=born,
            last_step=scan.step,
            remedies=(Remedy("init"), Remedy("normalize"), Remedy("activation")),
            next=(
                "Bring what goes into it to unit size: scale the data, use smaller initial weights or a "
                "lower learning rate, or "
                "put a normalization layer before it."
            ),
        )
    ]


def _weighs(layer: Layer) -> bool:
    """True for a softmax, and for an attention that has one inside."""
    words = f"{layer.type} {layer.operator}".lower()
    return any(word in words for word in _WEIGHING)


def _is_stuck(patient: Patient, layer: Layer) -> bool:
    """Whether a softmax chose before anything was learnt, and little is."""
    if patient.is_output_link(layer) or _born(patient, {layer.id}) > patient.scans[0].step:
        return False
    level = patient.constant_loss
    far = level is not None and level > 0 and patient.learning.last > LEARNT * level
    return far or not patient.is_learning


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _born(patient: Patient, layers: set[int]) -> int:
    """The step of the first scan at which one of `layers` was saturated."""
    return next(
        scan.step
        for scan in patient.scans
        if any(int(key) in layers and _saturated(scan, row) for row, key in enumerate(scan.layer))
    )


def _cause(
    patient: Patient, scan: Scan, worst: tuple[Layer, int], names: tuple[str, ...], born: int
) -> Cause:
    layer, row = worst
    if _weighs(layer):
        summary = (
            "its scores are far apart: what goes in, or the weights that make queries and keys, are large"
        )
        return Cause(
            summary, layer.type, kind="activation-saturated", layers=names, source=patient.line(layer)
        )
    summary = f"the inputs of {layer.type} are far larger than the range in which it has a slope"
    if born > patient.scans[0].step:
        summary += f", which they were not at first (found at step {born}: the steps were too large)"
    origin = enlarger(patient, scan, row)
    source = None
    if origin is not None and origin.layer is None:
        summary += f": the data come in with an rms of {origin.factor:.3g}"
    elif origin is not None and origin.layer is not None:
        source = origin.source
        named = f"{spoken(origin.layer.name)} ({origin.layer.type})"
        summary += f": {named} makes what it is given {origin.factor:.3g} times as large"
    return Cause(
        summary, layer.type, kind="activation-saturated", layers=names, source=source or patient.line(layer)
    )


def _is_gate(patient: Patient, scan: Scan, layer: Layer) -> bool:
    """True for a sigmoid whose value another one is multiplied by: open or shut is what a gate is for."""
    if not {layer.type, layer.operator} & _GATES:
        return False
    if layer.kind == "time":
        return True
    if layer.kind == "depth":
        return _multiplies(patient, layer.depth + 1)
    top = patient.layers.get(-1 if layer.segment is None else layer.segment)
    if top is None or (top.operator or "").lower() != "mul":
        return False
    path = [
        other
        for key in scan.layer
        if (other := patient.layers[int(key)]).kind == "branch"
        and (other.segment, other.path) == (layer.segment, layer.path)
    ]
    return bool(path) and path[-1].id == layer.id


def _multiplies(patient: Patient, depth: int) -> bool:
    """True if the spine's cut at `depth` multiplies several things with one another."""
    here = [layer for layer in patient.layers.values() if layer.depth == depth]
    product = any(layer.kind == "depth" and (layer.operator or "").lower() == "mul" for layer in here)
    return product and any(layer.kind == "branch" for layer in here)


def _input_size(patient: Patient, scan: Scan, row: int) -> float | None:
    below = row_below(patient, scan, row)
    return None if below is None else float(scan.activation_rms[below])
