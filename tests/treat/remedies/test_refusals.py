"""Each remedy where it must not work: it says no beforehand, with the reason, and changes nothing."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat

WIDTH = 32


def stack(activation, depth, norm=None, width=WIDTH):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), *([norm(width)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


class Recurrent(nn.Module):
    def __init__(self, kind=nn.LSTM, **options):
        super().__init__()
        self.rnn, self.head = kind(WIDTH, WIDTH, batch_first=True, **options), nn.Linear(WIDTH, 2)

    def forward(self, x):
        return self.head(self.rnn(x.unsqueeze(1) if x.dim() == 2 else x)[0][:, -1])


class Gated(nn.Module):
    """Its only activations are a gate, and the model's own output link."""

    def __init__(self):
        super().__init__()
        self.value, self.gate, self.head = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x):
        return torch.sigmoid(self.head(self.value(x) * torch.sigmoid(self.gate(x))))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(8))

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(torch.relu(x))
        return x


def funnel():
    sizes = [WIDTH, 28, 24, 20, 16, 12]
    layers = [f for a, b in pairwise(sizes) for f in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(12, 10))


CASES = [
    # init
    ("init=own-gain", lambda: stack(nn.Sigmoid, 30), r"0\.391 of the signal per layer, -1\d\.\d decades"),
    (
        "init=xavier",
        lambda: stack(nn.ReLU, 60),
        r"0\.707 of the signal per layer, -9\.\d decades.*take init=own-gain",
    ),
    ("init=he", lambda: stack(nn.SiLU, 60), "decades over 61 layers"),
    ("init=own-gain", lambda: stack(nn.Tanh, 120), "take init=edge"),
    ("init", lambda: stack(nn.ReLU, 10, nn.BatchNorm1d), "every layer is normalized"),
    ("init=residual", lambda: stack(nn.ReLU, 10), "no residual branches"),
    # activation
    ("activation=relu:init=false", lambda: stack(nn.Sigmoid, 60), r"0\.40\d per layer.*still too many"),
    ("activation", Gated, "no hidden activation"),
    # normalize
    ("normalize=layer", lambda: stack(nn.Sigmoid, 30), r"0\.391 per layer.*BatchNorm can"),
    ("normalize=rms", lambda: stack(nn.Sigmoid, 30), r"0\.391 per layer"),
    ("normalize=batch", lambda: stack(nn.ReLU, 60), r"1\.21 per layer.*explodes"),
    ("normalize", lambda: stack(nn.ReLU, 10, nn.LayerNorm), "normalized already"),
    # skip
    ("skip", funnel, "same shape"),
    ("skip", Residual, "side by side already"),
    ("skip", lambda: stack(nn.ReLU, 2), "next to nothing"),
    # recurrent
    ("recurrent=chrono", lambda: stack(nn.Tanh, 4), "no nn.LSTM or nn.GRU"),
    ("recurrent=chrono", lambda: Recurrent(nn.RNN), "no nn.LSTM or nn.GRU"),
    ("recurrent=identity", Recurrent, "no nn.RNN"),
    ("recurrent=chrono", Recurrent, "there is no reach to learn"),
    ("recurrent=forget", lambda: Recurrent(bias=False), "no biases"),
]


@pytest.mark.parametrize(("spec", "model", "reason"), CASES)
def test_a_remedy_says_no_where_it_cannot_work(spec, model, reason):
    torch.manual_seed(0)
    net, batch = model(), torch.randn(16, WIDTH)
    kept = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(Refused, match=reason):
        treat(net, spec, inputs=batch)
    assert net.state_dict().keys() == kept.keys()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in net.state_dict().items())
    assert not any("forward" in vars(module) for module in net.modules())


def test_batchnorm_cannot_tell_one_sample_from_another():
    with pytest.raises(Refused, match="batch of 1"):
        treat(stack(nn.Tanh, 10), "normalize=batch", inputs=torch.randn(1, WIDTH))


@pytest.mark.parametrize("spec", ["init", "activation", "recurrent"])
def test_what_was_learnt_is_not_thrown_away(spec):
    net = Recurrent() if spec == "recurrent" else stack(nn.Sigmoid, 30)
    batch = torch.randn(16, 10, WIDTH) if spec == "recurrent" else torch.randn(16, WIDTH)
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(2):
        net(batch).sum().backward()
        optimizer.step()
    with pytest.raises(Refused, match="training has begun"):
        treat(net, spec, optimizer, inputs=batch)
