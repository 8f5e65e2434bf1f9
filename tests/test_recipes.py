"""Every recipe of the documentation does what its page says."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

import livegrad

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "docs" / "recipes"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

# A program that does not learn, and one that does.
PROGRAM = """
import torch
from torch import nn

torch.manual_seed(0)
parts = [part for _ in range({depth}) for part in (nn.Linear(32, 32), nn.{activation}())]
model = nn.Sequential(*parts, nn.Linear(32, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
inputs = torch.randn(512, 32)
labels = inputs[:, :4].argmax(-1)
for step in range(60):
    batch = torch.randint(512, (64,))
    loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
SICK, WELL = PROGRAM.format(depth=24, activation="Sigmoid"), PROGRAM.format(depth=2, activation="ReLU")


def blocks(page):
    return BLOCK.findall((RECIPES / page).read_text(encoding="utf-8"))


def run(command, folder):
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=300)


def verb(folder, *arguments):
    return run([sys.executable, "-m", "livegrad", *arguments], folder)


def test_every_recipe_with_code_is_tried_here():
    tried = {"plain-loop.md", "notebook.md", "lightning.md", "hugging-face.md", "ci-gate.md", "cluster.md"}
    assert {page.name for page in RECIPES.glob("*.md")} - {"index.md"} == tried


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the recipes take for granted."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    loader = [(torch.randn(16, 8), torch.randint(3, (16,))) for _ in range(40)]

    def train():
        for inputs, labels in loader:
            optimizer.zero_grad()
            criterion(model(inputs), labels).backward()
            optimizer.step()

    known = {"model": model, "optimizer": optimizer, "criterion": criterion, "loader": loader, "train": train}
    return known | {"batch": loader[0][0]}


def test_the_plain_loop_is_watched_and_reported(names, capsys):
    (block,) = blocks("plain-loop.md")
    exec(compile(block, "plain-loop.md", "exec"), names)
    report = names["run"].report().to_dict()
    assert report["verdict"] == "healthy" and report["run"]["steps"] == 40
    assert "healthy" in capsys.readouterr().out


def test_the_notebooks_cells_run_one_after_the_other(names, tmp_path):
    for cell in blocks("notebook.md"):
        exec(compile(cell, "notebook.md", "exec"), names)
    assert "healthy" in names["run"].report()._repr_html_()
    assert (tmp_path / "spine.html").stat().st_size > 1_000_000
    assert isinstance(livegrad.load(names["run"].path), livegrad.Run)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "package"), [("lightning.md", "pytorch_lightning"), ("hugging-face.md", "transformers")]
)
def test_a_trainers_program_is_told_its_fault(page, package, tmp_path):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    (program,) = blocks(page)
    (tmp_path / "train.py").write_text(program, encoding="utf-8")
    done = verb(tmp_path, "run", "--json", "--out", "runs", "train.py")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout[done.stdout.index("{\n") :] if "{\n" in done.stdout else done.stdout)
    found = {finding["code"]: finding for finding in document["findings"]}
    assert document["verdict"] == "unwell" and found["LG101"]["source"].startswith("train.py:")
    assert document["run"]["steps"] > 50
    if page == "lightning.md":
        assert document["run"]["subjects"][0]["optimizer"] == "Adam"


@pytest.mark.slow
def test_the_gate_stops_what_does_not_train_and_lets_the_rest_pass(tmp_path):
    """Each `livegrad` line of the page, the workflow's among them, as a shell would run it."""
    text = (RECIPES / "ci-gate.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(?: {4}|\s*- run: )livegrad ([^#\n]+)", text, re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["check", "run", "run", "report"]
    codes = {}
    for name, program in (("sick", SICK), ("well", WELL)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "train.py").write_text(program, encoding="utf-8")
        done = [verb(folder, *shlex.split(line)) for line in lines]
        codes[name] = [one.returncode for one in done]
        annotated = "::error file=train.py,line=" in done[-1].stdout
        assert annotated == (name == "sick"), done[-1].stdout
    assert codes == {"sick": [3, 3, 0, 3], "well": [0, 0, 0, 0]}


@pytest.mark.slow
def test_torchrun_writes_one_folder_with_a_file_for_each_rank(tmp_path):
    program = SICK.replace("import torch\n", "import torch\nimport torch.distributed as dist\n", 1)
    program = program.replace("optimizer = ", "dist.init_process_group('gloo')\n"
                              "model = nn.parallel.DistributedDataParallel(model)\noptimizer = ")  # fmt: skip
    (tmp_path / "train.py").write_text(program + "dist.destroy_process_group()\n", encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29517"]
    done = run([*launch, "-m", "livegrad", "run", "--out", "runs", "train.py"], tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert {"rank0.arrows", "rank1.arrows"} <= {path.name for path in folder.iterdir()}
    report = livegrad.load(folder).report().to_dict()
    assert report["run"]["world_size"] == 2
    assert "LG101" in {finding["code"] for finding in report["findings"]}
