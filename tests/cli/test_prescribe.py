"""The prescribing child: a script is ended after its first steps, and what can cure it is written."""

import json
import re
import subprocess
import sys

import torch
from torch import nn
from torch.nn import functional as F

import livegrad
from livegrad.treat.prescription.enough_lessons import FEWEST, MOST

SCRIPT = """
import sys
import torch
from torch import nn
torch.manual_seed(0)
layers = [m for _ in range(14) for m in (nn.Linear(16, 16), nn.Sigmoid())]
net = nn.Sequential(*layers, nn.Linear(16, 4))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
try:
    for step in range(100_000):
        x = torch.randn(32, 16)
        loss = nn.functional.cross_entropy(net(x), x[:, :4].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
finally:
    print("cleaned up after", step, "steps", *sys.argv[1:])
"""


def recorded(path):
    torch.manual_seed(0)
    layers = [m for _ in range(14) for m in (nn.Linear(16, 16), nn.Sigmoid())]
    net = nn.Sequential(*layers, nn.Linear(16, 4))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with livegrad.watch(net, optimizer, path=path):
        for _ in range(24):
            x = torch.randn(32, 16)
            loss = F.cross_entropy(net(x), x[:, :4].argmax(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def test_a_script_is_ended_after_its_first_steps_and_prescribed_for(tmp_path):
    run, into = tmp_path / "run", tmp_path / "out" / "prescription.json"
    recorded(run)
    (tmp_path / "train.py").write_text(SCRIPT)
    options = ["--history", str(run), "--into", str(into), "--patience", "1"]
    command = [sys.executable, "-m", "livegrad", "prescribe", *options, "train.py", "--own", "option"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # The last step that is heard is not taken: the 24th at the least, the 96th where they are soon taken.
    taken = re.search(r"cleaned up after (\d+) steps --own option", done.stdout)
    assert taken is not None, done.stdout
    assert FEWEST - 1 <= int(taken[1]) <= MOST - 1
    document = json.loads(into.read_text())
    assert document["proposals"] and [m["model"] for m in document["models"]] == ["net"]
    assert "LG101" in document["proposals"][0]["answers"]
    assert any("at most 1" in r["reason"] for r in document["refused"] if r["spec"] == "clip")
    assert not (tmp_path / "livegrad-runs").exists()


def test_a_script_that_trains_nothing_is_said_so(tmp_path):
    run = tmp_path / "run"
    recorded(run)
    (tmp_path / "train.py").write_text("import torch\n")
    command = [
        sys.executable,
        "-m",
        "livegrad",
        "prescribe",
        "--history",
        str(run),
        "--into",
        "p.json",
        "train.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "no model was seen to be trained" in done.stderr
