"""Accuracy on the digits over something that grows, for several kinds of network."""

from collections.abc import Callable, Sequence

import torch

from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.repeats import repeated
from livegrad.lab.training import GUESSING
from livegrad.view.guide_site.figures.drawing import drawing, frame, rule

Trained = Callable[[str, int, torch.Generator], float]
LEARNT = 0.5
SEEDS = 3


def over(
    kinds: Sequence[str],
    sizes: Sequence[int],
    trained: Trained,
    words: tuple[Callable[[dict[str, int]], str], str, str],
    settings: Settings,
    progress: Progress,
) -> Result:
    """Train every kind at every size with several seeds and draw the test accuracies.

    trained: (kind, size, generator) -> accuracy. words: the title, of each kind's largest size that learns (0
    for none), the caption, and what grows.
    """
    title, caption, grows = words

    def one(kind: str, size: int, seed: int) -> float:
        torch.manual_seed(seed)
        return trained(kind, size, torch.Generator().manual_seed(seed))

    found = repeated(kinds, sizes, one, settings, SEEDS, progress, grows)
    reach = found.largest(found.median > LEARNT)
    layout = frame(
        grows, "accuracy on test images", yaxis={"range": [0, 1.02], "tickformat": ".0%"},
        shapes=[rule(GUESSING, "guessing")],
        xaxis={"type": "log", "tickvals": list(sizes), "ticktext": [str(size) for size in sizes]},
    )  # fmt: skip
    told = [f"{kind} up to {size}" if size else f"{kind} at none of them" for kind, size in reach.items()]
    said = f"Learns, of the {grows} tried: {'; '.join(told)}."
    picture = drawing(title(reach), f"{caption} {settings.told(SEEDS)}", found.traces(1.0), layout)
    heads = ("network", grows, "accuracy", "lowest", "highest")
    learnt = f"(Learnt is over {LEARNT:.0%} of the test images right, in the median seed.)"
    return Result(picture, heads, found.rows, f"{said} {learnt}")
