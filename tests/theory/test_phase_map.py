"""Maps of trainability: signs, critical points and the depth scales of Schoenholz et al. (2017)."""

import numpy as np
import pytest

from livegrad.theory.correlation_map import phase
from livegrad.theory.phase_map import critical_line, depth_scales, phase_map, settled_lengths


def test_tanh_vanishes_on_one_side_of_its_critical_line_and_explodes_on_the_other():
    found = phase_map("Tanh", (1.0, 1.7603, 3.0), (0.05,))
    assert found.decades[0, 0] < -0.05
    assert found.decades[0, 1] == pytest.approx(0.0, abs=2e-4)
    assert found.decades[0, 2] > 0.03


def test_the_critical_line_passes_the_known_points():
    line = critical_line("Tanh", 0.5)
    assert np.interp(0.1510, line[:, 1], line[:, 0]) == pytest.approx(2.1533, rel=2e-3)
    assert critical_line("ReLU", 0.5).tolist() == [[2.0, 0.0]]
    # SELU keeps unit length at (.9332, .0668).
    line = critical_line("SELU", 0.5)
    assert np.abs(line - [0.9332, 0.0668]).sum(axis=1).min() < 0.01


def test_scales_are_those_of_the_exact_maps():
    weights = (1.0, 1.3, 1.6, 2.2, 3.0, 4.0)
    found = depth_scales("Tanh", weights, 0.05)
    assert [p.correlation_scale for p in found] == pytest.approx([3.6, 7.8, 27, 16.2, 9.1, 7.0], rel=0.02)
    for weight, scales in zip(weights[::2], found[::2], strict=True):
        exact = phase("Tanh", weight, 0.05)
        assert scales.length == pytest.approx(exact.length, rel=2e-3)
        assert scales.chi == pytest.approx(exact.chi, rel=2e-3)
        assert scales.length_scale == pytest.approx(exact.length_scale, rel=0.02)


def test_relu_settles_where_its_variance_says():
    """V(q) = σ_w² q/2 + σ_b², so q* = σ_b²/(1 − σ_w²/2)."""
    q = settled_lengths("ReLU", np.array([1.0, 0.5]), np.array([0.1, 0.3]))
    assert q == pytest.approx([0.2, 0.4], rel=1e-3)


def test_a_network_whose_activations_fade_does_not_train_at_any_depth():
    found = phase_map("Tanh", (0.5, 0.9), (0.0, 0.1), True)
    assert found.depth is not None
    assert found.depth[0, 0] == pytest.approx(6 / abs(np.log(0.5)), rel=1e-3)
    assert np.all(np.isfinite(found.depth))
