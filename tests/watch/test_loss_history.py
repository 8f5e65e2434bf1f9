"""The loss of every step is kept, also of steps on which nothing is recorded."""

import numpy as np
import pytest
import torch
from torch import nn

import livegrad
from livegrad.watch.loss_history import FULL_LENGTH, MOST_WAITING, LossHistory
from livegrad.watch.session import WatchOptions, start


def train(path, steps, optimizers=1, closure=False, accumulate=1, budget=0.01):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    parts = [list(model[0].parameters()), list(model[2].parameters())]
    groups = parts if optimizers == 2 else [[*parts[0], *parts[1]]]
    made = [torch.optim.LBFGS(g, max_iter=3) if closure else torch.optim.SGD(g, 0.05) for g in groups]
    session, seen = start(WatchOptions(path=path, quiet=True, budget=budget)), []
    for _ in range(steps):
        total = 0.0

        def evaluate():
            for optimizer in made:
                optimizer.zero_grad()
            loss = (model(torch.randn(8, 4)) ** 2).mean()
            loss.backward()
            return loss

        if closure:
            made[0].step(evaluate)
            continue
        for optimizer in made:
            optimizer.zero_grad()
        for _ in range(accumulate):
            loss = (model(torch.randn(8, 4)) ** 2).mean()
            loss.backward()
            total += loss.item()
        for optimizer in made:
            optimizer.step()
        seen.append(total)
    session.finish(0, None)
    return livegrad.load(path), seen


def test_every_loss_is_there_though_few_steps_are_recorded(tmp_path):
    run, seen = train(tmp_path / "run", 400)
    step, loss = run.losses()
    assert step.tolist() == list(range(400)) and loss.tolist() == seen
    assert len(run) < 400


def test_models_that_one_optimizer_trains_have_every_loss_each(tmp_path):
    """An encoder and its head, called one after the other: the loss is that of both."""
    path, seen = tmp_path / "run", []
    encoder, head = nn.Linear(4, 8), nn.Linear(8, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], 0.01)
    session = start(WatchOptions(path=path, quiet=True))
    for _ in range(200):
        optimizer.zero_grad()
        loss = head(torch.tanh(encoder(torch.randn(8, 4)))).square().mean()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    session.finish(0, None)
    run = livegrad.load(path)
    assert len(run.subjects) == 2
    for subject in run.subjects:
        step, losses = run.losses(subject.id)
        assert step.tolist() == list(range(200)) and losses.tolist() == seen


def test_accumulated_passes_are_one_loss(tmp_path):
    run, seen = train(tmp_path / "run", 30, accumulate=3)
    assert run.losses()[1] == pytest.approx(seen)


@pytest.mark.parametrize("how", [{"optimizers": 2}, {"closure": True}])
def test_where_a_step_has_no_single_loss_the_recorded_ones_stand(tmp_path, how):
    run, _ = train(tmp_path / "run", 12, **how)
    recorded, history = run.scalars(), run.losses()
    known = dict(zip(recorded["step"].tolist(), recorded["loss"].tolist(), strict=True))
    for step, loss in zip(*(a.tolist() for a in history), strict=True):
        assert step not in known or known[step] == loss


def test_a_loss_that_is_not_finite_is_data(tmp_path):
    path = tmp_path / "run"
    model = nn.Linear(2, 1)
    optimizer, session = torch.optim.SGD(model.parameters(), 0.1), start(WatchOptions(path=path, quiet=True))
    for factor in (1.0, 1.0, float("nan")):
        optimizer.zero_grad()
        (model(torch.ones(3, 2)).mean() * factor).backward()
        optimizer.step()
    session.finish(0, None)
    assert np.isnan(livegrad.load(path).losses()[1]).tolist() == [False, False, True]


def test_a_very_long_run_is_thinned_evenly_within_each_stretch():
    history, kept = LossHistory(), []

    def write(step, subject, loss):
        kept.extend(step.tolist())

    for step in range(4 * FULL_LENGTH):
        if history.add(step, 0, 1.0):
            history.flush(write)
    history.flush(write)
    assert kept[:FULL_LENGTH] == list(range(FULL_LENGTH))
    strides = [
        set(np.diff([s for s in kept if k * FULL_LENGTH <= s < (k + 1) * FULL_LENGTH])) for k in (1, 2, 3)
    ]
    assert strides == [{2}, {4}, {4}]


def test_batches_are_bounded():
    history = LossHistory()
    assert [history.add(step, 0, 0.0) for step in range(MOST_WAITING)].index(True) == MOST_WAITING - 1


def test_nothing_is_written_where_nothing_waits():
    LossHistory().flush(lambda *_: pytest.fail("an empty batch"))


def test_who_follows_a_run_is_not_far_behind_and_a_long_run_has_few_batches():
    """Half a second behind at first, then a hundredth of the time: about 100 ln T batches for T seconds."""
    now = 0.0
    history, batches = LossHistory(clock=lambda: now), []
    for step in range(20_000):
        now = 0.1 * step
        if history.add(step, 0, 1.0):
            batches.append(now)
            history.flush(lambda *_: None)
    gaps = np.diff([0.0, *batches])
    assert (gaps <= 0.11 + np.maximum(0.5, 0.01 * np.array(batches))).all()
    assert len(batches) < 500
