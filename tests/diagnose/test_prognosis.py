"""Will it train: what few steps foretell, from invented scans whose truth is known."""

import jsonschema
import numpy as np
import pytest
from tests.diagnose.invented_run import STUCK, Net

from livegrad.diagnose.depth_reach import depth_reach, trainable_depth
from livegrad.diagnose.omens import resolution
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.prognosis import foresee
from livegrad.diagnose.report import Report
from livegrad.diagnose.time_reach import time_reach

STEPS = range(10)


def seen(net, loss=STUCK[:10], **train):
    """Ten steps, each scanned: what a check sees."""
    return net.train(loss, **train)


def scanned(decades=0.0, blocks=12, activation="ReLU", scans=STEPS, **columns):
    net = Net(blocks, activation)
    return net.scan(*scans, decades=net.ramp(decades), **columns)


def foretell(judge, *nets, **info):
    """The prognosis; its document fulfils the schema, its verdict and its findings agree."""
    report = foresee(judge.run(*nets, **info))
    document = report.to_dict()
    jsonschema.validate(document, Report.json_schema())
    worst = {finding["severity"] for finding in document["findings"]}
    overall = {"will-not-train": "unwell", "doubtful": "warning", "trains": "healthy"}
    prognosis = document["prognosis"]
    assert report.verdict == overall[prognosis["verdict"]]
    assert ("error" in worst) == (prognosis["verdict"] == "will-not-train")
    return prognosis


def left_behind(net, quieter=1e-5):
    """The lower half moves at this share of the upper half's pace."""
    half = len([t for t in net.tensors if t["name"].endswith("weight")]) // 2
    return {f"layers.{i}.": quieter * 1e-3 for i in range(half)}


def test_a_signal_that_passes_trains(judge):
    prognosis = foretell(judge, seen(scanned(-0.4)))
    assert prognosis["verdict"] == "trains"
    (subject,) = prognosis["subjects"]
    assert subject["reasons"] == []
    assert subject["depth"]["layers"] == 13
    assert "no limit in sight" in subject["depth"]["sentence"]


def test_silent_layers_that_the_optimizer_leaves_behind_do_not_train(judge):
    net = scanned(-5.0)
    prognosis = foretell(judge, seen(net, ratio=left_behind(net)))
    assert prognosis["verdict"] == "will-not-train"
    assert [reason["code"] for reason in prognosis["subjects"][0]["reasons"]] == ["LG101"]


def test_silent_layers_that_keep_pace_are_a_doubt(judge):
    assert foretell(judge, seen(scanned(-5.0)))["verdict"] == "doubtful"


def test_below_the_resolution_of_the_weights_pace_does_not_help(judge):
    # Seven decades and a bit are what 24 bits of mantissa tell apart; a signal of 1e-9 is rounded away.
    assert foretell(judge, seen(scanned(-9.0)))["verdict"] == "will-not-train"


def test_a_silence_that_the_steps_deepen_is_fatal(judge):
    net = Net(12)
    for step in STEPS:
        net.scan(step, decades=net.ramp(-0.5 * step))
    assert foretell(judge, seen(net))["verdict"] == "will-not-train"


def test_depth_beyond_six_e_foldings_is_found_under_three_decades(judge):
    """Thirteen layers of 0.63 are six e-foldings, 2.6 decades; the rules' bound of three is not reached."""
    deep, shallow = seen(scanned(-2.85)), seen(scanned(-2.4))
    prognosis = foretell(judge, deep)
    assert prognosis["verdict"] == "doubtful"
    assert "dies out within 11 of the 13 layers" in prognosis["subjects"][0]["reasons"][0]["text"]
    assert foretell(judge, shallow)["verdict"] == "trains"


def test_the_reach_is_six_over_the_logarithm_of_the_factor(judge):
    patient = patient_of(judge, seen(scanned(-6.0)))
    reach = depth_reach(patient)
    # 24 steps of a quarter of a decade, two to a layer.
    assert reach.factor == pytest.approx(10**-0.5, rel=1e-3)
    assert reach.reach == pytest.approx(6 / (0.5 * np.log(10)), rel=1e-3)
    assert reach.reach_low <= reach.reach <= reach.reach_high
    assert (reach.layers, reach.unit, reach.growing) == (13, "layer", False)


def test_a_noisy_slope_has_an_honest_interval(judge):
    rng = np.random.default_rng(0)
    net = Net(12)
    net.scan(*STEPS, decades=net.ramp(-6.0) + rng.normal(0, 0.3, net.size))
    reach = depth_reach(patient_of(judge, seen(net)))
    assert reach.reach_low < 6 / (0.5 * np.log(10)) < reach.reach_high
    assert reach.reach_high - reach.reach_low > 0.2


def test_noise_alone_has_no_limit(judge):
    rng = np.random.default_rng(1)
    net = Net(12)
    net.scan(*STEPS, decades=rng.normal(0, 0.3, net.size))
    assert depth_reach(patient_of(judge, seen(net))).reach == float("inf")


@pytest.mark.parametrize(
    ("factor", "depth"), [(np.exp(-1), 6), (np.exp(-2), 3), (np.exp(0.5), 12), (1.0, np.inf)]
)
def test_trainable_depth(factor, depth):
    assert trainable_depth(factor) == pytest.approx(depth)


def test_blocks_are_counted_where_branches_hold_the_weights(judge):
    net = Net(0)
    stem = net.add_tensor("stem.weight", (64, 64))
    net.add_layer("stem", "Linear", 0, tensors=[stem])
    for i in range(1, 9):
        weight = net.add_tensor(f"blocks.{i}.weight", (64, 64))
        net.add_layer(f"blocks.{i}", "Block", i)
        net.add_layer(f"blocks.{i}.linear", "Linear", i, tensors=[weight], kind="branch")
    net.layers.pop(0)  # the head of the plain net
    net.scan(*STEPS)
    reach = depth_reach(patient_of(judge, seen(net)))
    assert (reach.unit, reach.layers) == ("block", 9)


def test_growth_by_decades_does_not_train(judge):
    prognosis = foretell(judge, seen(scanned(5.0)))
    assert prognosis["verdict"] == "will-not-train"
    assert prognosis["subjects"][0]["reasons"][0]["code"] == "LG103"


def test_a_large_output_that_comes_nearer_to_its_targets_is_a_doubt_at_most(judge):
    net = Net(12)
    for step in STEPS:
        net.scan(step, output=4e3, residual=0.9 * 0.8**step)
    falling = 2.3 * 0.7 ** np.arange(10)
    assert foretell(judge, seen(net, falling))["verdict"] in ("doubtful", "trains")


def test_non_finite_numbers_are_fatal(judge):
    loss = [2.3, 2.2, float("nan"), *[float("nan")] * 7]
    prognosis = foretell(judge, seen(scanned(), loss, bad_gradient=lambda step: 5 if step > 1 else 0))
    assert prognosis["verdict"] == "will-not-train"
    assert prognosis["subjects"][0]["reasons"][0]["code"] == "LG301"


def test_swallowed_updates_are_fatal_but_not_while_the_rate_still_rises(judge):
    assert foretell(judge, seen(scanned(), swallowed=1.0))["verdict"] == "will-not-train"
    warming = Net(12)
    warming.scan(*STEPS)
    for step in STEPS:
        warming.train([STUCK[step]], steps=[step], rate=1e-9 * (step + 1), swallowed=1.0)
    assert foretell(judge, warming)["verdict"] == "trains"


def test_an_optimizer_that_stands_still_under_its_eps_does_not_train(judge):
    stands = foretell(judge, seen(scanned(), eps=1.0, ratio=1e-7))
    creeps = foretell(judge, seen(scanned(), eps=1.0, ratio=1e-4))
    assert (stands["verdict"], creeps["verdict"]) == ("will-not-train", "doubtful")


def test_weights_that_hardly_move_are_a_doubt_and_those_that_stand_still_fatal(judge):
    verdicts = [foretell(judge, seen(scanned(), ratio=ratio))["verdict"] for ratio in (1e-3, 1e-6, 1e-8, 0.0)]
    assert verdicts == ["trains", "doubtful", "will-not-train", "will-not-train"]


def test_an_encoder_that_is_cut_off_is_fatal_and_an_unused_output_is_not(judge):
    cut = foretell(judge, seen(scanned(), gradient={"layers.0.": None, "layers.1.": None}))
    assert cut["verdict"] == "will-not-train"
    net = scanned()
    pooler = net.add_tensor("pooler.weight", (16, 16))
    net.tensors.append(net.tensors.pop(pooler))
    last = net.add_tensor("last.weight", (64, 64))
    assert last > pooler
    unused = foretell(judge, seen(net, gradient={"pooler.": None}))
    assert unused["verdict"] == "trains"


def recurrent(decades_per_step, times=40, kind="RNN"):
    net = Net(1)
    rows = [net.add_layer(f"rnn[t={t}]", kind, 0, kind="time", tensors=[]) for t in range(times)]
    decades = np.zeros(net.size)
    decades[rows] = decades_per_step * np.arange(times)[::-1]
    return net.scan(*STEPS, decades=decades)


def test_a_recurrence_that_forgets_is_a_doubt_and_says_how_far_it_hears(judge):
    prognosis = foretell(judge, seen(recurrent(-0.25)))
    (time,) = prognosis["subjects"][0]["time"]
    assert prognosis["verdict"] == "doubtful"
    # Three decades are twelve steps of a quarter.
    assert (time["steps"], time["reach"]) == (40, 12)
    assert time["factor"] == pytest.approx(10**-0.25)
    assert "latest 12 of its 40" in prognosis["subjects"][0]["reasons"][0]["text"]


def test_without_gates_half_a_sequence_below_the_resolution_is_fatal(judge):
    assert foretell(judge, seen(recurrent(-0.5)))["verdict"] == "will-not-train"
    assert foretell(judge, seen(recurrent(-0.5, kind="LSTM")))["verdict"] == "doubtful"


def test_half_a_sequence_that_would_show_after_a_million_samples_is_fatal_once_the_rest_taught_nothing(judge):
    # A fifth of a decade a step: the middle of 40 lies four decades down, not under float32's resolution.
    net = recurrent(-0.2)
    assert foretell(judge, seen(net))["verdict"] == "doubtful"
    moved = foretell(judge, seen(recurrent(-0.2), ratio=0.15))
    assert moved["verdict"] == "will-not-train"
    assert foretell(judge, seen(recurrent(-0.1), ratio=0.15))["verdict"] == "doubtful"


def test_a_recurrence_that_hears_all_of_its_past_trains(judge):
    patient = patient_of(judge, seen(recurrent(-0.01)))
    assert time_reach(patient)[0].reach == 40
    assert foretell(judge, seen(recurrent(-0.01)))["verdict"] == "trains"


def test_the_worst_of_several_models_decides_and_is_named(judge):
    good = seen(scanned())
    bad = Net(12, subject=1, name="generator")
    bad.scan(*STEPS, decades=bad.ramp(-9.0))
    prognosis = foretell(judge, good, seen(bad))
    assert prognosis["verdict"] == "will-not-train"
    assert [s["verdict"] for s in prognosis["subjects"]] == ["trains", "will-not-train"]
    assert prognosis["sentence"].startswith("generator: ")


def test_a_program_that_failed_itself_will_not_train(judge):
    prognosis = foretell_failed(judge, seen(scanned()), error="ValueError: nan in loss", status="failed")
    assert prognosis["verdict"] == "will-not-train"
    assert "ValueError: nan in loss" in prognosis["sentence"]


def foretell_failed(judge, *nets, **info):
    return foresee(judge.run(*nets, **info)).to_dict()["prognosis"]


def test_resolution_follows_the_dtype(judge):
    net = scanned()
    net.change_tensors("", dtype="bfloat16")
    assert resolution(patient_of(judge, seen(net))) == 3.0
    net = scanned()
    net.change_tensors("", dtype="float32")
    assert resolution(patient_of(judge, seen(net))) == pytest.approx(24 * np.log10(2))


def patient_of(judge, net):
    run = judge.run(net)
    return Patient(run, run.subjects[0])


def test_a_loss_that_is_climbed_is_told_apart_from_an_opponents(judge):
    rising = np.linspace(2.5, 9.0, 10)
    known = {"constant_loss": 2.3, "task_loss": 1.0}

    def climber(subject=0, maximize=True):
        net = Net(2, subject=subject)
        net.settings = {"type": "SGD", "settings": {"lr": 0.1, "maximize": maximize}}
        for step in STEPS:
            net.scan(step, **{**known, "task_loss": rising[step]})
        return seen(net, rising)

    assert foretell(judge, climber())["verdict"] == "will-not-train"
    assert foretell(judge, climber(maximize=False))["verdict"] == "doubtful"
    assert foretell(judge, climber(), climber(1))["verdict"] == "trains"
