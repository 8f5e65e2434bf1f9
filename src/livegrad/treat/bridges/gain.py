"""What the gradient loses over layers with a way around each, in closed form."""

from math import log10, sqrt

from livegrad.theory.activation import moments
from livegrad.theory.propagation import Design, Residual, backward_gain
from livegrad.treat.choice import Choice


def over_layers(choice: Choice, activation: str, sigma: float, blocks: int, rest: int) -> tuple[float, float]:
    """The factor per bridged layer, and the decades of audibility over all of them and the `rest`, which is
    left plain.
    """
    if choice.variant == "highway":
        per_layer, decades, length = _highway(activation, sigma, blocks)
    else:
        scale = 0.0 if choice.variant == "rezero" else scale_of(choice, blocks)
        found = backward_gain(activation, sigma, residual=Residual(scale), depth=blocks)
        per_layer, decades = found.per_layer, found.audibility_decades
        length = 10 ** float(found.log_lengths[-1])
    plain = backward_gain(activation, sigma, depth=max(0, rest), length=length)
    return per_layer, decades + plain.audibility_decades


def over_normalized_layers(choice: Choice, activation: str, norm: str, blocks: int) -> tuple[float, float]:
    """The last layer's factor, and the decades of audibility over all.

    Branches of unit variance on a stream of mean square q add b² = E φ'(√q z)² / Var φ(√q z), with E φ² in
    the place of the variance for norms that only rescale.
    """
    scale = 0.0 if choice.variant == "rezero" else scale_of(choice, blocks)
    centring = norm.startswith(("BatchNorm", "SyncBatchNorm", "InstanceNorm"))
    length, decades, factor = 1.0, 0.0, 1.0
    for _ in range(blocks):
        mean, square, slope_square = moments(activation, length)
        factor = sqrt(1 + scale**2 * slope_square / (square - mean**2 if centring else square))
        after = length + scale**2
        decades += log10(factor) - log10(after / length) / 2
        length = after
    return factor, decades


def scale_of(choice: Choice, blocks: int) -> float:
    """What each branch is multiplied by: 1/√L where none is asked for."""
    return float(choice.options.get("scale", 1 / sqrt(blocks)))


def _highway(activation: str, sigma: float, blocks: int) -> tuple[float, float, float]:
    """Gates at t = 1/(L + 1): f² = (1 − t)² + t² b², and the same for the mean square, returned last."""
    opened, length, decades, factor = 1 / (blocks + 1), 1.0, 0.0, 1.0
    inside = Design(activation, sigma)
    for _ in range(blocks):
        size, square = inside.step(length)
        after = (1 - opened) ** 2 * length + opened**2 * size
        factor = sqrt((1 - opened) ** 2 + opened**2 * square)
        decades += log10(factor) - log10(after / length) / 2
        length = after
    return factor, decades, length
