"""LG202: units of a rectifier that are silent on every sample."""

import numpy as np
import pytest
import torch
from tests.diagnose.invented_run import FALLING, STUCK, Net
from tests.diagnose.rules.test_saturation import column
from tests.diagnose.watched import train
from torch import nn

from livegrad.diagnose.rules.dead_units import DEAD_SHARE, FEWEST_SAMPLES


def rectifier(shares, scans=(0, 10, 30), **columns):
    net = Net(4, "ReLU")
    return net.scan(*scans, dead=column(net, shares), **columns)


def test_a_dying_layer_is_found_and_dated(judge):
    net = rectifier({"acts.1": 0.2}, scans=(0, 10)).scan(30, 100)
    for scan in net.scans[2:]:
        scan.dead[3] = 0.97
    finding = judge.one(net.train(STUCK, ratio={"layers.1": lambda step: 0.9 if step == 25 else 1e-3}))
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG202", "dead-units", "error")
    assert finding["layers"] == ["acts.1"] and finding["source"] == "net.py:13"
    assert (finding["first_step"], finding["last_step"]) == (30, 100)
    assert "found dead at step 30" in finding["cause"]["summary"]
    assert finding["evidence"] == {
        "dead_share": pytest.approx(0.97),
        "layers_dead": 1,
        "first_seen_step": 30,
        "largest_update_share_of_weights": pytest.approx(0.9),
    }


def test_units_that_were_never_alive_are_told_from_those_that_died(judge):
    finding = judge.one(rectifier({"acts.0": 0.95}).train(STUCK))
    assert "dead from the start" in finding["cause"]["summary"]


@pytest.mark.parametrize(
    "share, loss, severity",
    [
        (0.95, FALLING, "warning"),
        (0.95, STUCK, "error"),
        (1.0, FALLING, "error"),  # nothing passes a layer that is dead altogether
    ],
)
def test_severity(judge, share, loss, severity):
    assert judge.codes(rectifier({"acts.1": share}).train(loss)) == {"LG202": severity}


def test_a_dead_branch_does_not_block_the_way(judge):
    net = Net(4)
    net.add_layer("block.relu", "ReLU", 3, kind="branch")
    net.scan(0, 10, 30, dead=column(net, {"block.relu": 1.0}))
    assert judge.codes(net.train(FALLING)) == {"LG202": "warning"}


@pytest.mark.parametrize(
    "share, found", [(DEAD_SHARE + 0.01, True), (DEAD_SHARE - 0.01, False), (0.5, False)]
)
def test_half_silent_is_how_deep_rectifiers_live(judge, share, found):
    assert (judge.codes(rectifier({f"acts.{i}": share for i in range(4)}).train(STUCK)) != {}) is found


@pytest.mark.parametrize("samples, found", [(FEWEST_SAMPLES, True), (FEWEST_SAMPLES - 1, False)])
def test_on_a_few_samples_any_unit_may_be_silent(judge, samples, found):
    assert (judge.codes(rectifier({"acts.1": 0.95}, samples=samples).train(STUCK)) != {}) is found


def test_units_that_woke_up_are_forgotten(judge):
    net = rectifier({"acts.1": 1.0}, scans=(0, 10)).scan(30)
    assert judge.codes(net.train(FALLING)) == {}


def test_where_no_update_was_sampled_its_size_is_unknown(judge):
    finding = judge.one(rectifier({"acts.1": 0.95}).train(STUCK, ratio=np.nan))
    assert finding["evidence"]["largest_update_share_of_weights"] is None


def test_biases_far_below_zero_are_named(judge):
    net = Net(3, "ReLU")
    mean = np.where([layer["name"] == "layers.1" for layer in net.layers], -29.0, 0.0)
    size = np.where([layer["name"] == "layers.1" for layer in net.layers], 29.1, 0.8)
    dead = np.where([layer["name"] == "acts.1" for layer in net.layers], 0.999, np.nan)
    net.scan(0, 10, 30, dead=dead, activation_mean=mean, activation_rms=size)
    cause = judge.one(net.train(STUCK, weight={"layers.1.bias": 29.0}))["cause"]
    assert "layers.1 hands to acts.1 has mean -29" in cause["summary"]
    assert "its biases have an rms of 29" in cause["summary"]
    assert cause["source"] == "net.py:12"


@pytest.mark.parametrize("alike, share, found", [(0.1, 0.95, True), (0.9, 0.95, False), (0.9, 1.0, True)])
def test_samples_that_are_all_alike_do_not_show_death(judge, alike, share, found):
    # 16 samples at a mean cosine of 0.9 are no more than 2.5.
    net = Net(3, "ReLU")
    similarity = np.where([layer["name"] == "acts.0" for layer in net.layers], alike, np.nan)
    net.scan(0, 10, 30, dead=column(net, {"acts.1": share}), similarity=similarity, samples=16)
    assert ("LG202" in judge.codes(net.train(STUCK))) is found


def reader(nonlinearity, bias):
    torch.manual_seed(0)
    rnn, head = nn.RNN(4, 16, nonlinearity=nonlinearity, batch_first=True), nn.Linear(16, 3)
    for name, p in rnn.named_parameters():
        if name.startswith("bias"):
            nn.init.constant_(p, bias)

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = rnn, head

        def forward(self, x):
            return self.head(self.rnn(x)[1][-1])

    return Reader()


@pytest.mark.parametrize(
    ("nonlinearity", "bias", "found"), [("relu", -1.5, True), ("relu", 0.0, False), ("tanh", -1.5, False)]
)
def test_a_fused_recurrence_whose_cells_never_fire_is_dead_and_not_cut_off(
    tmp_path, nonlinearity, bias, found
):
    """Its biases outweigh inputs of unit size; the gradient of what it holds is exactly zero."""
    model, x, y = reader(nonlinearity, bias), torch.rand(16, 10, 4), torch.randint(3, (16,))
    run = train(tmp_path / "run", model, x, y=y, steps=12)
    codes = {f["code"] for f in run.report().findings if f["severity"] == "error"}
    assert ("LG202" in codes) is found and "LG404" not in codes
