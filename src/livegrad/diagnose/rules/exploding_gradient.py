"""LG103 exploding-gradient: a small change in an early layer moves the output by many times its own size.

What it is. Audibility grows by decades towards the input: each layer multiplies the gradient by more than
one. Any step along such a gradient overshoots; weights run to infinity or the loss jumps about.

How it is decided. Audibility over depth, at the latest finite scan and at most of the later ones, lies more
than three decades over the output's (or over the output's own unit) and outside what finite width alone does.
Saturation does not cause explosion; weights that are too large, or BatchNorm in a deep net without skips, do.
"""

from collections import defaultdict
from itertools import pairwise

import numpy as np

from livegrad.diagnose.blame import blame
from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.harm import harm_to, turnover
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.patient import Patient, persists
from livegrad.diagnose.role import line_of, role
from livegrad.diagnose.rules.update_too_large import SINGLE_STEP, update_sizes
from livegrad.diagnose.spine_profile import SpineProfile, spine_profile
from livegrad.run.schema import Layer
from livegrad.theory.trend import block_trend

CEILING_DECADES = 3.0
# A smaller excess counts where the optimizer turned it into harm: steps larger than the weights, and nothing
# learnt.
HARMFUL_DECADES = 1.5
NULL_DEVIATIONS = 3.0
# Growth of activations over depth that ends in infinity.
OVERFLOW_DECADES = 6.0
_MOST = 0.7


def deafening(profile: SpineProfile, ceiling: float = CEILING_DECADES) -> np.ndarray:
    """Return which spine layers (L,) move the output far more than their size warrants.

    In the output's own unit that counts only where the output itself is half of it: one that is a few times
    its unit, over layers that are a little loud, is two small things and no explosion. Neither is it one to
    be loud beside an output that is next to nothing (a critic whose answers all lie at zero): the layer has
    to move the output by its own unit at least.
    """
    limit = np.maximum(ceiling, NULL_DEVIATIONS * profile.null_sd)
    with np.errstate(invalid="ignore"):
        large = profile.absolute[-1:] > ceiling / 2
        return ((profile.relative > limit) & (profile.absolute > 0)) | (
            (profile.absolute > limit) & bool(large.any())
        )


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    return _by_audibility(patient) or _by_overflow(patient)


def _by_overflow(patient: Patient) -> list[Finding]:
    """Find activations that grow over depth until they overflow: audibility cannot be measured there any
    more.
    """
    for scan in patient.scans[:1]:
        profile = spine_profile(scan, patient.layers)
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.log10(profile.activation_rms)
        finite = np.flatnonzero(np.isfinite(size))
        if profile.finite or len(finite) < 3 or size[finite[-1]] - size[finite[0]] < OVERFLOW_DECADES:
            continue
        layers = [profile.layers[i] for i in finite if size[i] > size[finite[0]] + CEILING_DECADES]
        slope = block_trend(np.array([layer.depth for layer in profile.layers], float), size)
        names = tuple(layer.name for layer in layers)
        grown = float(size[finite[-1]] - size[finite[0]])
        return [
            Finding(
                code="LG103",
                name="exploding-gradient",
                severity="error",
                subject=patient.subject.name,
                layers=names,
                layers_text=layers_text(names),
                source=patient.line(layers[0]),
                message=(
                    f"the activations grow by {grown:.1f} decades and overflow, and the gradient with them"
                ),
                cause=_growth_cause(patient, profile, finite, size, grown),
                evidence={
                    "activation_slope_decades_per_layer": slope.slope,
                    "activation_growth_decades": grown,
                },
                explanation=(
                    "The same factors that multiply the activation forwards multiply the gradient backwards."
                ),
                first_step=scan.step,
                last_step=scan.step,
                remedies=(Remedy("init"), Remedy("normalize"), Remedy("skip")),
                next=_next(None),
            )
        ]
    return []


def _growth_cause(
    patient: Patient, profile: SpineProfile, finite: np.ndarray, size: np.ndarray, grown: float
) -> Cause:
    """Put the growth of the activations down to the type of operation that adds most of it."""
    added: dict[str, list[tuple[float, Layer]]] = defaultdict(list)
    for below, above in pairwise(finite):
        layer = profile.layers[above]
        added[layer.type].append((float(size[above] - size[below]), layer))
    steps = max(added.values(), key=lambda items: sum(step for step, _ in items))
    most, worst = max(steps, key=lambda item: item[0])
    # One of many that does most of it alone is named alone.
    blamed = [(most, worst)] if most > _MOST * grown else steps
    total = sum(step for step, _ in blamed)
    factor = 10 ** (total / len(blamed))
    what = role(worst, patient.tensors)
    kind = {"weights": "weights-large", "norm": "normalization", "join": "residual-scale"}.get(what)
    each = "it multiplies" if len(blamed) == 1 else "each multiplies"
    name = f" ({spoken(worst.name)})" if len(blamed) == 1 else ""
    return Cause(
        f"{len(blamed)} {worst.type}{name}: the activations grow by {total:.1f} decades there, {each} the "
        f"size of its input by {factor:.3g}",
        worst.type,
        total,
        kind=kind or "operation",
        layers=tuple(layer.name for _, layer in blamed),
        source=line_of(worst, patient.tensors),
    )


def _by_audibility(patient: Patient) -> list[Finding]:
    profiles = patient.profiles
    # An explosion at the start that went away is held against the network only if training did not get over
    # it.
    harmed = not patient.is_finite or not patient.is_learning
    ceiling = HARMFUL_DECADES if harmed and _overshoots(patient, profiles) else CEILING_DECADES
    masks = [deafening(profile, ceiling) for profile in profiles]
    flags = [bool(mask.any()) for mask in masks]
    if not (persists(flags) or (any(flags[:1]) and harmed)):
        return []
    at = max(i for i, flag in enumerate(flags) if flag)
    profile, mask = profiles[at], masks[at]
    sick = [layer for layer, bad in zip(profile.layers, mask, strict=True) if bad]
    harm = harm_to(patient, {t for layer in sick for t in layer.tensors})
    cause, culprit = blame(patient, profile, growing=True)
    names = tuple(layer.name for layer in sick)
    steps = [p.step for p, flag in zip(profiles, flags, strict=True) if flag]
    severity = "warning" if patient.is_finite and patient.is_learning else "error"
    slope = block_trend(np.array([layer.depth for layer in profile.layers], float), profile.relative)
    return [
        Finding(
            code="LG103",
            name="exploding-gradient",
            severity=severity,
            subject=patient.subject.name,
            layers=names,
            layers_text=layers_text(names),
            source=cause.source or patient.line(culprit or sick[0]),
            message=_message(profile),
            cause=cause,
            evidence={
                "audibility_of_first_layer": float(10 ** profile.relative[0]),
                "audibility_slope_decades_per_layer": slope.slope,
                "audibility_slope_interval": [slope.low, slope.high],
                "output_size_in_its_unit": float(10 ** profile.absolute[-1]),
                "gradient_transport_decades": float(profile.transport[0]),
                "turnover_steps": turnover(harm.update_ratio),
                "loss_at_start": patient.learning.first,
                "loss_at_end": patient.learning.last,
            },
            explanation=(
                "Backpropagation multiplies one factor per layer. Here most factors are over 1, so the "
                "early layers get "
                "gradients that say nothing about a step of any useful size."
            ),
            first_step=steps[0],
            last_step=steps[-1],
            remedies=(Remedy("init"), Remedy("skip"), Remedy("clip")),
            next=_next(cause.operator),
        )
    ]


def _overshoots(patient: Patient, profiles: list[SpineProfile]) -> bool:
    """True if the loudest layers' weights were at some step changed by more than their own size, the others'
    far less.
    """
    if not profiles:
        return False
    loud = {t for layer in _loudest(profiles[0]) for t in layer.tensors}
    sizes = {
        t.id: size[1] for t in patient.tensors.values() if (size := update_sizes(patient, t)) is not None
    }
    inside = [size for key, size in sizes.items() if key in loud]
    outside = [size for key, size in sizes.items() if key not in loud]
    return (
        bool(inside and outside) and max(inside) > SINGLE_STEP and max(inside) > 3 * float(np.median(outside))
    )


def _loudest(profile: SpineProfile) -> list[Layer]:
    with np.errstate(invalid="ignore"):
        return [
            layer for layer, r in zip(profile.layers, profile.relative, strict=True) if r > HARMFUL_DECADES
        ]


def _message(profile: SpineProfile) -> str:
    relative = float(np.nanmax(profile.relative))
    first, last = (spoken(layer.name, layer.type) for layer in (profile.layers[0], profile.layers[-1]))
    if relative > HARMFUL_DECADES:
        return f"the gradient grows by {relative:.1f} decades from {last} back to {first}"
    size = float(np.nanmax(profile.absolute))
    return f"the output of {last} is {size:.1f} decades larger than its unit, and every gradient with it"


def _next(operator: str | None) -> str:
    if operator is not None and operator.startswith("BatchNorm"):
        return (
            "Add residual connections, or use fewer layers, or drop BatchNorm for an initialization made "
            "for this depth."
        )
    return (
        "Initialize the weights with the gain of their activation (nn.init.kaiming_normal_ for ReLU, "
        "xavier_normal_ with "
        "nn.init.calculate_gain for tanh). Clipping keeps the weights finite meanwhile, but does not "
        "cure the cause."
    )
