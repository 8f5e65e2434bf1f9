"""A traceback shows the program's frames alone, also where it passed through what livegrad put into torch."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import torch

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(x)

model = Model()
optimizer = torch.optim.Adam(model.parameters())
for step in range(3):
    x = torch.randn(8, WIDTH if step == 1 else 4)
    loss = model(x).square()
    (loss.mean() if step < 2 else loss).backward()
    optimizer.step()
"""


@pytest.mark.parametrize("width", [5, 4], ids=["in forward", "in backward"])
def test_a_traceback_is_what_plain_python_shows(tmp_path: Path, width: int) -> None:
    script = tmp_path / "train.py"
    script.write_text(PROGRAM.replace("WIDTH", str(width)))
    commands = [[sys.executable], [sys.executable, "-m", "livegrad", "run", "--quiet"]]
    plain, watched = (
        subprocess.run([*c, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
        for c in commands
    )
    assert plain.returncode == watched.returncode == 1
    assert "Traceback" in plain.stderr
    assert watched.stderr == plain.stderr
