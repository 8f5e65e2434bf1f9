"""An exploding recurrent network on digits, with and without clipping."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import recurrent_weights
from livegrad.lab.training import trained
from livegrad.view.figures.marks import edge_marks
from livegrad.view.figures.style import decades, log_axis
from livegrad.view.guide_site.figures.drawing import drawing, frame, line

SEEDS = 5
LIMITS = (None, 10.0, 1.0, 0.1)


class _Rows(nn.Module):
    """Reads the eight rows of an image four times over, 32 steps, and answers at the end."""

    def __init__(self, generator: torch.Generator, width: int = 64, gain: float = 1.25 * 2**0.5) -> None:
        super().__init__()
        self.rnn = nn.RNN(8, width, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(width, 10)
        with torch.no_grad():
            recurrent = nn.init.orthogonal_(torch.empty(width, width), gain, generator=generator)
            recurrent_weights(self.rnn).copy_(recurrent)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x.view(-1, 8, 8).repeat(1, 4, 1))[0][:, -1])


def run(settings: Settings, progress: Progress) -> Result:
    """Train the same networks by SGD without clipping and with three limits on the global norm."""
    steps = settings.of(300, 60)
    seeds = settings.draws(SEEDS)
    rows, curves, broken = [], {}, {}
    for number, limit in enumerate(LIMITS):
        name = "no clipping" if limit is None else f"norm clipped at {limit:g}"
        runs = []
        for place, seed in enumerate(seeds):
            progress((number * len(seeds) + place) / (len(LIMITS) * len(seeds)), f"{name}, seed {seed}")
            runs.append(_trained(seed, limit, steps))
        accuracies = [accuracy for accuracy, _ in runs]
        broken[name] = sum(not np.isfinite(losses[-1]) for _, losses in runs)
        curves[name] = np.array(runs[0][1])
        middle, low, high = (round(float(f(accuracies)), 3) for f in (np.median, min, max))
        rows.append((name, f"{broken[name]} of {len(seeds)}", middle, low, high))
    picture = drawing(_title(rows, broken, len(seeds)), _caption(steps, seeds), *_curves(curves, steps))
    return Result(
        picture,
        ("limit", "broke off", "accuracy", "lowest", "highest"), rows, _said(rows),
    )  # fmt: skip


def _trained(seed: int, limit: float | None, steps: int) -> tuple[float, list[float]]:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    return trained(_Rows(generator), steps, generator, rate=0.1, optimizer=torch.optim.SGD, clip=limit)


def _curves(curves: dict[str, np.ndarray], steps: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Traces and layout: where a loss was no number, a cross at the top and no line; where it was zero, a
    triangle at the floor.
    """
    logs = {name: decades(losses) for name, losses in curves.items()}
    known = np.concatenate([values[np.isfinite(values)] for values in logs.values()])
    low, high = (np.floor(known.min()) - 0.2, np.ceil(known.max()) + 0.5) if known.size else (-1.0, 1.0)
    traces = []
    for number, (name, values) in enumerate(logs.items()):
        at, lost = np.arange(len(values)), ~np.isfinite(curves[name])
        names = (f"{name}: exactly zero", f"{name}: the loss is no number")
        over = np.where(np.isfinite(values), values, np.nan)
        traces += [
            line(at, over, name, number),
            *edge_marks(at, curves[name] == 0, lost, (low, high), names=names),
        ]
    across = {"range": [-steps / 50, steps * 1.02]}
    return traces, frame("step", "loss", yaxis=log_axis(float(low), float(high)), xaxis=across)


def _title(rows: list[tuple[Any, ...]], broken: dict[str, int], seeds: int) -> str:
    clipped = sum(list(broken.values())[1:])
    best = max(rows[1:], key=lambda row: row[2])
    if broken["no clipping"] and not clipped:
        alone = broken["no clipping"]
        return f"Unclipped, {alone} of {seeds} trainings break off; {best[0]}, {best[2]:.0%} is right"
    return f"Unclipped {rows[0][2]:.2f}, {best[0]} {best[2]:.2f} of the digits"


def _said(rows: list[tuple[Any, ...]]) -> str:
    best = max(rows, key=lambda row: row[2])
    return (
        f"Without clipping {rows[0][1]} break off, median accuracy {rows[0][2]:.2f}; best is {best[0]}, "
        f"{best[2]:.2f} ({best[3]:.2f} to {best[4]:.2f})."
    )


def _caption(steps: int, seeds: range) -> str:
    return (
        "A ReLU RNN that reads a digit's rows four times over, 32 time steps, recurrent weights 1.77 times "
        f"orthogonal, SGD 0.1, {steps} steps. Through each time step its gradient grows by 1.25, over all a "
        "thousand times; clipping bounds the step that is made with it. "
        f"Curves: seed {seeds[0]}" + (f"; the table has all {len(seeds)}." if len(seeds) > 1 else ".")
    )
