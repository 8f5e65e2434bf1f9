"""One gradient, several stages: what is recorded is unscaled and unclipped, and the factors say what came
after.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm

N = 4


def make(scale: float = 1.0):
    net = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(scale)
    return net, list(net.parameters())


def norms(parameters) -> list[float]:
    return [p.grad.double().norm().item() for p in parameters]


def total(parameters) -> float:
    return float(np.linalg.norm(norms(parameters)))


def check(pulses, gradients, factors=None, limit=None, rtol=2e-5):
    np.testing.assert_allclose(pulses.gradient_norm, gradients, rtol=rtol)
    if factors is not None:
        np.testing.assert_allclose(pulses.clip_factor, factors, rtol=rtol)
        np.testing.assert_array_equal(pulses.clip_limit, limit)


@pytest.mark.parametrize("to_none", [True, False])
def test_accumulated_gradients_and_the_sum_of_their_losses(watching, to_none):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    gradients, losses = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad(set_to_none=to_none)
            value = 0.0
            for _ in range(3):
                loss = net(torch.randn(6, 5)).square().mean() / 3
                loss.backward()
                value += loss.item()
            losses.append(value)
            gradients.append(norms(parameters))
            optimizer.step()
    check(w.run.pulses(), gradients)
    np.testing.assert_allclose(w.run.pulses().loss, losses, rtol=1e-6)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf")])
def test_clip_by_norm(watching, norm_type):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    gradients, factors = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            gradients.append(norms(parameters))
            before = total(parameters)
            clip_grad_norm_(net.parameters(), 0.05, norm_type=norm_type)
            factors.append(total(parameters) / before)
            optimizer.step()
    assert max(factors) < 0.9
    check(w.run.pulses(), gradients, factors, 0.05)


def test_clip_by_norm_that_does_not_bite(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            clip_grad_norm_(parameters, 1e3)
            optimizer.step()
    np.testing.assert_array_equal(w.run.pulses().clip_factor, 1.0)
    np.testing.assert_array_equal(w.run.pulses().clip_limit, 1e3)


def test_clip_by_norm_in_two_calls(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    factors = []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            before = total(parameters)
            clip_grads_with_norm_(net.parameters(), 0.05, get_total_norm([p.grad for p in parameters]))
            factors.append(total(parameters) / before)
            optimizer.step()
    np.testing.assert_allclose(w.run.pulses().clip_factor, factors, rtol=1e-5)


@pytest.mark.parametrize("as_generator", [True, False])
def test_clip_by_value(watching, as_generator):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    gradients, factors = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            gradients.append(norms(parameters))
            before = total(parameters)
            clip_grad_value_(net.parameters() if as_generator else parameters, 0.01)
            factors.append(total(parameters) / before)
            optimizer.step()
    assert max(factors) < 0.9
    check(w.run.pulses(), gradients, factors, 0.01)


def test_clip_twice(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    gradients, factors = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            gradients.append(norms(parameters))
            before = total(parameters)
            clip_grad_norm_(parameters, 0.05)
            clip_grad_norm_(parameters, 0.01)
            factors.append(total(parameters) / before)
            optimizer.step()
    check(w.run.pulses(), gradients, factors, 0.01)


def test_clip_by_value_then_by_norm(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    gradients, factors = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            gradients.append(norms(parameters))
            before = total(parameters)
            clip_grad_value_(parameters, 0.02)
            clip_grad_norm_(parameters, 0.03)
            factors.append(total(parameters) / before)
            optimizer.step()
    check(w.run.pulses(), gradients, factors, 0.03)


def test_clip_of_each_half_on_its_own(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    gradients, factors = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            gradients.append(norms(parameters))
            before = total(parameters)
            clip_grad_norm_(parameters[:2], 0.01)
            clip_grad_norm_(parameters[2:], 0.02)
            factors.append(total(parameters) / before)
            optimizer.step()
    check(w.run.pulses(), gradients, factors, 0.02)


def test_a_clip_whose_norm_overflows_does_not_hide_the_gradient(watching):
    """float32 squares of 1e25 overflow: the norm is inf, the factor 0, and torch sets every gradient to 0."""
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.0)
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            (net(torch.randn(6, 5)).square().mean() * 1e25).backward()
            expected = norms(parameters)
            clip_grad_norm_(parameters, 1.0)
            assert total(parameters) == 0.0
            optimizer.step()
    pulses = w.run.pulses()
    np.testing.assert_allclose(pulses.gradient_norm[-1], expected, rtol=1e-5)
    np.testing.assert_array_equal(pulses.clip_factor, 0.0)


def test_a_clip_that_turns_inf_into_nan_is_counted_before_it(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.0)
    with watching() as w:
        for _ in range(2):
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            parameters[0].grad[0, 0] = float("inf")
            clip_grad_norm_(parameters, 1.0)
            assert parameters[0].grad[0, 0].isnan()
            optimizer.step()
    assert w.run.pulses().gradient_nonfinite[0].tolist() == [1, 0, 0, 0]


def test_loss_scale_without_unscaling(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    gradients, losses, scales = [], [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            loss = net(torch.randn(6, 5)).square().mean()
            scaler.scale(loss).backward()
            scales.append(scaler.get_scale())
            gradients.append([g / scaler.get_scale() for g in norms(parameters)])
            losses.append(loss.item())
            scaler.step(optimizer)
            scaler.update()
    pulses = w.run.pulses()
    check(pulses, gradients)
    np.testing.assert_allclose(pulses.loss, losses, rtol=1e-6)
    np.testing.assert_array_equal(pulses.loss_scale, scales)
    assert scales[-1] > scales[0]


def test_loss_scale_unscaled_then_clipped(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    gradients, factors = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            scaler.scale(net(torch.randn(6, 5)).square().mean()).backward()
            scaler.unscale_(optimizer)
            gradients.append(norms(parameters))
            before = total(parameters)
            clip_grad_norm_(parameters, 0.05)
            factors.append(total(parameters) / before)
            scaler.step(optimizer)
            scaler.update()
    check(w.run.pulses(), gradients, factors, 0.05)


@pytest.mark.parametrize("by_value", [True, False])
def test_a_clip_before_unscaling_saw_scaled_gradients(watching, by_value):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    gradients, factors = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            scaler.scale(net(torch.randn(6, 5)).square().mean()).backward()
            gradients.append([g / 1024.0 for g in norms(parameters)])
            before = total(parameters)
            clip_grad_value_(parameters, 5.0) if by_value else clip_grad_norm_(parameters, 0.05)
            factors.append(total(parameters) / before)
            scaler.step(optimizer)
            scaler.update()
    assert max(factors) < 0.9
    check(w.run.pulses(), gradients, factors, 5.0 if by_value else 0.05)


def test_a_step_that_the_scaler_skips_is_recorded_with_its_infinities(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with watching() as w:
        for i in range(N):
            optimizer.zero_grad()
            loss = net(torch.randn(6, 5)).square().mean()
            if i == 2:
                loss = loss * torch.tensor(1e38)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    pulses = w.run.pulses()
    assert pulses.step.tolist() == [0, 1, 2, 3]
    assert (pulses.gradient_nonfinite.sum(1) > 0).tolist() == [False, False, True, False]
    assert pulses.loss_scale.tolist() == [1024.0, 1024.0, 1024.0, 512.0]
    assert np.isfinite(pulses.loss).all()
    assert any("skipped" in note.text and note.step == 2 for note in w.run.info.notes)


@pytest.mark.parametrize("unscaled_by_hand", [True, False])
def test_a_fused_optimizer_gets_scaled_gradients_and_the_record_does_not(watching, unscaled_by_hand):
    net, parameters = make()
    optimizer = torch.optim.Adam(parameters, lr=0.01, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    gradients = []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            scaler.scale(net(torch.randn(6, 5)).square().mean()).backward()
            gradients.append([g / 1024.0 for g in norms(parameters)])
            if unscaled_by_hand:
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
    check(w.run.pulses(), gradients)
    np.testing.assert_array_equal(w.run.pulses().loss_scale, 1024.0)


def test_a_fused_optimizer_whose_scaled_gradients_are_clipped(watching):
    net, parameters = make()
    optimizer = torch.optim.Adam(parameters, lr=0.01, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    gradients, factors = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            scaler.scale(net(torch.randn(6, 5)).square().mean()).backward()
            gradients.append([g / 1024.0 for g in norms(parameters)])
            before = total(parameters)
            clip_grad_value_(parameters, 5.0)
            factors.append(total(parameters) / before)
            scaler.step(optimizer)
            scaler.update()
    check(w.run.pulses(), gradients, factors, 5.0)


def test_a_disabled_scaler_changes_nothing(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    gradients = []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            scaler.scale(net(torch.randn(6, 5)).square().mean()).backward()
            gradients.append(norms(parameters))
            scaler.step(optimizer)
            scaler.update()
    check(w.run.pulses(), gradients)
    np.testing.assert_array_equal(w.run.pulses().loss_scale, 1.0)


def test_autocast(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    gradients, losses = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = net(torch.randn(6, 5)).float().square().mean()
            loss.backward()
            gradients.append(norms(parameters))
            losses.append(loss.item())
            optimizer.step()
    check(w.run.pulses(), gradients)
    np.testing.assert_allclose(w.run.pulses().loss, losses, rtol=1e-6)


def test_a_step_without_backward_has_no_loss(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    with watching() as w:
        for i in range(N):
            if i % 2 == 0:
                optimizer.zero_grad()
                net(torch.randn(6, 5)).square().mean().backward()
            optimizer.step()
    assert np.isnan(w.run.pulses().loss).tolist() == [False, True, False, True]


def test_gradients_set_by_hand(watching):
    _net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    with watching() as w:
        for _ in range(2):
            for p in parameters:
                p.grad = torch.full_like(p, 0.5)
            parameters[1].grad = None
            optimizer.step()
    pulses = w.run.pulses()
    assert pulses.has_gradient[0].tolist() == [True, False, True, True]
    np.testing.assert_allclose(pulses.gradient_rms[0], [0.5, np.nan, 0.5, 0.5])
    assert np.isnan(pulses.loss).all()


def test_gradient_penalty_by_a_second_backward(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    gradients, losses = [], []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            x = torch.randn(6, 5, requires_grad=True)
            out = net(x).square().mean()
            (slope,) = torch.autograd.grad(out, x, create_graph=True)
            loss = out + (slope.norm() - 1) ** 2
            loss.backward(retain_graph=True)
            gradients.append(norms(parameters))
            losses.append(loss.item())
            optimizer.step()
    check(w.run.pulses(), gradients)
    np.testing.assert_allclose(w.run.pulses().loss, losses, rtol=1e-6)


def test_a_vector_loss_is_weighted_as_backward_weights_it(watching):
    net, parameters = make()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    losses = []
    with watching() as w:
        for _ in range(N):
            optimizer.zero_grad()
            loss, weight = net(torch.randn(6, 5)).square().mean(1), torch.rand(6)
            loss.backward(weight)
            losses.append(float(loss.detach() @ weight))
            optimizer.step()
    np.testing.assert_allclose(w.run.pulses().loss, losses, rtol=1e-6)


def test_the_applied_update_is_measured(watching):
    net, parameters = make()
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    updates = []
    with watching() as w:
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            before = [p.detach().clone() for p in parameters]
            optimizer.step()
            updates.append([(p - b).double().norm().item() for p, b in zip(parameters, before, strict=True)])
    np.testing.assert_allclose(w.run.pulses().update_norm, updates, rtol=1e-5)
