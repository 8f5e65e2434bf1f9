"""Measuring a gradient over depth beside what theory says of it."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from livegrad.lab.data import digits
from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import Plain, gradient_decades
from livegrad.lab.repeats import SYMBOLS
from livegrad.theory.propagation import Design
from livegrad.view.figures.style import log_axis
from livegrad.view.guide_site.figures.drawing import drawing, frame, line, rule

DEPTH, WIDTH, SAMPLES = 40, 256, 128
DRAWS = 8


def compared(
    designs: Sequence[tuple[str, Design]], quantity: str, settings: Settings, progress: Progress
) -> Result:
    """Measure each design on the digits, `DEPTH` layers of `WIDTH`, and lay theory's line beside it.

    quantity: what the designs differ in ("activation").
    """
    traces, rows = [], []
    for number, (name, design) in enumerate(designs):
        progress(number / len(designs), name)
        measured, length = _measured(design, settings)
        middle, spread = (
            measured.mean(0),
            float(measured[:, 0].std(ddof=1)) if len(measured) > 1 else math.nan,
        )
        theory = _theory(design, length)
        below = np.arange(DEPTH + 1)
        traces.append(line(below, middle[::-1], name, number))
        symbol = f"{SYMBOLS[number % len(SYMBOLS)]}-open"
        marker = {"size": 8, "symbol": symbol, "color": traces[-1]["line"]["color"]}
        expected = line(below[::4], theory[::-1][::4], f"{name}, theory", number)
        traces.append(expected | {"mode": "markers", "showlegend": False, "marker": marker})
        rows.append((name, round(10 ** (middle[0] / DEPTH), 4), round(10 ** (theory[0] / DEPTH), 4),
                     round(middle[0], 2), round(spread, 2), round(theory[0], 2)))  # fmt: skip
    worst = max(rows, key=lambda row: abs(row[3] - row[5]))
    least, most = min(rows, key=lambda row: row[1]), max(rows, key=lambda row: row[1])
    draws = settings.draws(DRAWS)
    caption = (
        f"{DEPTH} layers, {WIDTH} wide, freshly drawn, on {SAMPLES} digits: the gradient's norm over that "
        f"at the last layer. Lines: mean of the logarithms over {len(draws)} draws (seeds {draws[0]} to "
        f"{draws[-1]}); open marks: the closed form for infinitely wide layers."
    )
    chance = f"; one draw varies by {worst[4]:.2f}" if len(draws) > 1 else ""
    said = (
        f"Over {DEPTH} layers the mean and theory differ by {abs(worst[3] - worst[5]):.2f} decades at most "
        f"({worst[0]}: {worst[3]:+.2f} measured, {worst[5]:+.2f} expected{chance})."
    )
    span = f"{least[1]:.2f} ({least[0]}) to {most[1]:.2f} ({most[0]})"
    if quantity == "normalization":
        caption += " (BatchNorm: for large batches, too.)"
    title = f"{quantity.capitalize()} sets what a layer passes back: {span}"
    heads = (
        "network",
        "factor per layer",
        "by theory",
        "decades in all",
        "s.d. of a draw",
        "decades by theory",
    )
    low, high = min(row[3] for row in rows), max(row[3] for row in rows)
    layout = frame(
        "layers below the last", "gradient over that at the last layer",
        shapes=[rule(0, ""), rule(-3.0, "hardly heard", where="end")],
        yaxis=log_axis(np.floor(low) - 0.5, np.ceil(high) + 0.5),
    )  # fmt: skip
    return Result(drawing(title, caption, traces, layout), heads, rows, said)


def _measured(design: Design, settings: Settings) -> tuple[np.ndarray, float]:
    """Decades at every cut (draws, cuts), input side first, and the first pre-activations' mean square."""
    runs, lengths = [], []
    for seed in settings.draws(DRAWS):
        generator = torch.Generator().manual_seed(seed)
        images, _ = digits().batch(generator, SAMPLES)
        # Each image of the same size: theory follows one length, and some activations draw lengths apart.
        images = images / images.square().mean(1, keepdim=True).sqrt()
        model = Plain(
            DEPTH, WIDTH, str(design.activation), design.weight_variance**0.5, bias=design.bias_variance**0.5,
            normalization=design.normalization, generator=generator,
        )  # fmt: skip
        with torch.no_grad():
            first = model.first(images)
        # What a batch has in common BatchNorm takes away: its length is the variance.
        shared = first.mean(0) if design.normalization == "batch" else torch.zeros(())
        lengths.append(float((first - shared).square().mean()))
        runs.append(gradient_decades(model, images, generator))
    return np.array(runs), float(np.mean(lengths))


def _theory(design: Design, length: float) -> np.ndarray:
    factors = design.propagate(DEPTH, length).factors
    below = np.cumsum(np.log10(np.maximum(factors[::-1], 1e-300)))[::-1]
    return np.append(below, 0.0)
