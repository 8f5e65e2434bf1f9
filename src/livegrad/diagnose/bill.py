"""The bill: which kind of operation takes how many decades from the gradient between a network's output and
its input.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from livegrad.diagnose.finding import Cause
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.spine_profile import SpineProfile
from livegrad.run.schema import Layer
from livegrad.theory.activation import CATALOGUE, backward_factor, gain, normalized_backward_factor

_WEIGHTS = ("Linear", "Conv", "Bilinear", "linear", "conv", "matmul", "Addmm", "Mm", "Bmm", "addmm", "mm")
# An activation that passes on less than this share of the gradient per layer even at its best weights is the
# cause itself.
_LOSSY = 0.9
# Slope in place against slope on well-scaled inputs: under this share the activation is driven into its flat
# parts.
_DRIVEN_FLAT = 0.5


@dataclass(frozen=True)
class Item:
    """One line of the bill. decades: log10 factor on the gradient, summed over `count` operations; example:
    the worst of them; names: all of them, input side first.
    """

    type: str
    count: int
    decades: float
    example: Layer
    names: tuple[str, ...] = ()

    @property
    def factor(self) -> float:
        """What one such operation passes on, as a factor."""
        return float(10 ** (self.decades / max(1, self.count)))


def bill(profile: SpineProfile) -> list[Item]:
    """Return what each kind of operation on the spine does to the gradient, the greatest loss first.

    The step from one cut to the next towards the input goes backwards through the upper cut's operation. Cuts
    past the point where the gradient is exactly zero in the dtype are left out: nothing can be read there.
    """
    course = profile.transport if np.isfinite(profile.transport).sum() > 1 else profile.relative
    grouped: dict[str, list[tuple[float, Layer]]] = defaultdict(list)
    for below, above in zip(range(len(course) - 1), range(1, len(course)), strict=True):
        if np.isfinite(course[below]) and np.isfinite(course[above]):
            step = course[below] - course[above]
            upper = profile.layers[above]
            grouped[upper.type].append((float(step), upper))
    items = [
        Item(
            kind,
            len(steps),
            sum(s for s, _ in steps),
            min(steps, key=lambda pair: pair[0])[1],
            tuple(layer.name for _, layer in steps),
        )
        for kind, steps in grouped.items()
    ]
    return sorted(items, key=lambda item: item.decades)


def _is_weights(kind: str) -> bool:
    return any(kind.startswith(name) for name in _WEIGHTS)


def _activation(items: list[Item]) -> Item | None:
    known = [item for item in items if item.type in CATALOGUE]
    return max(known, key=lambda item: item.count, default=None)


def _weights(items: list[Item]) -> Item | None:
    return max((item for item in items if _is_weights(item.type)), key=lambda item: item.count, default=None)


def _slope_in_place(patient: Patient, profile: SpineProfile, kind: str) -> float:
    scan = next(s for s in reversed(patient.scans) if s.step == profile.step)
    slopes = [
        scan.activation_slope[r]
        for r, layer in zip(profile.rows, profile.layers, strict=True)
        if layer.type == kind
    ]
    finite = [s for s in slopes if np.isfinite(s)]
    return float(np.median(finite)) if finite else float("nan")


def blame(patient: Patient, profile: SpineProfile, growing: bool) -> tuple[Cause, Layer | None]:
    """Name the kind of operation responsible for a gradient that shrinks (or, if `growing`, grows) towards
    the input.
    """
    items = bill(profile)
    if not items:
        return Cause(
            "the gradient is exactly zero from the output on, so no operation can be told apart"
        ), None
    activation, weights = _activation(items), _weights(items)
    if growing:
        return _blame_growth(items, activation, weights)
    worst = items[0]
    if worst.count == 1 and worst.decades < 0.7 * sum(i.decades for i in items if i.decades < 0):
        return _single(worst), worst.example
    if activation is not None:
        flat = _slope_in_place(patient, profile, activation.type)
        best = backward_factor(activation.type)
        if best < _LOSSY:
            summary = (
                f"{activation.count} {activation.type}: {activation.decades:+.1f} decades. Its slope is "
                "too small: even with the "
                f"best weights each layer passes on at most {best:.2f} of the gradient"
            )
            return _cause(summary, activation, "activation-slope"), activation.example
        if flat < _DRIVEN_FLAT * best / gain(activation.type) and CATALOGUE[activation.type].saturates:
            summary = (
                f"{activation.count} {activation.type}: {activation.decades:+.1f} decades. They are "
                "driven into their flat parts: "
                f"their rms slope is {flat:.2f}"
            )
            return _cause(summary, activation, "activation-saturated"), activation.example
    if weights is not None and (activation is not None or weights is worst):
        return _weak_weights(weights, activation), weights.example
    return _single(worst), worst.example


def _single(item: Item) -> Cause:
    return _cause(f"{item.count} {item.type}: {item.decades:+.1f} decades", item, "operation")


def _cause(summary: str, item: Item, kind: str, decades: float | None = None) -> Cause:
    total = item.decades if decades is None else decades
    return Cause(summary, item.type, total, kind=kind, layers=item.names)


def _weak_weights(weights: Item, activation: Item | None) -> Cause:
    total = weights.decades + (activation.decades if activation else 0.0)
    summary = (
        f"{weights.count} {weights.type}: {weights.decades:+.1f} decades. Their weights are too small: "
        "each passes on "
    )
    summary += f"{weights.factor:.2f} of the gradient"
    if activation is not None:
        summary += f", where {activation.type} needs {gain(activation.type):.2f}"
    return _cause(summary, weights, "weights-small", total)


def _blame_growth(
    items: list[Item], activation: Item | None, weights: Item | None
) -> tuple[Cause, Layer | None]:
    norm = next((item for item in items if item.type.startswith("BatchNorm")), None)
    worst = items[-1]
    if norm is not None and activation is not None:
        factor = normalized_backward_factor(activation.type)
        total = sum(item.decades for item in items)
        summary = (
            f"{norm.count} {norm.type} with {activation.type}: {total:+.1f} decades. In a deep net "
            "without skips each such layer "
            f"multiplies the gradient by {factor:.2f}, whatever its weights"
        )
        return _cause(summary, norm, "normalization", total), norm.example
    if weights is not None and weights.decades > 0:
        needed = f", where {activation.type} needs {gain(activation.type):.2f}" if activation else ""
        summary = (
            f"{weights.count} {weights.type}: {weights.decades:+.1f} decades. Their weights are too "
            "large: each multiplies the "
            f"gradient by {weights.factor:.2f}{needed}"
        )
        return _cause(summary, weights, "weights-large"), weights.example
    return _single(worst), worst.example
