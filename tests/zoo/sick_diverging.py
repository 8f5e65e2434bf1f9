"""Trainings that run away at their own pace, with steps that are never as large as the weights."""

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import sgd, train
from torch import nn
from torch.nn import functional as F


def diverging(name, note, **fields):
    options = {"family": "diverging", "note": note, "expect": "LG106 LG402", "truth": "diverges", "steps": 60}
    return case(name, **(options | {"tolerated": "LG103 LG301 LG201"} | fields))


def linear_problem(spread: float, inputs: int = 32, count: int = 256):
    """x with one direction `spread` times as long as the others, and targets linear in it."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, inputs, generator=generator)
    x[:, 0] *= spread
    y = x[:, 1:2] - 0.5 * x[:, 2:3]
    return x, y + 0.01 * torch.randn(count, 1, generator=generator)


def whole(x, y):
    return lambda generator: (x, y)


def unstable(name, note, spread, over, momentum=0.0, steps=60, first=0.3):
    """Gradient descent on one linear layer at `over` times the largest stable rate, (1 + momentum)/E x₀².

    The weight that grows begins `first` away from its optimum, the others about 3.
    """

    def build():
        x, y = linear_problem(spread)
        model = nn.Linear(32, 1)
        with torch.no_grad():
            model.weight.copy_(torch.randn(1, 32) * 3)
            model.weight[0, 0] = first
        edge = (1 + momentum) / x[:, 0].square().mean().item()
        optimizer = sgd(model, over * edge, momentum)
        return train(model, optimizer, whole(x, y), F.mse_loss, baseline=y.var().item())

    diverging(name, note, steps=steps)(build)


unstable("least-squares-3-percent-over", "Gradient descent at 1.03 times the largest stable rate.", 10, 1.03)
unstable("least-squares-10-percent-over", "At 1.1 times the largest stable rate.", 10, 1.1, steps=30)
unstable(
    "least-squares-ill-conditioned", "One feature thirty times as long as the rest.", 30, 1.04, first=0.1
)
unstable(
    "least-squares-momentum-over",
    "Momentum 0.9 bears 1.9 times the rate; this is over it.",
    10,
    1.05,
    0.9,
    80,
)
unstable("least-squares-far-from-optimum", "The growing weight is the largest.", 3, 1.1, first=60.0)


@diverging("ascends-its-loss", "maximize=True: the weights climb the loss.", steps=50)
def _():
    x, y = data.teacher()
    model = nn.Linear(16, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, maximize=True)
    return train(model, optimizer, whole(x, y), F.mse_loss, baseline=1.0)


@diverging(
    "rate-raised-past-the-edge", "At step 20 the rate is raised to 1.05 times what is stable.", steps=80
)
def _():
    x, y = linear_problem(10)
    model = nn.Linear(32, 1)
    with torch.no_grad():
        model.weight.copy_(torch.randn(1, 32) * 3)
        model.weight[0, 0] = 0.3
    edge = 1 / x[:, 0].square().mean().item()
    optimizer = sgd(model, 0.05 * edge)

    def schedule(step):
        optimizer.param_groups[0]["lr"] = (0.05 if step < 20 else 1.05) * edge

    return train(model, optimizer, whole(x, y), F.mse_loss, baseline=y.var().item(), schedule=schedule)
