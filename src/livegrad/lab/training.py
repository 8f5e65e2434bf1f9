"""Training on the digits, as the experiments do it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from livegrad.lab.data import digits

GUESSING = 0.1
"""Accuracy of guessing among ten digits."""


def trained(
    model: nn.Module,
    steps: int,
    generator: torch.Generator,
    rate: float = 1e-3,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    shaped: Callable[[Tensor], Tensor] = lambda x: x,
    clip: float | None = None,
) -> tuple[float, list[float]]:
    """Train on the digits; return the accuracy on the test images and the loss of every step.

    shaped: what a batch (B, 64) is given to the model as. A training whose loss is no number stops there.
    """
    data = digits()
    stepping = optimizer(model.parameters(), lr=rate)
    losses: list[float] = []
    for _ in range(steps):
        x, y = data.batch(generator)
        stepping.zero_grad()
        loss = nn.functional.cross_entropy(model(shaped(x)), y)
        losses.append(float(loss.detach()))
        if not losses[-1] < float("inf"):
            break
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        stepping.step()
    model.eval()
    with torch.no_grad():
        right = model(shaped(data.test)).argmax(-1) == data.test_labels
    return float(right.float().mean()), losses
