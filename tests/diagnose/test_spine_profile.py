"""A scan read along the spine: decades, order, units, and what finite width alone would do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.diagnose.invented_run import Net

from livegrad.diagnose.spine_profile import DECADE, spine_profile
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer


def seen(net, *, order=None, **columns):
    """The scan and the layers of a net, as a reader would hand them over; `order` shuffles the rows."""
    row = net.scan(0, **columns).scans[-1]
    order = np.arange(net.size) if order is None else np.asarray(order)
    arrays = {
        name: getattr(row, name)[order]
        for name in Scan.__dataclass_fields__
        if name not in ("step", "subject")
    }
    layers = {i: Layer.from_json({"id": i, **layer}) for i, layer in enumerate(net.layers)}
    return Scan(step=0, subject=0, **arrays), layers


def test_decades_are_counted_from_the_output():
    net = Net(4)
    profile = spine_profile(*seen(net, decades=net.ramp(-8.0)))
    assert profile.relative[0] == pytest.approx(-8) and profile.relative[-1] == pytest.approx(0)
    assert [layer.name for layer in profile.layers][::8] == ["layers.0", "head"]
    assert profile.finite and profile.measured


@given(st.permutations(range(9)))
def test_the_order_of_the_rows_does_not_matter(order):
    plain = spine_profile(*seen(Net(4), decades=np.arange(9.0)))
    shuffled = spine_profile(*seen(Net(4), decades=np.arange(9.0), order=order))
    assert shuffled.layers == plain.layers
    assert np.array_equal(shuffled.relative, plain.relative)
    assert np.array_equal(shuffled.null_sd, plain.null_sd)


def test_branches_and_time_steps_are_no_part_of_the_depth():
    net = Net(3)
    net.add_layer("gate", "Linear", 2, kind="branch")
    net.add_layer("rnn[t=0]", "tanh", 3, kind="time")
    scan, layers = seen(net)
    assert {layer.kind for layer in spine_profile(scan, layers).layers} == {"depth"}
    assert [layer.name for layer in spine_profile(scan, layers, "branch").layers] == ["gate"]


def test_a_net_of_one_layer_and_a_scan_without_a_spine_are_no_error():
    single = spine_profile(*seen(Net(0)))
    assert len(single.layers) == 1 and single.relative[0] == 0.0
    empty = spine_profile(*seen(Net(0)), kind="time")
    assert len(empty.layers) == 0 and not empty.measured


def test_exact_silence_is_minus_infinity_and_not_broken():
    decades = np.array([-np.inf, -np.inf, -1.0, -1.0, 0.0])
    profile = spine_profile(*seen(Net(2), decades=decades))
    assert list(np.isneginf(profile.relative)) == [True, True, False, False, False]
    assert profile.finite and profile.measured


def test_a_silent_output_leaves_nothing_measured():
    profile = spine_profile(*seen(Net(2), output=0.0))
    assert not profile.measured


@pytest.mark.parametrize(
    "broken",
    [{"activation_rms": np.inf}, {"activation_rms": np.nan}, {"gradient_rms": np.inf}, {"nonfinite": 1}],
)
def test_numbers_that_are_not_finite_are_said_so(broken):
    assert not spine_profile(*seen(Net(2), **broken)).finite


def test_a_layer_that_got_no_gradient_is_not_broken():
    assert spine_profile(*seen(Net(2), gradient_rms=np.nan)).finite
    assert spine_profile(*seen(Net(2), gradient_rms=0.0)).finite


@given(st.floats(-6, 6), st.integers(1, 10_000))
def test_in_a_known_unit_the_size_of_the_output_counts_per_entry(decades, outputs):
    # S at the output grows as √N: ten thousand outputs of unit size each are not a hundredfold too large.
    net = Net(2, outputs=outputs)
    output = 10**decades * math.sqrt(outputs)
    profile = spine_profile(*seen(net, output=output))
    assert profile.absolute[-1] == pytest.approx(
        decades if not np.isclose(output, 1, rtol=1e-9) else 0, abs=1e-6
    )
    assert profile.relative[-1] == 0.0


def test_in_an_unknown_unit_only_the_ratio_is_left():
    net = Net(2, outputs=100)
    profile = spine_profile(*seen(net, output=1.0, decades=net.ramp(-5)))
    assert np.array_equal(profile.absolute, profile.relative)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 4096), st.integers(1, 60))
def test_the_null_band_is_that_of_hanin_and_nica(width, blocks):
    # ln‖Jᵀv‖² ~ N(−β/2, β) with β = 5 Σ 1/n over the weighted layers above; S is its root.
    net = Net(blocks, width=width)
    beta = 5 * (blocks - 1) / width + 5 / 10
    profile = spine_profile(*seen(net))
    assert profile.null_sd[0] * DECADE == pytest.approx(math.sqrt(beta) / 2)
    assert profile.null_mean[0] * DECADE == pytest.approx(-beta / 4)
    assert profile.null_sd[-1] == profile.null_mean[-1] == 0.0


def rectifier_net(generator, width, depth, samples):
    """log10 of S_l / S_output (L,) of one random He-initialized ReLU net, and of ‖J_0ᵀv‖ / ‖v‖."""
    z = generator.normal(size=(samples, width))
    weights, activations = [], []
    for _ in range(depth):
        weights.append(generator.normal(size=(width, width)) * math.sqrt(2 / width))
        z = np.maximum(z @ weights[-1].T, 0)
        activations.append(z)
    head = generator.normal(size=(width, width)) / math.sqrt(width)
    probe = generator.normal(size=(samples, width))
    output = np.mean(np.sum(probe**2, 1) * np.sum((z @ head.T) ** 2, 1))
    gradient, heard = probe @ head, []
    for weight, z in zip(reversed(weights), reversed(activations), strict=True):
        heard.append(np.mean(np.sum(gradient**2, 1) * np.sum(z**2, 1)) / output)
        gradient = (gradient * (z > 0)) @ weight
    passed = np.mean(np.sum(gradient**2, 1) / np.sum(probe**2, 1))
    return 0.5 * np.log10(heard[::-1]), 0.5 * np.log10(passed)


@pytest.mark.parametrize("width, depth, samples", [(16, 30, 1), (16, 30, 32), (48, 40, 8)])
def test_random_healthy_nets_stay_inside_the_null_band(width, depth, samples):
    generator = np.random.default_rng(2)
    net = Net(depth, activation="ReLU", width=width, outputs=width)
    null_sd = spine_profile(*seen(net)).null_sd[1::2]
    nets = np.array([rectifier_net(generator, width, depth, samples)[0] for _ in range(80)])
    # Thirty layers have as many chances to stray, so a few nets of eighty may.
    assert (np.abs(nets) > 3 * null_sd + 0.2).any(axis=1).sum() <= 3
    assert (np.abs(nets[:, 0]) > 3 * null_sd[0]).sum() <= 1
    # The band is no wider than it needs to be for one sample; many samples average some of it away.
    assert samples > 1 or nets[:, 0].std() > 0.5 * null_sd[0]


def test_the_gradient_alone_shrinks_by_the_law_but_not_against_the_output():
    # Hanin & Nica (2020): ln‖Jᵀv‖ has mean −β/4 and s.d. √β/2. The output shrinks alike, so S_0/S_output
    # has no such mean.
    generator = np.random.default_rng(4)
    width, depth, count = 24, 40, 150
    beta = 5 * depth / width
    decades, passed = zip(*(rectifier_net(generator, width, depth, 1) for _ in range(count)), strict=True)
    error = math.sqrt(beta) / 2 / math.sqrt(count)
    assert np.mean(passed) * DECADE == pytest.approx(-beta / 4, abs=4 * error)
    assert np.std(passed) * DECADE == pytest.approx(math.sqrt(beta) / 2, rel=0.25)
    ratio = np.array(decades)[:, 0] * DECADE
    assert abs(ratio.mean()) < 4 * ratio.std() / math.sqrt(count)
