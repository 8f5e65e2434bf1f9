"""Weights are read on some steps only, and at once where something is wrong with them."""

import numpy as np
import torch
from torch import nn


def train(net, steps, between=lambda step: None):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for step in range(steps):
        between(step)
        optimizer.zero_grad()
        net(torch.randn(6, 5)).square().mean().backward()
        optimizer.step()


def small_net():
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def test_weights_and_updates_are_read_on_the_same_steps(watching):
    with watching(every=1) as w:
        train(small_net(), 20)
    pulses = w.run.pulses()
    read = np.isfinite(pulses.weight_norm).all(axis=1)
    assert pulses.step[read].tolist() == [0, 1, 2, 7, 10, 15]  # every eighth, and 10 is scanned
    np.testing.assert_array_equal(np.isfinite(pulses.update_norm).all(axis=1), read)
    np.testing.assert_array_equal((pulses.weight_nonfinite >= 0).all(axis=1), read)
    np.testing.assert_array_equal(np.isfinite(pulses.weight_max).all(axis=1), read)
    assert np.isfinite(pulses.turnover[read]).all()
    assert np.isfinite(pulses.gradient_norm).all()
    assert (pulses.nonfinite == 0).all()


def test_a_nan_in_a_weight_is_seen_on_the_step_that_first_uses_it(watching):
    net = small_net()

    def spoil(step):
        if step == 5:
            with torch.no_grad():
                net[2].weight[0, 0] = torch.nan

    with watching(every=1) as w:
        train(net, 12, spoil)
    pulses = w.run.pulses()
    column = [t.name for t in w.run.tensors].index("2.weight")
    assert (pulses.nonfinite[:5] == 0).all()
    assert pulses.nonfinite[5] > 0
    assert pulses.weight_nonfinite[5, column] == 1
    assert (pulses.weight_nonfinite[5:] >= 0).all(), "as long as it lasts, every row tells"


def test_a_nan_in_a_weight_is_seen_where_clipping_hides_it(watching):
    """The statistics of a clipped gradient come from before the clip."""
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    with watching(every=1) as w:
        for step in range(7):
            if step == 5:
                net[2].weight.data[0, 0] = torch.inf
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
    pulses = w.run.pulses()
    assert (pulses.weight_nonfinite[5] >= 0).all()
    assert pulses.weight_nonfinite[5].sum() == 1
