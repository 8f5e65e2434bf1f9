"""Which tanh networks train on digits, over depth and weights, with six depth scales of theory."""

import numpy as np
import torch

from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import Plain
from livegrad.lab.training import trained
from livegrad.theory.correlation_map import TRAINABLE_SCALES, phase
from livegrad.view.figures.style import numbers
from livegrad.view.guide_site.figures.drawing import drawing, frame, line
from livegrad.view.palette import token

_BIAS = 0.05
# A step that a shallow network bears throws a deep one out of its start.
_RATE = 8e-3


def run(settings: Settings, progress: Progress) -> Result:
    """Train a tanh network at every (σ_w², depth) and lay 6 ξ_c over the accuracies (Schoenholz et
    al. 2017).
    """
    steps = settings.of(300, 40)
    weights = np.linspace(1.0, 4.0, 4 if settings.quick else 7)
    depths = (10, 40, 80) if settings.quick else (10, 20, 40, 60, 90, 130)
    accuracy = np.zeros((len(depths), len(weights)))
    for i, depth in enumerate(depths):
        for j, variance in enumerate(weights):
            progress((i * len(weights) + j) / accuracy.size, f"{depth} layers, σ_w² = {variance:g}")
            generator = torch.Generator().manual_seed(settings.seed)
            model = Plain(depth, 64, "Tanh", variance**0.5, bias=_BIAS**0.5, generator=generator)
            accuracy[i, j] = trained(model, steps, generator, rate=_RATE / depth)[0]
    fine = np.linspace(weights[0], weights[-1], 120)
    reach = [phase("Tanh", float(v), _BIAS).trainable_depth for v in fine]
    heat = {
        "type": "heatmap", "x": numbers(weights, 3), "y": list(range(len(depths))), "z": numbers(accuracy, 3),
        "zmin": 0.1, "zmax": 1, "colorscale": "Cividis", "hovertemplate": "σ_w² %{x}, %{customdata} layers: "
        "%{z}<extra></extra>", "customdata": [[d] * len(weights) for d in depths],
        "colorbar": {"title": {"text": "accuracy"}, "tickfont": {"color": token("muted")}},
    }  # fmt: skip
    # The rows stand one apart; a depth between two of them is a fraction of the way.
    known = np.log([depths[0] / 2, *depths, depths[-1] * 2])
    places = np.interp(np.log(np.maximum(reach, 1.0)), known, range(-1, len(depths) + 1))
    # White on black stays apart from every colour of the map; beside it the page's own ink is what shows.
    under = line(fine, places, "6 ξ_c") | {"line": {"color": "#000000", "width": 6}, "showlegend": False}
    over = under | {"line": {"color": "#ffffff", "width": 3, "dash": "dash"}}
    named = line(np.array([np.nan]), np.array([np.nan]), "6 ξ_c, theory") | {
        "line": {"color": token("ink"), "width": 3, "dash": "dash"}}  # fmt: skip
    right = [
        (a > 0.5) == (depth <= TRAINABLE_SCALES * phase("Tanh", float(v), _BIAS).correlation_scale)
        for depth, row in zip(depths, accuracy, strict=True)
        for v, a in zip(weights, row, strict=True)
    ]
    rows = [
        (round(float(v), 2), d, round(float(a), 3))
        for d, row in zip(depths, accuracy, strict=True)
        for v, a in zip(weights, row, strict=True)
    ]
    caption = (
        f"Test accuracy of tanh networks 64 wide, σ_b² = {_BIAS}, after {steps} steps of Adam at "
        f"{_RATE:g} over the depth. Below the dashed line, six depth scales ξ_c, theory expects a network to "
        f"train. Seed {settings.seed} alone."
    )
    said = (
        f"{sum(right)} of {len(right)} networks lie on the side of 6 ξ_c that theory says (one seed each, "
        f"{settings.seed}; learnt: over half of the test images right)."
    )
    title = f"Theory's 6 ξ_c tells {sum(right)} of {len(right)} networks that train from those that do not"
    rows_axis = {"tickvals": list(range(len(depths))), "ticktext": [str(depth) for depth in depths],
                 "range": [-0.5, len(depths) - 0.5], "showgrid": False}  # fmt: skip
    layout = frame("weight variance σ_w² = fan-in · Var W", "hidden layers", yaxis=rows_axis)
    return Result(
        drawing(title, caption, [heat, under, over, named], layout), ("σ_w²", "depth", "accuracy"), rows, said
    )
