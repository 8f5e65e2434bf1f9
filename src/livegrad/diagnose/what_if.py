"""What would each change do to this depth: by closed form, for wide layers, before anything is tried.

    as it is       q ← g² E φ(√q z)² + b²;  each layer passes back g (E φ'(√q z)²)^½        z ~ N(0, 1)
    own gain       (E φ'² / E φ²)^½, also under LayerNorm and RMSNorm: they change the size, not the mean
    BatchNorm      (E φ'² / Var φ)^½ ≥ 1
    residual       (1 + f²/L)^½ with L blocks scaled by L^-½: under √e in all for f = 1, however deep
(Poole et al. 2016; Schoenholz et al. 2017; Yang et al. 2019.) "Trains" means no more layers than six
e-foldings of the factor. What theory leaves out: finite width, correlations between layers, training.
"""

from dataclasses import dataclass
from math import log10, sqrt

from livegrad.diagnose.depth_reach import trainable_depth
from livegrad.diagnose.design import Design
from livegrad.theory.activation import CATALOGUE, backward_factor, gain, moments, normalized_backward_factor

# Activations worth trying, each with the initialization made for it and that one's gain.
ALTERNATIVES = {
    "ReLU": ("He: kaiming_normal_", 2**0.5),
    "Tanh": ("Xavier: xavier_normal_", 1.0),
    "GELU": ("weights with gain 1.53", gain("GELU")),
    "SELU": ("LeCun: gain 1", 1.0),
}
_LONGEST = 2000


@dataclass(frozen=True)
class Change:
    """One row of the table. kind: "none", "init", "activation", "normalization" or "residual". factor: what
    each layer would pass back of the gradient; decades: over all layers; reach: layers until six e-foldings.
    """

    kind: str
    text: str
    factor: float
    decades: float
    reach: float
    trains: bool


def what_if(design: Design) -> tuple[Change, ...]:
    """Return the table for one design: first as it is, then each change by itself; () if theory has nothing
    to say.
    """
    phi, layers = design.activation, design.layers
    if layers < 2:
        return ()
    rows: list[Change] = []
    if not design.residual and (built := as_built(design)) is not None:
        rows.append(_change("none", "as it is", built, layers))
    if design.residual:
        if phi is not None:
            rows.append(_change("residual", "without its skips", _plain(phi, design.normalization), layers))
        return tuple(rows)
    if phi is not None and phi in CATALOGUE:
        if design.normalization is None:
            text = f"weights with {phi}'s gain, {gain(phi):.2f}"
            rows.append(_change("init", text, backward_factor(phi), layers))
        if design.normalization != "layer":
            rows.append(_change("normalization", "LayerNorm in each layer", _plain(phi, "layer"), layers))
        if design.normalization != "batch":
            rows.append(_change("normalization", "BatchNorm in each layer", _plain(phi, "batch"), layers))
    for name, (how, weight_gain) in ALTERNATIVES.items():
        if name == phi:
            continue
        if design.normalization is None:
            factor = _average(name, weight_gain, 0.0, layers)
            rows.append(_change("activation", f"{name} ({how})", factor, layers))
        else:
            rows.append(_change("activation", f"{name} instead", _plain(name, design.normalization), layers))
    branch = backward_factor(phi) if phi is not None else 1.0
    text = f"residual connections, branches scaled by {1 / sqrt(layers):.2f} (1/√{layers})"
    rows.append(_change("residual", text, sqrt(1 + branch**2 / layers), layers))
    return tuple(rows)


def as_built(design: Design) -> float | None:
    """Return what one layer passes back on average over this depth, from the weights as they are; None where
    theory does not know the activation.
    """
    phi = design.activation
    if phi is None:
        return design.gain if design.gain == design.gain else None
    if design.normalization is not None:
        return _plain(phi, design.normalization)
    return _average(phi, design.gain, design.bias, design.layers) if design.gain == design.gain else None


def _average(phi: str, weight_gain: float, bias: float, layers: int) -> float:
    """The geometric mean of what each layer passes back, the length of its inputs followed from 1 on."""
    length, total = 1.0, 0.0
    for _ in range(min(layers, _LONGEST)):
        _, square, slope_square = moments(phi, float(f"{min(max(length, 1e-12), 1e12):.6g}"))
        factor = weight_gain * sqrt(slope_square)
        if factor <= 0:
            return 0.0
        total += log10(factor)
        length = weight_gain**2 * square + bias**2
    return 10 ** (total / min(layers, _LONGEST))


def _plain(phi: str, normalization: str | None) -> float:
    """What a layer at its own gain, or normalized, passes back without a skip."""
    return normalized_backward_factor(phi) if normalization == "batch" else backward_factor(phi)


def _change(kind: str, text: str, factor: float, layers: int) -> Change:
    decades = layers * log10(factor) if factor > 0 else float("-inf")
    reach = trainable_depth(factor)
    return Change(kind, text, factor, decades, reach, reach >= layers)
