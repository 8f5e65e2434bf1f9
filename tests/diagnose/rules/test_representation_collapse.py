"""LG203: layers from which on all samples are one."""

import pytest
from tests.diagnose.invented_run import FALLING, STUCK, Net

COLLAPSED = [0.3, 0.5, 0.9, 0.9995, 0.9999, 1.0, 1.0]


def net(similarity=COLLAPSED, loss=STUCK, **scan):
    return Net(3).scan(0, 10, 30, similarity=similarity, effective_rank=1.1, **scan).train(loss)


def test_the_first_layer_from_which_on_all_are_alike_is_named(judge):
    finding = judge.one(net())
    assert (finding["code"], finding["name"], finding["severity"]) == (
        "LG203",
        "representation-collapse",
        "error",
    )
    assert finding["layers"] == ["acts.1", "layers.2", "acts.2"] and finding["source"] == "net.py:13"
    assert finding["first_step"] == 0 and finding["evidence"]["lowest_similarity_before"] == 0.3


@pytest.mark.parametrize(
    "why, made",
    [
        ("it learns", net(loss=FALLING)),
        ("the outputs fit", net(residual=0.1)),
        ("rectifiers are alike by nature", net([0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.98])),
        ("told apart again above", net([0.3, 1.0, 1.0, 1.0, 1.0, 0.9, 1.0])),
        ("the inputs were all alike", net(1.0)),
        ("one sample", net(samples=1)),
        ("not measured", net(float("nan"))),
    ],
)
def test_what_is_no_collapse(judge, why, made):
    assert judge.codes(made) == {}, why


def test_it_has_to_persist(judge):
    made = Net(3).scan(0, similarity=COLLAPSED).scan(10, 30, similarity=0.3).train(STUCK)
    assert judge.codes(made) == {}


def test_a_silent_net_has_that_for_its_fault(judge):
    made = Net(3)
    made.scan(0, 10, 30, similarity=COLLAPSED, decades=made.ramp(-8)).train(STUCK)
    assert set(judge.codes(made)) == {"LG101"}


def sequences(tokens, loss=STUCK, **scan):
    similarity = scan.pop("similarity", 0.4)
    return Net(3).scan(0, 10, 30, similarity=similarity, token_similarity=tokens, **scan).train(loss)


def test_tokens_that_become_one_are_found_though_samples_differ(judge):
    finding = judge.one(sequences(COLLAPSED))
    assert finding["code"] == "LG203" and finding["layers"] == ["acts.1", "layers.2", "acts.2"]
    assert "all tokens look the same" in finding["message"]


@pytest.mark.parametrize(
    "why, made",
    [
        ("it learns", sequences(COLLAPSED, FALLING)),
        ("padding and repeated tokens are alike from the start", sequences(0.9995)),
        (
            "tokens lean one way, as in trained transformers",
            sequences([0.3, 0.6, 0.8, 0.9, 0.97, 0.98, 0.98]),
        ),
        ("one answer for the whole sequence", sequences([*COLLAPSED[:6], float("nan")])),
        ("pooled before the last layer", sequences([*COLLAPSED[:5], float("nan"), 0.2])),
    ],
)
def test_tokens_that_are_alike_and_no_fault(judge, why, made):
    assert judge.codes(made) == {}, why


def test_queries_and_keys_among_tokens_that_are_one_hear_nothing_of_it(judge):
    """The derivative of an average over equal values by its weights is zero."""
    made = Net(3)
    tensor = made.add_tensor("attention.q.weight", (256, 256), module="attention.q", module_type="Linear")
    made.add_layer("attention.q", "Linear", 5, kind="branch", tensors=[tensor])
    tokens = [*COLLAPSED, float("nan")]
    made.scan(0, 10, 30, similarity=0.4, token_similarity=tokens)
    assert set(judge.codes(made.train(STUCK, swallowed={"attention.q": 1.0}))) == {"LG203"}
