"""Which blocks have a way around them already, and which only a faint one."""

import pytest
import torch
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.bridges.around_blocks import blocks_in_a_row
from livegrad.treat.treatment import treat


class Damped(nn.Module):
    """share · (x + f(x)): a residual block whose stream is made smaller too."""

    def __init__(self, share):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.share = share

    def forward(self, x):
        return self.share * (x + torch.tanh(self.layer(x)))


def rows(share, depth=8):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), *[Damped(share) for _ in range(depth)], nn.Linear(8, 2))
    return blocks_in_a_row(Body(model, (), (torch.randn(5, 4),)))


def test_residual_blocks_have_a_way_around_them():
    assert rows(1.0) == []


def test_a_stream_that_each_block_makes_a_fifth_is_not_heard_behind_eight_of_them():
    assert rows(0.2) == [[str(place) for place in range(1, 9)]]  # 8 · log10 0.2 = −5.6 decades


def test_what_a_stream_loses_grows_with_depth():
    assert rows(0.5) == [] and len(rows(0.5, depth=12)[0]) == 12  # 2.4 decades, and 3.6


class Stack(nn.Module):
    def __init__(self, kind, depth=4, **options):
        super().__init__()
        self.layers = nn.ModuleList([kind(4 if i == 0 else 8, 8, **options) for i in range(depth)])
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x[:, -1])


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers_on_top_of_one_another_are_blocks_of_their_states(kind):
    torch.manual_seed(0)
    model, x = Stack(kind, batch_first=True), torch.randn(5, 6, 4)
    assert blocks_in_a_row(Body(model, (), (x,))) == [["layers.1", "layers.2", "layers.3"]]
    states = []
    for layer in model.layers:
        y = layer(states[-1] if states else x)[0]
        states.append(states[-1] + y / 3**0.5 if states else y)
    treat(model, "skip", inputs=x)
    assert torch.allclose(model(x), model.head(states[-1][:, -1]), atol=1e-6)
