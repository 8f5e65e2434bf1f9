"""LG101 vanishing-gradient: inside a recurrent module of many layers the first is not heard at the output.

What it is. A fused kernel hides its layers from the spine, as it hides its time steps. Stacked recurrent
layers lose signal over their depth as any others do: torch's initialization has a gain of 0.58.

How it is decided. As over the spine, between the loudest state of the first layer and the loudest of the top
one: more than three decades, and more than three standard deviations of what finite width alone does, at the
latest scan and at most of the later ones. It is told where nothing is learnt.
"""

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.lanes import Lanes, read_lanes
from livegrad.diagnose.patient import Patient, persists
from livegrad.diagnose.rules.vanishing_gradient import FLOOR_DECADES, NULL_DEVIATIONS
from livegrad.diagnose.rules.vanishing_gradient import find as over_the_spine


def find(patient: Patient) -> list[Finding]:
    """Return a finding per module, or nothing where the spine shows the silence already."""
    series: dict[str, list[tuple[int, Lanes]]] = {}
    for scan in patient.scans:
        for lanes in read_lanes(scan, patient.layers, fewest=1):
            series.setdefault(lanes.module, []).append((scan.step, lanes))
    sick = {
        name: course
        for name, course in series.items()
        if persists([_is_silent(lanes) for _, lanes in course])
    }
    if not sick or patient.is_learning or over_the_spine(patient):
        return []
    return [_finding(patient, name, course) for name, course in sick.items()]


def _is_silent(lanes: Lanes) -> bool:
    # Hanin & Nica (2020), as over the spine: ln S has the deviation √β / 2, β = 5 Σ 1/n.
    deviation = 0.5 * np.sqrt(5 * (lanes.layers - 1) / max(1, lanes.width)) / np.log(10)
    return lanes.depth < min(FLOOR_DECADES, -NULL_DEVIATIONS * deviation)


def _finding(patient: Patient, name: str, course: list[tuple[int, Lanes]]) -> Finding:
    step, last = course[-1]
    layers = (f"{name}.l0", f"{name}.l{last.layers - 1}")
    whole = next((layer for layer in patient.layers.values() if layer.module == name), None)
    source = None if whole is None else patient.line(whole)
    factor = 10 ** (last.depth / (last.layers - 1))
    return Finding(
        code="LG101",
        name="vanishing-gradient",
        severity="warning" if patient.learning.state == "unknown" else "error",
        subject=patient.subject.name,
        layers=layers,
        layers_text=f"{layers[0]} … {layers[1]} ({last.layers} layers)",
        source=source,
        message=f"the signal from {layers[0]} loses {-last.depth:.1f} decades on its way to {layers[1]}",
        cause=Cause(
            f"each of the {last.layers} stacked layers passes on {factor:.2f} of what the one above it hears",
            None if whole is None else whole.type,
            last.depth,
            layers=layers,
            source=source,
        ),
        evidence={
            "loss_of_signal_decades": -last.depth,
            "factor_per_layer": factor,
            "layers_count": last.layers,
            "loss_at_start": patient.learning.first,
            "loss_at_end": patient.learning.last,
        },
        explanation=(
            "Layers of a recurrent stack lose signal over depth as others do, and what its first layer sees "
            "hardly reaches the output."
        ),
        first_step=next(at for at, lanes in course if _is_silent(lanes)),
        last_step=step,
        remedies=(Remedy("init"), Remedy("skip"), Remedy("normalize")),
        next="Use fewer layers, give the input weights a gain of 1, or add skip connections between layers.",
    )
