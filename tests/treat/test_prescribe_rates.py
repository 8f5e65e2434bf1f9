"""Looking for the rate that a treatment needs, and for a second proposal of another kind."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from livegrad.treat.choice import parse_choices
from livegrad.treat.prescription.ranking import Judged, Trial
from livegrad.treat.prescription.rates import at_rate, climb, is_rated, rates_from_zero, rates_that_rise
from livegrad.treat.prescription.rehearsal import Outcome
from livegrad.treat.prescription.variety import are_alike, unlike, varied


def judged(spec, progress, losses=(2.3, 2.2), cures=True):
    trial = Trial(parse_choices(spec), ("LG101",), Outcome(losses, frozenset()), 0)
    return Judged(trial, cures, progress, frozenset(), frozenset())


def best_rate(start, best):
    """Where climbing ends if the loss is lowest at the rate `best`, and what was tried on the way."""
    tried = []

    def attempt(choice):
        factor = choice.options["factor"]
        tried.append(factor)
        return judged(f"init,{choice}", 0.6 - 0.1 * abs(math.log10(factor / best)))

    found = climb(start, attempt)
    rates = [c.options["factor"] for c in found.trial.choices if c.remedy == "schedule"]
    return (rates or [1.0])[0], tried


@pytest.mark.parametrize("best", [0.001, 0.01, 0.1, 1.0, 3.0, 10.0, 100.0])
@pytest.mark.parametrize("losses", [(2.3, 2.2), (2.3, 9.0)])
def test_the_best_power_of_ten_is_found_from_either_side(best, losses):
    start = judged("init", 0.6 - 0.1 * abs(math.log10(best)), losses)
    found, tried = best_rate(start, best)
    assert abs(math.log10(found / best)) < 0.5
    assert len(tried) <= 8


def test_a_loss_that_rises_asks_for_a_lower_rate_first():
    assert best_rate(judged("init", 0.0, (2.3, 9.0)), 0.1)[1][0] == 0.1
    assert best_rate(judged("init", 0.0, (2.3, 2.2)), 10.0)[1][0] == 10.0


def test_gains_too_small_to_be_felt_are_followed_as_long_as_they_grow_with_the_rate():
    """An output that has 4,000 to go, at a rate by which it moves 2: the loss falls in proportion."""

    def climbed(course):
        def attempt(choice):
            return judged(f"init,{choice}", course(choice.options["factor"]))

        return climb(judged("init", course(1.0)), attempt).trial.choices

    assert climbed(lambda factor: 2e-4 * factor)[1].options["factor"] >= 1000
    assert len(climbed(lambda factor: 1e-3 * math.log10(factor))) == 1  # it grows, and comes to nothing


def test_what_no_factor_raises_is_set():
    model = nn.Linear(2, 2)
    assert rates_from_zero([torch.optim.SGD(model.parameters(), lr=0.1)]) == []
    for kind, rate in ((torch.optim.SGD, 0.1), (torch.optim.AdamW, 1e-3)):
        (first, _) = rates_from_zero([kind(model.parameters(), lr=0.0)])
        assert first.options["lr"] == rate


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("init=centred", "init=centred,schedule=rate:factor=0.1"),
        ("init=he", "init=lsuv"),
        ("skip", "init,skip"),
        ("activation=relu", "activation=gelu"),
        ("activation=relu,skip", "init,skip"),
        ("clip=norm", "clip=norm,schedule=rate"),
    ],
)
def test_variants_and_what_adds_to_a_treatment_are_alike(one, other):
    assert are_alike(parse_choices(one), parse_choices(other))
    assert are_alike(parse_choices(other), parse_choices(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [("init", "activation"), ("clip", "schedule"), ("skip", "normalize"), ("init,clip", "skip")],
)
def test_remedies_that_rest_on_different_things_are_not(one, other):
    assert not are_alike(parse_choices(one), parse_choices(other))


def test_the_second_proposal_is_of_another_kind_and_so_is_the_third():
    specs = ["init=centred", "init=centred,schedule=rate", "init=critical", "activation=tanh", "skip"]
    order = [judged(spec, 2.0 - i / 10) for i, spec in enumerate(specs)]
    found = [",".join(map(str, j.trial.choices)) for j in varied(order)]
    assert found == ["init=centred", "activation=tanh", "skip", "init=centred,schedule=rate", "init=critical"]
    assert [str(j.trial.choices[0]) for j in unlike(order, 2)] == ["init=centred", "activation=tanh"]


def test_another_kind_that_does_not_learn_is_not_put_before_a_variant_that_does():
    order = [judged("init=he", 2.0), judged("init=lsuv", 1.0), judged("skip", -1.0, cures=False)]
    assert [str(j.trial.choices[0]) for j in varied(order)] == ["init=he", "init=lsuv", "skip"]


def test_a_rate_that_one_step_raises_is_held_at_what_it_usually_is():
    steps = [SimpleNamespace(rates=((0.05,),)) for _ in range(23)]
    assert rates_that_rise(steps) == []
    (held,) = rates_that_rise([*steps, SimpleNamespace(rates=((30.0,),))])
    assert str(held) == "schedule=cap:lr=0.05"


def test_a_rate_that_is_a_treatment_by_itself_is_multiplied_on():
    (rate,) = parse_choices("schedule=rate:factor=10")
    assert (
        ",".join(map(str, at_rate(parse_choices("schedule=rate:factor=0.005"), rate)))
        == "schedule=rate:factor=0.05"
    )
    assert ",".join(map(str, at_rate(parse_choices("init=he"), rate))) == "init=he,schedule=rate:factor=10.0"


def test_a_rate_of_one_group_a_bound_and_a_warm_up_are_not():
    assert is_rated(parse_choices("init,schedule=rate:factor=0.1"))
    for other in (
        "schedule=rate:factor=0.1:group=1",
        "schedule=rate:lr=0.1",
        "schedule=cap:lr=0.1",
        "schedule=warmup",
    ):
        assert not is_rated(parse_choices(other))
