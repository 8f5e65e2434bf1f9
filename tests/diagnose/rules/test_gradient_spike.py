"""LG105: rare gradients far over their own history, and what the loss does after them."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, Net

from livegrad.diagnose.rules.gradient_spike import FACTOR, spikes

STEPS = np.arange(60)


def usual(scale=1.0, scatter=0.2):
    return scale * np.exp(np.random.default_rng(0).normal(0, scatter, 60))


def net(norms, loss=FALLING, **train):
    train = {"ratio": lambda step: 0.2 if step == 30 else 1e-3} | train
    return Net(3).scan(0, 10, 30).train(loss, gradient={"": lambda step: 1e-3 * norms[step]}, **train)


def spiked(at=30, times=100.0, **how):
    norms = usual(**how)
    norms[at] *= times
    return norms


def test_a_spike_that_does_nothing_is_only_mentioned(judge):
    finding = judge.one(net(spiked()))
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG105", "gradient-spike", "info")
    assert (finding["first_step"], finding["last_step"]) == (30, 30)
    assert finding["evidence"]["spikes_count"] == 1 and finding["evidence"]["robust_z"] > 6


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_there_is_no_limit_on_the_norm_itself(scale):
    assert [spike.step for spike in spikes(STEPS, spiked(scale=scale))] == [30]
    assert spikes(STEPS, usual(scale=scale)) == []


def test_a_spike_that_throws_the_loss_up_for_good_is_an_error(judge):
    loss = np.where(STEPS > 30, 2.0, FALLING)
    finding = judge.one(net(spiked(), loss))
    assert finding["severity"] == "error" and "jumped" in finding["message"]
    assert finding["evidence"]["loss_rise_after"] == pytest.approx(1.6, abs=0.3)


def test_one_that_training_gets_over_is_a_warning(judge):
    loss = FALLING + np.where(STEPS > 30, 2.0 * np.exp(-(STEPS - 30) / 4), 0)
    assert judge.codes(net(spiked(), loss)) == {"LG105": "warning"}


def test_the_layers_that_grew_most_are_named(judge):
    norms = spiked(times=10)
    made = Net(3).scan(0, 10, 30)
    made.train(
        FALLING,
        gradient={
            "": lambda k: 1e-3 * norms[k],
            "layers.1": lambda k: 1e-3 * norms[k] * (50 if k == 30 else 1),
        },
    )
    finding = judge.one(made)
    assert finding["layers"] == ["layers.1"] and "layers.1" in finding["cause"]["summary"]


def test_the_scatter_of_normal_numbers_makes_no_spike():
    """A false alarm in 10⁹ steps at 6 standard deviations; here 200 runs of 60, with any width of scatter."""
    generator = np.random.default_rng(1)
    for scatter in (0.05, 0.3, 1.0):
        found = [spikes(STEPS, np.exp(generator.normal(0, scatter, 60))) for _ in range(200)]
        assert sum(map(len, found)) <= 10  # eight values to learn from know their own spread only roughly


@pytest.mark.parametrize("factor, found", [(0.9, False), (1.2, True)])
def test_a_quiet_run_needs_a_factor_too(factor, found):
    norms = np.ones(60)
    norms[30] = FACTOR * factor
    assert bool(spikes(STEPS, norms)) is found


def test_a_norm_that_stays_high_is_another_regime(judge):
    norms = np.where(STEPS >= 30, 100.0, 1.0) * usual()
    assert not any(spike.settles for spike in spikes(STEPS, norms))
    assert judge.codes(net(norms)) == {}


def test_outliers_at_every_turn_are_a_heavy_tail():
    norms = usual()
    norms[10::4] *= 50
    assert spikes(STEPS, norms) == []


def test_the_large_step_that_a_spike_makes_is_its_sign(judge):
    loss = np.where(STEPS > 30, 2.0, FALLING)
    ratio = {"": lambda step: 5.0 if step == 30 else 1e-3}
    assert judge.codes(net(spiked(), loss, ratio=ratio)) == {"LG105": "error"}
    earlier = {"": lambda step: 5.0 if step in (3, 30) else 1e-3}
    assert judge.codes(net(spiked(), loss, ratio=earlier)) == {"LG402": "error"}


def test_a_task_that_changes_is_no_spike(judge):
    """The gradient and the loss jump, but the step taken is a usual one."""
    loss = FALLING + np.where(STEPS > 30, 2.0, 0)
    norms = spiked(times=8)
    assert judge.codes(net(norms, loss, ratio=2e-3)) == {"LG105": "info"}
