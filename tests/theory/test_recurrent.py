"""Gradients through time at initialization: closed forms against sampled recurrences and measured facts."""

import math

import numpy as np
import pytest

from livegrad.theory.recurrent import (
    TORCH_GAIN,
    chrono_factor,
    gated_factor,
    gru_factor,
    identity_rectifier_factor,
    lstm_factor,
    plain_factor,
    reach,
)

# Per-step factors measured over 100 steps of torch's own layers, hidden size 128, and how near theory comes.
MEASURED = [
    (plain_factor(), 0.587, 0.03),
    (lstm_factor(100), 0.63, 0.02),
    (lstm_factor(100, forget_bias=1.0), 0.855, 0.015),
    (chrono_factor(100), 0.984, 0.002),
    (gru_factor(100), 0.648, 0.025),
    (chrono_factor(100), 0.983, 0.002),  # the same biases on a GRU's update gate
]


@pytest.mark.parametrize(("predicted", "measured", "tolerance"), MEASURED)
def test_measured_factors_of_torchs_layers(predicted, measured, tolerance):
    assert predicted == pytest.approx(measured, rel=tolerance)


def test_the_same_matrix_at_every_step_is_not_a_new_one_at_every_step():
    # Independent draws would give √(x² + y²); powers of one matrix approach x + y.
    x, y = 0.5, 0.25 * TORCH_GAIN
    assert gated_factor(x, y, 1) == pytest.approx(math.hypot(x, y), rel=1e-12)
    assert gated_factor(x, y, 100_00) == pytest.approx(x + y, rel=1e-3)
    rng, n, steps = np.random.default_rng(0), 256, 60
    found = []
    for _ in range(6):
        step = x * np.eye(n) + y * rng.normal(size=(n, n)) / n**0.5
        v = rng.normal(size=n)
        start = np.linalg.norm(v)
        for _ in range(steps):
            v = step.T @ v
        found.append((np.linalg.norm(v) / start) ** (1 / steps))
    assert np.mean(found) == pytest.approx(gated_factor(x, y, steps), rel=5e-3)


def test_a_walk_stays_positive_with_sparre_andersens_probability():
    rng, steps = np.random.default_rng(0), 40
    walks = np.cumsum(rng.laplace(size=(20_000, steps)), axis=1)
    share = (walks > 0).all(1).mean()
    exact = math.comb(2 * steps, steps) / 4**steps
    assert identity_rectifier_factor(steps) == pytest.approx(exact ** (1 / (2 * steps)), rel=1e-12)
    assert share == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))


def test_inputs_shrink_what_an_orthogonal_tanh_passes_on():
    quiet, loud = plain_factor("Tanh", 1.0, 1e-4), plain_factor("Tanh", 1.0, 0.1)
    assert loud < quiet < 1
    # Small inputs: q settles where 2q² = v, so the factor is 1 − q + O(q²).
    assert quiet == pytest.approx(1 - math.sqrt(1e-4 / 2), abs=2e-4)


def test_more_forgetting_is_less_reach():
    assert reach(lstm_factor(100)) < reach(lstm_factor(100, 1.0)) < reach(chrono_factor(100))
    assert reach(0.1) == pytest.approx(3.0)
    assert reach(1.0) == math.inf
