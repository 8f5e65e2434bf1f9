"""What to put in the place of an activation, by closed form, and the weights that it needs."""

from math import log10

from torch import nn

from livegrad.theory.activation import CATALOGUE, Activation, gain, named
from livegrad.theory.critical_point import critical_point
from livegrad.theory.length_map import gain_holds_length
from livegrad.theory.propagation import backward_gain
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.tailored import RECTIFIERS, SMOOTH, Tailored, tailor
from livegrad.treat.weights import median_gain, weights_of

TAILORED = "tailored"
MODULES: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh, "relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "elu": nn.ELU, "celu": nn.CELU,
    "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish, "hardswish": nn.Hardswish,
    "softsign": nn.Softsign, "hardtanh": nn.Hardtanh,
}  # fmt: skip
# By how little they change: a sigmoid's own shape centred first, then the plainest; dead units need a slope.
_ORDER = ("tanh", "relu", "leaky-relu", "elu", "gelu", "silu", "selu", TAILORED)
_AGAINST_DEATH = ("leaky-relu", "elu", "gelu", "silu", "selu", TAILORED)
_AGAINST_SATURATION = ("relu", "leaky-relu", "elu", "gelu", "silu", "selu", TAILORED)
# Critical points that are nearer by less than this, in decades, are not worth their biases.
_AS_GOOD = 0.5
# What is worth replacing although it does not saturate: it passes back less than this per layer at its best.
_LOSSY = 0.9


def order_for(body: Body, kind: str) -> tuple[str, ...]:
    """The variants to try in place of `kind`, in order of preference."""
    code = (body.finding or {}).get("code")
    order = _ORDER if takes_too_much(kind) else _AGAINST_DEATH
    order = _AGAINST_SATURATION if code == "LG201" else order
    same = {name for name, module in MODULES.items() if module.__name__ == kind}
    return tuple(name for name in order if name not in same)


def takes_too_much(kind: str) -> bool:
    """It is flat at both ends, or passes back too little even with the best weights."""
    return (kind != "ReLU6" and CATALOGUE[kind].saturates) or backward_gain(kind).per_layer < _LOSSY


def _base(kind: str) -> str:
    return kind if kind in SMOOTH or kind in RECTIFIERS else "Tanh"


def theory_of(variant: str, kind: str, depth: int) -> str | Activation:
    """What theory knows a variant as."""
    if variant == TAILORED:
        return tailor(_base(kind), depth).activation
    return MODULES[variant].__name__


def module_of(variant: str, kind: str, depth: int) -> nn.Module:
    """The module that a variant is."""
    return Tailored(tailor(_base(kind), depth)) if variant == TAILORED else MODULES[variant]()


def decades_of(variant: str, kind: str, depth: int) -> float:
    """The decades of audibility over `depth` layers of a variant with the weights that suit it."""
    new = theory_of(variant, kind, depth)
    weights, bias = matching(new, depth)
    return backward_gain(new, weights, depth=depth, bias_variance=bias).audibility_decades


def drawn_for(body: Body, new: str | Activation, choice: Choice, depth: int) -> tuple[float, float]:
    """σ_w and σ_b² of the weights that the new activation will meet."""
    asked = choice.options.get("init", True)
    parts = body.anatomy.parts
    drawn, every = (len(list(weights_of(body.model, parts, computed))) for computed in (False, True))
    if asked is False or 2 * drawn <= every:
        return median_gain(body.model, parts), 0.0
    return matching(new, depth)


def matching(new: str | Activation, depth: int) -> tuple[float, float]:
    """The activation's own gain, or its critical point where lengths do not hold at that or it is nearer."""
    own = gain(new)
    point = critical_point(new)
    if point is None or named(new).name == TAILORED:
        return own, 0.0
    critical = (point.weight_variance**0.5, point.bias_variance)
    nearer = abs(log10(backward_gain(new, own).per_layer)) * depth > _AS_GOOD
    return critical if nearer or not gain_holds_length(new) else (own, 0.0)
