"""A model is called what the program calls it."""

import argparse

import pytest
import torch
from torch import nn

from livegrad.watch.naming import _may_keep_locals, plain_name, unwrap


def take_steps(net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.randn(3, 4)).square().mean().backward()
        optimizer.step()


def in_a_function():
    classifier = nn.Linear(4, 2)
    classifier.eval()
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.1)
    classifier(torch.randn(3, 4)).square().mean().backward()
    optimizer.step()


def with_vars_of_an_object():
    args = argparse.Namespace(dir="x")
    config = vars(args)
    policy = nn.Linear(4, 2)
    take_steps(policy)
    return config


def passed_on():
    teacher = nn.Linear(4, 2)
    take_steps(teacher)


def from_a_list():
    take_steps([nn.Linear(4, 2)][0])


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (in_a_function, "classifier"),
        (with_vars_of_an_object, "policy"),
        (passed_on, "teacher"),
        (from_a_list, "net"),
    ],
)
def test_the_variable_of_the_outermost_function_that_has_one(watching, program, name):
    with watching() as w:
        program()
    assert [s.name for s in w.run.subjects] == [name]


def test_a_global_of_the_main_module_comes_first(watching, monkeypatch):
    import __main__

    net = nn.Linear(4, 2)
    monkeypatch.setattr(__main__, "transformer", net, raising=False)
    with watching() as w:
        take_steps(net)
    assert [s.name for s in w.run.subjects] == ["transformer"]


def uses_locals():
    return locals()


def uses_vars():
    return vars()


def uses_exec():
    exec("1")


def uses_none(self):
    self.eval()
    return vars(self), self.locals, self.vars(), dir()


def test_which_functions_may_hold_their_locals():
    assert all(_may_keep_locals(f.__code__) for f in (uses_locals, uses_vars, uses_exec))
    assert not _may_keep_locals(uses_none.__code__)


def test_wrappers_are_looked_through():
    net = nn.Linear(4, 2)
    assert unwrap(nn.DataParallel(net)) is net
    assert unwrap(torch.compile(net)) is net
    assert unwrap(net) is net
    assert plain_name("_orig_mod.layers.0._fsdp_wrapped_module.weight") == "layers.0.weight"
