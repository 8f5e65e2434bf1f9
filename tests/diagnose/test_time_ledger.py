"""The ledger of a recurrence: its operations add up to a step, its steps to the whole, and theory expects
what is measured.
"""

import numpy as np
import pytest
import torch
from tests.diagnose.watched import train
from torch import nn

from livegrad.diagnose.patient import Patient
from livegrad.diagnose.time_ledger import time_bills

STEPS, WIDTH = 24, 48


class Fused(nn.Module):
    def __init__(self, kind, every=False, **options):
        super().__init__()
        self.rnn = kind(4, WIDTH, batch_first=True, **options)
        self.head, self.every = nn.Linear(WIDTH * (2 if options.get("bidirectional") else 1), 3), every

    def forward(self, x):
        out = self.rnn(x)[0]
        return self.head(out if self.every else out[:, -1])


def bills(path, model, steps=STEPS):
    torch.manual_seed(0)
    x = 0.1 * torch.randn(8, steps, 4)
    run = train(path, model, x, loss=lambda output: output.square().mean())
    sick = Patient(run, run.subjects[0])
    return run, {bill.name: bill for bill in time_bills(sick, sick.scans[-1])}


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_operations_add_up_to_their_path_and_steps_to_the_whole(tmp_path, kind, every):
    torch.manual_seed(0)
    _, found = bills(tmp_path / "run", Fused(kind, every))
    bill = found["rnn"]
    assert bill.opened == bill.steps == STEPS - 1
    assert bill.total == pytest.approx(bill.steps * bill.step.decades, abs=1e-9)
    assert sum(line.decades for line in bill.lines) == pytest.approx(bill.total, abs=1e-9)
    for path in bill.step.paths:
        assert sum(entry.decades for entry in path.entries) == pytest.approx(path.decades, abs=1e-12)


def test_other_outputs_bring_their_share(tmp_path):
    torch.manual_seed(0)
    _, found = bills(tmp_path / "run", Fused(nn.RNN, every=True))
    through, outside = found["rnn"].step.paths
    # 0.577 of the state's gradient comes through; what the outputs bring keeps it as large as it was.
    assert found["rnn"].step.decades == pytest.approx(0.0, abs=0.02)
    assert 10**through.decades == pytest.approx(3**-0.5, rel=0.1)
    assert outside.decades > through.decades


def test_torch_initializes_a_plain_layer_to_a_gain_of_one_over_root_three(tmp_path):
    torch.manual_seed(0)
    _, found = bills(tmp_path / "run", Fused(nn.RNN))
    slope, weights = found["rnn"].step.paths[0].entries[1:]
    assert (slope.layer.type, weights.layer.type) == ("Tanh", "recurrent weights")
    assert weights.expected == pytest.approx(np.log10(3**-0.5), abs=0.01)
    assert weights.decades == pytest.approx(weights.expected, abs=0.03)
    assert slope.decades == pytest.approx(slope.expected, abs=0.005)


@pytest.mark.parametrize("kind, name", [(nn.LSTM, "rnn"), (nn.GRU, "rnn")])
def test_gates_at_rest_keep_half_of_the_state(tmp_path, kind, name):
    torch.manual_seed(0)
    model = Fused(kind)
    for parameter in (p for key, p in model.rnn.named_parameters() if key.startswith("bias")):
        nn.init.zeros_(parameter)
    _, found = bills(tmp_path / "run", model)
    kept = found[name].main_path.entries[-1]
    assert kept.layer.type == "kept state"
    assert kept.expected == pytest.approx(np.log10(0.5), abs=0.01)
    assert kept.decades == pytest.approx(kept.expected, abs=0.01)


def test_each_layer_and_direction_has_a_bill(tmp_path):
    _, found = bills(tmp_path / "run", Fused(nn.GRU, True, num_layers=2, bidirectional=True))
    assert found.keys() == {"rnn.l0", "rnn.l0_reverse", "rnn.l1", "rnn.l1_reverse"}


def test_the_report_holds_the_bill(tmp_path):
    torch.manual_seed(0)
    run, found = bills(tmp_path / "run", Fused(nn.LSTM))
    (told,) = run.report().to_dict()["ledger"][0]["recurrences"]
    assert (told["name"], told["steps"], told["steps_opened"]) == ("rnn", STEPS - 1, STEPS - 1)
    assert told["total_decades"] == pytest.approx(found["rnn"].total)
    assert [len(path["entries"]) for path in told["step"]["paths"]] == [3, 4, 4, 4, 3]
