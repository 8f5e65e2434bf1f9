"""Order and chaos: correlations, depth scales and the trainable depth of tanh networks."""

import math

import pytest

from livegrad.theory.correlation_map import correlation_map, fixed_correlation, phase

# σ_w² and the depth scale ξ_c of tanh at σ_b² = 0.05.
TANH_SCALES = {1.0: 3.6, 1.3: 7.8, 1.6: 27.0, 2.2: 16.2, 3.0: 9.1, 4.0: 7.0}


@pytest.mark.parametrize("weights", TANH_SCALES)
def test_depth_scales_of_tanh(weights):
    found = phase("Tanh", weights, 0.05)
    assert found.correlation_scale == pytest.approx(TANH_SCALES[weights], abs=0.06)
    assert found.trainable_depth == pytest.approx(6 * found.correlation_scale)


def test_tanh_crosses_from_order_to_chaos_where_chi_is_one():
    ordered, chaotic = phase("Tanh", 1.5, 0.05), phase("Tanh", 2.5, 0.05)
    assert (ordered.name, ordered.correlation, ordered.chi < 1) == ("ordered", 1.0, True)
    assert chaotic.name == "chaotic"
    assert chaotic.chi > 1
    assert 0 < chaotic.correlation < 1
    critical = phase("Tanh", 1.76, 0.05)
    assert critical.correlation_scale > 500
    assert critical.chi == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("weights", [4.0])
def test_two_inputs_settle_at_the_fixed_correlation_from_either_side(weights):
    found = phase("Tanh", weights, 0.05)
    for start in (0.0, 0.5):
        c, apart = start, []
        for _ in range(60):
            c = correlation_map("Tanh", c, found.length, weights, 0.05)
            apart.append(abs(c - found.correlation))
        # The approach is exponential with the depth scale ξ_c (Schoenholz et al. 2017).
        assert apart[-1] / apart[-6] == pytest.approx(math.exp(-5 / found.correlation_scale), rel=0.03)


def test_in_the_ordered_phase_inputs_become_alike():
    assert fixed_correlation("Tanh", 0.4, 1.5, 0.05) == 1.0
    assert fixed_correlation("ReLU", 1.0, 2.0) == 1.0


def test_without_bias_an_odd_activation_makes_chaotic_inputs_orthogonal():
    assert fixed_correlation("Tanh", phase("Tanh", 3.0).length, 3.0) == pytest.approx(0.0, abs=1e-9)


def test_a_critical_relu_has_no_depth_scale():
    found = phase("ReLU", 2.0)
    assert (found.name, found.correlation) == ("critical", 1.0)
    assert found.correlation_scale == math.inf
    assert found.trainable_depth == math.inf


def test_xavier_relu_fades_but_keeps_inputs_apart_to_the_same_degree():
    # Scale goes, correlations move as in the critical net: rescaling changes no angle.
    found = phase("ReLU", 1.0)
    assert found.length == 0.0
    assert found.chi == pytest.approx(0.5, rel=1e-12)
    assert found.gradient_scale == pytest.approx(1 / math.log(2), rel=1e-12)
    assert found.correlation_scale == math.inf


def test_a_sigmoid_is_deep_in_order():
    found = phase("Sigmoid", 1.0)
    assert found.correlation == 1.0
    assert found.trainable_depth < 3
