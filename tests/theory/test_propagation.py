"""Closed forms of a stack's gradient against known cases and against sampled networks."""

import math

import numpy as np
import pytest

from livegrad.theory.activation import CATALOGUE, backward_factor, normalized_backward_factor
from livegrad.theory.propagation import NORMALIZATIONS, Design, Residual, backward_gain

# (activation, weight gain, factor per layer)
PLAIN = [
    ("Tanh", None, 1.0853),
    ("ReLU", 1.0, 0.7071),
    ("ReLU", math.sqrt(1 / 3), 0.4082),
    ("Sigmoid", 1.0, 0.2361),
    ("SELU", None, 1.0352),
]


@pytest.mark.parametrize(("name", "gain", "factor"), PLAIN)
def test_factors_per_layer_of_plain_stacks(name, gain, factor):
    assert backward_gain(name, gain, depth=40).per_layer == pytest.approx(factor, abs=6e-5)


def test_decades_add_up_over_depth():
    found = backward_gain("ReLU", 1.0, depth=40)
    assert found.decades == pytest.approx(-20 * math.log10(2), rel=1e-12)
    assert found.forward_decades == pytest.approx(found.decades, rel=1e-12)
    assert found.audibility_decades == pytest.approx(0.0, abs=1e-12)


def test_he_initialization_makes_gelu_and_silu_vanish_and_not_relu():
    assert backward_gain("ReLU", math.sqrt(2), depth=200).decades == pytest.approx(0.0, abs=1e-9)
    for name in ("GELU", "SiLU"):
        found = backward_gain(name, math.sqrt(2), depth=200)
        assert found.per_layer == pytest.approx(math.sqrt(0.5), abs=1e-4)
        assert found.decades < -25


@pytest.mark.parametrize("gain", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("name", ["ReLU", "Sigmoid", "Tanh", "GELU"])
def test_a_normalized_stack_does_not_ask_for_its_weights(name, gain):
    for normalization in ("layer", "rms"):
        factor = backward_gain(name, gain, normalization, depth=3).per_layer
        assert factor == pytest.approx(backward_factor(name), rel=1e-12)
    factor = backward_gain(name, gain, "batch", depth=3).per_layer
    assert factor == pytest.approx(normalized_backward_factor(name), rel=1e-12)


def test_a_layer_norm_cures_a_sigmoid_only_behind_it():
    # Before φ it rescales; behind φ it also takes the mean of the activations away.
    assert backward_gain("Sigmoid", 1.0, "layer", depth=5).per_layer == pytest.approx(0.3909, abs=5e-5)
    assert backward_gain("Sigmoid", 1.0, "layer", depth=5, position="after").per_layer > 1
    assert backward_gain("Sigmoid", 1.0, "rms", depth=5, position="after").per_layer < 0.4


def test_an_unscaled_residual_doubles_and_a_scaled_one_is_bounded():
    # He-ReLU branch: q' = 2q and f² = 2; with 1/√L the product (1 + 1/L)^L stays under e.
    assert backward_gain("ReLU", None, residual=Residual(), depth=20).decades == pytest.approx(
        10 * math.log10(2)
    )
    for depth in (10, 100, 1000):
        scaled = backward_gain("ReLU", None, residual=Residual(depth**-0.5), depth=depth)
        assert scaled.decades == pytest.approx(0.5 * depth * math.log10(1 + 1 / depth), rel=1e-9)
        assert scaled.decades < 0.5 * math.log10(math.e)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_gate_closed_at_the_start_passes_everything(normalization):
    found = backward_gain("Sigmoid", None, normalization, Residual(0.0), 1000)
    assert (found.decades, found.forward_decades) == (0.0, 0.0)


def test_a_pre_normalized_residual_grows_as_a_power_of_depth():
    # f² = 1 + 1/(1 + l): the product telescopes to L + 1.
    found = backward_gain("ReLU", None, "layer", Residual(), 99)
    assert found.decades == pytest.approx(1.0, rel=1e-9)


def test_a_post_normalized_block_with_weak_weights_vanishes():
    # f² = (1 + s² b²)/(1 + s² v): He weights balance it; with a sigmoid's b < v it decays with depth.
    he = backward_gain("ReLU", None, "layer", Residual(1, 2, True, "post"), 100)
    assert he.decades == pytest.approx(0.0, abs=1e-9)
    sigmoid = backward_gain("Sigmoid", 1.0, "layer", Residual(1, 2, True, "post"), 100)
    assert sigmoid.decades < -3


def test_very_deep_and_very_wild_stacks_stay_finite():
    assert backward_gain("Tanh", None, depth=10_000).decades == pytest.approx(
        1e4 * math.log10(backward_factor("Tanh")), rel=1e-9
    )
    assert backward_gain("ReLU", 2.0, depth=3000).decades == pytest.approx(1500 * math.log10(2), rel=1e-9)
    assert backward_gain("GELU", 0.5, depth=3000).decades == pytest.approx(3000 * math.log10(0.25), rel=1e-2)


def test_where_lengths_do_not_hold_no_single_figure_is_promised():
    for design in (Design("Tanh"), Design("ReLU"), Design("GELU", normalization="layer")):
        low, high = design.decades_between(60)
        assert high - low < 0.1
    low, high = Design("GELU").decades_between(60)
    assert low < -2
    assert high > 1
    assert low < Design("GELU").propagate(60).decades < high


def test_a_wrong_word_is_answered_with_the_right_ones():
    with pytest.raises(ValueError, match="layer"):
        Design("ReLU", normalization="LN")
    with pytest.raises(ValueError, match="before"):
        Design("ReLU", position="behind")
    with pytest.raises(KeyError):
        Design("Swash")
    with pytest.raises(ValueError, match="post"):
        Residual(placement="both")


def normalize(z, normalization):
    """(ẑ, the map of a gradient at ẑ to one at z) for z of shape (batch, width)."""
    if normalization == "none":
        return z, lambda d: d
    axis = 0 if normalization == "batch" else 1
    middle = 0.0 if normalization == "rms" else z.mean(axis, keepdims=True)
    scale = np.sqrt(((z - middle) ** 2).mean(axis, keepdims=True))
    u = (z - middle) / scale

    def back(d):
        straight = d if normalization == "rms" else d - d.mean(axis, keepdims=True)
        return (straight - u * (d * u).mean(axis, keepdims=True)) / scale

    return u, back


def sampled_decades(design, depth, width, batch, seed):
    """log10 of the gradient's norm over one network drawn at random, output to input."""
    rng = np.random.default_rng(seed)
    phi = CATALOGUE[design.activation]
    weights = [
        rng.normal(size=(width, width)) * design.weight_variance**0.5 / width**0.5 for _ in range(depth)
    ]
    z, backs = rng.normal(size=(batch, width)), []
    for w in weights:
        u, before = normalize(z, design.normalization if design.position == "before" else "none")
        h, after = normalize(phi.function(u), design.normalization if design.position == "after" else "none")
        branch = h @ w.T
        backs.append((before, phi.slope(u), after, w))
        z = branch if design.residual is None else z + design.residual.scale * branch
    d = rng.normal(size=z.shape)
    start = np.linalg.norm(d)
    for before, slope, after, w in reversed(backs):
        through = before(slope * after(d @ w))
        d = through if design.residual is None else d + design.residual.scale * through
    return math.log10(np.linalg.norm(d) / start)


SAMPLED = [
    Design("Tanh"),
    Design("ReLU", 1.0),
    Design("Sigmoid", 1.0, normalization="layer"),
    Design("Sigmoid", 1.0, normalization="layer", position="after"),
    Design("Sigmoid", 1.0, normalization="rms", position="after"),
    Design("ReLU", 1.0, normalization="batch"),
    Design("Sigmoid", 1.0, normalization="batch"),
    Design("GELU", 1.0, normalization="batch", position="after"),
    Design("ReLU", None, residual=Residual()),
    Design("Tanh", None, residual=Residual(0.3)),
    Design("ReLU", None, normalization="layer", residual=Residual()),
    Design("Tanh", None, normalization="batch", residual=Residual()),
]


@pytest.mark.parametrize("design", SAMPLED, ids=str)
def test_sampled_networks_do_what_the_closed_forms_say(design):
    depth = 12
    found = np.array([sampled_decades(design, depth, width=192, batch=96, seed=s) for s in range(6)])
    predicted = design.propagate(depth).decades
    # Width 192 shifts and spreads ln ‖Jᵀv‖² by some 5 · 12/192 (Hanin & Nica); BatchNorm adds 2/96 a layer.
    tolerance = 4 * found.std(ddof=1) / len(found) ** 0.5 + (5 * depth / 192 + 2 * depth / 96) / (
        2 * math.log(10)
    )
    assert found.mean() == pytest.approx(predicted, abs=tolerance)
