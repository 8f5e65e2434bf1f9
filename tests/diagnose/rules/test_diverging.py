"""LG106: a loss that leaves its range while its steps grow."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, RISING, STUCK, Net

STEPS = np.arange(60)
AWAY = 1.0 + 0.02 * np.sin(STEPS) + 1e-3 * np.exp(STEPS / 5)


def net(loss=AWAY, growth=0.1):
    """Weights that grow as fast as the updates: ‖ΔW‖/‖W‖ stays at a thousandth."""
    made = Net(3).scan(0, 10, 30)
    return made.train(
        loss,
        weight=lambda step: float(np.exp(growth * step)),
        gradient=lambda step: 1e-3 * float(np.exp(growth * step)),
    )


def test_a_loss_that_runs_away_with_its_steps_is_found(judge):
    finding = judge.one(net())
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG106", "diverging", "error")
    assert finding["evidence"]["updates_growth_nats_per_step"] == pytest.approx(0.1, rel=1e-3)
    assert finding["evidence"]["loss_at_end"] > 10 and finding["layers"] == []


@pytest.mark.parametrize(
    "why, made",
    [
        ("a loss that falls", net(FALLING)),
        ("one that stands", net(STUCK)),
        ("steps that do not grow: the task changes", net(growth=0.0)),
        ("a jump to another task", net(np.where(STEPS < 30, FALLING, 9 * np.exp(-(STEPS - 30) / 20)))),
        ("noise", net(1 + np.random.default_rng(0).standard_t(2, 60) ** 2)),
        ("a rise within its range", net(RISING[::-1].copy())),
    ],
)
def test_what_is_no_divergence(judge, why, made):
    assert judge.codes(made) == {}, why


def test_a_loss_may_be_negative(judge):
    assert judge.codes(net(AWAY - 50)) == {"LG106": "error"}


def test_steps_that_are_too_large_are_its_cause(judge):
    made = Net(3).scan(0, 10, 30)
    made.train(AWAY, weight=lambda step: float(np.exp(0.1 * step)), ratio=0.6)
    assert judge.codes(made) == {"LG402": "error"}


def test_adversaries_are_not_judged(judge):
    other = Net(2, subject=1, name="critic").scan(0, 10, 30).train(FALLING)
    assert judge.codes(net(), other) == {}
