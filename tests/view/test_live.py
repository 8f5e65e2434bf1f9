import io

import pytest
from rich.console import Console

from livegrad.run.reader import load
from livegrad.run.writer import RunWriter
from livegrad.view.live import follow


class Training:
    """A training that takes steps while the follower sleeps; its clock is the follower's."""

    def __init__(self, path, rows, end):
        self.now = 0.0
        self.writer = RunWriter(path, rows["info"] | {"steps": 0, "seconds": 0.0})
        self.pending = list(rows["pulses"])
        self.scans = list(rows["scans"])
        self.end = end

    def sleep(self, seconds):
        self.now += seconds
        if self.scans:
            self.writer.scan(self.scans.pop(0))
        for _ in range(4):
            if self.pending:
                row = self.pending.pop(0)
                self.writer.pulse(row)
                self.writer.update(steps=row.step + 1, seconds=self.now)
        if not self.pending:
            self.end(self)

    def clock(self):
        return self.now


@pytest.fixture
def training(tmp_path, synthetic_rows, healthy):
    def start(end=lambda training: training.writer.close(status="finished", exit_code=0)):
        path = tmp_path / "run"
        path.mkdir()
        return path, Training(path, synthetic_rows(healthy), end)

    return start


def followed(path, training, terminal=False):
    stream = io.StringIO()
    console = Console(
        file=stream, width=90, height=40, force_terminal=terminal, color_system=None, _environ={}
    )
    follow(path, console, sleep=training.sleep, clock=training.clock)
    return stream.getvalue()


def test_a_log_gets_a_line_every_few_seconds_and_the_report_at_the_end(training):
    path, trained = training()
    text = followed(path, trained)
    lines = [line for line in text.splitlines() if line.startswith("livegrad: step")]
    assert lines[0].startswith("livegrad: step 0")
    assert lines[-1].startswith("livegrad: step 60  loss 2.3")
    assert 3 <= len(lines) <= 6
    assert "\x1b" not in text
    assert "livegrad: healthy:" in text


def test_a_terminal_is_redrawn_and_left_with_the_report(training):
    path, trained = training()
    text = followed(path, trained, terminal=True)
    assert "running" in text
    assert "layers.0" in text
    assert "livegrad: healthy:" in text


def test_ctrl_c_leaves_quietly_and_the_run_goes_on(training):
    def interrupt(training):
        raise KeyboardInterrupt

    path, trained = training(interrupt)
    assert followed(path, trained).splitlines()[-1] == "livegrad: stopped looking; the training goes on"
    assert load(path).status == "running"


def test_a_killed_run_ends_the_following(training):
    path, trained = training(lambda training: training.writer.update(pid=2**22 + 1))
    assert "livegrad: step 60" in followed(path, trained)


def test_a_finished_run_is_shown_at_once(sick_run):
    stream = io.StringIO()
    console = Console(file=stream, width=90, _environ={})
    follow(sick_run[0].path, console, sleep=lambda seconds: pytest.fail("there is nothing to wait for"))
    assert "livegrad: step 60" in stream.getvalue()
