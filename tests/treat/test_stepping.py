"""Remedies that act at each step stand where a line above optimizer.step() would."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.optim.optimizer import (
    _global_optimizer_pre_hooks,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedy import Remedy
from livegrad.treat.stepping import Stepping


class Halves(Remedy):
    name = "halves"

    def preserves_function(self, choice):
        return True

    def assess(self, body, choice):
        raise NotImplementedError

    def apply(self, body, choice):
        return []

    def edits(self, body, choice, changes):
        return []

    def at_step(self, body, choice, step, optimizer):
        body.memory.setdefault("steps", []).append(step)
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.mul_(0.5)


class Breaks(Halves):
    def at_step(self, body, choice, step, optimizer):
        raise ValueError("no such thing")


def stepped(remedy=None, closure=False):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    body = Body(model, (optimizer,))
    stepping = Stepping(body, [(remedy(), Choice("halves"))]) if remedy else None
    x = torch.randn(4, 3)

    def backward():
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss

    start = model.weight.detach().clone()
    if closure:
        optimizer.step(backward)
    else:
        backward()
        optimizer.step()
    return start - model.weight.detach(), stepping, body, optimizer


@pytest.mark.parametrize("closure", [False, True])
def test_what_a_remedy_does_to_the_gradient_is_in_the_step(closure):
    whole, *_ = stepped()
    half, stepping, body, _ = stepped(Halves, closure)
    stepping.stop()
    torch.testing.assert_close(half, whole / 2)
    assert body.memory["steps"] == [0]


def test_a_hook_of_the_program_sees_the_gradient_as_a_line_above_the_step_would_leave_it():
    seen = []

    def noted(optimizer, args, kwargs):
        seen.append(float(optimizer.param_groups[0]["params"][0].grad.norm()))

    handle = register_optimizer_step_pre_hook(noted)
    try:
        stepped()
        _, stepping, *_ = stepped(Halves)
        stepping.stop()
    finally:
        handle.remove()
    assert seen[1] == pytest.approx(seen[0] / 2)


class Notes(Halves):
    def __init__(self, notes, name):
        self.notes, self.who = notes, name

    def at_step(self, body, choice, step, optimizer):
        self.notes.append(f"{self.who} before")

    def after_step(self, body, choice, step, optimizer):
        self.notes.append(f"{self.who} after")


def test_remedies_enclose_the_step_and_all_hooks_of_it_in_their_order():
    notes = []
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    body = Body(model, (optimizer,))
    steppings = [Stepping(body, [(Notes(notes, name), Choice(name))]) for name in "ab"]
    handles = [
        register_optimizer_step_pre_hook(lambda *_: notes.append("hook before")),
        register_optimizer_step_post_hook(lambda *_: notes.append("hook after")),
    ]
    try:
        for _ in range(2):
            notes.clear()
            optimizer.step()
            assert notes == ["a before", "b before", "hook before", "hook after", "b after", "a after"]
    finally:
        for stepping in steppings:
            stepping.stop()
        for handle in handles:
            handle.remove()


def test_other_optimizers_and_stopped_remedies_are_left_alone():
    _, stepping, body, optimizer = stepped(Halves)
    stepped()
    assert body.memory["steps"] == [0]
    stepping.stop()
    optimizer.step()
    assert body.memory["steps"] == [0]


def test_a_remedy_that_fails_says_so_once_and_training_goes_on():
    with pytest.warns(RuntimeWarning, match="halves acts no more.*no such thing"):
        step, stepping, _, optimizer = stepped(Breaks)
    assert step.abs().sum() > 0
    optimizer.step()
    stepping.stop()


def test_the_hooks_go_with_the_optimizer_but_never_inside_a_step():
    hooks = _global_optimizer_pre_hooks
    gc.collect()
    _, stepping, body, optimizer = stepped(Halves)
    stepping.stop()
    before = len(hooks)
    _, stepping, body, optimizer = stepped(Halves)
    assert len(hooks) == before + 1
    gone = weakref.ref(optimizer)
    del stepping, body, optimizer

    def collect(optimizer, args, kwargs):
        gc.collect()
        assert gone() is None

    handle = register_optimizer_step_pre_hook(collect)
    try:
        stepped()
    finally:
        handle.remove()
    _, stepping, *_ = stepped(Halves)
    stepping.stop()
    assert len(hooks) == before
