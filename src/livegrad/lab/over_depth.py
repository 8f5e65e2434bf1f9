"""Measuring a gradient over depth beside what theory says of it."""

from collections.abc import Sequence

import numpy as np
import torch

from livegrad.lab.data import digits
from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import Plain, gradient_decades
from livegrad.theory.propagation import Design
from livegrad.view.guide_site.figures.drawing import drawing, frame, line, rule

DEPTH, WIDTH, SAMPLES = 40, 256, 128


def compared(
    designs: Sequence[tuple[str, Design]], title: str, settings: Settings, progress: Progress
) -> Result:
    """Measure each design on the digits, `DEPTH` layers of `WIDTH`, and lay theory's line beside it."""
    traces, rows = [], []
    for number, (name, design) in enumerate(designs):
        progress(number / len(designs), name)
        measured, lengths = _measured(design, settings)
        theory = _theory(design, lengths)
        below = np.arange(DEPTH + 1)
        traces.append(line(below, measured[::-1], name, number))
        marker = {"size": 6, "symbol": "circle-open", "color": traces[-1]["line"]["color"]}
        expected = line(below[::4], theory[::-1][::4], f"{name}, theory", number)
        traces.append(expected | {"mode": "markers", "showlegend": False, "marker": marker})
        rows.append((name, round(10 ** (measured[0] / DEPTH), 4), round(10 ** (theory[0] / DEPTH), 4),
                     round(measured[0], 2), round(theory[0], 2)))  # fmt: skip
    worst = max(rows, key=lambda row: abs(row[3] - row[4]))
    said = (
        f"Over {DEPTH} layers measurement and theory differ by {abs(worst[3] - worst[4]):.2f} decades "
        "at most "
        f"({worst[0]}: {worst[3]:+.2f} measured, {worst[4]:+.2f} expected)."
    )
    caption = (
        f"{DEPTH} layers, {WIDTH} wide, freshly drawn, on {SAMPLES} digits: log10 of the gradient's "
        "norm over that "
        "at the last layer. Lines are measured, circles are the closed form for wide layers."
    )
    heads = ("network", "factor per layer", "by theory", "decades in all", "decades by theory")
    layout = frame(
        "layers below the last", "decades of the gradient", shapes=[rule(0, ""), rule(-3.0, "hardly heard")]
    )
    return Result(drawing(title, caption, traces, layout), heads, rows, said)


def _measured(design: Design, settings: Settings) -> tuple[np.ndarray, float]:
    """Decades at every cut, input side first, and the mean square of the first pre-activations."""
    generator = torch.Generator().manual_seed(settings.seed)
    images, _ = digits().batch(generator, SAMPLES)
    # Each image of the same size: theory follows one length, and some activations draw lengths apart.
    images = images / images.square().mean(1, keepdim=True).sqrt()
    runs = []
    first = 1.0
    for _ in range(1 if settings.quick else 4):
        model = Plain(
            DEPTH, WIDTH, str(design.activation), design.weight_variance**0.5, bias=design.bias_variance**0.5,
            normalization=design.normalization, generator=generator,
        )  # fmt: skip
        with torch.no_grad():
            first = float(model.first(images).square().mean())
        runs.append(gradient_decades(model, images, generator))
    return np.mean(runs, axis=0), first


def _theory(design: Design, length: float) -> np.ndarray:
    factors = design.propagate(DEPTH, length).factors
    below = np.cumsum(np.log10(np.maximum(factors[::-1], 1e-300)))[::-1]
    return np.append(below, 0.0)
