"""Of treatments that cure about as well, the smaller change comes first."""

import math

import torch

from livegrad.treat.choice import parse_choices
from livegrad.treat.prescription.candidates import candidates, impossible
from livegrad.treat.prescription.extent import EXTENTS, extent_of, size_of_change
from livegrad.treat.prescription.ranking import Trial, holds, judge, rank, shortlist
from livegrad.treat.prescription.rehearsal import Outcome

CONTROL = Outcome((2.3,) * 20, frozenset({"LG101"}))
WANTED = frozenset({"LG101"})


def tried(spec, last, codes=(), trouble=None):
    losses = tuple(2.3 + (last - 2.3) * min(1.0, i / 12) for i in range(20))
    return Trial(parse_choices(spec), ("LG101",), Outcome(losses, frozenset(codes), trouble=trouble), 0)


def order(*trials):
    return [str(j.trial.choices[0]) for j in rank([judge(t, CONTROL, WANTED) for t in trials])]


def test_extents_are_ordered_from_a_number_to_a_training_of_its_own():
    specs = ["clip=norm", "init=he", "activation=relu", "normalize=layer", "skip=scaled", "pretrain=rbm"]
    assert [extent_of(parse_choices(spec)) for spec in specs] == list(EXTENTS)
    assert size_of_change(parse_choices("init=he")) < size_of_change(parse_choices("init=he,clip=norm"))
    assert extent_of(parse_choices("init=he,skip,clip")) == "architecture"


def test_the_smaller_of_two_that_learn_nearly_alike_is_first():
    assert order(tried("skip", 0.3), tried("init=he", 0.4)) == ["init=he", "skip"]


def test_a_larger_change_that_learns_far_better_is_first():
    assert order(tried("init=he", 2.0), tried("skip", 0.3)) == ["skip", "init=he"]


def test_what_leaves_the_finding_comes_behind_what_does_not():
    assert order(tried("init=he", 0.2, codes={"LG101"}), tried("skip", 1.5)) == ["skip", "init=he"]


def test_what_brings_a_new_finding_comes_behind_what_does_not():
    assert order(tried("init=he", 0.2, codes={"LG103"}), tried("skip", 1.0)) == ["skip", "init=he"]


def test_what_leaves_a_gradient_that_does_not_arrive_cures_nothing_whatever_was_reported():
    """The report, made later, spoke of saturation; on the copy the untreated one vanishes through time."""
    control = Outcome((2.3,) * 20, frozenset({"LG102", "LG201"}))
    deaf, heard = tried("init=he", 2.29, codes={"LG102"}), tried("recurrent=hold", 2.29)
    first, second = (judge(t, control, frozenset({"LG201"})) for t in (deaf, heard))
    assert first.left == {"LG102"} and not second.left
    assert rank([first, second])[0] is second


def test_what_breaks_is_last():
    trials = [
        tried("init=he", math.nan),
        tried("activation=relu", 2.3),
        tried("skip", 0.5, trouble="RuntimeError"),
    ]
    assert order(*trials)[0] == "activation=relu"


def test_noise_is_no_learning():
    noisy = (*(2.3 + 0.3 * (-1) ** i for i in range(19)), 2.2)
    trial = Trial(parse_choices("init"), ("LG101",), Outcome(noisy, frozenset()), 0)
    assert not judge(trial, CONTROL, WANTED).learns


def test_not_to_diverge_is_no_progress_yet():
    """ln(740 / 0.69) is half of ln(740 / 1e-6), but a loss of ln 2 has learnt nothing of two classes."""
    wanted = frozenset({"LG402"})
    control = Outcome((0.693, *(740.0,) * 19), wanted)

    def trial(spec, last):
        return Trial(parse_choices(spec), ("LG402",), Outcome((0.693, *(last,) * 19)), 0)

    stands, learns = trial("schedule=rate:factor=0.00008", 0.69), trial("init,schedule=rate", 1e-4)
    idle, good = (judge(t, control, wanted) for t in (stands, learns))
    assert idle.learns and not idle.is_clear and good.is_clear
    assert rank([idle, good])[0] is good


def test_a_start_of_its_own_height_is_no_divergence():
    """A treatment that begins lower is measured against the untreated loss, which has not risen."""
    found = judge(tried("init=he", 1.15), CONTROL, WANTED)
    assert math.isclose(found.progress, math.log(2), rel_tol=1e-9)


def test_in_a_contest_the_findings_decide():
    worse = judge(tried("init=he", 4.0), CONTROL, WANTED, contest=True)
    assert worse.cures and worse.progress == 0


def test_a_format_that_holds_the_numbers_is_told_from_what_only_learns_faster():
    trials = [tried("precision=bfloat16", 2.3), tried("normalize=layer", 0.4), tried("precision=scale", 9.0)]
    assert [holds(judge(t, CONTROL, WANTED)) for t in trials] == [True, False, False]
    left_out = Trial(trials[0].choices, ("LG303",), Outcome((2.3,) * 20, left_out=3), 0)
    assert not holds(judge(left_out, CONTROL, WANTED))


def test_the_smallest_change_is_always_looked_at_longer():
    trials = [
        tried("skip", 0.1),
        tried("normalize=layer", 0.2),
        tried("activation=relu", 0.3),
        tried("init=he", 2.0),
    ]
    found = shortlist([judge(t, CONTROL, WANTED) for t in trials], 3)
    assert {str(j.trial.choices[0]) for j in found} == {"skip", "normalize=layer", "init=he"}


def test_against_explosion_through_time_no_gate_is_opened():
    found = {str(c) for choices, _ in candidates([{"code": "LG104"}]) for c in choices}
    assert "recurrent=orthogonal" in found and not {"recurrent=forget", "recurrent=chrono"} & found
    assert {"recurrent=forget", "recurrent=chrono"} <= {r.spec for r in impossible([{"code": "LG104"}])}


def test_what_one_finding_rules_out_another_may_call_for():
    findings = [{"code": "LG101"}, {"code": "LG402"}]
    assert "clip=norm" in {str(c) for choices, _ in candidates(findings) for c in choices}
    assert "clip" not in {r.spec for r in impossible(findings)}


def test_weights_of_zeros_are_drawn_and_a_cut_is_not():
    zeros = {"code": "LG404", "evidence": {"matrices_of_zeros_count": 2}}
    assert {str(c) for choices, _ in candidates([zeros]) for c in choices} >= {"init", "init=orthogonal"}
    assert candidates([{"code": "LG404", "evidence": {}}]) == []
    shut = {"code": "LG404", "evidence": {}, "cause": {"kind": "activation-saturated"}}
    assert {str(c) for choices, _ in candidates([shut]) for c in choices} >= {"init", "normalize"}


def test_what_is_infinite_before_any_step_calls_for_other_weights_or_data_too():
    """−log softmax of float32 logits is infinite once they differ by ln 2¹⁴⁹ = 103: no step made them so."""
    logits = torch.tensor([0.0, 104.0])
    assert torch.isinf(-torch.log(torch.softmax(logits, 0))[0])
    first, later = (
        {str(choices[0]) for choices, _ in candidates([{"code": "LG301", "first_step": step}])}
        for step in (0, 20)
    )
    assert first - later >= {"init", "init=lsuv", "normalize=input"}
    assert later < first


def test_smaller_steps_are_tried_on_a_net_that_was_heard_at_first_and_on_no_other():
    born = {str(choices[0]) for choices, _ in candidates([{"code": "LG101", "first_step": 10}])}
    never = {str(choices[0]) for choices, _ in candidates([{"code": "LG101", "first_step": 0}])}
    assert {"schedule=rate:factor=0.1", "schedule=warmup"} <= born and never < born
    assert not any(text.startswith("schedule") for text in never)
