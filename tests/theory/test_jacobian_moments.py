"""Moments of a Jacobian's squared singular values (Pennington, Schoenholz & Ganguli 2017, 2018)."""

import numpy as np
import pytest

from livegrad.theory.activation import CATALOGUE, IDENTITY
from livegrad.theory.jacobian_moments import jacobian_moments


def measured(activation, gain, depth, width, orthogonal, seed=0):
    """Mean of s² and variance of s²/mean of some networks whose first pre-activations have mean square 1."""
    rng = np.random.default_rng(seed)
    means, variances = [], []
    for _ in range(6):
        h, jacobian = rng.normal(size=width), np.eye(width)
        h /= gain * np.sqrt(np.mean(h**2))
        for _ in range(depth):
            w = rng.normal(size=(width, width)) / np.sqrt(width)
            if orthogonal:
                w = np.linalg.qr(w)[0]
            z = gain * w @ h
            jacobian = activation.slope(z)[:, None] * (gain * w @ jacobian)
            h = activation.function(z)
        square = jacobian @ jacobian.T
        means.append(np.trace(square) / width)
        variances.append(np.sum(square**2) / width / means[-1] ** 2 - 1)
    return np.array(means), np.array(variances)


@pytest.mark.parametrize("orthogonal", [False, True])
@pytest.mark.parametrize(("name", "gain"), [("Tanh", 1.3), ("ReLU", 2**0.5)])
def test_wide_networks_have_these_moments(name, gain, orthogonal):
    told = jacobian_moments(name, gain, 4, 1.0, orthogonal=orthogonal)
    for theory, found in zip(
        (told.mean, told.variance), measured(CATALOGUE[name], gain, 4, 400, orthogonal), strict=True
    ):
        # Four standard errors, and what the width of 400 leaves of 1/n.
        error = 4 * found.std() / len(found) ** 0.5
        assert theory == pytest.approx(found.mean(), abs=error + 0.03 * theory)


def test_one_gaussian_matrix_is_marchenko_pastur():
    """A square one's squared singular values have mean 1 and variance 1."""
    told = jacobian_moments(IDENTITY, 1.0, 1, 1.0)
    assert (told.mean, told.variance) == (pytest.approx(1.0), pytest.approx(1.0))


def test_orthogonal_linear_networks_are_isometries_at_any_depth():
    told = jacobian_moments(IDENTITY, 1.0, 1000, 1.0, orthogonal=True)
    assert (told.mean, told.variance) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-9))


def test_relu_never_reaches_isometry():
    """Half of its slopes are zero: μ₂/μ₁² − 1 = 1 a layer, whatever the weights (Pennington et al. 2017)."""
    told = jacobian_moments("ReLU", 2**0.5, 40, 1.0, orthogonal=True)
    assert (told.mean, told.variance) == (pytest.approx(1.0), pytest.approx(40.0))


def test_a_last_layer_without_activation_adds_its_weights_only():
    told = jacobian_moments("Tanh", 1.0, 1, 1.0, last_linear=True)
    assert (told.mean, told.variance) == (pytest.approx(1.0), pytest.approx(1.0))
