"""The screen and the page of a check."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.diagnose.invented_run import STUCK, Net, write_run

from livegrad.diagnose.prognosis import foresee
from livegrad.view.html import render_html
from livegrad.view.prognosis import render_prognosis


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    """A sigmoid net that hears nothing, and a recurrence that forgets beside it."""
    net = Net(12, "Sigmoid").scan(*range(10), decades=Net(12).ramp(-9.0)).train(STUCK[:10], weight=0.06)
    other = Net(1, subject=1, name="<reader>")
    rows = [other.add_layer(f"rnn[t={t}]", "LSTM", 0, kind="time") for t in range(40)]
    decades = [0.0] * other.size
    for t, row in enumerate(rows):
        decades[row] = -0.25 * (39 - t)
    other.scan(*range(10), decades=decades).train(STUCK[:10])
    run = write_run(tmp_path_factory.mktemp("sick") / "run", net, other)
    return run, foresee(run).to_dict()


def screen(document, width=100, encoding="utf-8"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, color_system=None, _environ={})
    render_prognosis(document, console)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def test_the_screen_says_verdict_depth_table_and_findings(sick):
    text = screen(sick[1])
    assert text.strip().startswith("livegrad: will not train: model: ")
    assert "13 layers; at 0.178 per layer the signal reaches about 3 [3 – 3]" in text
    assert "✗ as it is" in text and "✓ BatchNorm in each layer" in text
    assert "error[LG101]" in text and "warning[LG102]" in text
    assert "40 time steps; at 0.562 per step it hears about the latest 12" in text
    assert "── <reader>: doubtful" in text
    assert "stopped after 10 steps" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_screen_but_commands_to_copy(sick, width):
    for line in screen(sick[1], width).splitlines():
        assert cell_len(line) <= width or line.lstrip().startswith(("$", ">>>")), line


def test_the_screen_in_ascii(sick):
    text = screen(sick[1], encoding="ascii")
    assert text.isascii()
    assert "x as it is" in text and "+ BatchNorm in each layer" in text and "1/sqrt 13" in text


def test_the_page_has_the_table_and_escapes_names(sick):
    run, document = sick
    page = render_html(run, document)
    assert "Will it train?" in page
    assert "BatchNorm in each layer" in page
    assert "&lt;reader&gt;: doubtful" in page
    assert "<reader>" not in page.split("<script")[0]


def test_a_report_that_foretells_nothing_has_no_such_section(sick):
    run, _ = sick
    assert "Will it train?" not in render_html(run, run.report().to_dict())
