"""The words of a figure's title are true of its numbers."""

import numpy as np
import pytest

from livegrad import plot
from livegrad.view.figures.message import along, of_losses


def title(figure):
    return figure.layout.title.text


def test_the_profile_says_how_quiet_the_quietest_layer_is(sick_run):
    run, _ = sick_run
    scan = run.scans()[-1]
    least = (scan.audibility / scan.audibility_output).min()
    said = float(title(plot.depth(run)).replace("<br>", " ").partition("down to ")[2].split()[0])
    assert said == pytest.approx(least, rel=0.06)


def test_a_loss_that_was_lost_is_said_with_its_step(broken_run):
    assert "NaN or infinite from step 45" in title(plot.loss(broken_run[0])).replace("</b><br><b>", " ")


@pytest.mark.parametrize(
    ("logs", "broken", "said"),
    [
        ([-0.3, 0.0], 0, "within a decade of it"),
        ([-5.0, 0.0], 0, "down to 1.0e-5 of it"),
        ([4.0, 0.0], 0, "up to 1.0e4 times it"),
        ([-np.inf, -5.0], 0, "exactly zero in 1 layer; down to 1.0e-5 of it"),
        ([np.nan, np.nan], 2, "NaN or infinite in 2 layers"),
        ([np.nan, np.nan], 0, "not measured"),
    ],
)
def test_what_is_zero_or_no_number_is_said_first(logs, broken, said):
    assert along(np.array(logs), broken, "it") == said


def test_nothing_is_called_lost_that_is_within_half_a_decade():
    assert of_losses(-0.4) == "nothing is lost"
    assert of_losses(2.04) == "2.0 decades gained"
