"""What closed forms propose for a design that fades or grows."""

import math

import pytest

from livegrad.theory.alternatives import alternatives
from livegrad.theory.propagation import Design, Residual


def test_a_deep_sigmoid_is_helped_by_batch_norm_and_not_by_layer_norm():
    found = {(a.kind, a.name): a for a in alternatives(Design("Sigmoid", math.sqrt(1 / 3)), 30)}
    assert found["normalization", "batch"].audibility_decades == pytest.approx(
        30 * math.log10(1.0167), abs=0.02
    )
    assert found["normalization", "layer"].decades < -11
    assert found["activation", "ReLU"].decades == pytest.approx(0.0, abs=1e-9)
    assert found["initialization", "own gain"].decades == pytest.approx(30 * math.log10(0.3909), abs=0.01)
    assert found["initialization", "xavier"].change < found["activation", "ReLU"].change


def test_batch_norm_is_not_proposed_as_a_help_to_a_critical_relu():
    found = {(a.kind, a.name): a for a in alternatives(Design("ReLU"), 50)}
    assert found["normalization", "batch"].audibility_decades == pytest.approx(
        50 * math.log10(1.2112), rel=1e-3
    )
    assert found["normalization", "batch"].change < 0
    assert all(a.change <= 1e-9 for a in found.values())


def test_an_unscaled_residual_is_told_to_scale():
    best = alternatives(Design("ReLU", residual=Residual()), 60)[0]
    assert (best.kind, best.name) == ("residual", "zero-gated")
