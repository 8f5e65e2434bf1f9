"""What an operation does for the gradient: weights it, bends it, normalizes it, joins paths, or something
else.
"""

from livegrad.run.schema import Layer, Tensor
from livegrad.theory.activation import CATALOGUE

# A weight norm's magnitudes, under its old name and as a parametrization.
MAGNITUDES = ("weight_g", "original0")
_WEIGHTS = ("linear", "conv", "bilinear")
_PRODUCTS = frozenset({"addmm", "mm", "bmm", "baddbmm", "matmul", "einsum", "convolution"})
_RESCALING = frozenset({"mul", "div", "truediv", "multiply", "divide"})
_JOINING = frozenset({"add", "sub", "cat", "stack", "iadd", "addcmul", "concat", "hstack", "vstack"})
_AVERAGING = ("avg_pool", "avgpool", "avgpooling", "mean")


def activation_of(layer: Layer) -> str | None:
    """Return the name under which the catalogue knows the layer's activation, or None if it is none."""
    return next((name for name in (layer.type, layer.operator) if name in CATALOGUE), None)


def weight_of(layer: Layer, tensors: dict[int, Tensor]) -> Tensor | None:
    """Return the one weight matrix or kernel that the layer multiplies by; None if none or several.

    A weight used at several places belongs to one row; at the others its module tells.
    """
    mine = [tensors[t] for t in layer.tensors if t in tensors]
    if not mine and layer.module and _by_name(layer):
        mine = [tensor for tensor in tensors.values() if tensor.module == layer.module]
    found = [tensor for tensor in mine if len(tensor.shape) >= 2]
    # Of a weight norm the magnitudes tell the size: W = g v / ‖v‖, ‖W‖ = ‖g‖.
    sizes = [tensor for tensor in found if tensor.name.endswith(MAGNITUDES)]
    found = sizes if len(sizes) == 1 else found
    return found[0] if len(found) == 1 else None


def _by_name(layer: Layer) -> bool:
    names = {layer.type.lower(), (layer.operator or "").lower()}
    return any(part in name for name in names for part in _WEIGHTS) or not names.isdisjoint(_PRODUCTS)


def role(layer: Layer, tensors: dict[int, Tensor]) -> str:
    """Return "activation", "norm", "weights", "join", "rescale", "average" or "operation"."""
    kind, operator = layer.type.lower(), (layer.operator or "").lower()
    if activation_of(layer) is not None:
        return "activation"
    if "norm" in kind or "norm" in operator:
        return "norm"
    if any(part in kind for part in _WEIGHTS) or operator in ("addmm", "convolution"):
        return "weights"
    if operator in _PRODUCTS | {"mm"} and weight_of(layer, tensors) is not None:
        return "weights"
    if joins(layer):
        return "join"
    if operator in _RESCALING:
        return "rescale"
    if any(part in name for name in (kind, operator) for part in _AVERAGING):
        return "average"
    return "operation"


def joins(layer: Layer) -> bool:
    """True if the layer's operation adds several things up or puts them side by side."""
    return (layer.operator or "").lower() in _JOINING


def line_of(layer: Layer, tensors: dict[int, Tensor]) -> str | None:
    """Return the line one would edit: where the module was made, or for calls and for operations written out
    in a module of the user's own, where they are called.
    """
    built_in = role(layer, tensors) in ("activation", "norm", "weights", "average")
    return (layer.made if built_in else None) or layer.source or layer.made
