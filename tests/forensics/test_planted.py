"""Programs in which one line makes the first NaN or infinity: livegrad names that line.

Each program beside this file marks it with the comment `# guilty`. They run in this process, as `livegrad
run` would run them; one is run by the command itself.
"""

import contextlib
import io
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import livegrad
from livegrad.watch.session import WatchOptions, start

HERE = Path(__file__).parent
PROGRAMS = sorted(path.stem for path in HERE.glob("[!t]*.py") if "# guilty" in path.read_text())
HARMLESS = sorted(path.stem for path in HERE.glob("[!t]*.py") if "# harmless" in path.read_text())
# Where it was, for programs in which that is not the forward pass of a module.
PHASE = {
    "accumulation": "backward",
    "adam_without_eps": "update",
    "anomaly_mode": "backward",
    "checkpointed_backward": "backward",
    "clamped_infinity": "loss",
    "closure_backward": "backward",
    "custom_function": "backward",
    "exits_on_nan": "loss",
    "functions_alone": "loss",
    "lbfgs": "loss",
    "lent_weights": "loss",
    "log_in_loss": "loss",
    "log_softmax_by_hand": "loss",
    "loss_module": "backward",
    "new_term": "loss",
    "pieces": "loss",
    "poisoned_batch": "input",
    "poisoned_target": "input",
    "sqrt_backward_in_loss": "backward",
    "sqrt_backward_in_model": "backward",
    "generator_loss": "loss",
    "update_too_large": "update",
    "vmapped": "loss",
    "where_trap_in_loss": "backward",
    "where_trap_in_model": "backward",
}


def watched(name: str, folder: Path) -> livegrad.Run:
    """Run the program under a session and load what it recorded."""
    state = torch.get_rng_state()
    # Each program is one of its own: that another test has compiled something is not its doing.
    getattr(sys.modules.get("torch._dynamo.utils"), "counters", {}).clear()
    session = start(WatchOptions(path=folder / "run"))
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            runpy.run_path(str(HERE / f"{name}.py"))
    except (Exception, SystemExit) as error:
        session.examine(error)
    finally:
        session.finish(0, None)
        torch.autograd.set_detect_anomaly(False)
        torch.set_rng_state(state)
    assert session.path is not None
    return livegrad.load(session.path)


def guilty_line(name: str) -> int:
    lines = (HERE / f"{name}.py").read_text().splitlines()
    (number,) = (i for i, line in enumerate(lines, 1) if line.endswith("# guilty"))
    return number


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_guilty_line_is_named(name, tmp_path):
    run = watched(name, tmp_path)
    # Where several models train together each of them breaks, of the same cause.
    found = [f for f in run.report().to_dict()["findings"] if f["code"] == "LG301"]
    assert found
    for finding in found:
        file, _, line = finding["source"].rpartition(":")
        assert (Path(file).name, int(line)) == (f"{name}.py", guilty_line(name)), finding["cause"]
        assert finding["severity"] == "error" and finding["next"]
    (origin,) = run.info.origins
    assert origin.phase == PHASE.get(name, "forward")
    assert origin.certain
    assert origin.inputs


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_meant_or_mended_is_no_finding(name, tmp_path):
    run = watched(name, tmp_path)
    assert run.info.origins == ()
    assert [f for f in run.report().to_dict()["findings"] if f["code"] == "LG301"] == []


def test_the_command_names_it_too(tmp_path):
    command = [sys.executable, "-m", "livegrad", "run", str(HERE / "raises_on_nan.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "RuntimeError: loss is" in done.stderr
    assert f"raises_on_nan.py:{guilty_line('raises_on_nan')}" in done.stderr.split("error[LG301]")[1]
