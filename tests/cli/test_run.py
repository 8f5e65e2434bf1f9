"""`livegrad run` with a real training: what it records, says and leaves alone."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

TRAINING = """
    import atexit, os, sys, tempfile
    import torch
    from torch import nn
    from torch.nn.utils import clip_grad_norm_
    os.chdir(tempfile.gettempdir())

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(m for _ in range(16) for m in (nn.Linear(16, 16), nn.Sigmoid())))
            self.head = nn.Linear(16, 4)
        def forward(self, x):
            return self.head(self.layers(x))

    class Numbers(torch.utils.data.Dataset):
        def __len__(self): return 128
        def __getitem__(self, i): return torch.full((16,), i / 64), i % 4

    if __name__ == "__main__":
        atexit.register(lambda: print("the script's own last word"))
        atexit.register(lambda: print("the script's own last word", file=sys.stderr, flush=True))
        torch.manual_seed(0)
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        workers = {"num_workers": 1, "multiprocessing_context": "fork"}
        for epoch in range(1):
            for x, y in torch.utils.data.DataLoader(Numbers(), 16, **workers):
                loss = nn.functional.cross_entropy(net(x), y)
                optimizer.zero_grad(); loss.backward()
                clip_grad_norm_(net.parameters(), 1e-3)
                optimizer.step()
            print(f"{epoch} {loss.item():.9f}")
        sys.exit(int(sys.argv[1]))
"""


def call(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def livegrad(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return call(folder, "-m", "livegrad", *arguments, **environment)


def run_folders(folder: Path) -> list[Path]:
    return sorted((folder / "livegrad-runs").glob("*"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training that was run plainly, watched, and watched with --json --fail-on."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "train.py").write_text(dedent(TRAINING), encoding="utf-8")
    plain = call(folder, "train.py", "0")
    watched = livegrad(folder, "run", "train.py", "0")
    first = run_folders(folder)
    judged = livegrad(folder, "run", "--json", "--fail-on", "warning", "train.py", "0")
    return folder, plain, watched, judged, first


def test_the_program_prints_and_computes_what_it_does_unwatched(trained):
    _, plain, watched, _, _ = trained
    assert plain.returncode == 0, plain.stderr
    assert watched.stdout == plain.stdout
    assert watched.returncode == 0


def test_livegrad_speaks_on_stderr_at_attach_and_after_the_programs_last_word(trained):
    _, plain, watched, _, _ = trained
    lines = watched.stderr.splitlines()
    assert lines[0].startswith("livegrad: watching Net (")
    last_word = lines.index(plain.stderr.strip())
    verdict = next(i for i, line in enumerate(lines) if line.startswith("livegrad: unwell"))
    assert 0 < last_word < verdict
    assert any("LG101" in line for line in lines[verdict:])


def test_one_run_folder_where_the_command_was_started(trained):
    folder, _, watched, _, first = trained
    assert [path.name.partition("-train")[1:] for path in first] == [("-train", "")]
    assert {"run.json", "rank0.arrows", "report.html"} <= {path.name for path in first[0].iterdir()}
    assert str(first[0] / "report.html") in watched.stderr
    info = json.loads((first[0] / "run.json").read_text())
    assert info["status"] == "finished"
    assert info["exit_code"] == 0
    assert info["error"] is None
    assert info["command"] == ["train.py", "0"]
    assert (info["mode"], info["script"], info["steps"]) == ("script", "train.py", 8)
    assert info["cwd"] != str(folder)


def test_names_imported_from_torch_later_are_the_watched_ones(trained):
    """`from torch.nn.utils import clip_grad_norm_` after `import torch` must see the recorder's hook."""
    import livegrad

    scalars = livegrad.load(trained[4][0]).scalars()
    assert (scalars["clip_factor"] < 1).all()


def test_json_comes_alone_behind_the_programs_own_stdout(trained):
    _, plain, _, judged, _ = trained
    assert judged.stdout.startswith(plain.stdout)
    document = json.loads(judged.stdout.removeprefix(plain.stdout))
    assert document["verdict"] == "unwell"
    assert document["findings"][0]["code"] == "LG101"


def test_fail_on_turns_success_into_3(trained):
    assert trained[3].returncode == 3


def test_quiet_says_nothing_and_a_failure_stays_the_programs_own(trained):
    folder, plain, *_ = trained
    options = ("--quiet", "--out", "elsewhere", "--fail-on", "warning")
    result = livegrad(folder, "run", *options, "train.py", "5")
    assert (result.returncode, result.stdout, result.stderr) == (5, plain.stdout, plain.stderr)
    (page,) = folder.glob("elsewhere/*-train/report.html")
    info = json.loads((page.parent / "run.json").read_text())
    assert (info["status"], info["exit_code"]) == ("failed", 5)


LEARN = """
    import torch
    w = torch.nn.Parameter(torch.ones(2))
    o = torch.optim.SGD([w], lr=0.1)
    for _ in range(2):
        w.square().sum().backward(); o.step()
    raise {}
"""


@pytest.mark.parametrize(
    ("kind", "raised", "status", "error"),
    [
        ("module", 'ValueError("after training\\nsecond line")', 1, "ValueError: after training"),
        ("code", "KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt"),
    ],
)
def test_a_module_or_code_that_ends_in_an_exception(tmp_path, kind, raised, status, error):
    source = dedent(LEARN).format(raised)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "learn.py").write_text(source)
    program = ["-m", "package.learn"] if kind == "module" else ["-c", source]
    result = livegrad(tmp_path, "run", *program, "--json")
    assert result.returncode == status
    traceback, _, verdict = result.stderr.partition("livegrad: watching")[2].partition("livegrad:")
    assert "Traceback (most recent call last):" in traceback
    assert error in traceback
    assert "livegrad/" not in traceback.partition("Traceback")[2]
    assert "steps" in verdict
    (run,) = run_folders(tmp_path)
    assert run.name.endswith("-learn" if kind == "module" else "-code")
    info = json.loads((run / "run.json").read_text())
    assert (info["mode"], info["command"]) == (kind, [*program, "--json"])
    assert (info["status"], info["error"]) == ("failed", error)
    assert info["exit_code"] == (1 if kind == "module" else 130)


# A stand-in for torch: it is found first and costs nothing to import. The recorder cannot work with it.
FAKE = """
    import warnings
    warnings.warn("while importing", stacklevel=2)
"""


def fake_torch(folder: Path, source: str) -> dict[str, str]:
    (folder / "lib" / "torch").mkdir(parents=True)
    (folder / "lib" / "torch" / "__init__.py").write_text(dedent(source))
    (folder / "lib" / "torch" / "nn.py").write_text("print('torch.nn')")
    path = os.pathsep.join(filter(None, [str(folder / "lib"), os.environ.get("PYTHONPATH", "")]))
    return {"PYTHONPATH": path}


def test_a_recorder_that_cannot_start_costs_one_line(tmp_path):
    environment = fake_torch(tmp_path, FAKE)
    (tmp_path / "script.py").write_text(
        "import torch.nn\nprint(torch.__spec__, type(torch.__spec__), torch.__loader__)\n"
    )
    plain = call(tmp_path, "script.py", **environment)
    watched = livegrad(tmp_path, "run", "--quiet", "script.py", **environment)
    assert plain.returncode == watched.returncode == 0
    assert _no_address(watched.stdout) == _no_address(plain.stdout)
    ours, theirs = _split(watched.stderr)
    assert theirs == plain.stderr
    assert len(ours) == 1
    assert ours[0].startswith("livegrad: warning: could not start watching")
    assert not (tmp_path / "livegrad-runs").exists()


@pytest.mark.parametrize(
    "source",
    ["import absent", "1 / 0", "raise SystemExit(4)", "x = = 1", "import sys; del sys.modules['torch']"],
)
def test_a_torch_that_cannot_be_imported_fails_as_ever(tmp_path, source):
    environment = fake_torch(tmp_path, source)
    (tmp_path / "script.py").write_text(
        "import importlib.util\nprint(importlib.util.find_spec('torch').name)\nimport torch\n"
    )
    plain = call(tmp_path, "script.py", **environment)
    watched = livegrad(tmp_path, "run", "--quiet", "script.py", **environment)
    assert (watched.returncode, watched.stdout, watched.stderr) == (
        plain.returncode,
        plain.stdout,
        plain.stderr,
    )


def test_a_program_that_never_trains(tmp_path):
    (tmp_path / "script.py").write_text("print('hello'); raise SystemExit(6)")
    result = livegrad(tmp_path, "run", "--fail-on", "error", "--json", "script.py")
    assert (result.returncode, result.stdout) == (6, "hello\n")
    assert result.stderr == "livegrad: no optimizer step was seen: the program did not import torch.\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "script.py"]


def test_a_folder_that_cannot_be_written_stops_before_the_program_starts(tmp_path):
    (tmp_path / "script.py").write_text("print('started')")
    (tmp_path / "taken").write_text("a file")
    result = livegrad(tmp_path, "run", "--out", "taken/deep", "script.py")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("livegrad: error: ")
    assert "--out" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "Nothing to run"),
        (["run", "absent.py"], "'absent.py'"),
        (["run", "--budgt", "1", "x.py"], "--budgt"),
        (["run", "--budget", "0", "x.py"], "budget"),
        (["run", "--every", "0", "x.py"], "every"),
        (["run", "-m"], "-m"),
        (["run", "--fail-on", "never", "x.py"], "never"),
        (["rum"], "rum"),
    ],
)
def test_wrong_usage_is_2_and_says_what(tmp_path, arguments, words):
    result = livegrad(tmp_path, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("livegrad: error: ")
    assert words in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_console_script_gives_the_program_the_same_world(tmp_path):
    (tmp_path / "script.py").write_text("import sys; print(sys.argv, sys.path, __name__, __file__)")
    entry = "import sys; sys.argv[0] = 'livegrad'; from livegrad.cli.main import main; main()"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "livegrad").write_text(entry)
    plain = call(tmp_path, "script.py", "x")
    watched = call(tmp_path, "bin/livegrad", "run", "-q", "script.py", "x")
    assert (watched.returncode, watched.stdout, watched.stderr) == (0, plain.stdout, "")


def _split(stderr: str) -> tuple[list[str], str]:
    lines = stderr.splitlines(keepends=True)
    ours = [line for line in lines if line.startswith("livegrad")]
    return ours, "".join(line for line in lines if line not in ours)


def _no_address(text: str) -> str:
    import re

    return re.sub(r"0x[0-9a-f]+", "0xN", text)


def test_a_run_folder_that_vanishes_costs_the_report_alone(tmp_path):
    source = (
        dedent(LEARN)
        .format("SystemExit(4)")
        .replace("raise", "import shutil; shutil.rmtree('livegrad-runs')\nraise")
    )
    result = livegrad(tmp_path, "run", "--fail-on", "error", "-c", source)
    assert result.returncode == 4
    ours, theirs = _split(result.stderr)
    assert theirs == ""
    assert ours[0].startswith("livegrad: watching")
    assert 1 <= len(ours[1:]) <= 2
    assert all(line.startswith("livegrad: warning: ") for line in ours[1:])
