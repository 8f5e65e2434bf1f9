"""What is prescribed for several models is one list for the program."""

from livegrad.treat.choice import parse_choices
from livegrad.treat.prescription.proposal import Prescription, Proposal, Refusal, advice
from livegrad.treat.prescription.several import together


def proposal(spec, code):
    return Proposal(parse_choices(spec), (code,), f"{spec} for {code}")


def specs(found):
    return [p.spec or "advice" for p in found.proposals]


def test_a_fault_of_the_signal_is_answered_before_what_it_starves():
    """A critic through which nothing comes back leaves its maker without updates."""
    maker = Prescription((proposal("precision=eps", "LG401"), proposal("init=he", "LG401")))
    critic = Prescription((proposal("activation=relu", "LG101"), proposal("init=he", "LG101")))
    found = together([("G", maker), ("D", critic)])
    assert specs(found) == ["activation=relu", "init=he", "precision=eps"]
    assert found.proposals[1].answers == ("LG101",)


def test_advice_is_last_and_what_one_model_is_refused_another_may_be_given():
    refused = Refusal(parse_choices("skip"), "two layers only")
    other = Refusal(parse_choices("clip"), "its factor is at most one")
    one = Prescription((advice("Look at the data", ("LG503",)),), (refused, other))
    two = Prescription((proposal("skip", "LG101"),))
    found = together([("G", one), ("D", two)])
    assert specs(found) == ["skip", "advice"]
    assert [(r.spec, r.reason) for r in found.refused] == [("clip", "G: its factor is at most one")]


def test_one_model_has_its_own_words():
    alone = Prescription((proposal("init", "LG101"),), (Refusal(parse_choices("clip"), "no"),), ("a note",))
    assert together([("net", alone)]) == alone
    assert together([]) == Prescription()
