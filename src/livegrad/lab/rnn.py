"""LSTM against RNN on the adding problem, over longer and longer gaps."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import biases, recurrent_weights
from livegrad.lab.repeats import repeated
from livegrad.view.guide_site.figures.drawing import drawing, frame, rule

_WIDTH = 64
# Always answering 1, the mean, leaves the variance of a sum of two uniform numbers.
CONSTANT = 1 / 6
SOLVED = CONSTANT / 4
SEEDS = 2
_SURE = 50


class Adder(nn.Module):
    """One recurrent layer and a linear answer from its last state; `kind` says which and how it is drawn."""

    def __init__(self, kind: str, span: int, generator: torch.Generator) -> None:
        super().__init__()
        cell = nn.LSTM if kind.startswith("LSTM") else nn.RNN
        options = {"nonlinearity": "relu"} if kind == "IRNN" else {}
        self.cell = cell(2, _WIDTH, batch_first=True, **options)
        self.head = nn.Linear(_WIDTH, 1)
        with torch.no_grad():
            if kind in ("IRNN", "LSTM, chrono"):
                one, other = biases(self.cell)
                one.zero_()
                other.zero_()
            if kind == "IRNN":
                recurrent_weights(self.cell).copy_(torch.eye(_WIDTH))
            if kind == "LSTM, chrono":
                forget = torch.log(1 + torch.rand(_WIDTH, generator=generator) * (span - 2))
                one[_WIDTH : 2 * _WIDTH] = forget
                one[:_WIDTH] = -forget

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1]).squeeze(-1)


def batch(span: int, generator: torch.Generator, size: int = 50) -> tuple[Tensor, Tensor]:
    """The adding problem of Hochreiter & Schmidhuber (1997): numbers in [0, 1], two of them marked, one in
    each half; the answer is their sum.
    """
    values = torch.rand(size, span, generator=generator)
    marks = torch.zeros(size, span)
    rows = torch.arange(size)
    marks[rows, torch.randint(0, span // 2, (size,), generator=generator)] = 1
    marks[rows, torch.randint(span // 2, span, (size,), generator=generator)] = 1
    return torch.stack([values, marks], -1), (values * marks).sum(1)


def run(settings: Settings, progress: Progress) -> Result:
    """Train each cell at each gap for the same steps and draw the error it ends at."""
    steps = settings.of(1000, 60)
    spans = (10, 30) if settings.quick else (10, 20, 40, 80)
    kinds = ("RNN, tanh", "IRNN", "LSTM", "LSTM, chrono")
    found = repeated(kinds, spans, partial(_error, steps=steps), settings, SEEDS, progress, "time steps")
    reach = found.largest(found.median < SOLVED)
    caption = (
        f"The adding problem, {_WIDTH} units, Adam 3e-3, norm clipped at 1, {steps} steps of 50 sequences, "
        f"fewer once the error is under a sixteenth of a constant's. "
        f"Dotted: the error of always answering 1; solved is a quarter of it or less. {settings.told(SEEDS)}"
    )
    # Of a logarithmic axis a range is given in logarithms, a shape's place is not.
    rules = [rule(CONSTANT, "a constant"), rule(SOLVED, "solved")]
    highest = max(0.0, math.log10(found.highest) + 0.1)
    axes = {
        "xaxis": {"type": "log", "tickvals": list(spans), "ticktext": [str(span) for span in spans]},
        "yaxis": {"type": "log", "range": [-2.8, highest], "dtick": 1, "exponentformat": "power"},
    }
    layout = frame("time steps T", "mean squared error", shapes=rules, **axes)
    said = "; ".join(
        f"{kind} up to T = {span}" if span else f"{kind} at none" for kind, span in reach.items()
    )
    if not any(reach.values()):
        title = f"No cell solves it in {steps} steps"
    elif len(set(reach.values())) > 1:
        title = "The further back the answer lies, the fewer cells find it"
    else:
        title = "Every cell reaches equally far"
    return Result(drawing(title, caption, found.traces(10**highest), layout),
                  ("cell", "T", "error", "lowest", "highest"), found.rows, f"Solved: {said}.")  # fmt: skip


def _error(kind: str, span: int, seed: int, steps: int) -> float:
    """Mean squared error over the last 20 steps."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = Adder(kind, span, generator)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(steps):
        x, y = batch(span, generator)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if len(losses) >= _SURE and sum(losses[-_SURE:]) / _SURE < SOLVED / 4:
            break
    return sum(losses[-20:]) / len(losses[-20:])
