"""A loss that is flat without a fault that is found: what is tried, and what is left alone."""

import torch
from torch import nn
from torch.nn import functional as F

import livegrad
from livegrad.diagnose.standstill import STANDSTILL, standstill, to_be_treated
from livegrad.treat.body import Body
from livegrad.treat.prescribe import prescribe
from livegrad.treat.prescription.lessons import Lessons
from livegrad.treat.prescription.rehearsal import Stage


class Reader(nn.Module):
    """An LSTM's cell that is stepped, its weights of the size given."""

    def __init__(self, size):
        super().__init__()
        self.cell, self.out = nn.LSTMCell(2, 16), nn.Linear(16, 2)
        for p in self.cell.parameters():
            nn.init.uniform_(p, -size, size)

    def forward(self, x):
        h = c = x.new_zeros(len(x), 16)
        for step in x.unbind(1):
            h, c = self.cell(step, (h, c))
        return self.out(h)


def halves(n):
    x = torch.randn(n, 10, 2)
    return x, (x[:, :5, 0].mean(1) > x[:, 5:, 0].mean(1)).long()


def noise(n):
    """Targets of which a tenth of the variance can be known."""
    x = torch.randn(n, 4)
    return x, 0.3 * x[:, :1] + torch.randn(n, 1)


def trained(path, model, batch, loss_of, rate, steps):
    """(the run, its beginning on a stage) of a model that is trained on fresh batches."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    stage = Stage.of(Body(model, (optimizer,), (batch(32)[0],)))
    lessons = Lessons([model], [optimizer])
    with livegrad.watch(model, optimizer, path=path), lessons:
        for _ in range(steps):
            x, y = batch(32)
            loss = loss_of(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    stage.lessons = lessons.lessons
    return livegrad.load(path), stage


def test_a_net_that_learns_with_another_start_is_given_that_start(tmp_path):
    torch.manual_seed(29)
    run, stage = trained(tmp_path / "run", Reader(6.0), halves, F.cross_entropy, 0.1, 150)
    assert not [f for f in run.report().findings if f["severity"] != "info"]
    wanted = to_be_treated(run)
    assert [f["code"] for f in wanted] == [STANDSTILL]
    found = prescribe(stage.body, wanted, run, stage=stage, patience=8.0)
    assert found.proposals[0].spec.startswith("recurrent=xavier")
    assert all(p.measured["progress_nats"] > 0.1 for p in found.proposals)


def test_a_net_at_its_noise_floor_is_left_alone(tmp_path):
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    run, stage = trained(tmp_path / "run", model, noise, F.mse_loss, 0.02, 200)
    supposed = [{"code": STANDSTILL, "severity": "warning", "tentative": True, "evidence": {}}]
    found = prescribe(stage.body, supposed, run, stage=stage, patience=4.0)
    assert not found.proposals


def test_a_loss_that_falls_is_no_standstill(tmp_path):
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Flatten(), nn.Linear(160, 2))
    run, _ = trained(tmp_path / "run", model, halves, F.cross_entropy, 0.05, 100)
    assert not standstill(run)
