"""Accuracy on the digits over something that grows, for several kinds of network."""

from collections.abc import Callable, Sequence

import torch

from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.training import GUESSING
from livegrad.view.guide_site.figures.drawing import drawing, frame, line, rule

Trained = Callable[[str, int, torch.Generator], float]


def over(
    kinds: Sequence[str],
    sizes: Sequence[int],
    trained: Trained,
    words: tuple[str, str, str],
    settings: Settings,
    progress: Progress,
) -> Result:
    """Train every kind at every size and draw its test accuracy.

    trained: (kind, size, generator) -> accuracy. words: title, caption, and what grows.
    """
    title, caption, axis = words
    rows, traces = [], []
    for i, kind in enumerate(kinds):
        found = []
        for j, size in enumerate(sizes):
            progress((i * len(sizes) + j) / (len(kinds) * len(sizes)), f"{kind}, {axis} {size}")
            generator = torch.Generator().manual_seed(settings.seed)
            torch.manual_seed(settings.seed)
            found.append(trained(kind, size, generator))
            rows.append((kind, size, round(found[-1], 3)))
        traces.append(line(sizes, found, kind, i) | {"mode": "lines+markers"})
    best = {kind: max((s for k, s, a in rows if k == kind and a > 0.5), default=0) for kind in kinds}
    said = "; ".join(
        f"{kind} learns up to {axis} {size}" if size else f"{kind} does not learn"
        for kind, size in best.items()
    )
    layout = frame(axis, "accuracy on test images", yaxis={"range": [0, 1.02]},
                   shapes=[rule(GUESSING, "guessing")],
                   xaxis={"type": "log", "tickvals": list(sizes)})  # fmt: skip
    return Result(drawing(title, caption, traces, layout), ("network", axis, "accuracy"), rows, f"{said}.")
