"""Every remedy against a finding, or in a state, where it must not be used: what it says beforehand."""

import pytest
import torch
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.choice import parse_choices
from livegrad.treat.remedies import names, remedy

WIDTH = 16


def stack(activation=nn.Tanh, depth=20, norm=None):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(WIDTH, WIDTH), *([norm(WIDTH)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 4))


def convolutions():
    layers = [m for _ in range(6) for m in (nn.Conv2d(4, 4, 3, padding=1), nn.Sigmoid())]
    return nn.Sequential(nn.Unflatten(1, (4, 2, 2)), *layers, nn.Flatten(), nn.Linear(16, 4))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.Linear(WIDTH, WIDTH)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 2, 32, batch_first=True, norm_first=True) for _ in range(3)
        )
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x):
        x = self.read(x)[:, None].expand(-1, 3, -1)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


class Unrolled(nn.Module):
    """A loop written by hand, without any layer that torch calls recurrent."""

    def __init__(self):
        super().__init__()
        self.read, self.again, self.head = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x):
        h = torch.zeros(len(x), WIDTH)
        for _ in range(12):
            h = torch.tanh(self.read(x) + self.again(h))
        return self.head(h)


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def trained(model):
    """An Adam that remembers several steps."""
    optimizer = adam(model)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, WIDTH)).square().mean().backward()
        optimizer.step()
    return optimizer


def lbfgs(model):
    return torch.optim.LBFGS(model.parameters())


CASES = [
    # (remedy, model, optimizer, code of the finding or None, what it says)
    ("clip=norm", stack, sgd, "LG101", "vanish"),
    ("clip=value", stack, sgd, "LG102", "vanish"),
    ("clip=agc", stack, sgd, "LG101", "vanish"),
    ("clip=robust", stack, sgd, "LG101", "vanish"),
    ("clip=through-time", stack, sgd, None, "again and again"),
    ("schedule=rate", lambda: stack(nn.Sigmoid), sgd, "LG101", "vanishes"),
    ("schedule=warmup", stack, sgd, "LG503", "too small already"),
    ("schedule=cap", stack, sgd, "LG402", "not seen to rise"),
    ("precision=scale", lambda: stack(nn.Sigmoid), sgd, "LG101", "vanish|postpone|no more of the signal"),
    ("precision=bfloat16", stack, sgd, "LG301", "nothing computes in float16"),
    ("precision=autocast", stack, sgd, None, "no weight is kept in half precision"),
    ("precision=eps", stack, sgd, None, "no optimizer divides"),
    ("precision=master", stack, lbfgs, "LG401", "asks for the loss within its step"),
    ("regularize=l1", lambda: stack(nn.Sigmoid), sgd, "LG101", "vanish"),
    ("regularize=decay", lambda: stack(nn.Sigmoid), sgd, "LG101", "vanish"),
    ("regularize=spectral", lambda: stack(nn.Sigmoid), sgd, "LG101", "vanish"),
    ("init", stack, trained, "LG101", "training has begun"),
    ("init=residual", stack, adam, "LG101", "no residual branches"),
    ("init=deepnorm", stack, adam, "LG101", "no residual branches"),
    ("init=deepnorm", Attention, adam, "LG101", "normalized before"),
    ("init=fixup", Attention, adam, "LG101", "t-fixup"),
    ("init=delta-orthogonal", lambda: nn.Sequential(nn.Unflatten(1, (4, 2, 2)), nn.Conv2d(4, 4, 2), nn.Tanh(),
                                                    nn.Flatten(), nn.Linear(4, 4)), adam, None, "odd size"),
    ("activation=relu", lambda: stack(nn.ReLU), adam, "LG101", "all 20 are ReLU already"),
    ("activation=relu", lambda: stack(nn.Sigmoid), trained, "LG101", "training has begun"),
    ("normalize=layer", lambda: stack(nn.Sigmoid), adam, "LG101", "BatchNorm can"),
    ("normalize=batch", lambda: stack(nn.ReLU, 60), adam, "LG101", "explodes"),
    ("normalize=batch", Unrolled, adam, "LG101", "loop"),
    ("normalize=rms", convolutions, adam, "LG101", "images"),
    ("normalize=input", stack, adam, "LG501", "unit size already"),
    ("skip", Attention, adam, "LG101", "side by side"),
    ("skip=highway", convolutions, adam, "LG101", "convolution|Conv2d"),
    ("recurrent", stack, adam, "LG102", "no nn.RNN"),
    ("recurrent=chrono", Unrolled, adam, "LG102", "no nn.LSTM"),
    ("pretrain", convolutions, adam, "LG101", "only stacks of linear layers"),
    ("pretrain", Attention, adam, "LG101", "side by side"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "model", "optimizer", "code", "reason"), CASES)
def test_it_says_no_with_the_reason(spec, model, optimizer, code, reason):
    torch.manual_seed(0)
    net = model()
    body = Body(net, [optimizer(net)], (torch.randn(8, WIDTH),), finding=code and {"code": code})
    (choice,) = parse_choices(spec)
    cure = remedy(choice.remedy)
    said = cure.assess(body, cure.resolve(body, choice))
    assert said.works is False
    assert any(word in said.reason for word in reason.split("|")), said.reason


def test_no_remedy_is_left_out():
    assert {spec.partition("=")[0] for spec, *_ in CASES} == set(names())
