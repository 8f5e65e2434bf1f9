"""Critical initializations against published numbers and by iteration."""

import pytest

from livegrad.theory.activation import CATALOGUE
from livegrad.theory.correlation_map import phase
from livegrad.theory.critical_point import critical_at, critical_point, half_stable_point
from livegrad.theory.length_map import length_map

# (σ_w², σ_b², q*, stability); GELU and SiLU as in Roberts, Yaida & Hanin (2022).
POINTS = {
    "ReLU": (2.0, 0.0, 1.0, "any length"),
    "Tanh": (2.1533, 0.1510, 1.0, "stable"),
    "SELU": (0.9332, 0.0668, 1.0, "stable"),
    "GELU": (1.98306, 0.17292, 3.5616, "half-stable"),
    "SiLU": (1.98800, 0.55514, 14.3202, "half-stable"),
}


@pytest.mark.parametrize("name", POINTS)
def test_published_critical_points(name):
    weights, bias, length, stability = POINTS[name]
    found = critical_point(name)
    assert found is not None
    digits = 5.1e-6 if stability == "half-stable" else 5.1e-5
    assert found.weight_variance == pytest.approx(weights, abs=digits)
    assert found.bias_variance == pytest.approx(bias, abs=digits)
    assert found.length == pytest.approx(length, abs=5.1e-5)
    assert found.stability == stability


@pytest.mark.parametrize("name", [n for n in CATALOGUE if critical_point(n) is not None])
def test_a_critical_point_keeps_lengths_and_gradients(name):
    point = critical_point(name)
    assert point is not None
    after = length_map(name, point.length, point.weight_variance, point.bias_variance)
    assert after == pytest.approx(point.length, rel=1e-9)
    at = phase(name, point.weight_variance, point.bias_variance, start=point.length)
    assert at.chi == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("name", ["GELU", "SiLU", "Mish"])
def test_a_half_stable_length_attracts_from_one_side_and_repels_on_the_other(name):
    point = half_stable_point(name)
    assert point is not None

    def gap(q):
        return length_map(name, q, point.weight_variance, point.bias_variance) - q

    # V touches the diagonal from one side: the same sign on both sides, and no slope.
    assert gap(point.length * 0.995) * gap(point.length * 1.005) > 0
    assert abs(gap(point.length * 1.005)) < 1e-6 * point.length


@pytest.mark.parametrize("name", ["Softplus", "LogSigmoid", "Tanhshrink"])
def test_some_activations_have_no_critical_initialization(name):
    assert critical_point(name) is None


def test_a_sigmoid_needs_enormous_weights_to_be_critical():
    assert critical_at("Sigmoid", 1.0) is None
    found = critical_point("Sigmoid")
    assert found is not None
    assert found.weight_variance > 100
    assert found.bias_variance == pytest.approx(0.0, abs=1e-6)
