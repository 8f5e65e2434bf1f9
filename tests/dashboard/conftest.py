"""A folder of runs: one sick, one healthy, recorded by real trainings of a second."""

import sys
from subprocess import run

import pytest

SCRIPT = """
import sys, torch
from torch import nn
torch.manual_seed(0)
deep, act = int(sys.argv[1]), nn.Sigmoid if sys.argv[2] == "sigmoid" else nn.Tanh
layers = [m for _ in range(deep) for m in (nn.Linear(16, 16), act())]
model = nn.Sequential(nn.Linear(8, 16), act(), *layers, nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
x = torch.randn(64, 8)
y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
for step in range(int(sys.argv[3])):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
"""


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "train.py").write_text(SCRIPT)
    for deep, act in ((16, "sigmoid"), (1, "tanh")):
        command = [sys.executable, "-m", "livegrad", "run", "-q", "train.py", str(deep), act, "60"]
        run(command, cwd=folder, check=True)
    return folder / "livegrad-runs"
