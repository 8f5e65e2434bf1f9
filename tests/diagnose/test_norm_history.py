"""What a norm is expected to be: the median of those before it, whatever the length of the run."""

import numpy as np
import pytest

from livegrad.diagnose.norm_history import norm_history


@pytest.mark.parametrize("count", [0, 1, 8, 9, 31, 32, 33, 34, 200])
def test_each_value_is_held_against_those_before_it_alone(count):
    logs = np.random.default_rng(count).normal(size=count)
    usual, scatter = norm_history(logs, length=32, teaching=8)
    for i in range(count):
        before = logs[max(0, i - 32) : i]
        if i < 8:
            assert np.isnan(usual[i]) and np.isnan(scatter[i])
            continue
        assert usual[i] == np.median(before)
        assert scatter[i] == 1.4826 * np.median(np.abs(before - np.median(before)))


def test_blocks_join_without_a_seam():
    logs = np.arange(40_000.0)
    usual, _ = norm_history(logs, length=32, teaching=8)
    assert (usual[32:] == np.arange(32, 40_000) - 16.5).all()


def test_normal_scatter_is_estimated_as_its_standard_deviation():
    logs = np.random.default_rng(0).normal(scale=0.3, size=5000)
    _, scatter = norm_history(logs, length=32, teaching=8)
    # The median of 32 distances has a standard error of about 14 %; that of 5,000 windows is far smaller.
    assert np.median(scatter[32:]) == pytest.approx(0.3, rel=0.1)
