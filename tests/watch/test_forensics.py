"""Forensics in a session: training does not notice it, and it holds on to nothing."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from livegrad.watch.kept_calls import kept_call
from livegrad.watch.sentinel import Sentinels, choose_sentinels, is_broken


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm, self.drop, self.b = (
            nn.Linear(5, 8),
            nn.BatchNorm1d(8),
            nn.Dropout(0.3),
            nn.Linear(8, 2),
        )

    def forward(self, x):
        return self.b(self.drop(torch.relu(self.norm(self.a(x)))))


def train(net, steps=30, broken=None):
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for step in range(steps):
        x = torch.randn(6, 5)
        out = net(x)
        loss = torch.log(torch.softmax(out * (1e6 if step == broken else 1.0), 1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [p.detach().clone() for p in net.parameters()], torch.rand(3)


def same(one, other):
    return all(torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0)) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("broken", [None, 3, 25])
def test_training_is_the_same_to_the_bit(watching, broken):
    torch.manual_seed(0)
    plain_net = Net()
    net = copy.deepcopy(plain_net)
    plain = train(plain_net, broken=broken)
    with watching(every=None) as w:
        watched = train(net, broken=broken)
    assert torch.equal(torch.tensor(plain[0]).nan_to_num(7.0), torch.tensor(watched[0]).nan_to_num(7.0))
    assert same(plain[1], watched[1]) and torch.equal(plain[2], watched[2])
    assert [origin.step for origin in w.run.info.origins] == ([] if broken is None else [broken])


def test_the_class_is_as_it_was_afterwards(watching):
    net = Net()
    with watching():
        train(net, 3)
        assert vars(Net)["__call__"] is kept_call
        clone = pickle.loads(pickle.dumps(net))
        assert vars(clone).keys() == vars(net).keys()
    assert "__call__" not in vars(Net) and not net._forward_pre_hooks
    assert not torch.overrides._get_current_function_mode_stack()


def test_a_batch_is_let_go_with_the_next_step(watching):
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    batches = []
    with watching():
        for _ in range(6):
            x = torch.randn(6, 5)
            batches.append(weakref.ref(x))
            net(x).square().mean().backward()
            optimizer.step()
            del x
            gc.collect()
            assert sum(batch() is not None for batch in batches) <= 1


def test_the_model_dies_when_the_program_lets_it_go(watching):
    net = Net()
    held = weakref.ref(net)
    with watching():
        train(net, 4)
        del net
        gc.collect()
        assert held() is None


@pytest.mark.parametrize("layer", range(4))
@pytest.mark.parametrize("embedded", [False, True])
def test_a_nan_anywhere_in_backward_reaches_a_sentinel(layer, embedded):
    class Poison(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            gradient = gradient.clone()
            gradient.view(-1)[0] = float("nan")
            return gradient

    first = nn.Embedding(9, 6) if embedded else nn.Linear(4, 6)
    layers = nn.ModuleList([first, *(nn.Linear(6, 6) for _ in range(3))])
    x = torch.randint(0, 9, (5,)) if embedded else torch.randn(5, 4)
    for i, part in enumerate(layers):
        x = torch.tanh(part(x))
        x = Poison.apply(x) if i == layer else x
    loss = x.square().mean()
    sentinels = Sentinels()
    sentinels.learn(loss.grad_fn)
    watched = sentinels.among(frozenset(id(p) for p in layers.parameters()))
    assert 1 <= len(watched) <= 4 and len(choose_sentinels(loss.grad_fn)) == len(watched)
    loss.backward()
    assert is_broken(watched)


def test_the_losses_before_are_kept(watching):
    with watching() as w:
        losses = train(Net(), 20, broken=12)[0]
    (origin,) = w.run.info.origins
    assert list(origin.losses) == pytest.approx(losses[:12])
