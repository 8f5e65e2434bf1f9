"""LG403: a limit that has taken the place of the learning rate."""

from typing import Any

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, STUCK, Net

from livegrad.diagnose.rules.clipping import BY_A_LOT, NEARLY_EVERY


def net(loss=STUCK, factor: Any = 0.01, optimizer="SGD", ratio=1e-5, **train):
    made = Net(3).scan(0, 10, 30)
    made.settings = {"type": optimizer, "settings": {"lr": 0.1}}
    return made.train(loss, clip_factor=factor, clip_limit=1e-3, ratio=ratio, **train)


def test_a_limit_that_starves_sgd_is_a_warning_with_a_limit_to_take(judge):
    norms = np.exp(np.random.default_rng(0).normal(0, 0.5, 60))
    finding = judge.one(net(gradient=lambda step: 1e-3 * norms[step]))
    assert (finding["code"], finding["name"], finding["severity"]) == (
        "LG403",
        "clipping-always-on",
        "warning",
    )
    entries = np.sqrt(sum(t["count"] for t in Net(3).tensors))
    wanted = np.quantile(1e-3 * norms[30:] * entries, 0.9)
    assert finding["evidence"]["recommended_clip_limit"] == pytest.approx(wanted, rel=1e-6)
    assert finding["evidence"]["clipped_steps_share"] == 1.0
    assert f"{wanted:.2g}" in finding["next"]


def test_the_layer_that_uses_the_norm_is_named(judge):
    finding = judge.one(net(gradient={"": 1e-4, "layers.1": 1e-2}))
    assert finding["layers"] == ["layers.1"] and "layers.1" in finding["cause"]["summary"]


@pytest.mark.parametrize("how", [{"optimizer": "AdamW"}, {"loss": FALLING}, {"ratio": 1e-3}])
def test_where_it_does_no_harm_it_is_only_mentioned(judge, how):
    assert judge.codes(net(**how)) == {"LG403": "info"}


@pytest.mark.parametrize("factor, found", [(0.9 * BY_A_LOT, True), (1.1 * BY_A_LOT, False), (1.0, False)])
def test_by_how_much(judge, factor, found):
    assert ("LG403" in judge.codes(net(factor=factor))) is found


@pytest.mark.parametrize("share, found", [(NEARLY_EVERY + 0.05, True), (NEARLY_EVERY - 0.1, False)])
def test_how_often(judge, share, found):
    clipped = np.random.default_rng(0).permutation(np.arange(30) < round(30 * share))
    assert ("LG403" in judge.codes(net(factor=lambda k: 0.1 if k < 30 or clipped[k - 30] else 1.0))) is found


def test_without_clipping_nothing_is_said(judge):
    assert judge.codes(Net(3).scan(0, 10, 30).train(STUCK)) == {}
