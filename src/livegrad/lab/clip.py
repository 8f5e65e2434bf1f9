"""An exploding recurrent network on digits, with and without clipping."""

import numpy as np
import torch
from torch import Tensor, nn

from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import recurrent_weights
from livegrad.lab.training import trained
from livegrad.view.guide_site.figures.drawing import drawing, frame, line


class _Pixels(nn.Module):
    """Reads an image pixel by pixel, 64 steps, and answers at the end."""

    def __init__(self, generator: torch.Generator, width: int = 64, gain: float = 1.25 * 2**0.5) -> None:
        super().__init__()
        self.rnn = nn.RNN(1, width, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(width, 10)
        with torch.no_grad():
            recurrent = nn.init.orthogonal_(torch.empty(width, width), gain, generator=generator)
            recurrent_weights(self.rnn).copy_(recurrent)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x.unsqueeze(-1))[0][:, -1])


def run(settings: Settings, progress: Progress) -> Result:
    """Train the same network by SGD without clipping and with three limits on the global norm."""
    steps = settings.of(250, 40)
    limits = (None, 10.0, 1.0, 0.1)
    rows, traces = [], []
    for number, limit in enumerate(limits):
        name = "no clipping" if limit is None else f"norm clipped at {limit:g}"
        progress(number / len(limits), name)
        generator = torch.Generator().manual_seed(settings.seed)
        torch.manual_seed(settings.seed)
        accuracy, losses = trained(
            _Pixels(generator), steps, generator, rate=0.01, optimizer=torch.optim.SGD, clip=limit
        )
        shown = np.log10(np.clip(np.nan_to_num(losses, nan=1e12, posinf=1e12), 1e-4, 1e12))
        ended = f", broke off at step {len(losses) - 1}" if len(losses) < steps else ""
        traces.append(line(range(len(losses)), shown, f"{name}{ended}", number))
        rows.append((name, len(losses), losses[-1], round(accuracy, 3)))
    best = max(rows, key=lambda row: row[3])
    alone = rows[0]
    broke = f"breaks off after {alone[1]} steps" if alone[1] < steps else f"reaches {alone[3]:.2f}"
    said = f"Without clipping it {broke}; best is {best[0]}, accuracy {best[3]:.2f}."
    caption = (
        "A ReLU RNN that reads a digit pixel by pixel, recurrent weights 1.77 times orthogonal, SGD 0.01, "
        f"{steps} steps. Through each time step its gradient grows by 1.25, a million times over 64; "
        "clipping bounds the step that is made with it."
    )
    layout = frame("step", "loss (log10)")
    return Result(
        drawing("Clipping against explosion", caption, traces, layout),
        ("limit", "steps", "last loss", "accuracy"),
        rows,
        said,
    )
