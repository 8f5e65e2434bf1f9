"""The guard: what it clips and skips, and that it leaves everything else alone, bit for bit."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from livegrad.treat.clipping.guard import GradientGuard, total_norm
from livegrad.treat.clipping.robust_threshold import FACTOR, ROBUST_Z, TEACHING, WINDOW, RobustThreshold


class Guarded:
    """A guard whose acts stand in `acts`. elsewhere: as if the gradients were on a device."""

    def __init__(self, monkeypatch, elsewhere: bool = False):
        self.acts: list = []
        self.warnings: list[str] = []
        self.steps = 0
        self.guard = GradientGuard(lambda optimizer: (0, self.steps), self.acts.append, self.warnings.append)
        if elsewhere:
            there = self.guard._look_there
            monkeypatch.setattr(
                self.guard,
                "_look_here",
                lambda ward, optimizer, parameters, clip: there(
                    ward, optimizer, [p.grad for p in parameters], clip
                ),
            )

    def close(self):
        self.guard.close()
        return [(act.step, act.kind) for act in self.acts]


def train(optimizer_of, wild=(), poisoned=(), guarded: Guarded | None = None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = optimizer_of(model.parameters())
    kept = []
    for i in range(40):
        x = torch.randn(32, 8)
        y = x[:, :1] * (1e4 if i in wild else math.nan if i in poisoned else 1.0)
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
        if guarded is not None:
            guarded.steps += 1
        kept.append([p.detach().clone() for p in model.parameters()])
    return model, optimizer, kept


def sgd(parameters):
    return torch.optim.SGD(parameters, 0.05, momentum=0.9, weight_decay=1e-3)


def adam(parameters):
    return torch.optim.AdamW(parameters, 1e-2)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("optimizer_of", [sgd, adam])
def test_with_nothing_to_do_training_is_the_same_bit_for_bit(monkeypatch, optimizer_of, elsewhere):
    plain = train(optimizer_of)
    guarded = Guarded(monkeypatch, elsewhere)
    watched = train(optimizer_of, guarded=guarded)
    assert guarded.close() == []
    for before, after in zip(plain[2], watched[2], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_spike_is_brought_to_the_usual_norm(monkeypatch, elsewhere):
    guarded = Guarded(monkeypatch, elsewhere)
    model, _, _ = train(sgd, wild=(25,), guarded=guarded)
    assert guarded.close() == [(25, "clipped")]
    (act,) = guarded.acts
    assert act.norm > 100 * act.limit
    x = torch.randn(64, 8)
    assert (model(x) - x[:, :1]).square().mean().item() < 0.5


@pytest.mark.parametrize("optimizer_of", [sgd, adam])
def test_a_poisoned_step_on_the_cpu_is_really_skipped(monkeypatch, optimizer_of):
    """Neither weights nor moments nor weight decay move, and the gradients are there afterwards."""
    guarded = Guarded(monkeypatch)
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = optimizer_of(model.parameters())
    for value in (1.0, math.inf):
        optimizer.zero_grad()
        before = copy.deepcopy((list(model.parameters()), optimizer.state_dict()["state"]))
        (model(torch.randn(8, 4)).sum() * value).backward()
        optimizer.step()
    assert guarded.close() == [(0, "skipped")]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before[0], strict=True))
    after = optimizer.state_dict()["state"]
    for number, state in before[1].items():
        assert all(
            torch.equal(torch.as_tensor(after[number][k]), torch.as_tensor(v)) for k, v in state.items()
        )
    assert all(p.grad is not None and not p.grad.isfinite().all() for p in model.parameters())


def test_a_poisoned_step_elsewhere_puts_nothing_into_the_state(monkeypatch):
    guarded = Guarded(monkeypatch, elsewhere=True)
    model, optimizer, kept = train(adam, poisoned=(20,), guarded=guarded)
    assert guarded.close() == [(20, "skipped")]
    assert all(p.isfinite().all() for p in model.parameters())
    state = optimizer.state_dict()["state"]
    assert all(torch.as_tensor(value).isfinite().all() for s in state.values() for value in s.values())
    # What has momentum goes on without a gradient, as the documentation says: less than at the step before.
    moved = [
        torch.cat([(a - b).flatten() for a, b in zip(kept[i], kept[i - 1], strict=True)]).norm()
        for i in (19, 20)
    ]
    assert 0 < moved[1] < 1.2 * moved[0]


def test_an_optimizer_that_can_skip_by_itself_is_told(monkeypatch):
    def fused(parameters):
        return torch.optim.AdamW(parameters, 1e-2, fused=True)

    guarded = Guarded(monkeypatch, elsewhere=True)
    _, optimizer, kept = train(fused, poisoned=(20,), guarded=guarded)
    assert guarded.close() == [(20, "skipped")]
    assert all(torch.equal(a, b) for a, b in zip(kept[19], kept[20], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(kept[20], kept[21], strict=True))
    assert not hasattr(optimizer, "found_inf")


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_on_a_device_no_step_asks_for_a_number(kind):
    """Tensors of the meta device have none to give: whoever asks (item, bool, float) gets an error."""
    acts, warnings = [], []
    guard = GradientGuard(lambda optimizer: (0, 0), acts.append, warnings.append)
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1)).to("meta")
    optimizer = kind(model.parameters(), 1e-2)
    for _ in range(20):
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter)
        optimizer.step()
    assert not warnings and len(guard._sent) == 20
    with pytest.raises((RuntimeError, NotImplementedError)):
        guard.close()  # here it waits for what is on its way


@pytest.mark.parametrize("unscaled", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_step_that_a_scaler_skips_is_not_the_guards(monkeypatch, unscaled, elsewhere):
    """The scaler finds the broken gradient itself, with fused optimizers too, and lowers its scale."""
    guarded = Guarded(monkeypatch, elsewhere=elsewhere)
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for i in range(12):
        optimizer.zero_grad()
        loss = (model(torch.randn(4, 8)) * (math.inf if i == 10 else 1.0)).square().mean()
        scaler.scale(loss).backward()
        if unscaled:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        guarded.steps += 1
    assert guarded.close() == [] and scaler.get_scale() == 512.0
    assert all(p.isfinite().all() for p in model.parameters())


def test_inside_a_line_search_only_poison_is_taken_away(monkeypatch):
    guarded = Guarded(monkeypatch)
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), torch.randn(32, 4)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        factor = math.nan if guarded.steps == 6 else 1.0
        loss = (model(x) - x[:, :1]).square().mean() * factor
        loss.backward()
        return loss

    for _ in range(10):
        optimizer.step(closure)
        guarded.steps += 1
    assert {kind for _, kind in guarded.close()} == {"skipped"}
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_guard_that_fails_stands_aside(monkeypatch):
    plain = train(sgd)
    guarded = Guarded(monkeypatch)
    monkeypatch.setattr("livegrad.treat.clipping.guard.total_norm", lambda gradients: 1 / 0)
    watched = train(sgd, guarded=guarded)
    assert guarded.close() == []
    assert len(guarded.warnings) == 1
    assert torch.equal(plain[0][0].weight, watched[0][0].weight)


def test_the_norm_is_that_of_torch_and_half_precision_does_not_overflow():
    torch.manual_seed(0)
    mixed = [
        torch.randn(3, 4),
        torch.randn(5).half() * 1e4,
        torch.randn(2).bfloat16(),
        torch.randn(3).cfloat(),
    ]
    expected = math.sqrt(sum(float(g.to(torch.complex128).abs().square().sum()) for g in mixed))
    assert float(total_norm(mixed)) == pytest.approx(expected, rel=1e-5)
    double = [torch.randn(3, dtype=torch.float64), torch.ones(2)]
    assert total_norm(double).dtype == torch.float64
    assert math.isinf(float(total_norm([torch.tensor([1e30, 1e30])])))


def test_the_limit_is_that_of_a_spike_in_the_diagnosis():
    """Median plus the larger of ln 3 and 6 robust standard deviations, over the last 32 logarithms."""
    torch.manual_seed(0)
    here, there = RobustThreshold(), RobustThreshold(on_device=True)
    logs: list[float] = []
    for i in range(150):
        norm = float(torch.randn(()).mul(0.4).exp()) * (50 if i % 31 == 30 else 1)
        norm = math.nan if i % 41 == 40 else norm
        limits = [float(t.look(torch.tensor(norm))) for t in (here, there)]
        if len(logs) < TEACHING:
            expected = math.inf
        else:
            window = np.array(logs[-WINDOW:])
            spread = 1.4826 * np.median(np.abs(window - np.median(window)))
            expected = math.exp(np.median(window) + max(math.log(FACTOR), ROBUST_Z * spread))
        assert limits == pytest.approx([expected] * 2, rel=1e-4)
        if math.isfinite(norm):
            logs.append(math.log(min(norm, expected)))


def test_a_lasting_change_is_followed():
    """A norm that stays a hundred times as large is another regime: no spike within three windows."""
    threshold = RobustThreshold()
    for _ in range(WINDOW):
        threshold.look_at(1.0)
    clipped = [i for i in range(200) if threshold.look_at(100.0) < 100.0]
    assert clipped
    assert max(clipped) < 3 * WINDOW
