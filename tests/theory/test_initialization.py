"""Initializations as torch draws them."""

import math

import pytest
import torch

from livegrad.theory.initialization import initialization

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
    assert initialization("recommended", 64, activation="Tanh").name == "own gain"
    assert initialization("recommended", 64, activation="GELU").bias_variance == pytest.approx(
        0.17292, abs=1e-5
    )
    with pytest.raises(KeyError):
        initialization("kaiming", 64)
