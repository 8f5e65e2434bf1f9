"""The screen, the progress and the page of a treatment."""

import io
import math
import re

import numpy as np
import pytest
from rich.console import Console
from tests.treat.invented_trial import Outcome, conducted, sick_until_cured, trial_in

import livegrad.treat.trial.watching as watching
from livegrad.treat.trial.arm import CONTROL
from livegrad.treat.trial.conclusion import conclude
from livegrad.view.figures.treatment import ArmCurves, treatment_losses
from livegrad.view.ink import Ink
from livegrad.view.treatment import render_treatment
from livegrad.view.treatment_page import render_treatment_page
from livegrad.view.treatment_progress import progress_block


@pytest.fixture(scope="module")
def cured(tmp_path_factory):
    """Init wins, skip does better and changes more, clip is refused and a swap is hopeless."""

    def script(arm, repetition):
        if arm == "clip":
            said = "livegrad: model: clip is not applied: its factor is at most 1\n"
            return Outcome(code=2, steps=0, output=said)
        if arm == "activation=relu":
            return Outcome(2.4, sick=True)
        loss = 0.01 if arm == "skip" else 0.1
        return sick_until_cured(loss)(arm, repetition)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "_POLL_SECONDS", 0.0)
        trial = trial_in(tmp_path_factory.mktemp("trial"))
        conducted(trial, script, "init", "skip", "clip", "activation=relu")
    diff = "--- a/train.py\n+++ b/train.py\n@@ -1 +1,2 @@\n x = 1\n+initialize(model)\n"
    written = {"diff": diff, "instructions": [], "edits": [{"file": "train.py"}]}
    return conclude(trial, written).to_dict()


def screen(document, width=80, encoding="utf-8", **more):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(file=file, width=width, markup=False, emoji=False, highlight=False, color_system=None)
    render_treatment(document, console, **more)
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_screen_fits_and_says_all_that_matters(cured, width):
    text = screen(cured, width)
    lines = [line for line in text.splitlines() if not re.search(r"trial:|next:|report:", line)]
    assert max(map(len, lines)) <= width
    words = " ".join(text.split())
    assert "init is better than doing nothing: its loss is 4.4 % of that without it" in words
    assert "skip comes down further and changes more" in words
    assert "clip its factor is at most 1" in words
    assert re.search(r"✓ init +0\.1", text) and re.search(r"✗ activation=relu", text)
    assert "+initialize(model)" in text and "livegrad treat --write train.py" in text


def test_a_long_name_makes_room_for_what_came_of_it(cured):
    arms = [
        {**arm, "name": "init=centred,normalize=batch,skip=rezero"} if arm["name"] == "skip" else arm
        for arm in cured["arms"]
    ]
    text = screen({**cured, "arms": arms, "diff": None}, 60)
    row = next(line for line in text.splitlines() if "init=centred" in line and "…" in line)
    assert len(row) <= 60 and row.rstrip().endswith("better, healthy")


def test_the_tabs_of_a_diff_are_blanks_on_the_screen(cured):
    text = screen({**cured, "diff": "--- a/x.py\n+++ b/x.py\n@@ -1 +1,2 @@\n \tx = 1\n+\ty = 2\n"})
    assert "\n+   y = 2" in text and "\\t" not in text


def test_a_long_diff_is_counted_and_not_shown_unless_asked_for(cured):
    text = screen(cured, diff_lines=3)
    assert "+initialize(model)" not in text and "1 lines of train.py (--diff prints them)" in text


def test_a_terminal_without_typographic_signs_can_print_it(cured):
    text = screen(cured, encoding="ascii")
    assert re.search(r"\+ init +0\.1", text)


def test_names_cannot_command_the_terminal_nor_the_page(cured):
    evil = "\x1b[31m<script>alert(1)</script>"
    document = {**cured, "script": evil, "summary": evil, "command": [evil]}
    assert "\x1b" not in screen(document)
    page = render_treatment_page(document)
    assert "<script>alert" not in page and "\x1b" not in page


def test_the_page_holds_the_figures_before_and_after(cured):
    page = render_treatment_page(cured)
    assert "Loss, without and with the remedies" in page
    assert "Audibility over the depth, before and after" in page
    assert page.count("<tr class=") == 4  # the refused arm has no row
    assert "http://" not in re.sub(r"http://www.w3.org/\S+", "", page.split('id="livegrad-plotly"')[0])


def test_the_median_seed_is_drawn_between_the_lowest_and_the_highest():
    losses = np.array([[1.0, 2.0], [3.0, 4.0], [2.0, math.nan]])
    drawing = treatment_losses([ArmCurves(CONTROL, "control", np.arange(2), losses)])
    low, high, middle = (trace["y"] for trace in drawing.plot["data"])
    assert (low, middle, high) == ([1.0, 2.0], [2.0, 3.0], [3.0, 4.0])


def test_a_spike_does_not_squeeze_the_rest_of_the_figure():
    losses = np.full((1, 1000), 2.0) + 0.1 * np.sin(np.arange(1000))
    calm = treatment_losses([ArmCurves(CONTROL, "control", np.arange(1000), losses)])
    losses[0, 500] = 1e12
    spiked = treatment_losses([ArmCurves(CONTROL, "control", np.arange(1000), losses)])
    assert calm.plot["layout"]["yaxis"]["range"][1] < 3
    assert spiked.plot["layout"]["yaxis"]["range"][1] < 3
    assert "cut off" in spiked.caption and "cut off" not in calm.caption


def test_an_arm_without_a_finite_loss_is_drawn_as_nothing():
    losses = np.full((2, 3), math.nan)
    drawing = treatment_losses([ArmCurves("init", "other", np.arange(3), losses)])
    assert drawing.plot["data"][-1]["y"] == [None] * 3


@pytest.mark.parametrize("width", [60, 100])
def test_the_block_of_progress_has_a_line_for_each_arm_and_fits(width):
    run = {"repetition": 0, "end": "finished", "loss": 2.31, "codes": ["LG101"]}
    arms = [
        {"name": CONTROL, "stopped": None, "runs": [run]},
        {"name": "activation=tailored,init=own-gain,normalize=layer", "stopped": None, "runs": []},
        {"name": "clip", "stopped": "still LG101, and no better than nothing", "runs": [run]},
    ]
    going = {"arm": arms[1]["name"], "repetition": 0, "steps": 120, "of": 400, "loss": 0.5}
    state = {
        "script": "train.py",
        "steps": 400,
        "seeds": 3,
        "elapsed": 12.0,
        "arms": arms,
        "running": [going],
    }
    lines = progress_block(state, width, Ink()).plain.splitlines()
    assert len(lines) == 4
    assert "nothing done" in lines[1] and "2.31" in lines[1]
    assert "━" in lines[2] and "0.5" in lines[2]
    assert "still LG" in lines[3]
    assert max(map(len, lines)) <= width + 12
