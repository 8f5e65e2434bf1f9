"""Whole runs: odd ones, cut ones, broken ones, and each fault said once."""

import json
import os
import socket

import numpy as np
import pytest
from tests.diagnose.conftest import check_document
from tests.diagnose.invented_run import FALLING, STUCK, Net
from tests.diagnose.rules.test_saturation import column

from livegrad.diagnose.diagnose import diagnose
from livegrad.diagnose.report import Report
from livegrad.run.reader import load


def sick(blocks=12, **train):
    net = Net(blocks, "Sigmoid")
    net.scan(0, 10, 30, decades=net.ramp(-8))
    return net.train(STUCK, **train)


def healthy(**how):
    return Net(12, **how).scan(0, 10, 30).train(FALLING)


def test_a_healthy_run_is_called_so(judge):
    report = judge.report(healthy())
    assert (report.verdict, report.findings) == ("healthy", [])
    assert "Every layer is heard" in report.summary
    assert report.run["loss_first"] == pytest.approx(FALLING[:3].min(), rel=0.2)
    assert report.run["recorded_steps"] == report.run["steps"] == 60 and report.run["scans"] == 3


def test_the_summary_of_what_is_cut_off_is_a_sentence(judge):
    cut = Net(3).scan(0, 10, 30).train(STUCK, gradient={"layers.1": None})
    cut.change_tensors("layers.1", reached=False)
    assert judge.report(cut).summary == "No gradient reaches layers.1."


def test_a_sick_run_is_called_so_and_says_where(judge):
    report = judge.report(sick())
    assert report.verdict == "unwell"
    assert "vanishing gradient" in report.summary.lower() and "layers.0 … layers.7" in report.summary


def test_a_run_without_scans_says_that_it_saw_only_parameters(judge):
    report = judge.report(Net(4).train(FALLING))
    assert report.verdict == "healthy" and "no scan" in report.summary
    assert not any("spine" in line for line in report.run["observed"])


def test_a_run_without_pulses_has_nothing_to_say(judge):
    report = judge.report(Net(4).scan(0))
    assert (report.verdict, report.findings) == ("healthy", [])
    assert report.run["loss_first"] is None and report.run["loss_last"] is None


def test_a_run_without_subjects_is_no_error(judge):
    assert judge.report().verdict == "healthy"


def test_one_pulse_and_one_scan_are_enough_for_a_fault_of_initialization(judge):
    net = Net(12, "Sigmoid")
    net.scan(0, decades=net.ramp(-8)).train(STUCK[:1])
    assert judge.codes(net) == {"LG101": "error"}
    assert judge.codes(Net(12).scan(0).train(STUCK[:1])) == {}


def test_losses_that_are_not_known_are_null_not_nan(judge):
    report = judge.report(Net(3).scan(0, 10).train([None] * 20))
    assert report.verdict == "healthy"
    assert [report.run[key] for key in ("loss_first", "loss_last", "loss_best")] == [None, None, None]


def test_a_run_of_nothing_but_nan(judge):
    net = Net(12)
    measured = ("audibility", "audibility_output", "transport", "gradient_rms", "activation_rms")
    everything = dict.fromkeys(measured, np.nan)
    net.scan(0, 10, 30, nonfinite=99, **everything)
    report = judge.report(net.train([np.nan] * 20, bad_gradient=7, bad_weight=7, ratio=np.nan, weight=np.nan))
    assert [finding["code"] for finding in report.findings] == ["LG301"]
    assert report.run["loss_last"] == "NaN"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.99])
def test_a_run_cut_anywhere_is_still_read(judge, share):
    run = judge.run(sick())
    for name in ("rank0.arrows", "rank0.scans.arrows"):
        whole = (run.path / name).read_bytes()
        (run.path / name).write_bytes(whole[: int(len(whole) * share)])
    report = load(run.path).report()
    check_document(report)
    assert {finding["code"] for finding in report.findings} <= {"LG101"}
    assert share < 0.9 or report.verdict == "unwell"


def test_a_run_whose_run_json_lags_behind_its_scans(judge):
    run = judge.run(sick())
    document = json.loads((run.path / "run.json").read_text())
    document["layers"], document["status"] = [], "detached"
    (run.path / "run.json").write_text(json.dumps(document))
    report = load(run.path).report()
    check_document(report)
    assert report.layers == [] and report.verdict == "healthy"


def test_two_subjects_are_judged_apart(judge):
    generator, critic = healthy(name="G"), sick()
    critic = Net(12, "Sigmoid", subject=1, name="D")
    critic.scan(0, 10, 30, decades=critic.ramp(-8)).train(STUCK)
    finding = judge.one(generator, critic)
    assert (finding["code"], finding["subject"]) == ("LG101", "D")
    assert finding["layers"][0] == "layers.0"
    report = judge.report(generator, critic)
    assert [subject["name"] for subject in report.run["subjects"]] == ["G", "D"]
    assert report.run["recorded_steps"] == report.run["steps"] == 60


def test_diagnosing_changes_nothing_and_twice_says_the_same(judge):
    run = judge.run(sick())
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    assert diagnose(run) == diagnose(run) == load(run.path).report()
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before


def test_starved_layers_that_hear_nothing_are_one_fault_not_two(judge):
    left = {f"layers.{i}": 0.0 for i in range(5)}
    assert judge.codes(sick(ratio=left)) == {"LG101": "error"}


def test_starved_layers_elsewhere_are_a_fault_of_their_own(judge):
    assert judge.codes(sick(ratio={"layers.11": 0.0, "layers.10": 0.0})) == {
        "LG101": "error",
        "LG401": "error",
    }


def test_layers_that_hear_exactly_nothing_are_not_called_disconnected_too(judge):
    net = Net(40, "Sigmoid")
    decades = net.ramp(-60)
    decades[decades < -38] = -np.inf
    silent = {f"layers.{i}.": 0.0 for i in range(15)}
    net.scan(0, 10, 30, decades=decades).train(STUCK, gradient=silent, ratio=silent)
    assert judge.codes(net) == {"LG101": "error"}


def test_what_a_dead_layer_starves_is_its_sign(judge):
    net = Net(6)
    below = {f"layers.{i}.": 0.0 for i in range(3)}
    decades = np.where(np.arange(net.size) < 6, -np.inf, 0.0)
    net.scan(0, 10, 30, decades=decades, dead=column(net, {"acts.3": 1.0}))
    assert judge.codes(net.train(STUCK, gradient=below, ratio=below)) == {"LG202": "error"}


def test_what_a_broken_run_leaves_behind_is_its_sign(judge):
    net = Net(4).scan(0)
    bad = {"": lambda step: 5 if step >= 5 else 0}
    frozen = {"layers.1": 0.0}
    loss = np.r_[STUCK[:5], np.full(20, np.nan)]
    assert judge.codes(net.train(loss, bad_gradient=bad, gradient=frozen, ratio=frozen)) == {"LG301": "error"}


def test_of_an_explosion_and_the_steps_along_it_the_explosion_is_the_fault(judge):
    net = Net(12, "Tanh")
    net.scan(0, 10, 30, decades=net.ramp(8))
    assert judge.codes(net.train(STUCK, ratio=5.0)) == {"LG103": "error"}


def test_what_too_large_steps_wreck_later_is_put_down_to_them(judge):
    net = Net(12, "Tanh")
    net.scan(0).scan(10, 30, decades=net.ramp(-8))
    kicked = net.train(STUCK, ratio=lambda step: 50.0 if step == 3 else 1e-3)
    assert judge.codes(kicked) == {"LG402": "error"}


def test_an_info_explains_nothing_away(judge):
    net = Net(12, "Sigmoid")
    net.scan(0, 10, 30, decades=net.ramp(-8))
    codes = judge.codes(net.train(FALLING, ratio={"layers.0": 1e-9}))
    assert codes["LG101"] == "info" and codes["LG401"] == "warning"


def test_the_worst_comes_first(judge):
    net = Net(12, "Sigmoid")
    net.scan(0, 10, 30, decades=net.ramp(-8), saturated=column(net, {"acts.1": 0.95}))
    severities = [f["severity"] for f in judge.report(net.train(FALLING)).findings]
    assert severities == ["warning", "info"]
    assert judge.report(net).verdict == "warning"


def test_an_info_alone_is_healthy_and_said(judge):
    net = Net(12, "Sigmoid")
    net.scan(0, 10, 30, decades=net.ramp(-8))
    report = judge.report(net.train(FALLING))
    assert report.verdict == "healthy" and report.findings[0]["severity"] == "info"
    assert report.summary.startswith("Nothing needs doing")


def test_a_document_is_strict_json(judge):
    report = judge.report(sick(ratio={"layers.0": 0.0}))
    assert json.loads(report.to_json(), parse_constant=pytest.fail) == report.to_dict()
    assert Report(report.to_dict()) == report


@pytest.mark.parametrize("lost", ["rank0.arrows", "rank0.scans.arrows"])
def test_what_is_missing_of_a_record_is_said_and_nothing_else_is_promised(judge, lost):
    path = judge.run(healthy()).path
    assert load(path).report().run["not_observed"] == []
    (path / lost).unlink()
    report = load(path).report()
    assert report.run["not_observed"]
    assert "Every layer" not in report.summary
    assert report.verdict == ("warning" if lost == "rank0.arrows" else "healthy")


def test_of_a_run_that_is_being_written_nothing_is_missing(judge):
    path = judge.run(healthy()).path
    (path / "rank0.arrows").unlink()
    info = json.loads((path / "run.json").read_text())
    info |= {"status": "running", "pid": os.getpid(), "host": socket.gethostname()}
    (path / "run.json").write_text(json.dumps(info))
    assert load(path).report().run["not_observed"] == []
