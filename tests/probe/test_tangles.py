"""Tangles taken apart at their lower end: what each way brings of the gradient, against autograd by hand."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

X = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3


class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.h, self.t = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        t = torch.sigmoid(self.t(x))
        return t * torch.tanh(self.h(x)) + (1 - t) * x


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 4), nn.Linear(10, 4)

    def forward(self, x):
        a = torch.relu(self.a(x))
        return torch.cat([x, a, torch.relu(self.b(torch.cat([x, a], 1)))], 1)


def model_of(block, width):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 6), block, nn.Linear(width, 3))
    return model, lambda: F.cross_entropy(model(X), Y)


def paths_under(scanned, top):
    """What comes down each path under layer `top`, as a factor on what comes to it."""
    whole = scanned.value(top, "transport")
    found = [layer.name for layer in scanned.layers if layer.kind == "path" and layer.segment == top]
    return {name.rpartition("/")[2]: 10 ** (scanned.value(name, "transport") - whole) for name in found}


def delta(model, upto):
    """The value after `upto` modules, and the loss's gradient at it."""
    value = model[:upto](X).detach().requires_grad_()
    F.cross_entropy(model[upto:](value), Y).backward()
    return value.detach(), value.grad


def test_a_highway_has_a_carry_path_a_transform_path_and_a_gate_path(scan_step):
    block = Highway()
    model, forward = model_of(block, 6)
    scanned = scan_step(model, forward)
    x, above = delta(model, 1)[0].requires_grad_(), delta(model, 2)[1]
    t, h = torch.sigmoid(block.t(x)), torch.tanh(block.h(x))
    carried = (1 - t.detach()) * above
    transformed = torch.autograd.grad(h, x, t.detach() * above, retain_graph=True)[0]
    gated = torch.autograd.grad(t, x, (h - x).detach() * above, retain_graph=True)[0]
    expected = sorted(float(g.norm() / above.norm()) for g in (carried, transformed, gated))
    np.testing.assert_allclose(sorted(paths_under(scanned, "1").values()), expected, rtol=1e-5)
    # Together they are the gradient, and as vectors: their norms need not add up.
    together = (carried + transformed + gated).norm() / above.norm()
    assert np.isclose(10 ** (scanned.value("0", "transport") - scanned.value("1", "transport")), together)


def test_a_dense_block_has_a_path_for_each_layer_that_reads_the_input(scan_step):
    block = Dense()
    model, forward = model_of(block, 14)
    scanned = scan_step(model, forward)
    x, above = delta(model, 1)[0].requires_grad_(), delta(model, 2)[1]
    a = torch.relu(block.a(x))
    last = torch.relu(block.b(torch.cat([x, a.detach()], 1)))
    skip = above[:, :6]
    by_last = torch.autograd.grad(last, x, above[:, 10:], retain_graph=True)[0]
    whole = torch.autograd.grad(block(x), x, above)[0]
    by_first = whole - skip - by_last
    expected = sorted(float(g.norm() / above.norm()) for g in (skip, by_last, by_first))
    np.testing.assert_allclose(sorted(paths_under(scanned, "1").values()), expected, rtol=1e-5)
