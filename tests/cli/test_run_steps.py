"""`livegrad run --steps N --repetition K`: a program ended after so many steps, and given other seeds."""

import json
from pathlib import Path
from textwrap import dedent

import pytest
from tests.cli.test_run import call, livegrad, run_folders

TRAINING = """
    import random, sys
    import numpy as np
    if sys.argv[1] == "seeded":
        random.seed(3); np.random.seed(3)
    import torch
    from torch import nn
    if sys.argv[1] == "seeded":
        torch.manual_seed(3)
    print("draws", random.random(), np.random.rand(), np.random.default_rng(3).random(), torch.rand(1).item())
    print("own", torch.rand(1, generator=torch.Generator().manual_seed(3)).item(), random.Random(3).random())
    net = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(net.parameters())
    try:
        for step in range(100):
            optimizer.zero_grad()
            net(torch.randn(4, 8)).square().mean().backward()
            optimizer.step()
            print(step, repr(net[0].weight[0, 0].item()))
    finally:
        print("tidied up")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("steps")
    (place / "train.py").write_text(dedent(TRAINING), encoding="utf-8")
    return place


def newest(folder: Path) -> dict:
    return json.loads((run_folders(folder)[-1] / "run.json").read_text(encoding="utf-8"))


def test_a_program_is_ended_after_its_steps_and_tidies_up(folder):
    """The first repetition of a program that sets its seeds is the program."""
    plain = call(folder, "train.py", "seeded")
    ended = livegrad(folder, "run", "-q", "--steps", "20", "--repetition", "0", "train.py", "seeded")
    assert ended.returncode == 0, ended.stderr
    # The print behind the last step is not reached.
    lines = plain.stdout.splitlines()
    assert ended.stdout.splitlines() == [*lines[: 2 + 19], "tidied up"]
    run = newest(folder)
    assert (run["steps"], run["step_limit"], run["status"], run["exit_code"]) == (20, 20, "finished", 0)


def test_repetitions_are_the_same_again_and_unlike_each_other(folder):
    """Also of a program that sets no seed at all."""
    run = ("run", "-q", "--steps", "2", "--repetition")
    runs = [livegrad(folder, *run, k, "train.py", "never").stdout for k in ("0", "1", "1")]
    assert runs[1] == runs[2]
    seeded = livegrad(folder, *run, "1", "train.py", "seeded").stdout
    # Every number of the first three lines is another one, wherever it was drawn.
    for one, other in ((runs[0], runs[1]), (runs[0], seeded)):
        first, second = ([line.split()[1:] for line in text.splitlines()[:3]] for text in (one, other))
        assert all(a != b for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True))
