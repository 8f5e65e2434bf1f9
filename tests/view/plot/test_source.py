"""What figures are drawn from, and what is said where they cannot be."""

import subprocess
import sys

import plotly.graph_objects as go
import pytest

from livegrad import plot
from livegrad.diagnose.report import Report
from livegrad.errors import LivegradError, UsageError

LIGHT_IMPORTS = """
import sys
from livegrad import plot
plot.depth, plot.spine, plot.jacobian, plot.activation, plot.save
sys.exit(", ".join(sorted({"torch", "plotly", "kaleido"} & set(sys.modules))) or 0)
"""


def test_reaching_for_the_figures_imports_neither_plotly_nor_torch():
    done = subprocess.run([sys.executable, "-c", LIGHT_IMPORTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_figure_that_is_promised_is_there():
    assert all(callable(getattr(plot, name)) for name in plot.__all__)
    assert dir(plot) == sorted(plot.__all__)
    with pytest.raises(AttributeError, match="it has activation, depth"):
        _ = plot.waterfalls


def test_a_run_its_path_its_report_and_a_document_show_the_same_latest_scan(sick_run):
    run, document = sick_run
    report = Report(document | {"run": document["run"] | {"path": str(run.path)}})
    solid = [
        next(t for t in plot.depth(given, "gradient").data if t.line.dash == "solid").y
        for given in (run, run.path, str(run.path), report, report.to_dict())
    ]
    assert all(line == solid[0] for line in solid)


def test_a_report_alone_shows_its_layers(vanishing):
    figure = plot.depth(Report(vanishing), "audibility")
    assert isinstance(figure, go.Figure)
    line = next(t for t in figure.data if t.line.dash == "solid")
    told = [layer["audibility_ratio"] for layer in vanishing["layers"]]
    assert 10 ** line.y[3] == pytest.approx(told[3], rel=1e-2)
    with pytest.raises(UsageError, match=r"needs the recorded arrays.*livegrad.load"):
        plot.loss(Report(vanishing))


def test_of_several_models_the_sickest_is_shown_unless_one_is_named(adversarial):
    shown = plot.spine(adversarial)
    assert "generator" in shown.layout.title.text
    assert "discriminator" in plot.spine(adversarial, subject="discriminator").layout.title.text
    with pytest.raises(UsageError, match=r"no model 'critic'.*'generator', 'discriminator'"):
        plot.spine(adversarial, subject="critic")


@pytest.mark.parametrize("given", [None, 7, {"a": 1}, "no-such-folder"])
def test_what_cannot_be_drawn_is_told(given):
    with pytest.raises(LivegradError):
        plot.depth(given)


def test_a_run_without_scans_says_so(tmp_path, write_synthetic_run, vanishing):
    bare = write_synthetic_run(tmp_path / "bare", vanishing, scan_steps=())
    for draw in (plot.depth, plot.spine, plot.ledger):
        with pytest.raises(UsageError, match="no scan"):
            draw(bare)
    with pytest.raises(UsageError, match="no recurrence"):
        plot.through_time(bare)


def test_wrong_choices_name_the_right_ones(sick_run):
    run, _ = sick_run
    for draw, value in ((plot.depth, "weights"), (plot.heatmap, "weights"), (plot.ledger, "weights")):
        with pytest.raises(UsageError, match=r"'weights'.*choose from"):
            draw(run, value)
    with pytest.raises(UsageError, match="'light', 'dark'"):
        plot.depth(run, theme="sepia")
