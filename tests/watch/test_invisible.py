"""Training while watched is the same training: losses, weights and random states to the last bit."""

import copy
import gc
import io
import pickle
import random
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.3)
        )
        self.head = nn.Linear(4 * 64, 5)

    def forward(self, x):
        return self.head(self.body(x.view(-1, 1, 8, 8)).flatten(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(8, 6, num_layers=2, dropout=0.2, batch_first=True)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        return self.head(self.cell(x.view(-1, 8, 8))[0][:, -1])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.layer(x.view(-1, 8, 8)).mean(1))


def perceptron():
    return nn.Sequential(nn.Linear(64, 16), nn.GELU(), nn.Dropout(0.5), nn.Linear(16, 5))


def train(make, make_optimizer, clip):
    """Forty-eight steps with everything random in them; returns all that could have been disturbed."""
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    data = TensorDataset(torch.randn(64, 64), torch.randint(0, 5, (64,)))
    net = make()
    optimizer = make_optimizer(net.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    losses, states = [], []
    for _ in range(6):
        for x, y in DataLoader(data, 8, shuffle=True):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x + 0.1 * torch.randn_like(x)), y)
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(net.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.detach())
            states.append(torch.get_rng_state())
        scheduler.step()
    versions = [p._version for p in net.parameters()]
    gradient_versions = [p.grad._version for p in net.parameters()]
    other = (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    return losses, states, list(net.state_dict().values()), (versions, gradient_versions, other)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
}


@pytest.mark.parametrize("make", [perceptron, Convolutional, Recurrent, Attentive])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_bit_for_bit(watching, make, name):
    plain = train(make, OPTIMIZERS[name], clip=name != "adam")
    with watching() as w:
        seen = train(make, OPTIMIZERS[name], clip=name != "adam")
    for kind in range(3):
        assert len(plain[kind]) == len(seen[kind])
        assert all(torch.equal(a, b) for a, b in zip(plain[kind], seen[kind], strict=True))
    assert plain[3] == seen[3]
    assert len(w.run.pulses()) == 48
    assert [scan.step for scan in w.run.scans()] == [0, 10, 30]


def test_copies_and_pickles_carry_nothing_of_ours(watching):
    net = perceptron()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    with watching():
        for i in range(12):
            optimizer.zero_grad()
            net(torch.randn(4, 64)).square().mean().backward()
            blob = pickle.dumps((net, optimizer, scheduler))
            buffer = io.BytesIO()
            torch.save(
                {"net": net, "state": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, buffer
            )
            twin = copy.deepcopy(net)
            copy.deepcopy(optimizer)
            assert b"livegrad" not in blob, i
            assert b"livegrad" not in buffer.getvalue(), i
            optimizer.step()
            scheduler.step()
            for module in (*net.modules(), *twin.modules()):
                for hooks in (
                    "_forward_hooks",
                    "_forward_pre_hooks",
                    "_backward_hooks",
                    "_backward_pre_hooks",
                ):
                    assert not getattr(module, hooks)
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_models_and_graphs_die_when_the_program_lets_go(watching):
    def live():
        net = perceptron()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(12):
            optimizer.zero_grad()
            out = net(torch.randn(4, 64))
            loss = out.square().mean()
            loss.backward()
            optimizer.step()
        kept = [net, optimizer, out, loss, *net.parameters(), *(p.grad for p in net.parameters())]
        return [weakref.ref(thing) for thing in kept]

    with watching():
        references = live()
        gc.collect()
        assert [r() for r in references if r() is not None] == []


def test_an_evaluation_with_gradients_does_not_keep_graphs(watching):
    net = perceptron()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    with watching() as w:
        outs = []
        for i in range(12):
            if i == 10:
                for _ in range(30):
                    out = net(torch.randn(4, 64))
                    outs.append(weakref.ref(out))
                del out
                gc.collect()
                assert sum(r() is not None for r in outs) <= 1
            optimizer.zero_grad()
            net(torch.randn(4, 64)).square().mean().backward()
            optimizer.step()
    assert [scan.step for scan in w.run.scans()][:1] == [0]
    assert len(w.run.scans()) == 2


def test_a_thousand_models_one_after_the_other(watching):
    with watching(every=None) as w:
        for _ in range(40):
            net = nn.Linear(4, 1)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            for _ in range(2):
                optimizer.zero_grad()
                net(torch.randn(3, 4)).square().mean().backward()
                optimizer.step()
    assert len(w.run.subjects) == 16
    assert any("16 models" in note.text for note in w.run.info.notes)
