"""Thinned rows still hold the ends, the spikes and the first broken step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegrad.errors import UsageError
from livegrad.run.reader import load
from livegrad.run.thinning import thin

NEVER = np.zeros(10_000, bool)


def test_few_rows_are_all_kept():
    assert thin(np.ones(5), NEVER[:5], NEVER[:5], 5).tolist() == [0, 1, 2, 3, 4]
    assert thin(np.ones(5), NEVER[:5], NEVER[:5], None).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("limit", [1, 0, -3])
def test_a_limit_that_cannot_hold_both_ends_is_refused(limit):
    with pytest.raises(UsageError, match=f"limit={limit} is too small"):
        thin(np.ones(5), NEVER[:5], NEVER[:5], limit)


@given(st.integers(1, 3000), st.integers(2, 400), st.integers(0, 10**6))
def test_the_rule_holds_for_any_run(count, limit, seed):
    generator = np.random.default_rng(seed)
    norm = np.exp(generator.normal(size=count) * 3)
    alarming = generator.random(count) < 0.01
    sampled = generator.random(count) < 0.05
    kept = thin(norm, alarming, sampled, limit)
    assert len(kept) <= max(limit, 0)
    assert (np.diff(kept) > 0).all()
    assert kept[0] == 0
    assert kept[-1] == count - 1
    if limit >= 5:
        assert np.argmax(norm) in kept
        if alarming.any():
            assert np.argmax(alarming) in kept


def test_no_stretch_is_left_out():
    kept = thin(np.ones(10_000), NEVER, NEVER, 300)
    assert np.diff(kept).max() <= 2 * 10_000 / 200


def test_one_spike_in_each_bucket_survives_and_a_nan_does_not_hide_it():
    norm = np.ones(10_000)
    spikes = np.arange(150, 10_000, 400)
    norm[spikes] = 50.0
    norm[spikes + 30] = np.nan
    alarming = np.isnan(norm)
    kept = thin(norm, alarming, NEVER, 400)
    assert np.isin(spikes, kept).all()
    assert np.isin(spikes + 30, kept).all()


def test_rows_with_a_sampled_update_are_preferred():
    sampled = NEVER.copy()
    sampled[::50] = True
    kept = thin(np.ones(10_000), NEVER, sampled, 300)
    assert sampled[kept].sum() == 200


def test_optimizers_that_take_turns_are_both_kept(tmp_path, pulse, write):
    rows = [pulse(step, optimizer=step % 2, tensors=[step % 2]) for step in range(400)]
    pulses = load(write(tmp_path / "run", rows)).pulses(limit=40)
    assert len(pulses) <= 40
    assert np.bincount(pulses.optimizer).min() >= 10
    assert pulses.recorded.sum(axis=0).min() >= 10


def test_a_broken_step_of_either_kind_is_among_the_thinned(tmp_path, pulse, write):
    rows = [pulse(step) for step in range(500)]
    rows[111] = pulse(111, loss=float("nan"))
    rows[222] = pulse(222, nonfinite=3)
    rows[333] = pulse(333, gradient_sum_squares=float("inf"))
    pulses = load(write(tmp_path / "run", rows)).pulses(limit=40)
    assert {111, 222, 333, 0, 499} <= set(pulses.step.tolist())


def test_an_unknown_loss_is_no_alarm(tmp_path, pulse, write):
    rows = [pulse(step, loss=None if step else 1.0, gradient_sum_squares=1.0) for step in range(100)]
    pulses = load(write(tmp_path / "run", rows)).pulses(limit=8)
    assert pulses.loss_known.tolist() == [True] + [False] * (len(pulses) - 1)
