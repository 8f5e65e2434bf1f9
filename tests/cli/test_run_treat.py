"""`livegrad run --treat` and `--guard` with a real script: what they do, say, write and refuse."""

import json
import re
from textwrap import dedent

import jsonschema
import pytest
from tests.cli.test_run import call, livegrad, run_folders

import livegrad as package
from livegrad.diagnose.report import Report

TRAINING = """
    import sys
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(m for _ in range(12) for m in (nn.Linear(16, 16), nn.Tanh())))
            self.head = nn.Linear(16, 4)

        def forward(self, x):
            return self.head(self.layers(x))

    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(
        net.parameters(),
        lr=0.05,
    )
    for step in range(60):
        x, y = torch.randn(32, 16), torch.randint(4, (32,))
        if "wild" in sys.argv and step == 40:
            x[:] = float("nan")
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        if "wild" in sys.argv and step == 30:
            loss = loss * 1e4
        loss.backward()
        optimizer.step()
        print(step, repr(loss.item()), torch.rand(1).item())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("treated")
    (place / "train.py").write_text(dedent(TRAINING), encoding="utf-8")
    return place


def test_a_script_is_treated_before_it_trains(folder):
    plain = call(folder, "train.py")
    treated = livegrad(folder, "run", "--treat", "recurrent,init=orthogonal", "train.py")
    assert treated.returncode == 0, treated.stderr
    assert "net: recurrent is not applied: " in treated.stderr
    assert re.search(
        r"^livegrad: net is treated: init=orthogonal \(layers\.0\.weight: ", treated.stderr, re.M
    )
    assert treated.stderr.index("net is treated") < treated.stderr.index("watching Net")
    first, other = (text.splitlines() for text in (plain.stdout, treated.stdout))
    assert first[0].split()[1] != other[0].split()[1]
    assert [line.split()[2] for line in first] == [line.split()[2] for line in other]
    run = package.load(run_folders(folder)[-1])
    (told,) = run.info.treatments
    assert (told.model, told.choices) == ("net", ("init=orthogonal",))
    assert told.certificate is not None
    assert told.certificate["decades_after"] > told.certificate["decades_before"]
    assert [refused["choice"] for refused in told.refused] == ["recurrent"]
    assert {change["source"] for change in told.changes} == {"train.py:9", "train.py:10"}
    optimizer = run.info.subjects[0].optimizers[0]
    lines = (folder / "train.py").read_text(encoding="utf-8").splitlines()
    numbers = {
        name: int(str(getattr(optimizer, name)).removeprefix("train.py:"))
        for name in ("source", "step", "backward")
    }
    assert {name: lines[number - 1].split("(")[0].strip() for name, number in numbers.items()} == {
        "source": "optimizer = torch.optim.SGD",
        "step": "optimizer.step",
        "backward": "loss.backward",
    }


def test_the_report_says_that_the_run_was_treated(folder):
    document = json.loads(livegrad(folder, "report", "--json").stdout)
    jsonschema.validate(document, Report.json_schema())
    assert document["run"]["treated"][0]["choices"] == ["init=orthogonal"]
    assert "treated:      net with init=orthogonal; " in livegrad(folder, "report").stdout
    page = (run_folders(folder)[-1] / "report.html").read_text(encoding="utf-8")
    assert "net with init=orthogonal" in page
    assert "net.layers.0.weight: " in page


def test_what_cannot_be_treated_does_not_train(folder):
    for remedies, said in (
        ("recurrent", "it has no nn.RNN, nn.LSTM or nn.GRU"),
        ("prayer", "no remedy 'prayer'"),
    ):
        refused = livegrad(folder, "run", "--treat", remedies, "train.py")
        assert refused.returncode == 2
        assert refused.stdout == ""
        assert said in refused.stderr


def test_the_guard_averts_what_would_have_ended_the_training(folder):
    plain = call(folder, "train.py", "wild").stdout.splitlines()
    assert plain[-1].split()[1] == "nan"
    guarded = livegrad(folder, "run", "--guard", "--json", "train.py", "wild")
    lines = guarded.stdout.splitlines()
    assert lines[:30] == plain[:30]
    assert float(lines[59].split()[1]) < 2
    assert "guard: step 30 clipped" in guarded.stderr
    assert "guard: step 40 skipped" in guarded.stderr
    document = json.loads("\n".join(lines[60:]))
    jsonschema.validate(document, Report.json_schema())
    assert document["run"]["guard"] == {"clipped": 1, "skipped": 1}
    severity = {finding["code"]: finding["severity"] for finding in document["findings"]}
    assert severity["LG301"] == "warning"
    assert severity["LG105"] == "info"
    acts = package.load(run_folders(folder)[-1]).info.acts
    assert [(act.step, act.kind) for act in acts] == [(30, "clipped"), (40, "skipped")]
