"""LG101 vanishing-gradient: the early layers cannot be heard at the output, and the optimizer does not make
up for it.

What it is. Audibility says how far the output moves if a layer's activation is replaced by noise of the same
size. Where it falls by many decades towards the input, so does all that the loss can tell the early layers.

How it is decided. Audibility over depth, at the latest scan and at most of the later ones, lies more than
three decades under the output's, and more than three standard deviations outside what finite width alone
does. Norms of gradients play no part, so a converged network, a scaled loss or a frozen trunk raises no
alarm. Severity follows harm: an error where the layers are starved (their weights turn over too slowly) or
nothing is learnt, information where an adaptive optimizer makes up for it and the loss falls.
"""

import numpy as np

from livegrad.diagnose.blame import blame
from livegrad.diagnose.finding import Finding, Remedy
from livegrad.diagnose.harm import Harm, harm_to, turnover
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.patient import Patient, persists
from livegrad.diagnose.spine_profile import SpineProfile
from livegrad.theory.activation import CATALOGUE, backward_factor
from livegrad.theory.trend import block_trend

FLOOR_DECADES = -3.0
# A smaller loss counts where the optimizer turned it into harm: the quiet layers starve and nothing is
# learnt.
HARMFUL_DECADES = -2.0
NULL_DEVIATIONS = 3.0
# Under this a float32 product of many small factors is exactly zero; a silence that starts higher has another
# reason.
UNDERFLOW_DECADES = -20.0


def inaudible(profile: SpineProfile, floor: float = FLOOR_DECADES) -> np.ndarray:
    """Return which spine layers (L,) are inaudible at the output beyond what finite width alone explains."""
    limit = np.minimum(floor, -NULL_DEVIATIONS * profile.null_sd)
    null = profile.null_mean - NULL_DEVIATIONS * profile.null_sd
    with np.errstate(invalid="ignore"):
        by_depth = profile.relative < limit
        # Where output and early layers shrink together the ratio hides it; the output's own unit does not.
        # But targets in the thousands make no output small.
        everywhere = (
            np.all(profile.plain < FLOOR_DECADES + np.minimum(0.0, null - FLOOR_DECADES)) and len(null) > 2
        )
    silent = by_depth | bool(everywhere)
    return silent & ~_cut_off(profile)


def _cut_off(profile: SpineProfile) -> np.ndarray:
    """Layers below a cut that passes exactly nothing: a gate closed at the start, a head of zeros, dead
    units; no decay.
    """
    exact = np.isneginf(profile.relative)
    below = np.zeros(len(exact), bool)
    if exact.any():
        first = int(np.flatnonzero(exact)[-1])
        above = profile.relative[first + 1] if first + 1 < len(exact) else 0.0
        if above > UNDERFLOW_DECADES:
            below[: first + 1] = True
    if np.isneginf(profile.absolute).all() or np.isnan(profile.relative).all():
        below[:] = True
    return below


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    profiles = patient.profiles
    masks = [inaudible(profile) & _trainable(patient, profile) for profile in profiles]
    if not any(mask.any() for mask in masks[-1:]) and not patient.is_learning:
        quieter = [inaudible(profile, HARMFUL_DECADES) & _trainable(patient, profile) for profile in profiles]
        if quieter and harm_to(patient, _tensors_of(profiles[-1], quieter[-1])).starved:
            masks = quieter
    flags: list[bool] = []
    for profile, mask in zip(profiles, masks, strict=True):
        # Silence that ends in exact zero is still the same silence.
        flags.append(bool(mask.any()) or (bool(flags) and flags[-1] and bool(_cut_off(profile).any())))
    if not persists(flags):
        return []
    at = max(i for i, mask in enumerate(masks) if mask.any())
    profile, mask = profiles[at], masks[at]
    sick = [layer for layer, bad in zip(profile.layers, mask, strict=True) if bad]
    harm = harm_to(patient, _tensors_of(profile, mask))
    severity = _severity(patient, harm)
    cause, culprit = blame(patient, profile, growing=False)
    names = tuple(layer.name for layer in sick)
    steps = [p.step for p, m in zip(profiles, masks, strict=True) if m.any()]
    return [
        Finding(
            code="LG101",
            name="vanishing-gradient",
            severity=severity,
            subject=patient.subject.name,
            layers=names,
            layers_text=layers_text(names),
            source=cause.source or patient.line(culprit or sick[0]),
            message=_message(profile, mask, severity),
            cause=cause,
            evidence=_evidence(patient, profile, harm),
            explanation=_explanation(severity),
            first_step=steps[0],
            last_step=steps[-1],
            remedies=_remedies(cause.operator),
            next=_next(cause.operator, severity),
            covers=_below(patient, max(layer.depth for layer in sick)),
        )
    ]


def _below(patient: Patient, depth: int) -> frozenset[str]:
    """Modules and tensors of the silent layers and of all that lies between them and the input, branches
    too.
    """
    held = {t for layer in patient.layers.values() if layer.depth <= depth for t in layer.tensors}
    tensors = [patient.tensors[t] for t in held if t in patient.tensors]
    return frozenset(t.module or t.name for t in tensors)


def _tensors_of(profile: SpineProfile, mask: np.ndarray) -> set[int]:
    return {t for layer, bad in zip(profile.layers, mask, strict=True) if bad for t in layer.tensors}


def _trainable(patient: Patient, profile: SpineProfile) -> np.ndarray:
    return np.array(
        [
            any(patient.tensors[t].trainable for t in layer.tensors if t in patient.tensors)
            for layer in profile.layers
        ]
    )


def _severity(patient: Patient, harm: Harm) -> str:
    if harm.starved:
        return "warning" if patient.is_learning else "error"
    if patient.is_learning:
        return "info"
    return "error"


def _lost(profile: SpineProfile) -> float:
    finite = profile.relative[np.isfinite(profile.relative)]
    return float(-finite.min()) if len(finite) else float("inf")


def _message(profile: SpineProfile, mask: np.ndarray, severity: str) -> str:
    first, last = (spoken(layer.name, layer.type) for layer in (profile.layers[0], profile.layers[-1]))
    exact = np.isneginf(profile.relative[mask]).any()
    lost = "all of it, in this precision," if exact else f"{_lost(profile):.1f} decades"
    if not np.any(profile.relative[mask] < HARMFUL_DECADES):
        lost = f"{-float(np.nanmax(profile.absolute)):.1f} decades, output and all,"
    text = f"the signal from {first} loses {lost} on its way to {last}"
    return text + (", but the optimizer makes up for it and the loss falls" if severity == "info" else "")


def _evidence(patient: Patient, profile: SpineProfile, harm: Harm) -> dict[str, object]:
    depth = np.array([layer.depth for layer in profile.layers], float)
    trend = block_trend(depth, profile.relative)
    learning = patient.learning
    return {
        "audibility_of_first_layer": float(10 ** profile.relative[0]),
        "audibility_slope_decades_per_layer": trend.slope,
        "audibility_slope_interval": [trend.low, trend.high],
        "finite_width_alone_decades": float(-NULL_DEVIATIONS * profile.null_sd[0]),
        "gradient_transport_decades": float(profile.transport[0]),
        "turnover_steps": turnover(harm.update_ratio),
        "turnover_of_other_layers_steps": turnover(harm.others),
        "loss_at_start": learning.first,
        "loss_at_end": learning.last,
    }


def _explanation(severity: str) -> str:
    if severity == "info":
        return (
            "Little of what the early layers do reaches the output, but the optimizer rescales their "
            "gradient and their "
            "weights do move."
        )
    return (
        "Backpropagation multiplies one factor per layer. Here most factors are under 1, so the early "
        "layers hear almost "
        "nothing of the loss and keep their random weights."
    )


def _remedies(operator: str | None) -> tuple[Remedy, ...]:
    if operator in CATALOGUE and backward_factor(operator) < 0.9:
        swap = Remedy(
            "activation",
            {"backward_factor_per_layer_now_at_best": backward_factor(operator), "with_relu": 1.0},
        )
        return swap, Remedy("normalize"), Remedy("skip")
    return Remedy("init"), Remedy("normalize"), Remedy("skip")


def _next(operator: str | None, severity: str) -> str:
    if severity == "info":
        return (
            "Nothing needs doing. Should training stall later, give the early layers a better path: "
            "residual connections."
        )
    if operator in CATALOGUE and backward_factor(operator) < 0.9:
        return (
            f"Replace {operator} by ReLU, GELU or tanh with its matching initialization, or add residual "
            "connections."
        )
    if operator in CATALOGUE:
        return (
            f"Bring the inputs of {operator} back to unit size: smaller weights, normalized data, or a "
            "normalization layer."
        )
    return (
        "Initialize the weights with the gain of their activation (nn.init.kaiming_normal_ for ReLU, "
        "xavier_normal_ with "
        "nn.init.calculate_gain for tanh), or add residual connections or normalization."
    )
