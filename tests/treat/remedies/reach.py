"""How far back a recurrence written by hand hears, and that `recurrent` makes it hear."""

import torch

from livegrad.treat.treatment import treat


def batch(steps):
    return torch.randn(8, steps, 3, generator=torch.Generator().manual_seed(1))


def reach(model, x):
    """What reaches the first step beside the last."""
    x = x.clone().requires_grad_()
    model(x).square().sum().backward()
    return float(x.grad[:, 0].norm() / x.grad[:, -1].norm())


def hears_after_treatment(model, x, activation):
    """Nothing reaches the first step; `recurrent` lets a share of it through, undoing that nothing again."""
    assert reach(model, x) < 1e-8
    treatment = treat(model, "recurrent", inputs=x)
    assert treatment.choices[0].variant == ("orthogonal" if activation is torch.tanh else "identity")
    assert 1e-3 < reach(model, x) < 1e3
    treatment.undo()
    assert reach(model, x) < 1e-8
