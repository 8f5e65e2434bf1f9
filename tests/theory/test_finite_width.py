"""The null band against Hanin & Nica's law and against sampled networks."""

import math

import numpy as np
import pytest

from livegrad.theory.activation import CATALOGUE, IDENTITY, gain
from livegrad.theory.finite_width import layer_spread, null_band
from livegrad.theory.propagation import Design


def test_relu_spreads_by_five_over_the_width_and_a_line_by_two():
    assert layer_spread("ReLU") == pytest.approx(5.0, rel=1e-12)
    assert layer_spread(IDENTITY) == pytest.approx(2.0, rel=1e-12)
    band = null_band([10, 20, 40], "ReLU")
    assert band.variance == pytest.approx(5 * (1 / 10 + 1 / 20 + 1 / 40), rel=1e-9)
    assert band.mean == pytest.approx(-band.variance / 2)
    assert band.deviation_decades == pytest.approx(math.sqrt(band.variance) / 2 / math.log(10))


def test_orthogonal_layers_spread_less_and_a_linear_one_not_at_all():
    assert layer_spread("ReLU", orthogonal=True) == pytest.approx(3.0, rel=1e-12)
    assert layer_spread(IDENTITY, orthogonal=True) == pytest.approx(0.0, abs=1e-12)
    for name in ("Tanh", "SELU", "GELU"):
        orthogonal, gaussian = (null_band([64] * 20, name, orthogonal=o).variance for o in (True, False))
        assert 0 < orthogonal < gaussian


def sampled_logarithms(name, weight_gain, widths, trials, orthogonal=False):
    """ln ‖Jᵀv‖² over random networks with hidden layers of these widths, each input fresh."""
    rng, phi, found = np.random.default_rng(1), CATALOGUE[name], []
    for _ in range(trials):
        z, chain = rng.normal(size=widths[0]), []
        for width in [*widths[1:], widths[-1]]:
            w = rng.normal(size=(width, len(z))) * weight_gain / math.sqrt(len(z))
            w = np.linalg.qr(w)[0] * weight_gain if orthogonal else w
            chain.append((w, phi.slope(z)))
            z = w @ phi.function(z)
        v = rng.normal(size=len(z))
        v /= np.linalg.norm(v)
        for w, slope in reversed(chain):
            v = slope * (w.T @ v)
        found.append(math.log(v @ v) if v.any() else -np.inf)
    return np.array(found)


def test_sampled_relu_networks_have_hanin_and_nicas_mean_and_spread():
    widths = [32, 48, 64] * 5
    found, band = sampled_logarithms("ReLU", gain("ReLU"), widths, 500), null_band(widths)
    assert found.mean() == pytest.approx(band.mean, abs=4 * band.deviation / 500**0.5)
    # A sample's s.d. has standard error σ/√(2n); Hanin & Nica's law is the first order in 1/n.
    assert found.std() == pytest.approx(band.deviation, rel=4 / 1000**0.5)


def test_sampled_tanh_networks_have_the_spread_of_their_own():
    # Larger than Σ κ/n: the length fluctuates too, and with it the slope.
    widths = [64] * 20
    found, band = sampled_logarithms("Tanh", gain("Tanh"), widths, 400), null_band(widths, "Tanh")
    kappa_alone = math.sqrt(layer_spread("Tanh") * 20 / 64)
    assert band.deviation > 1.05 * kappa_alone
    assert found.std() == pytest.approx(band.deviation, rel=0.14)
    decades = Design("Tanh").propagate(20).decades * 2 * math.log(10)
    assert found.mean() - decades < 0


@pytest.mark.parametrize("name", ["ReLU", "Tanh"])
def test_sampled_orthogonal_networks_have_the_smaller_spread(name):
    widths, trials = [48] * 12, 250
    found = sampled_logarithms(name, gain(name), widths, trials, orthogonal=True)
    band = null_band(widths, name, orthogonal=True)
    if name == "Tanh":
        # The first layer's own length is drawn: it alone spreads as with Gaussian weights.
        band = null_band(widths[1:], name, orthogonal=True)
        first = null_band(widths, name).variance - null_band(widths[1:], name).variance
        band = type(band)(band.variance + first)
    assert found.std() == pytest.approx(band.deviation, rel=4 / (2 * trials) ** 0.5)
