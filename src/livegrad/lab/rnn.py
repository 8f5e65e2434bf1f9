"""LSTM against RNN on the adding problem, over longer and longer gaps."""

import torch
from torch import Tensor, nn

from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import biases, recurrent_weights
from livegrad.view.guide_site.figures.drawing import drawing, frame, line, rule

_WIDTH = 64
# Always answering 1, the mean, leaves the variance of a sum of two uniform numbers.
CONSTANT = 1 / 6


class _Adder(nn.Module):
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
    steps = settings.of(1200, 60)
    spans = (10, 30) if settings.quick else (10, 25, 50, 100)
    kinds = ("RNN, tanh", "IRNN", "LSTM", "LSTM, chrono")
    rows, traces = [], []
    for i, kind in enumerate(kinds):
        errors = []
        for j, span in enumerate(spans):
            progress((i * len(spans) + j) / (len(kinds) * len(spans)), f"{kind}, {span} time steps")
            errors.append(_error(kind, span, steps, settings.seed))
            rows.append((kind, span, round(errors[-1], 4)))
        traces.append(line(spans, errors, kind, i) | {"mode": "lines+markers"})
    solved = {
        kind: max((s for k, s, e in rows if k == kind and e < CONSTANT / 4), default=0) for kind in kinds
    }
    said = "; ".join(
        f"{kind} up to T = {span}" if span else f"{kind} at none" for kind, span in solved.items()
    )
    caption = (
        f"The adding problem, {_WIDTH} units, Adam 1e-3, norm clipped at 1, {steps} steps of 50 "
        "sequences. The dotted "
        "line is the error of always answering 1. Solved: a quarter of it or less."
    )
    layout = frame(
        "time steps T", "mean squared error", yaxis={"type": "log"}, shapes=[rule(CONSTANT, "a constant")]
    )
    return Result(
        drawing("LSTM against RNN", caption, traces, layout), ("cell", "T", "error"), rows, f"Solved: {said}."
    )


def _error(kind: str, span: int, steps: int, seed: int) -> float:
    """Mean squared error over the last 20 steps."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = _Adder(kind, span, generator)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(steps):
        x, y = batch(span, generator)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    return sum(losses[-20:]) / len(losses[-20:])
