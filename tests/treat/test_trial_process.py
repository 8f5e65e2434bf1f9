"""Children of a trial: ended with all they started, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from livegrad.treat.trial.engine import Job, LocalEngine, exit_words
from livegrad.treat.trial.process import Child, child_environment, last_words

pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups")

# Ignores a polite end, starts a process of its own, and says both their ids.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), other.pid, flush=True)
time.sleep(600)
"""


def wait_until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def pids_of(folder: Path) -> list[int]:
    wait_until(lambda: len(last_words(folder).split()) == 2)
    return [int(word) for word in last_words(folder).split()]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("livegrad.treat.trial.process.GRACE_SECONDS", 0.2)


def test_a_child_that_will_not_end_is_ended_with_what_it_started(tmp_path, impatient):
    child = Child([sys.executable, "-c", STUBBORN], tmp_path, child_environment(1))
    pids = pids_of(tmp_path)
    assert all(map(is_alive, pids))
    child.end()
    wait_until(lambda: not any(map(is_alive, pids)))
    assert child.poll() == -signal.SIGKILL


def test_what_a_child_leaves_running_is_ended_when_it_is_done(tmp_path):
    code = STUBBORN.rpartition("\n")[0].rpartition("\n")[0]
    child = Child([sys.executable, "-c", code], tmp_path, child_environment(1))
    other = pids_of(tmp_path)[1]
    wait_until(lambda: child.poll() is not None)
    wait_until(lambda: not is_alive(other))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")
def test_a_child_does_not_outlive_a_parent_that_is_killed(tmp_path):
    parent = f"""
import sys, time
from pathlib import Path
from livegrad.treat.trial.process import Child, child_environment
Child([sys.executable, "-c", {STUBBORN!r}], Path({str(tmp_path)!r}), child_environment(1))
time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", parent])
    child = pids_of(tmp_path)[0]
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not is_alive(child))
    os.kill(pids_of(tmp_path)[1], signal.SIGKILL)


def test_a_ctrl_c_on_the_terminal_is_not_the_childs_business(tmp_path, impatient):
    """The terminal signals the foreground process group, which the child is not in."""
    child = Child([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path, child_environment(1))
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    assert os.getsid(child.pid) != os.getsid(0)
    child.end()


def test_an_engine_runs_as_many_at_once_as_it_has_slots_and_ends_them_all(tmp_path):
    engine = LocalEngine(slots=2, threads=1)
    jobs = [Job("control", k, ("--version",), tmp_path / str(k)) for k in range(2)]
    for job in jobs:
        engine.start(job)
    codes: dict[Job, int] = {}
    wait_until(lambda: codes.update(engine.finished()) or len(codes) == 2)
    assert set(codes.values()) == {0}
    assert "livegrad" in last_words(tmp_path / "0")
    assert engine.running() == ()
    engine.close()


def test_each_of_several_jobs_has_a_gpu_of_its_own_and_a_job_alone_has_all(tmp_path, monkeypatch):
    seen = []

    class Recorded:
        def __init__(self, command, folder, environment):
            seen.append(environment.get("CUDA_VISIBLE_DEVICES"))

        def poll(self):
            return 0

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    monkeypatch.setattr("livegrad.treat.trial.engine.Child", Recorded)
    several = LocalEngine(2, 1, ("0", "3"))
    for repetition in range(2):
        several.start(Job("init", repetition, (), tmp_path))
    several.finished()
    several.start(Job("init", 2, (), tmp_path))
    LocalEngine(1, 1, ("0", "3")).start(Job("init", 0, (), tmp_path))
    assert seen == ["0", "3", "0", "0,3"]


def test_threads_are_shared_unless_the_user_has_set_them():
    assert child_environment(3, {})["OMP_NUM_THREADS"] == "3"
    assert child_environment(3, {"OMP_NUM_THREADS": "7"})["OMP_NUM_THREADS"] == "7"


def test_exit_codes_in_words():
    assert exit_words(1) == "exit code 1"
    assert exit_words(-9).startswith("killed by SIGKILL")


@pytest.mark.parametrize("verb", ["run", "prescribe"])
def test_a_run_that_is_told_to_end_tidies_up_after_itself(tmp_path, verb):
    """Its exit callbacks run, as they do at the end of a program, so workers and temporary folders go."""
    script = tmp_path / "wait.py"
    script.write_text(
        "import atexit, time\n"
        "atexit.register(lambda: open('tidy', 'w').close())\n"
        "try:\n"
        "    print('waiting', flush=True)\n"
        "    time.sleep(600)\n"
        "finally:\n"
        "    open('final', 'w').close()\n"
    )
    own = {
        "run": ["--out", "runs", "--repetition", "0"],
        "prescribe": ["--history", ".", "--into", "found.json"],
    }[verb]
    command = [sys.executable, "-m", "livegrad", verb, *own, str(script)]
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        child = Child(command, tmp_path / "job", child_environment(1))
    finally:
        os.chdir(here)
    wait_until(lambda: "waiting" in last_words(tmp_path / "job"))
    child.end()
    assert child.poll() == 143
    assert (tmp_path / "tidy").exists() and (tmp_path / "final").exists()
