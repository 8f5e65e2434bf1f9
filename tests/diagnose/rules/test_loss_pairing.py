"""LG502: an output that meets a loss made for another."""

import pytest
from tests.diagnose.invented_run import FALLING, STUCK, Net


def net(fault="softmax into cross-entropy", link="softmax", loss="cross-entropy", **more):
    made = Net(3).scan(0, 10, 30)
    made.pairings = [{"fault": fault, "link": link, "loss": loss, **more}]
    return made


def test_a_softmax_before_a_cross_entropy_is_named_with_its_line(judge):
    finding = judge.one(net(module="head", source="net.py:7").train(STUCK))
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG502", "loss-pairing", "error")
    assert finding["layers"] == ["head"] and finding["source"] == "net.py:16"
    assert "softmax" in finding["message"] and finding["cause"]["operator"] == "softmax"
    assert "raw scores" in finding["next"]
    outside = judge.one(net(source="train.py:7").train(STUCK))
    assert outside["source"] == "train.py:7" and outside["layers"] == []


def test_while_the_loss_falls_a_second_softmax_is_a_warning(judge):
    assert judge.codes(net().train(FALLING)) == {"LG502": "warning"}


@pytest.mark.parametrize(
    "fault, link, loss",
    [
        ("raw scores into negative log-likelihood", None, "negative log-likelihood"),
        ("softmax over the samples into binary cross-entropy", "softmax", "binary cross-entropy"),
        ("outputs and targets of different shapes into mean squared error", None, "mean squared error"),
        ("softmax over a single class into binary cross-entropy", "softmax", "binary cross-entropy"),
    ],
)
def test_a_loss_that_means_nothing_is_an_error_however_it_falls(judge, fault, link, loss):
    assert judge.codes(net(fault, link, loss).train(FALLING)) == {"LG502": "error"}


def test_a_second_log_softmax_is_only_mentioned(judge):
    made = net("log-softmax into cross-entropy", "log-softmax", harmless=True).train(STUCK)
    assert judge.codes(made) == {"LG502": "info"}
    assert judge.report(made).verdict == "healthy"


def test_bounded_scores_may_be_meant(judge):
    assert judge.codes(net("tanh into cross-entropy", "tanh").train(FALLING)) == {"LG502": "info"}
    wrong = net("tanh into cross-entropy", "tanh").scan(50, residual=0.9).train(STUCK)
    assert judge.codes(wrong) == {"LG502": "warning"}
