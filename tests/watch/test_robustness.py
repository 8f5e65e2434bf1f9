"""What can go wrong around a training step, and in livegrad itself: training goes on, torch is left as it
was.
"""

import multiprocessing
import os
import threading
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import optimizer as optimizer_module

from livegrad.probe.scan import StepScan
from livegrad.watch import patches
from livegrad.watch.recorder import Recorder
from livegrad.watch.session import WatchOptions, start


def steps(net, optimizer, number=3):
    for _ in range(number):
        optimizer.zero_grad()
        net(torch.randn(4, 5)).square().mean().backward()
        optimizer.step()


def make():
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    return net, torch.optim.SGD(net.parameters(), lr=0.1)


def test_an_exception_in_the_forward_pass_of_a_scanned_step(watching):
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(5, 4), nn.Linear(4, 2)
            self.cross = True

        def forward(self, x):
            x = self.a(x)
            if self.cross:
                raise ValueError("shape")
            return self.b(x)

    net = Moody()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching() as w:
        with pytest.raises(ValueError, match="shape"):
            net(torch.randn(4, 5))
        assert not torch.overrides._get_current_function_mode_stack()
        net.cross = False
        steps(net, optimizer)
    assert w.run.pulses().step.tolist() == [0, 1, 2]
    assert [scan.step for scan in w.run.scans()] == [0]
    assert not nn.modules.module._global_forward_hooks
    assert not nn.modules.module._global_forward_pre_hooks


def test_an_exception_in_backward(watching):
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("no gradient today")

    net, optimizer = make()
    with watching() as w:
        with pytest.raises(RuntimeError, match="today"):
            Broken.apply(net(torch.randn(4, 5))).sum().backward()
        steps(net, optimizer)
    assert w.run.pulses().step.tolist() == [0, 1, 2]


def test_training_in_a_thread(watching):
    net, optimizer = make()
    with watching() as w:
        thread = threading.Thread(target=steps, args=(net, optimizer, 5))
        thread.start()
        thread.join()
    assert w.run.pulses().step.tolist() == list(range(5))
    assert np.isfinite(w.run.pulses().loss).all()


def test_two_threads_train_two_models_at_once(watching):
    models = [make() for _ in range(2)]
    with watching() as w:
        threads = [threading.Thread(target=steps, args=(*m, 30)) for m in models]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(w.run.subjects) == 2
    for subject in w.run.subjects:
        pulses = w.run.pulses(subject=subject.id)
        assert pulses.step.tolist() == list(range(30))
        assert np.isfinite(pulses.loss).all()


def test_an_error_of_our_own_ends_the_watching_with_one_warning(tmp_path, monkeypatch):
    net, optimizer = make()
    hooks = dict(optimizer_module._global_optimizer_pre_hooks)
    later_hooks = dict(optimizer_module._global_optimizer_post_hooks)
    session = start(WatchOptions(path=tmp_path / "run", every=1))
    messages = []
    session.on_message = lambda kind, document: messages.append((kind, document.get("text")))
    before = torch.autograd.backward
    steps(net, optimizer, 2)
    monkeypatch.setattr(Recorder, "before_step", lambda *a: 1 / 0)
    steps(net, optimizer, 3)
    warnings = [text for kind, text in messages if kind == "warning"]
    assert len(warnings) == 1
    assert "ZeroDivisionError" in warnings[0]
    assert torch.autograd.backward is not before
    assert not patches.watched()
    assert session.finish(0, None) == tmp_path / "run"
    assert dict(optimizer_module._global_optimizer_pre_hooks).items() <= hooks.items()
    assert dict(optimizer_module._global_optimizer_post_hooks).items() <= later_hooks.items()
    from livegrad.run.reader import load

    run = load(tmp_path / "run")
    assert run.info.status == "detached"
    assert run.pulses().step.tolist() == [0, 1]


@pytest.mark.parametrize("method", ["__init__", "open", "before_backward", "after_backward", "close"])
def test_an_error_in_a_scan_ends_that_scan_only(watching, monkeypatch, method):
    monkeypatch.setattr(StepScan, method, lambda *a, **k: 1 / 0)
    net, optimizer = make()
    with watching() as w:
        steps(net, optimizer, 12)
    assert len(w.run.pulses()) == 12
    assert not nn.modules.module._global_forward_hooks
    assert not torch.overrides._get_current_function_mode_stack()
    assert any("ZeroDivisionError" in note.text for note in w.run.info.notes if note.kind == "not_observed")


def test_a_full_disk_ends_the_watching_and_not_the_training(tmp_path, monkeypatch):
    net, optimizer = make()
    session = start(WatchOptions(path=tmp_path / "run", every=1))
    messages = []
    session.on_message = lambda kind, document: messages.append((kind, document.get("text")))
    steps(net, optimizer, 2)

    def full(row):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(session._recorder.record.writer, "pulse", full)
    steps(net, optimizer, 3)
    assert [kind for kind, _ in messages] == ["attached", "warning"]
    assert "No space left" in messages[1][1]
    session.finish(0, None)


def test_a_folder_that_cannot_be_made_is_said_once(tmp_path):
    net, optimizer = make()
    (tmp_path / "file").write_text("")
    session = start(WatchOptions(path=tmp_path / "file" / "run"))
    messages = []
    session.on_message = lambda kind, document: messages.append((kind, document.get("text")))
    steps(net, optimizer)
    assert [kind for kind, _ in messages] == ["warning"]
    assert session.finish(0, None) is None


def _train_in_child(queue):
    net, optimizer = make()
    steps(net, optimizer, 2)
    queue.put(patches.watched())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_writes_nothing(watching):
    net, optimizer = make()
    context = multiprocessing.get_context("fork")
    with watching() as w:
        steps(net, optimizer, 2)
        queue = context.Queue()
        child = context.Process(target=_train_in_child, args=(queue,))
        child.start()
        assert queue.get(timeout=60) is False
        child.join()
        steps(net, optimizer, 2)
    assert w.run.pulses().step.tolist() == [0, 1, 2, 3]
    assert len(w.run.subjects) == 1


def test_data_loader_workers(watching):
    from torch.utils.data import DataLoader, TensorDataset

    net, optimizer = make()
    with watching() as w:
        for (x,) in DataLoader(TensorDataset(torch.randn(8, 5)), 4, num_workers=1):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()
    assert w.run.pulses().step.tolist() == [0, 1]


def test_generators_and_an_epoch_that_stops_half_way(watching):
    net, optimizer = make()

    def batches():
        while True:
            x = torch.randn(4, 5)
            optimizer.zero_grad()
            loss = net(x).square().mean()
            loss.backward()
            optimizer.step()
            yield loss.item()

    with watching() as w:
        losses = [loss for loss, _ in zip(batches(), range(3), strict=False)]
    assert w.run.pulses().step.tolist() == [0, 1, 2, 3][: len(w.run.pulses())]
    np.testing.assert_allclose(w.run.pulses().loss[:3], losses, rtol=1e-6)


def test_sessions_inside_sessions(watching):
    net, optimizer = make()
    with watching() as outer:
        steps(net, optimizer, 2)
        with watching() as inner:
            steps(net, optimizer, 2)
        steps(net, optimizer, 2)
    assert outer.run.pulses().step.tolist() == list(range(6))
    assert inner.run.pulses().step.tolist() == [0, 1]


def test_somebody_wraps_backward_after_us(watching, monkeypatch):
    net, optimizer = make()
    with watching():
        ours = torch.autograd.backward

        def theirs(*args, **kwargs):
            return ours(*args, **kwargs)

        monkeypatch.setattr(torch.autograd, "backward", theirs)
        steps(net, optimizer)
    assert torch.autograd.backward is theirs, "what others put in place stays"
    losses = []
    with watching() as w:
        for _ in range(3):
            optimizer.zero_grad()
            loss = net(torch.randn(4, 5)).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    np.testing.assert_allclose(w.run.pulses().loss, losses, rtol=1e-6)


def test_checkpointed_blocks_count_as_one_backward(watching):
    from torch.utils.checkpoint import checkpoint

    net, optimizer = make()
    losses = []
    with watching() as w:
        for reentrant in (True, False):
            for _ in range(2):
                optimizer.zero_grad()
                x = torch.randn(4, 5, requires_grad=True)
                loss = checkpoint(net, x, use_reentrant=reentrant).square().mean()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
    np.testing.assert_allclose(w.run.pulses().loss, losses, rtol=1e-6)


def test_the_first_step_that_is_not_finite_is_named(watching):
    net, optimizer = make()
    with watching(every=None) as w:
        for i in range(60):
            optimizer.zero_grad()
            loss = net(torch.randn(4, 5)).square().mean()
            if i >= 45:
                loss = loss * float("nan")
            loss.backward()
            optimizer.step()
    pulses = w.run.pulses()
    broken = pulses.step[pulses.nonfinite > 0]
    assert broken[0] == 45
    assert any(note.step == 45 for note in w.run.info.notes if note.kind == "event")


def test_the_variables_of_the_program_are_left_alone(watching):
    """Looking for a model's name neither keeps variables alive nor changes what `locals()` once gave."""

    def main():
        net, optimizer = make()
        before = locals()
        known = set(before)
        late = torch.randn(4, 5)
        steps(net, optimizer)
        return known, set(before), late

    def keeper():
        net, optimizer = make()
        big = torch.randn(4, 5)
        steps(net, optimizer)
        reference = weakref.ref(big)
        del big
        return reference()

    with watching():
        known, after, _ = main()
        assert known == after
        assert keeper() is None
