"""torch.jit.trace and its kin in a watched program: their graphs are those of the program alone."""

import pytest
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.b(torch.sigmoid(self.a(x)))


def step(net, optimizer, x):
    optimizer.zero_grad()
    net(x).square().mean().backward()
    optimizer.step()


def operations(traced):
    """What it computes and where the program says so; the names of its types are counted up."""
    nodes = traced.inlined_graph.nodes()
    return [(n.kind(), n.sourceRange().splitlines()[0]) for n in nodes if n.kind().startswith("aten")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("at", ["before training", "between steps", "behind a forward pass"])
def test_a_trace_passes_its_own_check_and_is_the_same_graph(watching, at):
    """The check traces a second time and compares: a mode that came on between would show."""
    torch.manual_seed(0)
    x = torch.randn(3, 4)
    alone = torch.jit.trace(Net(), x)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching():
        if at != "before training":
            step(net, optimizer, x)
        if at == "behind a forward pass":
            net(x)
        traced = torch.jit.trace(net, x)
        step(net, optimizer, x)
    assert operations(traced) == operations(alone) and len(operations(alone)) == 3
    assert torch.equal(traced(x), net(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_traced_model_trains_as_without(watching):
    def trained():
        torch.manual_seed(0)
        x = torch.randn(3, 4)
        net = torch.jit.trace(Net(), x)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(12):
            step(net, optimizer, x)
        return net.state_dict()

    alone = trained()
    with watching():
        watched = trained()
    assert all(torch.equal(alone[name], watched[name]) for name in alone)
