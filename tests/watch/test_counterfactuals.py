"""Counterfactuals of a watched run: they are made when something is wrong, recorded, and change nothing."""

import gc
import weakref

import pytest
import torch
from torch import nn

from livegrad.watch.kept_steps import KeptSteps


class Deep(nn.Module):
    """Batch norm, dropout, then as many sigmoid layers as asked, written as calls."""

    def __init__(self, depth=16, act=torch.sigmoid):
        super().__init__()
        self.norm, self.drop, self.act = nn.BatchNorm1d(12), nn.Dropout(0.1), act
        self.linear = nn.ModuleList(nn.Linear(12 if i == 0 else 24, 24) for i in range(depth))
        self.head = nn.Linear(24, 4)

    def forward(self, x):
        x = self.drop(self.norm(x))
        for linear in self.linear:
            x = self.act(linear(x))
        return self.head(x)


def train(net, steps=12, lr=0.05, clip=False):
    """Train on noise; return losses, random states and all that the model ends with."""
    torch.manual_seed(3)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    losses, states = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        x, y = torch.randn(32, 12), torch.randint(0, 4, (32,))
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
        states.append(torch.get_rng_state())
    tensors = [*net.parameters(), *net.buffers()]
    gradients = [p.grad for p in net.parameters()]
    versions = [t._version for t in (*tensors, *gradients)]
    return [*losses, *states, *tensors, *gradients], versions


def made(seed=0, **how):
    torch.manual_seed(seed)
    return Deep(**how)


@pytest.mark.parametrize("clip", [False, True])
def test_training_is_the_same_to_the_last_bit(watching, clip):
    plain, versions = train(made(), 35, clip=clip)
    with watching(every=None) as w:
        watched, seen = train(net := made(), 35, clip=clip)
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
    assert versions == seen
    assert w.run.info.counterfactuals
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_the_cause_is_confirmed_and_said(watching):
    with watching(every=None) as w:
        train(made(), 35)
    (tried,) = w.run.info.counterfactuals
    assert (tried.code, tried.cause, tried.kind, tried.note) == ("LG101", "Sigmoid", "activation-slope", None)
    assert len(tried.layers) == 16
    finding = next(f for f in w.run.report().findings if f["code"] == "LG101")
    assert finding["cause"]["confirmed"] is True
    assert finding["cause"]["counterfactual"].startswith("confirmed: without the 16 Sigmoid")
    before, after = (
        finding["evidence"][k] for k in ("on_the_same_batch_decades", "with_cause_removed_decades")
    )
    assert before < -8
    assert abs(after) < 1
    said = [document for kind, document in w.messages if kind == "finding"]
    assert [f["code"] for f in said] == ["LG101"]


def test_a_run_of_two_steps_is_explained_at_its_end(watching):
    with watching(every=None) as w:
        train(made(), 2)
    assert [(c.code, c.step, c.note) for c in w.run.info.counterfactuals] == [("LG101", 0, None)]


def test_an_explosion_that_ends_in_nan_is_explained_from_the_step_before(watching):
    net = made(depth=30, act=torch.relu)
    for linear in net.linear:
        nn.init.normal_(linear.weight, 0, 4 / linear.in_features**0.5)
    with watching(every=None) as w:
        train(net, 12, lr=1.0)
    assert not all(torch.isfinite(p).all() for p in net.parameters())
    tried = next(c for c in w.run.info.counterfactuals if c.code == "LG103")
    assert (tried.step, tried.kind, tried.note) == (0, "weights-large", None)


def test_a_healthy_run_keeps_no_step(watching, monkeypatch):
    taken = []
    take = KeptSteps.take
    monkeypatch.setattr(KeptSteps, "take", lambda self, s, m: (taken.append(m.replay), take(self, s, m)))
    with watching(every=None) as w:
        train(made(depth=2, act=torch.relu), 35)
    assert taken == [None, None, None]
    assert w.run.info.counterfactuals == ()


def test_a_model_that_cannot_be_copied_is_reported_with_the_reason(watching):
    net = made()
    net.stream = (i for i in range(3))
    with watching(every=None) as w:
        train(net, 35)
    finding = next(f for f in w.run.report().findings if f["code"] == "LG101")
    assert finding["cause"]["confirmed"] is None
    assert "cannot be copied" in finding["cause"]["counterfactual"]


def test_a_run_that_failed_is_not_held_up(watching, tmp_path):
    with watching(every=None) as w:
        train(made(), 2)
        w.session.finish(None, "KeyboardInterrupt")
    assert w.run.info.counterfactuals == ()


def test_nothing_of_the_model_is_kept_alive(watching):
    def live():
        net = made()
        train(net, 35)
        return [weakref.ref(thing) for thing in (net, *net.parameters())]

    with watching(every=None) as w:
        references = live()
        gc.collect()
        assert [r() for r in references if r() is not None] == []
    assert w.run.info.counterfactuals


def test_the_copy_is_no_model_of_the_program(watching):
    with watching(every=None) as w:
        train(made(), 35)
    assert [subject.type for subject in w.run.subjects] == ["Deep"]
    assert len(w.run.tensors) == len(list(made().parameters()))
