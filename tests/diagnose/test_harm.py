"""Harm: whether the optimizer makes up for what a layer does not hear."""

import math

import numpy as np
import pytest
from tests.diagnose.invented_run import STUCK, Net
from tests.diagnose.test_patient import patient_of

from livegrad.diagnose.harm import STARVED_AGAINST_OTHERS, STARVED_ALONE, harm_to, turnover


def harm(judge, net=None, layers=("layers.0", "layers.1"), **train):
    net = net or Net(4)
    patient = patient_of(judge, net.train(STUCK[:10], **train))
    return harm_to(patient, {t.id for t in patient.tensors.values() if t.module in layers})


def test_layers_that_move_like_the_others_are_not_starved(judge):
    found = harm(judge)
    assert found.known and not found.starved
    assert found.update_ratio == pytest.approx(1e-3) and found.others == pytest.approx(1e-3)


@pytest.mark.parametrize("share, starved", [(0.9, True), (1.1, False)])
def test_a_hundredth_of_the_others_pace_is_starvation(judge, share, starved):
    slow = share * STARVED_AGAINST_OTHERS * 1e-3
    assert harm(judge, ratio={"layers.0": slow, "layers.1": slow}).starved is starved


@pytest.mark.parametrize("share, starved", [(0.9, True), (1.1, False)])
def test_under_the_resolution_of_float32_a_layer_starves_whatever_the_others_do(judge, share, starved):
    assert harm(judge, ratio=share * STARVED_ALONE).starved is starved


@pytest.mark.parametrize("how", ["eps", "swallowed"])
def test_most_entries_lost_to_eps_or_to_the_dtype_are_starvation(judge, how):
    assert harm(judge, **{how: {"layers": 0.6}}).starved
    assert not harm(judge, **{how: {"layers": 0.4}}).starved


def test_the_pace_is_compared_with_those_that_move_best(judge):
    # Two of three others are as slow: still far behind what the net can do.
    slow = {"layers": 1e-9, "head": 1e-3, "layers.3": 1e-3}
    found = harm(judge, ratio=slow)
    assert found.others == pytest.approx(1e-3, rel=0.6) and found.starved


def test_biases_are_judged_only_where_there_are_no_matrices(judge):
    assert not harm(judge, ratio={"layers.0.bias": 0.0, "layers.1.bias": 0.0}).starved
    scales = Net(4)
    scales.change_tensors("layers.0", shape=[256])
    assert harm(judge, scales, ("layers.0",), ratio={"layers.0": 0.0}).starved


def test_without_sampled_updates_no_harm_is_claimed(judge):
    found = harm(judge, ratio=np.nan, swallowed=np.nan)
    assert not found.known and not found.starved
    assert math.isnan(found.update_ratio) and math.isnan(found.others)
    assert not harm(judge, layers=("nonesuch",)).starved


def test_turnover_is_the_inverse_pace(judge):
    assert turnover(1e-3) == pytest.approx(1000)
    assert turnover(0.0) == math.inf
    assert turnover(math.nan) is None and turnover(math.inf) is None
