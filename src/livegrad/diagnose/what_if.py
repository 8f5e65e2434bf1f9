"""What would each change do to this depth: by closed form, for wide layers, before anything is tried.

The gradient's factor over a whole stack of such layers comes from `livegrad.theory.propagation`; what is
shown per layer is its geometric mean. "Trains" means no more layers than six e-foldings of that mean. What
theory leaves out: finite width, correlations between layers, training itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log10, sqrt

from livegrad.diagnose.depth_reach import trainable_depth
from livegrad.diagnose.design import Design
from livegrad.theory.activation import IDENTITY
from livegrad.theory.initialization import Initialization, initialization
from livegrad.theory.length_map import gain_holds_length
from livegrad.theory.propagation import Residual, backward_gain

# Activations worth trying, each with the initialization made for it: its name and gain, or None for what
# theory recommends (the gain that keeps its length, or where none holds it, its critical point).
ALTERNATIVES = {
    "ReLU": ("He: kaiming_normal_", 2**0.5),
    "Tanh": ("Xavier: xavier_normal_", 1.0),
    "GELU": None,
    "SiLU": None,
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
        return () if phi is None else tuple(_of_blocks(design, phi))
    rows = []
    built = as_built(design)
    if built is not None:
        rows.append(_row("none", "as it is", layers, built))
    if phi is not None:
        rows += _of_this_activation(design, phi)
    for name, made in ALTERNATIVES.items():
        if name != phi:
            rows.append(_of_activation(design, name, made))
    scaled = Residual(layers**-0.5)
    decades = backward_gain(phi or "ReLU", None, "none", scaled, min(layers, _DEEPEST)).decades
    text = f"residual connections, branches scaled by {1 / sqrt(layers):.2f} (1/√{layers})"
    rows.append(_row("residual", text, layers, decades))
    return tuple(rows)


def _of_activation(design: Design, name: str, made: tuple[str, float] | None) -> Change:
    drawn = initialization("recommended", 1, activation=name)
    how, weights, bias = _how(drawn), drawn.weight_gain, drawn.bias_variance
    if made is not None:
        how, weights, bias = *made, 0.0
    text = f"{name} ({how})" if design.normalization is None else f"{name} instead"
    decades = _decades(name, weights, design.normalization, design.layers, bias)
    return _row("activation", text, design.layers, decades)


def _how(drawn: Initialization) -> str:
    """ "weights with gain 1.85", or at a critical point "weights 1.41, biases 0.42"."""
    if not drawn.bias_variance:
        return f"weights with gain {drawn.weight_gain:.2f}"
    return f"critical: weights {drawn.weight_gain:.2f}, biases {sqrt(drawn.bias_variance):.2f}"


def _of_blocks(design: Design, phi: str) -> Iterator[Change]:
    """What the skips of a residual net are worth, and what their scale and their norms do."""
    layers, root = design.layers, design.layers**-0.5
    yield _block("none", "branches added as they are", design, phi, 1.0, design.normalization)
    yield _block(
        "residual", f"branches scaled by {root:.2f} (1/√{layers})", design, phi, root, design.normalization
    )
    text = "branches that start at zero (a zero-initialized gate or last layer)"
    yield _block("residual", text, design, phi, 0.0, design.normalization)
    for normalization, name in _NAMES.items():
        if design.normalization != normalization:
            yield _block("normalization", f"{name} in each branch", design, phi, 1.0, normalization)
    if design.normalization is not None:
        yield _block("normalization", "without its normalization", design, phi, 1.0, None)
    yield _row(
        "residual", "without its skips", layers * design.branch, _stack(design, layers * design.branch)
    )


def _block(kind: str, text: str, design: Design, phi: str, scale: float, normalization: str | None) -> Change:
    weights = None if normalization is not None or design.gain != design.gain else design.gain
    skip, depth = Residual(scale, design.branch), min(design.layers, _DEEPEST)
    bias = 0.0 if normalization is not None else design.bias**2
    found = backward_gain(phi, weights, normalization or "none", skip, depth, bias_variance=bias)
    return _row(kind, text, design.layers, found.decades * design.layers / depth)


def _of_weights(phi: str, layers: int) -> list[Change]:
    """What theory recommends for this activation; nothing for one that no weights keep the size of."""
    try:
        drawn = initialization("recommended", 1, activation=phi)
    except ValueError:
        return []
    text = f"weights with {phi}'s gain, {drawn.weight_gain:.2f}"
    if not gain_holds_length(phi):  # sizes run away from any start but the exact one
        text = f"{phi}'s critical point: {_how(drawn).removeprefix('critical: ')}"
    decades = _decades(phi, drawn.weight_gain, None, layers, drawn.bias_variance)
    return [_row("init", text, layers, decades)]


def _of_this_activation(design: Design, phi: str) -> list[Change]:
    layers, rows = design.layers, []
    if design.normalization is None:
        rows += _of_weights(phi, layers)
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
    return _stack(design, design.layers)


def _stack(design: Design, layers: int) -> float:
    """Decades over the layers without skips; with no activation known, of a linear net."""
    phi = design.activation or "Identity"
    weight_gain = design.gain if design.normalization is None else None
    return _decades(phi, weight_gain, design.normalization, layers, design.bias**2)


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
