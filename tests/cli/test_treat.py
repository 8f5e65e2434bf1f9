"""`livegrad treat` on the command line: what it says, writes and returns. Runs are invented; the slow tests
run real ones.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from tests.treat.invented_trial import InventedEngine, Outcome, sick_until_cured

import livegrad.cli.treated_script as treated_script
import livegrad.treat.trial.lock as lock
import livegrad.treat.trial.watching as watching
from livegrad.treat.trial.arm import CONTROL
from livegrad.treat.trial.document import TreatmentDocument

SCRIPT = """
import torch
from torch import nn

torch.manual_seed(0)
layers = []
for _ in range(30):
    layers += [nn.Linear(16, 16), nn.Sigmoid()]
model = nn.Sequential(*layers, nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
x = torch.randn(64, 16)
y = (x[:, 0] > 0).long()
for step in range(120):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def treat(call, monkeypatch, tmp_path):
    """Call `livegrad treat ARGUMENTS` with runs that `script` invents; .engines are those that were used."""
    (tmp_path / "train.py").write_text("print('never run')\n")
    monkeypatch.setattr(watching, "_POLL_SECONDS", 0.0)

    def run(script, *arguments):
        def engine(slots, threads, devices):
            run.engines.append(InventedEngine(script, slots))
            return run.engines[-1]

        monkeypatch.setattr("livegrad.treat.trial.engine.LocalEngine", engine)
        try:
            return call("treat", *arguments)
        finally:  # what the end of a process does
            while lock._held:
                os.close(lock._held.pop())

    run.engines = []
    return run


def test_the_winner_its_proof_and_the_next_command(treat):
    code, out, err = treat(sick_until_cured(), "--try", "init;skip", "train.py", "--lr", "1")
    assert code == 0
    words = " ".join(out.split())
    assert "livegrad: cured: init is better than doing nothing: its loss is 4.4 % of that without it" in words
    assert "livegrad run --treat init train.py --lr 1" in out
    assert "error[LG101] vanishing-gradient" in out
    assert "livegrad: init, seed 2 of 3: loss" in err
    assert "\x1b" not in out + err


def test_json_is_one_document_and_nothing_else(treat):
    code, out, _ = treat(sick_until_cured(), "--json", "--try", "init", "train.py")
    document = json.loads(out)
    jsonschema.validate(document, TreatmentDocument.json_schema())
    assert code == 0 and document["winner"]["name"] == "init"
    assert (Path(document["path"]) / "report.html").is_file()
    assert Path(document["path"]).name.startswith("treat-train-")


def test_a_healthy_script_has_nothing_to_treat(treat):
    code, out, _ = treat(lambda arm, repetition: Outcome(0.1), "train.py")
    assert code == 0 and "nothing to treat" in " ".join(out.split())


def test_the_same_command_again_shows_what_was_found_without_running_anything(treat):
    _, first, _ = treat(sick_until_cured(), "--try", "init", "train.py")
    code, again, err = treat(sick_until_cured(), "--try", "init", "train.py")
    assert (code, again, err) == (0, first, "")
    assert treat.engines[1].started == []
    treat(sick_until_cured(), "--fresh", "--try", "init", "train.py")
    assert (CONTROL, 0) in treat.engines[2].started


def test_a_result_of_another_source_has_no_diff(treat):
    _, out, _ = treat(sick_until_cured(), "--json", "--try", "init", "train.py")
    folder = json.loads(out)["path"]
    Path("train.py").write_text("print('another')\n")
    code, out, _ = treat(sick_until_cured(), "--resume", folder)
    assert code == 0 and "the source has changed since the trial" in " ".join(out.split())
    code, out, err = treat(sick_until_cured(), "--resume", folder, "--write", "--yes")
    assert code == 2 and "the source has changed" in err


def test_the_next_command_needs_no_remedies_named_again(treat):
    treat(sick_until_cured(), "--try", "init", "train.py")
    code, out, _ = treat(sick_until_cured(), "train.py")
    assert code == 0 and "livegrad: cured: init" in out
    assert treat.engines[1].started == []


def test_the_command_without_its_options_shows_what_was_tried_with_them(treat):
    """What is typed next, `--write train.py`, is about the result on the screen."""
    treat(sick_until_cured(), "--steps", "60", "--seeds", "2", "--arms", "1", "--try", "init", "train.py")
    _, out, err = treat(sick_until_cured(), "--write", "train.py")
    assert "livegrad: cured: init" in out and "2 seeds" in out and not treat.engines[1].started
    assert "how its source would be changed" in err  # the runs of this test are invented


def test_what_is_shown_as_next_goes_on_with_what_is_there(treat):
    wide = [0.5, 3.0]

    def script(arm, repetition):
        sick = arm == CONTROL
        return Outcome(2.3 if sick else wide[repetition % 2] * 1.001**repetition, sick=sick)

    _, out, _ = treat(script, "--json", "--seeds", "5", "--try", "init", "train.py")
    document = json.loads(out)
    assert document["verdict"] == "undecided"
    command = document["next"][0]["command"]
    assert command[:2] == ["livegrad", "treat"] and command[2:4] == ["--seeds", "7"]
    treat(script, *command[2:])
    assert {repetition for _, repetition in treat.engines[1].started} == {5, 6}


def test_a_trial_that_is_over_needs_the_folder_of_its_program_no_more(treat, tmp_path, monkeypatch):
    _, out, _ = treat(sick_until_cured(), "--json", "--out", "kept", "--try", "init", "train.py")
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    tmp_path.rename(moved)
    monkeypatch.chdir(moved)
    folder = str(moved / "kept" / Path(json.loads(out)["path"]).name)
    code, shown, _ = treat(sick_until_cured(), "--resume", folder)
    assert code == 0 and "livegrad: cured: init" in shown
    code, _, err = treat(sick_until_cured(), "--resume", folder, "--seeds", "5")
    assert code == 2 and "no folder any more" in err


@pytest.mark.parametrize("rest", ["", '{"schema": 1}', None])
def test_a_trial_whose_file_is_broken_is_begun_anew(treat, rest):
    _, out, _ = treat(sick_until_cured(), "--json", "--try", "init", "train.py")
    file = Path(json.loads(out)["path"]) / "trial.json"
    text = file.read_text()
    file.write_text(text[: len(text) // 2] if rest is None else rest)
    code, _, err = treat(sick_until_cured(), "--resume", str(file.parent))
    assert code == 2 and "trial.json" in err and "Begin anew: livegrad treat" in err
    code, out, _ = treat(sick_until_cured(), "--json", "--try", "init", "train.py")
    assert code == 0 and json.loads(out)["path"] != str(file.parent)


def test_runs_of_two_sources_are_not_compared(treat):
    _, out, _ = treat(sick_until_cured(), "--json", "--try", "init", "train.py")
    Path("train.py").write_text("print('another')\n")
    code, _, err = treat(sick_until_cured(), "--resume", json.loads(out)["path"], "--seeds", "5")
    assert code == 2 and "Begin anew: livegrad treat train.py" in err


def test_a_change_of_the_source_begins_anew(treat):
    treat(sick_until_cured(), "--try", "init", "train.py")
    Path("train.py").write_text("print('another')\n")
    treat(sick_until_cured(), "--try", "init", "train.py")
    assert (CONTROL, 0) in treat.engines[1].started


def test_more_seeds_are_added_to_what_is_there(treat):
    treat(sick_until_cured(), "--seeds", "2", "--try", "init", "train.py")
    treat(sick_until_cured(), "--seeds", "4", "--try", "init", "train.py")
    seeds = {repetition for _, repetition in treat.engines[1].started}
    assert seeds <= {2, 3, 4}


def test_a_trial_is_resumed_by_its_folder(treat):
    _, out, _ = treat(sick_until_cured(), "--json", "--try", "init", "train.py")
    folder = json.loads(out)["path"]
    code, again, _ = treat(sick_until_cured(), "--resume", folder, "--json")
    assert code == 0 and json.loads(again)["arms"] == json.loads(out)["arms"]
    code, _, err = treat(sick_until_cured(), "--resume", "nowhere")
    assert code == 2 and "there is no trial in" in err and "Start one: livegrad treat train.py" in err


@pytest.mark.parametrize("option", ["--diff", "--write"])
def test_without_libcst_nothing_is_run_for_a_diff(treat, monkeypatch, option):
    monkeypatch.setitem(sys.modules, "libcst", None)
    code, _, err = treat(sick_until_cured(), option, "train.py")
    assert code == 2 and "pip install 'livegrad[rewrite]'" in err
    assert not treat.engines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Nothing to run"),
        (("missing.py",), "There is no script 'missing.py'"),
        (("-",), "save it in a file"),
        (("--try", "init=", "--seeds", "0", "train.py"), "--seeds"),
        (("--try", "clip=norm:limit", "train.py"), "an option is written name=value"),
        (("--try", "init; magic", "train.py"), "no remedy 'magic'. There are: init, activation"),
        (("--json", "--write", "train.py"), "leave out --diff and --write"),
    ],
)
def test_wrong_usage(treat, arguments, words):
    code, out, err = treat(sick_until_cured(), *arguments)
    assert code == 2 and words in err and not out
    assert not Path("livegrad-runs").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked")
def test_two_at_once_do_not_share_a_trial(treat, tmp_path):
    _, out, _ = treat(sick_until_cured(), "--json", "--try", "init", "train.py")
    folder = json.loads(out)["path"]
    code = "import sys, time; from pathlib import Path; from livegrad.treat.trial.lock import take; "
    code += f"print(take(Path({folder!r})), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "True\n"
        assert treat(sick_until_cured(), "--resume", folder)[0] == 2
        _, out, _ = treat(sick_until_cured(), "--json", "--try", "init", "train.py")
        assert json.loads(out)["path"] != folder
        other.stdin.close()


def test_a_script_that_fails_by_itself_leaves_nothing(treat):
    failing = Outcome(code=1, steps=0, output="KeyError: 'lr'\n")
    code, _, err = treat(lambda arm, repetition: failing, "train.py")
    assert code == 1 and "fails by itself" in err and "KeyError: 'lr'" in err
    assert not Path("livegrad-runs").exists()


@pytest.mark.parametrize(("cured", "code"), [(0.1, 0), (2.3, 3)])
def test_fail_on_is_about_what_no_remedy_takes_away(treat, cured, code):
    def script(arm, repetition):
        sick = arm == CONTROL or cured > 1
        return Outcome((2.3 if sick else cured) * (1 + 0.01 * repetition), sick=sick)

    assert treat(script, "--fail-on", "error", "--try", "init", "train.py")[0] == code


def test_no_torch_is_loaded_to_read_a_trial():
    code = "import sys, livegrad.cli.treated_script, livegrad.cli.treat; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("visible", "names"), [("", []), ("0,1", ["0", "1"]), ("-1", []), ("GPU-abc", ["GPU-abc"])]
)
def test_one_run_for_each_gpu_that_is_visible(monkeypatch, visible, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert treated_script.accelerators() == names


def test_no_ranks_of_a_launch_treat_a_script_together(treat, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = treat(sick_until_cured(), "train.py")
    assert code == 2 and "leave out torchrun" in err


# Real runs.


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "livegrad", "treat", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "100"}


def descendants() -> set[int]:
    """Processes whose command line names this test's script."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"sigmoid_net.py" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
        except OSError:
            continue
    return found


@pytest.fixture
def sigmoid_net(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sigmoid_net.py").write_text(SCRIPT)
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_results_and_nothing_else_and_the_same_command_goes_on(sigmoid_net, number):
    arguments = ("--try", "activation=relu,init=he", "sigmoid_net.py")
    with subprocess.Popen(
        command(*arguments),
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has them ignore Ctrl-C, and what they start too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the control is finished
        time.sleep(3.0)
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait(60) == 130
    assert "the same command goes on from there" in said
    deadline = time.monotonic() + 10
    while descendants() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not descendants()
    [folder] = (sigmoid_net / "livegrad-runs").iterdir()
    trial = json.loads((folder / "trial.json").read_text())
    finished = {folder / run["folder"] for run in trial["runs"]}
    assert finished
    assert {path.parent for path in folder.glob("arms/*/*/*/run.json")} == finished
    assert not [p for p in sigmoid_net.rglob("*") if p.name.endswith(".tmp")]

    done = subprocess.run(
        command("--json", *arguments), env=environment(), capture_output=True, text=True, check=True
    )
    document = json.loads(done.stdout)
    assert document["path"] == str(folder) and document["status"] == "finished"
    kept = {run["folder"] for arm in document["arms"] for run in arm["runs"]}
    assert {run["folder"] for run in trial["runs"]} <= kept


@pytest.mark.slow
def test_the_whole_of_it_the_diff_of_the_winner_gives_its_result_bit_for_bit(sigmoid_net):
    """What ails it, what is prescribed, what wins; the rewritten script alone then trains exactly as the
    winner did.
    """
    import livegrad

    arguments = ("--arms", "1", "--write", "--yes", "sigmoid_net.py")
    done = subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, check=True)
    assert "livegrad: wrote sigmoid_net.py" in done.stderr
    assert "proven: the changed program gives the trial's 120 losses, bit for bit" in done.stderr
    [kept] = sigmoid_net.glob("livegrad-runs/*/before/sigmoid_net.py")
    assert kept.read_text() == SCRIPT
    written = (sigmoid_net / "sigmoid_net.py").read_text()
    assert written != SCRIPT and "livegrad" not in written
    alone = [sys.executable, "-m", "livegrad", "run", "--quiet", "--out", "alone", "sigmoid_net.py"]
    subprocess.run(alone, env=environment(), check=True)
    [run] = (sigmoid_net / "alone").iterdir()
    [arm] = sigmoid_net.glob("livegrad-runs/*/arms/1-*/0/*/run.json")
    mine, theirs = livegrad.load(run).losses()[1], livegrad.load(arm.parent).losses()[1]
    assert len(mine) == 120 and mine.tolist() == theirs.tolist()


@pytest.mark.slow
def test_on_a_ray_cluster_the_same_arms_give_the_same_losses(sigmoid_net):
    pytest.importorskip("ray")
    arguments = ("--json", "--try", "activation=relu,init=he", "sigmoid_net.py")
    found = []
    for engine in ("local", "ray"):
        done = subprocess.run(
            command("--engine", engine, "--out", engine, *arguments),
            env=environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.append(json.loads(done.stdout))
    losses = [[arm["losses"] for arm in document["arms"]] for document in found]
    assert losses[0] == losses[1]
    assert found[0]["winner"] == found[1]["winner"]
    assert not descendants()
