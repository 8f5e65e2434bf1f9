"""What a stack of equal layers does to the size of its activations and of its gradient, in closed form.

A layer takes pre-activations z of mean square q to z' = W φ(z) + b, W of gain σ_w = √(fan-in · Var W). In a
wide one, z' has mean square q' and the gradient's norm is multiplied by f on its way back from z' to z:

    normalization            q'                       f²
    none                     σ_w² E φ(√q z)² + σ_b²   σ_w² E φ'(√q z)²
    layer or rms, before φ   σ_w² E φ² + σ_b²         σ_w² E φ'² / q     (φ at N(0, 1))
    batch, before φ          σ_w² Var φ               σ_w² E φ'² / q     (q: the variance over the batch)
    rms, after φ             σ_w² + σ_b²              σ_w² E φ'(√q z)² / E φ(√q z)²
    layer, after φ           σ_w² + σ_b²              σ_w² E φ'(√q z)² / Var φ(√q z)
    batch, after φ           σ_w²                     σ_w² E φ'(√q z)² / Var φ(√q z)

So deep in a normalized stack f = √(E φ'²/E φ²) without centring and √(E φ'²/Var φ) ≥ 1 with it, whatever the
weights. A block x' = x + s · F(x) adds: q' = q + s² v, f² = 1 + s² b², with v the mean square of F(x) and b
its own backward factor; with the normalization after the sum ("post"), both are divided by 1 + s² v.
(Poole et al. 2016; Schoenholz et al. 2017; Yang & Schoenholz 2017; Yang et al. 2019; Hayou et al. 2021.)
"""

from dataclasses import dataclass, replace
from math import log, log10, sqrt

import numpy as np

from livegrad.theory.activation import Activation, gain, moments, named

NORMALIZATIONS = ("none", "layer", "rms", "batch")
# Lengths outside are read at the border: there activations are straight lines, flat or linear at zero.
_SHORT, _LONG = 1e-100, 1e100
_LN10 = log(10)


@dataclass(frozen=True)
class Residual:
    """A skip connection around `layers` weighted layers: x' = x + scale · F(x).

    scale: 1 unscaled, 1/√depth to keep the sum bounded (Hayou et al. 2021), 0 for a gate or last layer that
    starts at zero (ReZero, zero-γ, LoRA). weights_first: F begins with weights and ends in weights, as a
    transformer's feed-forward part W φ(W x), instead of with φ. placement of the normalization: "pre" inside
    the branch, before each of its layers' φ (and before its first weights), or "post", after the sum.
    """

    scale: float = 1.0
    layers: int = 1
    weights_first: bool = False
    placement: str = "pre"

    def __post_init__(self) -> None:
        if self.placement not in ("pre", "post"):
            raise ValueError(f'a normalization is placed "pre" or "post", not {self.placement!r}')
        if self.layers < 1 + self.weights_first:
            raise ValueError(f"a branch of {self.layers} layers is too short: weights_first needs at least 2")


@dataclass(frozen=True)
class Design:
    """One layer, or one residual block, repeated.

    weight_gain: σ_w = √(fan-in · Var W), None for the activation's own (E φ²)^-½. bias_variance: σ_b².
    normalization: one of NORMALIZATIONS. position: whether it stands "before" or "after" the activation.
    """

    activation: str | Activation
    weight_gain: float | None = None
    bias_variance: float = 0.0
    normalization: str = "none"
    position: str = "before"
    residual: Residual | None = None

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization {self.normalization!r} is not one of {', '.join(NORMALIZATIONS)}"
            )
        if self.position not in ("before", "after"):
            raise ValueError(f'a normalization stands "before" or "after" φ, not {self.position!r}')
        named(self.activation)

    @property
    def weight_variance(self) -> float:
        """σ_w², with the activation's own gain filled in."""
        return (gain(self.activation) if self.weight_gain is None else self.weight_gain) ** 2

    def step(self, length: float) -> tuple[float, float]:
        """Return (q', f²): the mean square after one layer or block from q = `length`, and the factor on the
        squared norm of the gradient on its way back through it.
        """
        return _plain(self, length) if self.residual is None else _block(self, self.residual, length)

    def propagate(self, depth: int, length: float = 1.0) -> "Propagation":
        """Follow `depth` layers (or blocks) from pre-activations of mean square `length`."""
        lengths, factors = np.empty(depth + 1), np.empty(depth)
        lengths[0], at, done = log10(length), length, (0.0, 0.0, 0.0)
        for layer in range(depth):
            read = min(max(at, _SHORT), _LONG)
            if not done[0] or abs(read / done[0] - 1) > 1e-13:
                after, square = self.step(read)
                done = (read, after, square)
            _, after, square = done
            lengths[layer + 1] = lengths[layer] + log10(max(after, 1e-300) / read)
            factors[layer] = sqrt(square)
            at = 10 ** min(max(lengths[layer + 1], -200.0), 200.0)
            at = after if _SHORT < after < _LONG and at == read else at
        return Propagation(self, factors, lengths)

    def decades_between(self, depth: int, length: float = 1.0, doubt: float = 0.1) -> tuple[float, float]:
        """Return the least and the most decades over depth if q₀ is only known within a share of `doubt`.

        Finite width alone moves a length by about √(2/width). Where lengths do not hold (GELU or SiLU at
        their own gain: χ_q > 1) the two ends part by decades, and no single figure is to be promised.
        """
        starts = (length * (1 - doubt), length, length * (1 + doubt))
        found = [self.propagate(depth, start).decades for start in starts]
        return min(found), max(found)


@dataclass(frozen=True)
class Propagation:
    """Sizes and gradients through a stack, layer by layer, input side first.

    factors: (depth,), f of each layer: ‖gradient below‖ / ‖gradient above‖. log_lengths: (depth + 1,), log10
    of the mean square of the (pre-)activations at the cuts between the layers.
    """

    design: Design
    factors: np.ndarray
    log_lengths: np.ndarray

    @property
    def depth(self) -> int:
        """Number of layers or blocks."""
        return len(self.factors)

    @property
    def decades(self) -> float:
        """log10 of the gradient's norm at the input over that at the output: < 0 vanishing, > 0 exploding."""
        with np.errstate(divide="ignore"):
            return float(np.sum(np.log10(self.factors)))

    @property
    def forward_decades(self) -> float:
        """log10 of the activations' root mean square at the output over that at the input."""
        return float(self.log_lengths[-1] - self.log_lengths[0]) / 2

    @property
    def audibility_decades(self) -> float:
        """log10 of the input's audibility over the output's, ‖Jᵀv‖ · rms z at both ends: `decades` less
        `forward_decades`, so what merely moves the scale between layers cancels.
        """
        return self.decades - self.forward_decades

    @property
    def worst_decades(self) -> float:
        """`decades` or `audibility_decades`, whichever is further from zero: with weights too small for it a
        rectifier's gradient vanishes though all of it is heard.
        """
        return max(self.decades, self.audibility_decades, key=abs)

    @property
    def per_layer(self) -> float:
        """The factor of the last layer, where sizes have settled as far as they will."""
        return float(self.factors[-1]) if self.depth else 1.0


def backward_gain(
    activation: str | Activation,
    weight_gain: float | None = None,
    normalization: str = "none",
    residual: Residual | None = None,
    depth: int = 1,
    *,
    bias_variance: float = 0.0,
    position: str = "before",
    length: float = 1.0,
) -> Propagation:
    """Return what `depth` layers of this design do to the gradient; `.decades` is the sum, log10.

    The arguments are those of Design; length: mean square q₀ of the first pre-activations. Raises KeyError
    for an activation that is not in the catalogue, ValueError for an unknown normalization or placement.
    """
    design = Design(activation, weight_gain, bias_variance, normalization, position, residual)
    return design.propagate(depth, length)


def _plain(design: Design, length: float) -> tuple[float, float]:
    weights, bias = design.weight_variance, design.bias_variance
    norm = design.normalization
    if norm == "none":
        _, square, slope_square = moments(design.activation, length)
        return weights * square + bias, weights * slope_square
    if design.position == "before":
        mean, square, slope_square = moments(design.activation, 1.0)
        size = square - mean**2 if norm == "batch" else square
        # What a bias adds is the same for the whole batch, and BatchNorm takes it away again.
        return weights * size + (0.0 if norm == "batch" else bias), weights * slope_square / length
    mean, square, slope_square = moments(design.activation, length)
    size = square if norm == "rms" else square - mean**2
    return weights + (0.0 if norm == "batch" else bias), weights * slope_square / size


def _block(design: Design, residual: Residual, length: float) -> tuple[float, float]:
    post = residual.placement == "post" and design.normalization != "none"
    inside = replace(design, residual=None, normalization="none" if post else design.normalization)
    size, factor = length, 1.0
    layers = residual.layers
    if residual.weights_first:
        layers -= 1
        factor *= design.weight_variance / (1.0 if inside.normalization == "none" else size)
        size = design.weight_variance * (size if inside.normalization == "none" else 1.0)
        size += design.bias_variance
        # One normalization per branch, at its head, as transformers have it.
        inside = replace(inside, normalization="none")
    for _ in range(layers):
        size, square = inside.step(size)
        factor *= square
    total, back = length + residual.scale**2 * size, 1 + residual.scale**2 * factor
    return (1.0, back / total) if post else (total, back)
