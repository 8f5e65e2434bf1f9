"""Optimizers that evaluate a closure, and steps inside steps."""

import numpy as np
import torch
from torch import nn


def test_lbfgs_records_the_first_evaluation_of_each_step(watching):
    net = nn.Linear(4, 1)
    x, y = torch.randn(20, 4), torch.randn(20, 1)
    optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=5)
    evaluations = []

    def closure():
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        weights = [p.detach().norm().item() for p in net.parameters()]
        evaluations.append((loss.item(), [p.grad.norm().item() for p in net.parameters()], weights))
        return loss

    firsts = []
    with watching() as w:
        for _ in range(3):
            firsts.append(len(evaluations))
            optimizer.step(closure)
    assert len(evaluations) > 6, "several backward passes a step"
    expected = [evaluations[i] for i in firsts]
    pulses = w.run.pulses()
    np.testing.assert_allclose(pulses.loss, [e[0] for e in expected], rtol=1e-6)
    np.testing.assert_allclose(pulses.gradient_norm, [e[1] for e in expected], rtol=1e-5)
    np.testing.assert_allclose(pulses.weight_norm, [e[2] for e in expected], rtol=1e-5)


def test_sgd_with_a_closure_as_keyword(watching):
    net = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    losses, norms = [], []

    def closure():
        optimizer.zero_grad()
        loss = net(torch.randn(5, 4)).square().mean()
        loss.backward()
        losses.append(loss.item())
        norms.append([p.grad.norm().item() for p in net.parameters()])
        return loss

    with watching() as w:
        returned = [optimizer.step(closure=closure).item() for _ in range(3)]
    assert returned == losses
    np.testing.assert_allclose(w.run.pulses().loss, losses, rtol=1e-6)
    np.testing.assert_allclose(w.run.pulses().gradient_norm, norms, rtol=1e-5)
    np.testing.assert_array_equal(w.run.pulses().step, [0, 1, 2])


class SharpnessAware(torch.optim.Optimizer):
    """Climb, evaluate again, step the inner optimizer from there (Foret et al. 2021)."""

    def __init__(self, params, inner, **defaults):
        super().__init__(params, defaults)
        self.inner = inner(self.param_groups, lr=0.1)

    @torch.no_grad()
    def step(self, closure=None):
        climbs = [(p, 0.05 * p.grad) for g in self.param_groups for p in g["params"]]
        for p, climb in climbs:
            p.add_(climb)
        with torch.enable_grad():
            closure()
        for p, climb in climbs:
            p.sub_(climb)
        self.inner.step()


def test_an_optimizer_inside_an_optimizer_is_one_step(watching):
    net = nn.Linear(4, 1)
    optimizer = SharpnessAware(net.parameters(), torch.optim.SGD)
    x = torch.randn(8, 4)

    def closure():
        optimizer.zero_grad()
        loss = net(x).square().mean()
        loss.backward()
        return loss

    with watching() as w:
        for _ in range(4):
            closure()
            optimizer.step(closure)
    (subject,) = w.run.subjects
    assert [o.type for o in subject.optimizers] == ["SharpnessAware"]
    assert w.run.pulses().step.tolist() == [0, 1, 2, 3]


def test_a_step_that_raises_is_forgotten(watching):
    net = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def failing():
        raise RuntimeError("user error")

    with watching() as w:
        for i in range(4):
            optimizer.zero_grad()
            net(torch.randn(5, 4)).square().mean().backward()
            if i == 1:
                try:
                    optimizer.step(failing)
                except RuntimeError as error:
                    assert str(error) == "user error"
            else:
                optimizer.step()
    assert w.run.pulses().step.tolist() == [0, 2, 3]
