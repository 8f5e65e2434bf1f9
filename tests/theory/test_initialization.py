"""Initializations as torch draws them, and what closed forms propose instead."""

import math

import pytest
import torch

from livegrad.theory.alternatives import alternatives
from livegrad.theory.initialization import initialization
from livegrad.theory.propagation import Design, Residual

DRAWN = {
    "xavier": torch.nn.init.xavier_normal_,
    "he": torch.nn.init.kaiming_normal_,
    "orthogonal": torch.nn.init.orthogonal_,
}


@pytest.mark.parametrize(("fan_in", "fan_out"), [(300, 300), (100, 400), (400, 100)])
@pytest.mark.parametrize("name", DRAWN)
def test_weight_gains_are_those_that_torch_draws(name, fan_in, fan_out):
    torch.manual_seed(0)
    drawn = DRAWN[name](torch.empty(fan_out, fan_in))
    # 40,000 draws or more: their mean square has standard error √(2/40,000) = 0.7 %.
    measured = math.sqrt(fan_in * float(drawn.square().mean()))
    assert initialization(name, fan_in, fan_out).weight_gain == pytest.approx(measured, rel=0.015)


def test_torchs_own_default_is_a_third_whatever_the_shape():
    torch.manual_seed(0)
    layer = torch.nn.Linear(256, 300)
    found = initialization("torch default", 256, 300)
    weight, bias = (float(p.detach().square().mean()) for p in (layer.weight, layer.bias))
    assert found.weight_gain == pytest.approx(16 * math.sqrt(weight), rel=0.01)
    assert found.bias_variance == pytest.approx(bias, rel=0.2)


def test_own_gain_and_critical_follow_the_activation():
    assert initialization("own gain", 64, activation="Tanh").weight_gain == pytest.approx(1.5925, abs=5e-5)
    critical = initialization("critical", 64, activation="Tanh")
    assert critical.weight_gain**2 == pytest.approx(2.1533, abs=5e-5)
    with pytest.raises(ValueError, match="no critical"):
        initialization("critical", 64, activation="Softplus")
    with pytest.raises(KeyError):
        initialization("kaiming", 64)


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
