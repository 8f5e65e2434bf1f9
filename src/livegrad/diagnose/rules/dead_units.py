"""LG202 dead-units: most units of a rectifying layer are zero for every sample, and a zero unit gets no
gradient.

What it is. A ReLU whose input is negative for all data passes nothing forward and nothing back; no gradient
step can wake it. A learning rate that was too high once, or a large negative bias, kills whole layers.

How it is decided. More than nine tenths of the layer's units are zero on the whole batch, at the latest scan
and at most of the later ones. In deep rectifier nets about half the units are silent on any one batch because
the samples have become alike; that is not death. Of a fused recurrence of rectifiers only the last state is
seen: it is dead where that is zero altogether.
"""

from functools import partial

import numpy as np

from livegrad.diagnose.expected import weight_norms
from livegrad.diagnose.feeding import row_below
from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.role import line_of, role
from livegrad.diagnose.rules.saturation import persistent_layers
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer

DEAD_SHARE = 0.9
ALL_DEAD = 0.999
FEWEST_SAMPLES = 8
FUSED_RECTIFIER = "rnn_relu"


def dead_share(patient: Patient, scan: Scan, row: int) -> float:
    """Share of a row's units that are zero for every sample. A fused recurrence shows its last state
    alone: all of it is zero where no cell has fired.
    """
    layer = patient.layers[int(scan.layer[row])]
    if layer.operator == FUSED_RECTIFIER and scan.activation_rms[row] == 0:
        return 1.0
    return float(scan.dead[row])


def _dead(patient: Patient, scan: Scan, row: int) -> bool:
    if patient.layers[int(scan.layer[row])].operator == FUSED_RECTIFIER:
        return dead_share(patient, scan, row) > ALL_DEAD
    share = scan.dead[row]
    if not np.isfinite(share) or share <= DEAD_SHARE or scan.samples[row] < FEWEST_SAMPLES:
        return False
    return bool(share > ALL_DEAD or _different_samples(patient, scan, row) >= FEWEST_SAMPLES)


def _different_samples(patient: Patient, scan: Scan, row: int) -> float:
    """How many samples the layer is really given: 1 + (B − 1)(1 − c), c the mean cosine of what feeds the
    weights before it. A unit that is silent on samples that are all alike has not been shown to be dead.
    """
    batch, at = float(scan.samples[row]), row_below(patient, scan, row)
    while at is not None and role(patient.layers[int(scan.layer[at])], patient.tensors) in (
        "weights",
        "norm",
    ):
        at = row_below(patient, scan, at)
    alike = np.nan if at is None else scan.similarity[at]
    return 1 + (batch - 1) * (1 - max(0.0, float(alike))) if np.isfinite(alike) else batch


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    found = persistent_layers(patient, partial(_dead, patient))
    if not found:
        return []
    scan = patient.scans[-1]
    layers = [layer for layer, _ in found]
    shares = [dead_share(patient, scan, row) for _, row in found]
    blocks = any(
        layer.kind == "depth" and share > ALL_DEAD for layer, share in zip(layers, shares, strict=True)
    )
    severity = "error" if blocks or not patient.is_learning else "warning"
    names = tuple(layer.name for layer in layers)
    worst = layers[int(np.argmax(shares))]
    born = _born(patient)
    return [
        Finding(
            code="LG202",
            name="dead-units",
            severity=severity,
            subject=patient.subject.name,
            layers=names,
            layers_text=layers_text(names),
            source=patient.line(worst),
            message=f"{max(shares):.0%} of the units of {spoken(worst.name, worst.type)} are zero for every "
            "sample",
            cause=_cause(patient, scan, found[int(np.argmax(shares))], born, names),
            evidence={
                "dead_share": max(shares),
                "layers_dead": len(found),
                "first_seen_step": born,
                "largest_update_share_of_weights": _largest_update(patient),
            },
            explanation=(
                "A unit that is zero for every sample has slope zero there too, so no gradient step can "
                "bring it back."
            )
            + (" The whole layer is dead: nothing passes it in either direction." if blocks else ""),
            first_step=born,
            last_step=scan.step,
            remedies=(Remedy("init"), Remedy("activation"), Remedy("schedule"), Remedy("clip")),
            next=(
                "Start again with a lower learning rate or a warm-up and gradient clipping; LeakyReLU or "
                "GELU instead of ReLU "
                "leaves units a way back. Check biases that start far below zero."
            ),
        )
    ]


def _born(patient: Patient) -> int:
    for scan in patient.scans:
        if any(_dead(patient, scan, row) for row in range(len(scan))):
            return scan.step
    return patient.scans[-1].step


def _cause(
    patient: Patient, scan: Scan, worst: tuple[Layer, int], born: int, names: tuple[str, ...]
) -> Cause:
    layer, row = worst
    below = row_below(patient, scan, row)
    summary, source = _why(born), None
    if below is not None and np.isfinite(scan.activation_mean[below]):
        mean, size = float(scan.activation_mean[below]), float(scan.activation_rms[below])
        feeder = patient.layers[int(scan.layer[below])]
        source = line_of(feeder, patient.tensors)
        spread = max(0.0, size**2 - mean**2) ** 0.5
        if mean < 0:
            handed = f"has mean {mean:.3g} and spread {spread:.3g}"
            summary += f". What {spoken(feeder.name)} hands to {spoken(layer.name)} {handed}"
            summary += _bias_words(patient, scan, feeder, mean)
    return Cause(
        summary, layer.type, kind="activation-saturated", layers=names, source=source or patient.line(layer)
    )


def _bias_words(patient: Patient, scan: Scan, feeder: Layer, mean: float) -> str:
    norms = weight_norms(patient, scan.step)
    biases = [
        t
        for key in feeder.tensors
        if (t := patient.tensors.get(key)) is not None and len(t.shape) == 1 and t.name.endswith("bias")
    ]
    if len(biases) != 1 or biases[0].id not in norms:
        return ""
    rms = norms[biases[0].id] / max(1, biases[0].count) ** 0.5
    return f": its biases have an rms of {rms:.3g}" if rms > 0.5 * abs(mean) else ""


def _why(born: int) -> str:
    if born <= 1:
        return "the units were dead from the start: biases or weights start where no input reaches them"
    return f"the units were alive at first and were found dead at step {born}: a step before it was too large"


def _largest_update(patient: Patient) -> float | None:
    pulses = patient.pulses
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = pulses.update_norm / pulses.weight_norm
    finite = ratio[np.isfinite(ratio)]
    return float(finite.max()) if len(finite) else None
