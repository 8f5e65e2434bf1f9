"""A plain loop, watched: every number against one computed by hand, and torch as it was afterwards."""

import numpy as np
import torch
from torch import nn

from livegrad.watch.session import WatchOptions, start


def test_a_plain_loop_is_recorded_step_by_step(watching):
    net = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
    losses, gradients, weights = [], [], []
    with watching() as w:
        for _ in range(4):
            loss = net(torch.randn(6, 5)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            losses.append(loss.item())
            gradients.append([p.grad.double().norm().item() for p in net.parameters()])
            weights.append([p.detach().double().square().mean().sqrt().item() for p in net.parameters()])
            optimizer.step()
    pulses = w.run.pulses()
    assert pulses.step.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(pulses.loss, losses, rtol=1e-6)
    np.testing.assert_allclose(pulses.gradient_norm, gradients, rtol=1e-5)
    np.testing.assert_allclose(pulses.weight_rms[:3], weights[:3], rtol=1e-5)
    np.testing.assert_array_equal(pulses.learning_rate, 0.3)
    np.testing.assert_array_equal(pulses.clip_factor, 1.0)
    assert [t.name for t in w.run.tensors] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert w.run.info.status == "finished"
    assert w.run.info.steps == 4
    (subject,) = w.run.subjects
    assert (subject.type, subject.parameters) == ("Sequential", 66)
    assert [o.type for o in subject.optimizers] == ["SGD"]


def test_the_first_step_is_scanned(watching):
    net = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
    with watching() as w:
        for _ in range(12):
            optimizer.zero_grad()
            net(torch.randn(6, 5)).square().mean().backward()
            optimizer.step()
    assert [scan.step for scan in w.run.scans()] == [0, 10]
    layers = {layer.id: layer for layer in w.run.layers}
    scan = w.run.scans()[0]
    assert [layers[i].type for i in scan.layer] == ["Linear", "Tanh", "Linear", "input"]
    assert [w.run.tensors[i].name for i in layers[0].tensors] == ["0.weight", "0.bias"]
    assert np.all(scan.audibility[:3] > 0)
    assert w.run.info.notes == ()


def test_torch_is_as_before_when_the_session_ends(watching):
    from torch.nn.utils import clip_grad
    from torch.optim import optimizer as optimizers

    def state():
        scaler = torch.amp.GradScaler
        return [
            torch.autograd.backward,
            nn.Module.__call__,
            clip_grad._group_tensors_by_device_and_dtype,
            scaler.scale,
            scaler.unscale_,
            scaler.step,
            dict(optimizers._global_optimizer_pre_hooks),
            dict(optimizers._global_optimizer_post_hooks),
            dict(nn.modules.module._global_module_registration_hooks),
            dict(nn.modules.module._global_parameter_registration_hooks),
            dict(nn.modules.module._global_forward_hooks),
            dict(nn.modules.module._global_forward_pre_hooks),
        ]

    before = state()
    net = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching():
        assert all(a is not b for a, b in zip(before[:6], state()[:6], strict=True))
        for _ in range(3):
            net(torch.randn(2, 3)).sum().backward()
            optimizer.step()
        assert nn.Module.__call__ is before[1], "module calls are only watched while models are being found"
    assert state() == before


def test_gradients_without_an_optimizer_are_said_to_be_unseen(tmp_path):
    session = start(WatchOptions(path=tmp_path / "run"))
    messages = []
    session.on_message = lambda kind, document: messages.append((kind, document["text"]))
    nn.Linear(3, 1)(torch.randn(2, 3)).sum().backward()
    assert session.finish(0, None) is None
    assert [kind for kind, _ in messages] == ["warning"]
    assert "optimizer.step()" in messages[0][1]


def test_nothing_trained_leaves_no_folder(watching, tmp_path):
    with watching() as w:
        nn.Linear(3, 1)(torch.randn(2, 3))
    assert w.session.path is None
    assert list(tmp_path.iterdir()) == []
