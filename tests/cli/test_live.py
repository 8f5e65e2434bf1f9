"""`livegrad live`: lines where there is no terminal, and an end when the run ends."""

import os
import subprocess
import sys
import time

from rich.console import Console

import livegrad
from livegrad.cli.find_run import starting_run
from livegrad.cli.live_screen import look, status_line
from livegrad.run.folder import create_run_folder


def test_a_finished_run_is_one_line_and_its_report(call, sick_run):
    code, out, err = call("live")
    assert (code, err) == (0, "")
    assert out.startswith("livegrad: finished · step 40 · 2 steps/s · loss 2.3 ▁")
    assert "LG101" in out


def test_once_is_the_report_alone(call, sick_run):
    code, out, _ = call("live", "--once")
    assert code == 0
    assert "finished · step" not in out
    assert "LG101" in out


def test_the_screen_fits_the_terminal(sick_run):
    for height in (5, 20, 60):
        console = Console(width=80, height=height, force_terminal=True)
        lines = look(livegrad.load(sick_run), console).plain.split("\n")
        assert len(lines) < height
        assert lines[0] == status_line(livegrad.load(sick_run), console)
        if height < 60:
            assert "livegrad report" in lines[-1]


def test_a_killed_run_is_called_killed(write_run, tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    folder = write_run(tmp_path / "run", 0.0, status="running", ended=None, pid=done.pid)
    assert status_line(livegrad.load(folder)).startswith("killed · step 40")


def test_waits_for_a_program_that_has_not_taken_a_step(tmp_path, write_run):
    folder = create_run_folder(tmp_path, "train")
    assert starting_run(tmp_path) == folder
    process = subprocess.Popen(
        [sys.executable, "-m", "livegrad", "live", str(tmp_path), "--interval", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert process.stderr is not None
    assert "has not taken a step yet" in process.stderr.readline()
    folder.rmdir()
    time.sleep(0.01)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert "without a single optimizer step" in err


def test_a_newer_run_is_not_waited_past(tmp_path, write_run, sick_run):
    assert starting_run(sick_run.parent) is None
