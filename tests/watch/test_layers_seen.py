"""What a watched training shows of a model: every operation on its way, functional calls among them."""

import torch
from torch import nn

import livegrad


class FunctionalTanh(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.head(x)


def train(model: nn.Module, path) -> livegrad.Report:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with livegrad.watch(model, optimizer, path=path):
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(4, 8)).square().mean().backward()
            optimizer.step()
    return livegrad.load(path).report()


def test_functional_activations_are_layers_too(tmp_path):
    torch.manual_seed(0)
    names = [layer["name"] for layer in train(FunctionalTanh(), tmp_path / "run").layers]
    assert names == ["hidden.0", "tanh#1", "hidden.1", "tanh#2", "hidden.2", "tanh#3", "head"]


def test_a_fused_recurrent_layer_shows_its_time_steps(tmp_path):
    torch.manual_seed(0)

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(8, 6, batch_first=True)
            self.head = nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(x.unsqueeze(1).expand(-1, 10, -1))[0][:, -1])

    layers = train(Reader(), tmp_path / "run").layers
    steps = [layer for layer in layers if layer["kind"] == "time"]
    assert [layer["name"] for layer in steps] == [f"rnn[t={t}]" for t in range(10)]
    heard = [layer["audibility"] for layer in steps]
    assert heard[0] < heard[-1], "the output hears the latest state better than the first"
