"""`livegrad check`: the first steps, the stop, the verdict, the exit code, and what the script never does."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import jsonschema
import pytest

from livegrad.diagnose.report import Report

NET = """
    import argparse, atexit, os, sys, threading
    import torch
    from torch import nn
    torch.manual_seed(0)

    def stack(depth, activation):
        layers = [part for _ in range(depth) for part in (nn.Linear(16, 16), activation())]
        return nn.Sequential(*layers, nn.Linear(16, 4))

    def batches(count):
        for _ in range(count):
            yield torch.randn(32, 16), torch.randint(4, (32,))

    def step(net, optimizer, x, y):
        loss = nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        return loss.item()
"""
# Everything that a program may do around its loop; it writes a line to `trace` for each thing done.
CAREFUL = """
    class Numbers(torch.utils.data.Dataset):
        def __len__(self): return 4000
        def __getitem__(self, i): return torch.randn(16), i % 4

    def say(what):
        with open("trace", "a") as file: print(what, file=file)

    def main():
        parser = argparse.ArgumentParser()
        parser.add_argument("--depth", type=int)
        depth = parser.parse_args().depth
        net = stack(depth, nn.Sigmoid)
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        workers = {"num_workers": 1, "multiprocessing_context": "fork"}
        print("the program's own line")
        try:
            for i, (x, y) in enumerate(torch.utils.data.DataLoader(Numbers(), 8, **workers)):
                try:
                    step(net, optimizer, x, y)
                except Exception:
                    say("caught")
                say(f"step {i}")
            say("saved a checkpoint")
        finally:
            say("finally")

    if __name__ == "__main__":
        atexit.register(lambda: say("atexit"))
        main()
"""


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "livegrad", "check", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def script(folder: Path, *parts: str) -> str:
    (folder / "train.py").write_text("".join(textwrap.dedent(part) for part in parts), encoding="utf-8")
    return "train.py"


@pytest.fixture(scope="module")
def careful(tmp_path_factory):
    folder = tmp_path_factory.mktemp("careful")
    name = script(folder, NET, CAREFUL)
    return folder, check(folder, "--json", "--steps", "4", "--fail-on", "error", name, "--depth", "16")


def test_the_document_is_all_that_is_on_stdout(careful):
    folder, result = careful
    document = json.loads(result.stdout)
    jsonschema.validate(document, Report.json_schema())
    assert "the program's own line" in result.stderr
    prognosis = document["prognosis"]
    assert (prognosis["verdict"], prognosis["steps"]) == ("will-not-train", 4)
    assert document["run"]["scans"] == 4 and document["run"]["path"] is None
    assert not (folder / "livegrad-runs").exists()


def test_findings_at_or_above_the_threshold_give_exit_code_three(careful):
    assert careful[1].returncode == 3


def test_the_program_is_stopped_in_its_loop_and_cleans_up(careful):
    folder, result = careful
    trace = (folder / "trace").read_text().split("\n")[:-1]
    # The fourth step was taken, and what came after it was not.
    assert trace == ["step 0", "step 1", "step 2", "finally", "atexit"]
    assert "Traceback" not in result.stderr


def test_the_screen_of_a_program_that_trains(tmp_path):
    loop = """
        net = stack(2, nn.ReLU)
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for x, y in batches(1000): step(net, optimizer, x, y)
        open("done", "w").close()
    """
    result = check(tmp_path, "--fail-on", "warning", "-c", textwrap.dedent(NET) + textwrap.dedent(loop))
    assert result.returncode == 0, result.stderr
    assert "livegrad: trains: " in result.stdout
    assert "3 layers" in result.stdout
    assert "stopped after 10 steps" in result.stdout
    assert not (tmp_path / "done").exists()


def test_a_program_that_swallows_everything_is_ended_all_the_same(tmp_path):
    loop = """
        net = stack(2, nn.ReLU)
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for x, y in batches(10**9):
            try: step(net, optimizer, x, y)
            except BaseException: print("swallowed", flush=True)
    """
    result = check(tmp_path, "--steps", "2", script(tmp_path, NET, loop))
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("swallowed") == 3
    assert "livegrad: trains: " in result.stdout


def test_training_in_a_thread_and_in_turns(tmp_path):
    """The second model steps once for three steps of the first; both are seen, and no thread reports an
    error.
    """
    loop = """
        def train():
            critic, generator = stack(2, nn.ReLU), stack(20, nn.Sigmoid)
            first = torch.optim.Adam(critic.parameters(), 1e-3)
            second = torch.optim.SGD(generator.parameters(), 1e-3)
            for i, (x, y) in enumerate(batches(1000)):
                step(critic, first, x, y)
                generator(x)
                if i % 3 == 2: step(generator, second, x, y)

        thread = threading.Thread(target=train)
        thread.start(); thread.join()
    """
    result = check(tmp_path, "--json", "--steps", "3", script(tmp_path, NET, loop))
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr and "Exception" not in result.stderr
    subjects = json.loads(result.stdout)["prognosis"]["subjects"]
    assert {subject["verdict"] for subject in subjects} == {"trains", "will-not-train"}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print(1)", "never imported torch"),
        ("raise ValueError('no data')", "failed before its first optimizer step: ValueError: no data"),
        ("import sys; sys.exit(5)", "ended with exit code 5"),
    ],
)
def test_without_a_step_there_is_nothing_to_say(tmp_path, code, said):
    result = check(tmp_path, "-c", code)
    assert result.returncode == 1
    assert said in result.stderr
    assert "livegrad: trains" not in result.stdout


def test_a_missing_script_is_a_usage_error(tmp_path):
    result = check(tmp_path, "nowhere.py")
    assert result.returncode == 2
    assert "nowhere.py" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("deep_sigmoid_digits", "will-not-train"),
        ("relu_default_init_40", "will-not-train"),
        ("tanh_large_weights", "will-not-train"),
        ("plain_cnn_digits", "will-not-train"),
        ("resnet_digits", "trains"),
        ("gpt_text", "trains"),
        ("gan_digits", "trains"),
        ("finetune_frozen", "trains"),
    ],
)
def test_the_examples(tmp_path, name, verdict):
    examples = Path(__file__).parents[2] / "examples"
    result = check(tmp_path, "--json", str(examples / f"{name}.py"))
    assert json.loads(result.stdout)["prognosis"]["verdict"] == verdict
