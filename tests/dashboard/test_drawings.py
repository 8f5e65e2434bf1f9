"""What is sent of a long run: thinned, and no step that stands out is lost, wherever it stands."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.diagnose.invented_run import Net, write_run

from livegrad.dashboard.drawings import FIGURES, View, draw
from livegrad.dashboard.notes import Note
from livegrad.run.reader import load
from livegrad.run.writer import RunWriter

STEPS = 2600
REPORT = {"findings": [], "layers": [], "ledger": [], "run": {"subjects": []}}


@pytest.fixture(scope="module", params=[0, 1203, STEPS - 2])
def spiked(request, tmp_path_factory):
    """A run of which one step's loss, gradient, update and audibility stand out; and that step."""
    at = request.param
    net = Net(blocks=2, width=4, outputs=3)
    normal = net.train([1.0]).pulses.pop()
    scatter = np.random.default_rng(0).uniform(0.9, 1.1, STEPS)
    for step in range(STEPS):
        factor = 1e9 if step == at else 1.0
        squares = normal.gradient_sum_squares_by_tensor * scatter[step]
        net.pulses.append(
            replace(
                normal, step=step, loss=scatter[step] * factor,
                gradient_sum_squares_by_tensor=squares * factor,
                gradient_sum_squares=float(squares.sum() * factor),
                update_sum_squares=normal.update_sum_squares * factor,
            )
        )  # fmt: skip
        if step % 3 == 0 or step == at:
            net.scan(step, decades=np.where(np.arange(net.size) == 1, 7.0 if step == at else 0.0, 0.0))
    run = write_run(tmp_path_factory.mktemp("spiked") / "run", net)
    return run, at


def sent(run, name, show="gradient"):
    """The drawing as the browser gets it, when all has been read."""
    while True:
        drawing = json.loads(json.dumps(draw(name, View(run, REPORT, "model", show)), allow_nan=False))
        if not drawing["unread"]:
            return drawing


def test_a_loss_of_one_step_is_sent(spiked):
    run, at = spiked
    line = sent(run, "loss")["data"][0]
    assert len(line["x"]) <= 1100
    assert np.nanmax(np.array(line["customdata"], float)) > 5e8 and at in line["x"]


def test_a_norm_of_one_step_is_sent(spiked):
    run, at = spiked
    line = next(t for t in sent(run, "spikes")["data"] if t.get("name") == "gradient norm")
    top = int(np.nanargmax(np.array(line["y"], float)))
    assert len(line["x"]) <= 2100 and line["x"][top] == at


def test_a_gradient_of_one_step_is_sent(spiked):
    run, at = spiked
    heat = sent(run, "heatmap")["data"][0]
    cells = np.array(heat["z"], float)
    assert cells.shape[1] <= 400 < STEPS
    column = int(np.searchsorted(heat["x"], at, side="right")) - 1
    usual = np.median(cells, axis=1)
    assert (cells[:, column] - usual > 4).all()
    assert (np.delete(cells, column, axis=1) - usual[:, None] < 1).all()


@pytest.mark.parametrize(("show", "rows"), [("audibility", [1]), ("gain", [])])
def test_an_audibility_of_one_scan_is_sent(spiked, show, rows):
    run, at = spiked
    heat = sent(run, "heatmap", show)["data"][0]
    cells = np.array(heat["z"], float)
    assert cells.shape[1] <= 400
    column = int(np.searchsorted(heat["x"], at, side="right")) - 1
    assert sorted(np.flatnonzero(np.abs(cells[:, column]) > 5)) == (rows or [0, 1])


def test_an_update_of_one_step_is_sent(spiked):
    run, _ = spiked
    words = json.dumps(sent(run, "turnover"))
    # Usually 1,000 steps; after an update 10^4.5 times as large, a thirtieth of a step.
    assert "0.0316" in words


def test_a_loss_is_sent_that_the_thinned_history_left_out(tmp_path):
    (tmp_path / "run").mkdir()
    writer = RunWriter(tmp_path / "run", {"subjects": [{"id": 0, "name": "model"}]})
    net = Net(blocks=1, width=4).train([7e8], steps=[501])
    writer.pulse(net.pulses[0])
    even = np.arange(0, 1000, 2)
    writer.losses(even, np.zeros(len(even), np.int32), np.ones(len(even)))
    line = sent(load(tmp_path / "run"), "loss")["data"][0]
    assert max(line["customdata"]) == 7e8 and 501 in line["x"]


@pytest.mark.parametrize("name", FIGURES)
def test_a_run_of_nothing_is_said_to_have_nothing(tmp_path, name):
    (tmp_path / "run").mkdir()
    RunWriter(tmp_path / "run", {})
    drawing = draw(name, View(load(tmp_path / "run"), None, "model"))
    assert isinstance(drawing["words"], str) and drawing["unread"] == 0


def test_notes_stand_at_their_steps_as_text(runs):
    run = load(next(path for path in runs.iterdir() if path.is_dir()))
    note = Note(30, "<img src=x onerror=alert(1)>", 1.0)
    layout = draw("loss", View(run, None, "model", notes=(note,)))["layout"]
    flag = layout["annotations"][-1]
    assert flag["x"] == 30 and "&lt;img" in flag["hovertext"] and "<" not in flag["hovertext"]
    assert layout["shapes"][-1]["x0"] == 30
