"""What is left of a gradient after so many layers, by closed form."""

from collections.abc import Sequence

import numpy as np

from livegrad.theory.activation import gain
from livegrad.theory.initialization import initialization
from livegrad.theory.propagation import Design, Residual
from livegrad.view.figures.drawing import Drawing
from livegrad.view.guide_site.figures.drawing import drawing, frame, line, rule, turned

_DEPTH = 60
_GAINS = (0.6, 0.8, 1.0, 1.2, 1.4142, 1.6, 1.8, 2.2, 3.0)
_LIMIT = 20.0
_HEARD = -3.0


def over_depth(*activations: str) -> Drawing:
    """Decades left of the gradient, by activation, at weights that a slider sets."""
    variants = [(f"{g:g}", [_curve(Design(a, g), a, i) for i, a in enumerate(activations)]) for g in _GAINS]
    data, slider = turned(variants, "gain of the weights σ_w", _GAINS.index(1.4142))
    return drawing(
        "What is left of the gradient over depth",
        f"A plain stack {_DEPTH} layers deep, inputs of size 1, weights of the gain that the slider "
        "sets. Left of "
        "the output it falls or grows by a factor per layer. Under three decades (dotted) a layer is not "
        "heard.",
        data,
        _frame() | slider,
    )


def initializations(activation: str, *schemes: str) -> Drawing:
    """Decades left of the gradient of one activation, by initialization."""
    data = [
        _curve(
            Design(activation, found.weight_gain, found.bias_variance),
            f"{scheme}: σ_w {found.weight_gain:.3g}",
            i,
        )
        for i, scheme in enumerate(schemes)
        for found in [initialization(scheme, 256, 256, activation)]
    ]
    return drawing(
        f"{activation} under {len(schemes)} initializations",
        f"A plain {activation} stack, 256 wide. Its own gain is {gain(activation):.4g}: with less the "
        "gradient "
        "vanishes, with more it explodes or saturates the layers.",
        data,
        _frame(),
    )


def normalizations(*activations: str) -> Drawing:
    """Decades left of the gradient under no normalization, LayerNorm and BatchNorm; one activation a step."""
    kinds = (("none", "no normalization"), ("layer", "LayerNorm"), ("rms", "RMSNorm"), ("batch", "BatchNorm"))
    variants = [
        (a, [_curve(Design(a, None, normalization=k), said, i) for i, (k, said) in enumerate(kinds)])
        for a in activations
    ]
    data, slider = turned(variants, "activation", 0)
    return drawing(
        "The gradient over depth under each normalization",
        "By closed form, at the activation's own gain. BatchNorm never lets it vanish, and lets it "
        "explode unless "
        "the activation is linear; rescaling alone (LayerNorm, RMSNorm) does not cure a sigmoid.",
        data,
        _frame() | slider,
    )


def ways_around(activation: str = "GELU", weight_gain: str = "0.6") -> Drawing:
    """Decades left of the gradient with and without a way around each layer."""
    designs = (
        ("plain", None),
        ("x + F(x)", Residual(1.0)),
        ("x + F(x)/√L", Residual(1 / _DEPTH**0.5)),
        ("x + αF(x), α = 0", Residual(0.0)),
    )
    variants = []
    gains = (0.6, 1.0, 1.4142, 1.8)
    for g in gains:
        curves = [
            _curve(Design(activation, g, residual=residual), said, i)
            for i, (said, residual) in enumerate(designs)
        ]
        variants.append((f"{g:g}", curves))
    start = gains.index(float(weight_gain))
    data, slider = turned(variants, "gain of the weights σ_w", start)
    return drawing(
        "The gradient over depth, with and without a way around",
        f"{activation} layers. The identity has factor one, so nothing vanishes; unscaled sums grow with "
        "every "
        "block, branches scaled by 1/√L stay bounded at any depth.",
        data,
        _frame() | slider,
    )


def bill(activation: str = "Sigmoid", scheme: str = "own gain", layers: int = 24) -> Drawing:
    """The ledger of a plain stack: what its weights and its activations take, and the total."""
    sigma = initialization(scheme, 256, 256, activation).weight_gain
    found = Design(activation, sigma).propagate(layers)
    weights = layers * np.log10(sigma)
    slopes = found.decades - weights
    names = [f"Linear ×{layers}", f"{activation} ×{layers}", "total"]
    values = [round(float(v), 2) for v in (weights, slopes, found.decades)]
    trace = {
        "type": "waterfall", "x": names, "y": values, "measure": ["relative", "relative", "total"],
        "text": [f"{v:+.1f}" for v in values], "textposition": "outside",
        "increasing": {"marker": {"color": "\x01series"}}, "decreasing": {"marker": {"color": "\x01second"}},
        "totals": {"marker": {"color": "\x01muted"}}, "connector": {"line": {"color": "\x01line"}},
        "textfont": {"color": "\x01ink"},
    }  # fmt: skip
    low, high = min(0.0, weights, found.decades), max(0.0, weights)
    return drawing(
        "A gradient's bill, in decades",
        f"{layers} {activation} layers at σ_w = {sigma:.3g}: the chain rule multiplies one factor per "
        "operation, so "
        "their logarithms add up, and each kind of operation has its share of the whole.",
        [trace],
        frame("", "decades of the gradient", yaxis={"range": [low - 2, high + 2]}, showlegend=False),
    )


def _curve(design: Design, name: str, number: int) -> dict:
    factors = np.maximum(design.propagate(_DEPTH).factors, 1e-30)
    left = np.cumsum(np.log10(factors[::-1]))
    return line(range(_DEPTH + 1), [0.0, *np.clip(left, -_LIMIT, _LIMIT)], name, number)


def _frame(shapes: Sequence[dict] = ()) -> dict:
    return frame(
        "layers below the output", "decades of the gradient (log10)",
        shapes=[rule(0, ""), rule(_HEARD, "hardly heard", where="end"), *shapes],
        yaxis={"range": [-_LIMIT, _LIMIT / 2]},
    )  # fmt: skip
