"""livegrad's own lines: on the real stderr, beside progress bars, and never at the program's cost."""

import io
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from livegrad.cli.voice import Voice


@pytest.fixture
def real(monkeypatch):
    """Stands for the process's own stderr."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    return stream


FINDING = {
    "code": "LG101",
    "name": "vanishing-gradient",
    "severity": "error",
    "message": "quiet",
    "source": "t.py:1",
}


def test_speaks_on_the_processs_own_stderr(real, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    voice = Voice()
    voice.say("hello")
    voice.warn("two\nlines")
    voice.hear("attached", {"path": "/runs/1", "subjects": [{"type": "Net"}]})
    voice.hear("finding", FINDING)
    voice.hear("warning", {"text": "full disk"})
    lines = real.getvalue().splitlines()
    assert lines[:2] == ["hello", "livegrad: warning: two lines"]
    assert lines[2].startswith("livegrad: watching Net")
    assert "LG101" in lines[3]
    assert lines[4:] == ["livegrad: warning: full disk"]
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_quiet_keeps_to_failures_and_mute_to_nothing(real):
    for voice in (Voice(quiet=True), Voice(mute=True)):
        voice.say("hello")
        voice.hear("attached", {})
        voice.hear("finding", FINDING)
    assert real.getvalue() == ""
    Voice(mute=True).warn("failure")
    assert real.getvalue() == ""
    Voice(quiet=True).warn("failure")
    assert real.getvalue() == "livegrad: warning: failure\n"


def test_a_stderr_that_cannot_be_written_is_no_error(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "__stderr__", stream)
        Voice().say("hello")


def test_a_bar_of_tqdm_is_taken_away_while_a_line_is_written(real, monkeypatch):
    @contextmanager
    def external_write_mode(file):
        file.write("[bar off]")
        yield
        file.write("[bar on]")

    bars = SimpleNamespace(tqdm=SimpleNamespace(external_write_mode=external_write_mode))
    monkeypatch.setitem(sys.modules, "tqdm", bars)
    Voice().say("hello")
    assert real.getvalue() == "[bar off]hello\n[bar on]"


def test_a_line_goes_above_a_bar_of_rich(real, monkeypatch):
    from rich.console import Console
    from rich.progress import Progress

    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", real)
    with Progress(console=Console(file=screen, force_terminal=True, width=80), auto_refresh=False) as bars:
        bars.add_task("training", total=3)
        Voice().say("livegrad: hello")
    assert "livegrad: hello" in screen.getvalue()
    assert real.getvalue() == ""
