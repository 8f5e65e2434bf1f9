"""What a remedy predicts by closed form is what is measured after it, for each variant.

Theory speaks of infinite width and of layers that are all alike; at 160 units and 13 layers, of which one is
given no activation, the decades agree to within 0.3 and one layer's worth.
"""

import pytest
import torch
from torch import nn

from livegrad.treat.treatment import treat

WIDTH, DEPTH = 160, 12
INITS = ("own-gain", "orthogonal", "critical", "centred", "edge", "xavier", "he", "lecun", "lsuv")
NORMS = ("layer", "batch", "rms", "layer:position=after")
SKIPS = ("scaled", "rezero", "skipinit", "highway")
SWAPS = (
    "tanh", "relu", "leaky-relu", "elu", "celu", "selu", "gelu", "silu", "mish", "hardswish", "softsign",
    "hardtanh", "tailored",
)  # fmt: skip
SPECS = [f"{name}={v}" for name, vs in (("init", INITS), ("normalize", NORMS), ("skip", SKIPS)) for v in vs]


def stack(activation, norm=None, depth=DEPTH):
    torch.manual_seed(0)
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(WIDTH, WIDTH), *([norm(WIDTH)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10)), torch.randn(48, WIDTH)


def after(spec, model, inputs):
    done = treat(model, spec, inputs=inputs, force=True)
    return done.assessments[-1].predicted["audibility_decades"], done.certificate.decades_after


def close_to(predicted):
    return pytest.approx(predicted, abs=0.3 + abs(predicted) / DEPTH)


@pytest.mark.parametrize("spec", SPECS)
def test_decades_after_a_treatment_of_sigmoids_are_as_predicted(spec):
    predicted, measured = after(spec, *stack(nn.Sigmoid))
    assert measured == close_to(predicted)


@pytest.mark.parametrize("spec", [s for s in SPECS if s.startswith(("normalize", "skip")) or "ed" in s])
def test_decades_after_a_treatment_of_rectifiers_are_as_predicted(spec):
    predicted, measured = after(spec, *stack(nn.ReLU))
    assert measured == close_to(predicted)


@pytest.mark.parametrize("variant", SWAPS)
def test_decades_after_an_activation_was_swapped_are_as_predicted(variant):
    predicted, measured = after(f"activation={variant}", *stack(nn.Sigmoid))
    assert measured == close_to(predicted)


def test_ways_around_batchnorm_end_its_explosion_of_1_21_per_layer():
    model, inputs = stack(nn.ReLU, nn.BatchNorm1d, depth=30)
    done = treat(model, "skip=scaled", inputs=inputs)
    assert done.certificate.decades_before > 1.8  # 30 · log10 1.211 = 2.5, less what the first layers lack
    predicted = done.assessments[-1].predicted["audibility_decades"]
    assert done.certificate.decades_after == pytest.approx(predicted, abs=0.3)
    assert abs(done.certificate.decades_after) < 0.4
