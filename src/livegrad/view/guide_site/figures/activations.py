"""An activation, its slope, and the pre-activations that meet it."""

import numpy as np

from livegrad.theory.activation import backward_factor, gain, moments, named
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.style import axis, title
from livegrad.view.guide_site.figures.drawing import Trace, drawing, frame, line, turned
from livegrad.view.palette import token

_SIZES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_FLAT = 0.1


def activation(*names: str) -> Drawing:
    """φ and φ' of the activations, over the distribution of inputs of a size that a slider sets."""
    x = np.linspace(-8, 8, 321)
    variants = []
    for size in _SIZES:
        traces = [_inputs(x, size)]
        for number, name in enumerate(names):
            phi = named(name)
            passed = moments(name, size**2)[2] ** 0.5
            flat = _flat_share(name, size)
            traces.append(line(x, phi.function(x), f"{name} φ", 2 * number))
            shown = f"{name} φ′: {passed:.2f} rms, {flat:.0%} flat"
            traces.append(line(x, phi.slope(x), shown, 2 * number + 1))
        variants.append((f"{size:g}", traces))
    data, slider = turned(variants, "rms of the inputs", _SIZES.index(1.0))
    told = "; ".join(
        f"{n}: gain {gain(n):.4g}, passes back {backward_factor(n):.3g} per layer" for n in names[:3]
    )
    return drawing(
        "The function, its slope, and what it meets",
        f"Grey: the share of inputs at each size. Flat: where |φ′| is under {_FLAT:g} of its largest; the "
        f"gradient of those units is lost. At their own gain, inputs of size 1: {told}.",
        data,
        frame("pre-activation", "value", yaxis={"range": [-1.6, 3.2]}, xaxis={"range": [-8, 8]})
        | {"yaxis2": _density_axis()}
        | slider,
    )


def _inputs(x: np.ndarray, size: float) -> Trace:
    density = np.exp(-((x / size) ** 2) / 2)
    return line(x, density, "inputs", 2) | {
        "yaxis": "y2", "fill": "tozeroy", "fillcolor": token("unknown"), "line": {"width": 0},
        "hoverinfo": "skip", "opacity": 0.6,
    }  # fmt: skip


def _density_axis() -> dict:
    return axis(title=title(""), overlaying="y", side="right", range=[0, 3.4], visible=False)


def _flat_share(name: str, size: float) -> float:
    """The share of N(0, size²) that lies where the slope is under a tenth of its largest."""
    z = np.linspace(-6, 6, 4001)
    weight = np.exp(-(z**2) / 2)
    slope = np.abs(named(name).slope(z * size + 1e-9))
    largest = np.max(np.abs(named(name).slope(np.linspace(-8, 8, 2001) + 1e-9)))
    return float(np.sum(weight * (slope < _FLAT * largest)) / np.sum(weight))
