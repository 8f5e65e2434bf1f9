import io
import subprocess
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console

from livegrad.view.console import attach_line, finding_line, make_console, render_report

# A byte below 0x20 other than the newline, DEL, or a C1 control would let a name command the terminal.
CONTROLS = {chr(i) for i in [*range(32), *range(127, 160)]} - {"\n"}


def screen(document, width=80, encoding="utf-8", colour=False, **how):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    system = "standard" if colour else None
    console = Console(file=stream, width=width, force_terminal=colour, color_system=system, _environ={})
    render_report(document, console, **how)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_vanishing_screen(vanishing, snapshot, width):
    snapshot(f"vanishing-{width}.txt", screen(vanishing, width))


def test_the_screen_in_ascii(vanishing, snapshot):
    text = screen(vanishing, 80, "ascii")
    assert text.isascii()
    snapshot("vanishing-80-ascii.txt", text)


def test_the_healthy_screen_is_short(healthy, snapshot):
    text = screen(healthy)
    assert len(text.splitlines()) <= 10
    snapshot("healthy-80.txt", text)


def test_two_models_have_a_section_each(adversarial, snapshot):
    snapshot("adversarial-100.txt", screen(adversarial, 100))


def test_errors_come_before_warnings(adversarial):
    text = screen(adversarial)
    assert text.index("error[LG102]") < text.index("warning[LG201]")


@pytest.mark.parametrize("width", [60, 61, 72, 80, 99, 100, 139, 200])
@pytest.mark.parametrize("name", ["vanishing", "healthy", "adversarial"])
def test_no_line_is_wider_than_the_screen(request, name, width):
    for line in screen(request.getfixturevalue(name), width).splitlines():
        assert cell_len(line) <= width, line


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252", "cp437"])
def test_hostile_names_cannot_command_the_terminal(hostile, encoding):
    text = screen(hostile, 100, encoding)
    assert not CONTROLS & set(text)
    assert "\u202e" not in text
    assert "\u2028" not in text
    assert "[bold red]" in text


def test_escapes_of_a_coloured_screen_are_only_colours(hostile):
    text = screen(hostile, 100, colour=True)
    assert "\x1b[" in text
    assert set(text.split("\x1b[")[0]) & CONTROLS == set()
    for part in text.split("\x1b")[1:]:
        codes, _, _ = part.removeprefix("[").partition("m")
        assert part.startswith("[") and all(code.isdigit() for code in codes.split(";"))


def test_thousands_of_layers_fold_into_a_screen(vanishing):
    first = vanishing["layers"][0]
    vanishing["layers"] = [
        first | {"name": f"block.{i}.conv", "depth": i, "audibility_ratio": 10 ** (-(4000 - i) / 100)}
        for i in range(4000)
    ]
    vanishing["findings"][0]["layers"] = [f"block.{i}.conv" for i in range(0, 4000, 2)]
    text = screen(vanishing, 120)
    assert len(text.splitlines()) < 60
    assert "block.0.conv" in text
    assert "block.3999.conv" in text


def test_the_report_is_named(vanishing):
    assert screen(vanishing, report="/somewhere/report.html").rstrip().endswith("/somewhere/report.html")


def test_overhead_beyond_the_budget_is_said(adversarial):
    assert "3.1 % of the time" in screen(adversarial, 120)
    assert "over the budget of 1 %" in screen(adversarial, 120)


def test_a_finding_in_one_line(vanishing):
    line = finding_line(vanishing["findings"][0])
    assert line.startswith("livegrad: error[LG101] vanishing-gradient at train.py:27: The gradient shrinks")
    assert "\n" not in line


def test_a_hostile_finding_is_one_line(hostile):
    assert not (CONTROLS | {"\n"}) & set(finding_line(hostile["findings"][0]))


def test_the_attach_line_says_what_is_watched_and_where():
    subject = {"name": "model", "type": "MLP", "parameters": 1234567, "optimizers": [{"type": "Adam"}]}
    line = attach_line({"subjects": [subject], "path": "livegrad-runs/x"})
    assert "MLP (1,234,567 parameters, Adam)" in line
    assert line.endswith("livegrad-runs/x")


def test_the_attach_line_without_anything_known():
    assert attach_line({}) == "livegrad: watching the training"


@pytest.mark.parametrize("wide, expected", [("20", 60), ("100", 100), ("900", 200)])
def test_width_is_kept_readable(monkeypatch, wide, expected):
    monkeypatch.setenv("COLUMNS", wide)
    assert make_console().width == expected


def test_no_color_is_obeyed(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert make_console().color_system is not None
    monkeypatch.setenv("NO_COLOR", "1")
    assert make_console().color_system is None


def test_views_are_cheap_to_import():
    heavy = ("torch", "rich", "plotly", "jinja2", "numpy")
    code = f"import sys, livegrad.view.console; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
