"""Effects against the control: what an interval from a few seeds may claim, and what it may not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegrad.treat.trial.effect import Level, confidence, effect, smallest_visible

losses = st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=5)


def levels(values):
    return {seed: Level(value, value) for seed, value in enumerate(values)}


@given(
    st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)), min_size=2, max_size=5),
    st.floats(1e-3, 1e3),
)
def test_the_unit_of_the_loss_does_not_matter(pairs, unit):
    control, arm = zip(*pairs, strict=True)
    one = effect(levels(control), levels(arm), 0.95)
    other = effect(levels([unit * x for x in control]), levels([unit * x for x in arm]), 0.95)
    assert other.mean == pytest.approx(one.mean, abs=1e-6)
    assert other.low == pytest.approx(one.low, rel=1e-6, abs=1e-6)


@given(st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)), min_size=2, max_size=5))
def test_what_helps_one_way_harms_the_other(pairs):
    control, arm = zip(*pairs, strict=True)
    there, back = effect(levels(control), levels(arm), 0.95), effect(levels(arm), levels(control), 0.95)
    assert back.mean == pytest.approx(-there.mean)
    mirrored = {"better": "worse", "worse": "better"}
    assert back.verdict == mirrored.get(there.verdict, there.verdict)


@given(losses)
def test_a_remedy_that_does_nothing_is_never_better_nor_worse(values):
    assert effect(levels(values), levels(values), 0.95).verdict in ("alike", "undecided")


def test_a_large_effect_shows_with_three_seeds_and_a_ratio_says_how_large():
    found = effect(levels([2.30, 2.31, 2.30]), levels([0.020, 0.015, 0.025]), confidence(3))
    assert found.verdict == "better"
    ratio, low, high = found.ratio
    assert ratio == pytest.approx((0.02 * 0.015 * 0.025 / (2.30 * 2.31 * 2.30)) ** (1 / 3))
    assert low < ratio < high < 1


def test_a_cure_whose_depth_differs_by_decades_is_better_where_doing_nothing_always_ends_alike():
    control = levels([1.093, 1.100, 1.101])
    found = effect(control, levels([0.066, 0.020, 0.0014]), confidence(3))
    assert found.high > 0  # the spread is that of the cured runs
    assert found.verdict == "better"
    assert effect(control, levels([0.066, 0.020, 1.10]), confidence(3)).verdict == "undecided"
    assert effect(control, levels([0.900, 0.020, 0.0014]), confidence(3)).verdict == "undecided"


def test_a_control_that_differs_as_much_proves_nothing():
    arm = levels([0.066, 0.020, 0.0014])
    assert effect(levels([1.1, 0.2, 0.015]), arm, confidence(3)).verdict != "worse"
    assert effect(levels([9.0, 0.09, 0.9]), arm, confidence(3)).verdict == "undecided"


def test_a_control_that_no_seed_changes_has_no_spread_to_measure_by():
    assert effect(levels([1.0, 1.0, 1.0]), levels([0.5, 0.01, 0.001]), confidence(3)).verdict == "undecided"


def test_useless_remedies_are_called_better_no_more_often_than_said():
    """Where a remedy does nothing both kinds of runs are drawn alike, however wide: each of the two ways to
    be better has half of the error (here + 3 standard errors of 1,500 arms).
    """
    generator = np.random.default_rng(0)
    arms, level = 1_500, 0.96
    for spread in (0.05, 3.0):
        drawn = np.exp(spread * generator.standard_normal((arms, 2, 3)))
        better = sum(effect(levels(c), levels(a), level).verdict == "better" for c, a in drawn)
        assert better / arms < (1 - level) + 3 * math.sqrt(0.04 * 0.96 / arms)


def test_one_seed_proves_nothing_however_large_the_effect():
    found = effect(levels([2.3]), levels([1e-6]), 0.95)
    assert found.verdict == "undecided"
    assert found.low == -math.inf and found.high == math.inf
    assert smallest_visible(1, 0.95) == math.inf


def test_where_the_seed_changes_nothing_three_seeds_are_one_sample():
    found = effect(levels([2.3, 2.3, 2.3]), levels([1.0, 1.0, 1.0]), 0.95)
    assert not found.replicates
    assert found.verdict == "undecided"


def test_an_arm_that_diverges_where_doing_nothing_does_not_is_worse():
    arm = {0: Level(0.1, 0.1), 1: Level(math.inf, 0.2), 2: Level(0.1, 0.1)}
    assert effect(levels([2.3, 2.2, 2.4]), arm, 0.95).verdict == "worse"


def test_a_control_that_diverges_counts_with_the_best_it_had():
    control = {seed: Level(math.inf, best) for seed, best in enumerate([2.2, 2.3, 2.4])}
    found = effect(control, levels([0.05, 0.06, 0.04]), confidence(3))
    same = effect(levels([2.2, 2.3, 2.4]), levels([0.05, 0.06, 0.04]), confidence(3))
    assert found.mean == same.mean and found.verdict == "better"
    assert found.diverged == (3, 0)


def test_no_better_than_the_control_was_before_it_diverged_is_not_proven():
    control = {seed: Level(math.inf, 0.10 + 0.01 * seed) for seed in range(3)}
    assert effect(control, levels([0.09, 0.12, 0.13]), confidence(3)).verdict == "undecided"


def test_a_control_without_one_finite_loss_is_beaten_by_any_that_has():
    control = {seed: Level(math.inf, math.inf) for seed in range(2)}
    assert effect(control, levels([2.0, 2.1]), 0.95).verdict == "better"


def test_two_that_both_diverge_are_alike():
    both = {seed: Level(math.inf, 2.0) for seed in range(3)}
    assert effect(both, both, 0.95).verdict == "alike"


def test_losses_that_can_be_negative_are_compared_by_their_difference():
    found = effect(levels([-1.0, -1.1, -0.9]), levels([-3.0, -3.2, -3.1]), 0.95)
    assert found.scale == "linear" and found.ratio is None
    assert found.mean == pytest.approx(-2.1)
    assert found.verdict == "better"


def test_only_seeds_that_both_have_are_compared():
    assert effect(levels([2.0, 2.0, 2.0]), {1: Level(1.0, 1.0), 7: Level(1.0, 1.0)}, 0.95).seeds == (1,)
    assert effect({}, levels([1.0]), 0.95).verdict == "unknown"


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 10_000))
def test_a_table_of_useless_remedies_is_wrong_in_at_most_one_of_twenty(seed):
    """Three arms that do nothing, three seeds, two more where undecided: the share of tables in which any arm
    is called better or worse stays under 5 % (here + 3 standard errors of 400 tables).
    """
    generator = np.random.default_rng(seed)
    tables, wrong = 400, 0
    for _ in range(tables):
        noise = np.exp(0.2 * generator.standard_normal((4, 5)))
        first = [effect(levels(noise[0, :3]), levels(noise[a, :3]), confidence(3, 0)) for a in (1, 2, 3)]
        later = [effect(levels(noise[0]), levels(noise[a]), confidence(3, 1)) for a in (1, 2, 3)]
        final = [b if a.verdict == "undecided" else a for a, b in zip(first, later, strict=True)]
        wrong += any(one.verdict in ("better", "worse") for one in final)
    assert wrong / tables < 0.05 + 3 * math.sqrt(0.05 * 0.95 / tables)


def test_the_power_that_is_stated_is_the_power_there_is():
    """An effect just over `smallest_visible` standard deviations is significant, one just under is not."""
    for seeds in (2, 3, 5):
        limit = smallest_visible(seeds, 0.99)
        pattern = np.linspace(-1, 1, seeds)
        pattern /= pattern.std(ddof=1)
        for factor, verdict in ((1.01, "better"), (0.99, "undecided")):
            arm = np.exp(0.1 * (pattern - factor * limit))
            assert effect(levels(np.ones(seeds)), levels(arm), 0.99).verdict == verdict
