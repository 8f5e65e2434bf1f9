"""What would each change do to this depth: by closed form, for wide layers, before anything is tried.

The gradient's factor over a whole stack of such layers comes from `livegrad.theory.propagation`; what is
shown per layer is its geometric mean. "Trains" means no more layers than six e-foldings of that mean. What
theory leaves out: finite width, correlations between layers, training itself.
"""

from dataclasses import dataclass
from math import log10, sqrt

from livegrad.diagnose.depth_reach import trainable_depth
from livegrad.diagnose.design import Design
from livegrad.theory.activation import IDENTITY, gain
from livegrad.theory.propagation import Residual, backward_gain

# Activations worth trying, each with the initialization made for it and that one's gain.
ALTERNATIVES = {
    "ReLU": ("He: kaiming_normal_", 2**0.5),
    "Tanh": ("Xavier: xavier_normal_", 1.0),
    "GELU": ("weights with gain 1.53", gain("GELU")),
    "SELU": ("LeCun: gain 1", 1.0),
}
_NAMES = {"layer": "LayerNorm", "batch": "BatchNorm"}
_DEEPEST = 2000


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
    if design.residual:
        return () if phi is None else (_row("residual", "without its skips", layers, _stack(design)),)
    rows = []
    built = as_built(design)
    if built is not None:
        rows.append(_row("none", "as it is", layers, built))
    if phi is not None:
        rows += _of_this_activation(design, phi)
    for name, (how, weight_gain) in ALTERNATIVES.items():
        if name != phi:
            text = f"{name} ({how})" if design.normalization is None else f"{name} instead"
            decades = _decades(name, weight_gain, design.normalization, layers)
            rows.append(_row("activation", text, layers, decades))
    scaled = Residual(layers**-0.5)
    decades = backward_gain(phi or "ReLU", None, "none", scaled, min(layers, _DEEPEST)).decades
    text = f"residual connections, branches scaled by {1 / sqrt(layers):.2f} (1/√{layers})"
    rows.append(_row("residual", text, layers, decades))
    return tuple(rows)


def _of_this_activation(design: Design, phi: str) -> list[Change]:
    layers, rows = design.layers, []
    if design.normalization is None:
        text = f"weights with {phi}'s gain, {gain(phi):.2f}"
        rows.append(_row("init", text, layers, _decades(phi, None, None, layers)))
    for normalization, name in _NAMES.items():
        if design.normalization != normalization:
            decades = _decades(phi, None, normalization, layers)
            rows.append(_row("normalization", f"{name} in each layer", layers, decades))
    return rows


def as_built(design: Design) -> float | None:
    """Return the decades of gradient that theory expects over this depth, from the weights as they are; None
    where it does not know the activation or the weights.
    """
    if design.residual or design.gain != design.gain:
        return None
    return _stack(design)


def _stack(design: Design) -> float:
    """Decades over the layers without skips; with no activation known, of a linear net."""
    phi = design.activation or "Identity"
    weight_gain = design.gain if design.normalization is None else None
    return _decades(phi, weight_gain, design.normalization, design.layers, design.bias**2)


def _decades(
    phi: str, weight_gain: float | None, normalization: str | None, layers: int, bias: float = 0.0
) -> float:
    kind = IDENTITY if phi == "Identity" else phi
    bias = bias if normalization is None else 0.0
    depth = min(layers, _DEEPEST)
    found = backward_gain(kind, weight_gain, normalization or "none", None, depth, bias_variance=bias)
    if normalization is not None:  # every layer is like the last, whatever comes into the first
        return layers * log10(found.per_layer)
    return found.decades * layers / depth


def _row(kind: str, text: str, layers: int, decades: float) -> Change:
    factor = 10 ** (decades / layers)
    reach = trainable_depth(factor)
    return Change(kind, text, factor, decades, reach, reach >= layers)
