"""What each normalization, activation or initialization would change in a design, by closed form."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from livegrad.theory.activation import CATALOGUE, Activation, gain, named
from livegrad.theory.critical_point import critical_point
from livegrad.theory.initialization import initialization
from livegrad.theory.propagation import NORMALIZATIONS, Design, Propagation, Residual

# Activations worth proposing: in common use, and different in what they do to a gradient.
PROPOSED = ("ReLU", "LeakyReLU", "ELU", "SELU", "GELU", "SiLU", "Tanh")


@dataclass(frozen=True)
class Alternative:
    """One thing changed, all else equal. kind: "activation", "initialization", "normalization" or "residual".

    decades, audibility_decades: of the changed design over the same depth (see Propagation), per_layer: its
    last factor; now: decades of the design as it is. Activations come with the initialization recommended for
    them: their own gain, or the critical point where lengths do not hold at that (GELU, SiLU).
    """

    kind: str
    name: str
    design: Design
    decades: float
    audibility_decades: float
    per_layer: float
    now: float

    @property
    def change(self) -> float:
        """Decades nearer to 0 than now: > 0 helps, < 0 harms."""
        return abs(self.now) - abs(self.decades)


def alternatives(design: Design, depth: int, length: float = 1.0) -> list[Alternative]:
    """Return every single change that theory knows of, over `depth` layers (or blocks), the best first.

    length: mean square q₀ of the first pre-activations. A residual connection is proposed around single
    layers, plain and with the branch scaled by 1/√depth.
    """
    now = design.propagate(depth, length).decades
    changes = [*_activations(design), *_initializations(design), *_normalizations(design)]
    changes += _residuals(design, depth)
    found = [
        _alternative(kind, name, changed.propagate(depth, length), now) for kind, name, changed in changes
    ]
    return sorted(found, key=lambda a: (-round(a.change, 9), a.kind, a.name))


def _alternative(kind: str, name: str, found: Propagation, now: float) -> Alternative:
    return Alternative(
        kind, name, found.design, found.decades, found.audibility_decades, found.per_layer, now
    )


def _activations(design: Design) -> Iterable[tuple[str, str, Design]]:
    for name in PROPOSED:
        if CATALOGUE[name] != named(design.activation):
            drawn = initialization("recommended", fan_in=1, activation=name)
            weights, bias = drawn.weight_gain, drawn.bias_variance
            changed = replace(design, activation=name, weight_gain=weights, bias_variance=bias)
            yield "activation", name, changed


def _initializations(design: Design) -> Iterable[tuple[str, str, Design]]:
    phi: str | Activation = design.activation
    yield "initialization", "own gain", replace(design, weight_gain=gain(phi), bias_variance=0.0)
    yield "initialization", "he", replace(design, weight_gain=2**0.5, bias_variance=0.0)
    yield "initialization", "xavier", replace(design, weight_gain=1.0, bias_variance=0.0)
    point = critical_point(phi)
    if point is not None:
        weights, bias = point.weight_variance**0.5, point.bias_variance
        yield "initialization", "critical", replace(design, weight_gain=weights, bias_variance=bias)


def _normalizations(design: Design) -> Iterable[tuple[str, str, Design]]:
    for name in NORMALIZATIONS:
        if name != design.normalization:
            yield "normalization", name, replace(design, normalization=name)


def _residuals(design: Design, depth: int) -> Iterable[tuple[str, str, Design]]:
    if design.residual is None:
        yield "residual", "unscaled", replace(design, residual=Residual(1.0))
        yield "residual", "1/sqrt(depth)", replace(design, residual=Residual(depth**-0.5))
    else:
        scaled = replace(design.residual, scale=depth**-0.5)
        yield "residual", "1/sqrt(depth)", replace(design, residual=scaled)
        yield "residual", "zero-gated", replace(design, residual=replace(design.residual, scale=0.0))
