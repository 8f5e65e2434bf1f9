"""Zero-padded convolutions against sampled stacks."""

import math

import numpy as np
import pytest
import torch

from livegrad.theory.convolution import padding_factor


def test_the_closed_form_for_three_taps_is_the_eigenvalue():
    for n in (1, 2, 5, 28):
        place = np.arange(n)
        band = (np.abs(place[:, None] - place) <= 1).astype(float)
        assert padding_factor([n], [3]) ** 2 == pytest.approx(np.linalg.eigvalsh(band)[-1] / 3, rel=1e-12)


def test_pixels_alone_or_without_neighbours():
    # One pixel meets a third of a 3-kernel and a fifth of a 5-kernel; a 1 × 1 kernel has no borders.
    assert padding_factor([1], [3]) == pytest.approx(math.sqrt(1 / 3))
    assert padding_factor([1, 1], [5, 5]) == pytest.approx(1 / 5)
    assert padding_factor([7, 7], [1, 1]) == 1.0
    with pytest.raises(ValueError, match="do not go with"):
        padding_factor([7, 7], [3])


def sampled_decades(pixels, kernel, mode, depth, channels, seed):
    torch.manual_seed(seed)
    first = torch.randn(4, channels, pixels, pixels, requires_grad=True)
    z = first
    for _ in range(depth):
        conv = torch.nn.Conv2d(channels, channels, kernel, padding=kernel // 2, padding_mode=mode, bias=False)
        torch.nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        z = conv(torch.relu(z))
    v = torch.randn_like(z)
    (gradient,) = torch.autograd.grad(z, first, v)
    return math.log10(float(gradient.norm() / v.norm()))


@pytest.mark.parametrize(("pixels", "kernel"), [(6, 3), (8, 5)])
def test_borders_cost_what_the_eigenvalue_says_and_rings_have_none(pixels, kernel):
    depth, channels = 30, 32
    padded, ring = (
        np.array([sampled_decades(pixels, kernel, mode, depth, channels, s) for s in range(4)])
        for mode in ("zeros", "circular")
    )
    # Width: ln ‖Jᵀv‖² strays by 5 · depth / channels at most (Hanin & Nica, channels for units).
    tolerance = 5 * depth / channels / 4 / math.log(10) + 3 * padded.std(ddof=1) / 2
    predicted = depth * math.log10(padding_factor([pixels] * 2, [kernel] * 2))
    assert predicted < -0.8
    assert padded.mean() == pytest.approx(predicted, abs=tolerance)
    assert ring.mean() == pytest.approx(0.0, abs=tolerance)
