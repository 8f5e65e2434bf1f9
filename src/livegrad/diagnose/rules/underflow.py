"""LG302 underflow: gradients are smaller than what float16 can hold, and become zero.

What it is. The smallest number above zero in float16 is 2⁻²⁴ = 6e-8. What lies under half of it is rounded
to zero, what lies a little above keeps one or two digits. A gradient of usual size in float32 can be all
zeros in float16.

Why it happens. Autocast to float16, or a model cast to half, without a GradScaler; or a loss scale that is
too low, because overflows elsewhere keep pushing it down. bfloat16 has float32's range and does not
underflow so.

How it is decided. At each scan, per layer that computes in float16, from the gradient that arrives there as
it was (with its loss scale): of entries that scatter normally with rms r the share erf(q / (2√2 r)), q =
2⁻²⁴, rounds to zero. A layer underflows if that share is over a quarter, at the last scan and at most of the
later ones. Zeros that structure makes (sparse embeddings, rectifiers, masks) hardly change r and do not
count. Half of those layers underflowing is an error if nothing is learnt and a warning otherwise; fewer are
only mentioned. Where the outputs fit the targets small gradients are right. In float32 gradients reach zero
by vanishing (LG101).
"""

import math

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.patient import Patient, persists
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer

SMALLEST = 2.0**-24
LOST = 0.25
MANY = 0.5


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    scans = [found for scan in patient.scans if (found := _lost(patient, scan))]
    if not scans or patient.fits:
        return []
    under = [
        layer
        for layer, share in scans[-1].items()
        if share > LOST and persists([found[layer] > LOST for found in scans if layer in found])
    ]
    if not under:
        return []
    share = len(under) / len(scans[-1])
    severity = "info" if share < MANY else ("warning" if patient.is_learning else "error")
    under.sort(key=lambda key: patient.layers[key].depth)
    return [_finding(patient, [patient.layers[key] for key in under], scans[-1], severity)]


def rounded_to_zero(rms: float, smallest: float) -> float:
    """Share of entries of N(0, rms²) under half of `smallest`: erf(smallest / (2√2 rms))."""
    return 1.0 if rms == 0 else math.erf(smallest / (2 * math.sqrt(2) * rms))


def _lost(patient: Patient, scan: Scan) -> dict[int, float]:
    """Return layer id -> share of its gradient that float16 rounds to zero, of layers that compute in it."""
    return {
        int(key): rounded_to_zero(float(scan.gradient_rms[row]), SMALLEST)
        for row, key in enumerate(scan.layer)
        if patient.layers[int(key)].dtype == "float16" and np.isfinite(scan.gradient_rms[row])
    }


def _zeros(patient: Patient, layers: list[Layer]) -> float | None:
    """Largest share of zeros in a gradient of the layers' weights, the median over the recorded steps."""
    pulses = patient.pulses
    owned = {key for layer in layers for key in layer.tensors}
    columns = [j for j, key in enumerate(pulses.tensor) if int(key) in owned]
    shares = pulses.gradient_zeros_share[:, columns]
    known = shares[:, np.isfinite(shares).any(axis=0)] if len(columns) else shares
    return float(np.nanmedian(known, axis=0).max()) if known.size else None


def _finding(patient: Patient, under: list[Layer], lost: dict[int, float], severity: str) -> Finding:
    names = tuple(layer.name for layer in under)
    worst = max(under, key=lambda layer: lost[layer.id])
    scale = float(patient.scalars["loss_scale"][-1])
    scaled = scale != 1
    return Finding(
        code="LG302",
        name="underflow",
        severity=severity,
        subject=patient.subject.name,
        layers=names,
        layers_text=layers_text(names),
        source=patient.line(worst),
        message=f"{lost[worst.id]:.0%} of the gradient that reaches {spoken(worst.name, worst.type)} "
        "rounds to zero in float16",
        cause=Cause(
            f"the loss scale of {scale:g} is too low for gradients of this size"
            if scaled
            else "the loss is not scaled, and float16 holds nothing under 6e-8",
            worst.type,
            kind="operation",
            layers=names,
        ),
        evidence={
            "share_rounded_to_zero": lost[worst.id],
            "zero_share_in_weight_gradients": _zeros(patient, under),
            "smallest_number": SMALLEST,
            "loss_scale": scale,
            "layers_underflowing": len(under),
            "layers_in_float16": len(lost),
        },
        explanation=(
            "What is under half of the smallest number becomes zero, and what is a little above keeps hardly "
            "a digit: the weights get no gradient, or a coarse one."
        ),
        first_step=patient.scans[0].step,
        last_step=patient.scans[-1].step,
        remedies=(Remedy("precision"),),
        next=(
            "Find what overflows and pushes the loss scale down (see LG303), or use bfloat16."
            if scaled
            else "Use torch.amp.GradScaler around backward and step, or bfloat16, whose range is float32's."
        ),
    )
