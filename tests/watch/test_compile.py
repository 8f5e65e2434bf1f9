"""Compiled models: the user's graphs stay the user's, and layers are seen on a step run eagerly."""

import pytest
import torch
from torch import nn

dynamo = pytest.importorskip("torch._dynamo")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.b = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


class Counting:
    """A backend that runs the graph as it is and counts how often it was asked."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, graph, inputs):
        self.graphs += 1
        return graph.forward


@pytest.fixture(autouse=True)
def _fresh():
    dynamo.reset()
    yield
    dynamo.reset()


def compiled(net, style, backend):
    if style == "inplace":
        net.compile(backend=backend)
        return net
    return torch.compile(net, backend=backend, fullgraph=style == "fullgraph")


def train(model, net, steps=14):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(4, 8)).square().mean().backward()
        optimizer.step()
    return [p.detach().clone() for p in net.parameters()]


@pytest.mark.filterwarnings("error", "default:Guards may run slower on Python 3.13.0:RuntimeWarning")
@pytest.mark.parametrize("style", ["wrapped", "fullgraph", "inplace", "a module of torch's"])
def test_a_compiled_model_is_compiled_once_and_scanned_eagerly(watching, style):
    net, backend = Net(), Counting()
    if style == "a module of torch's":
        net = net.b
    with watching() as w:
        train(compiled(net, style, backend), net)
    assert backend.graphs == 1
    run = w.run
    assert [scan.step for scan in run.scans()] == [0, 10]
    assert len(run.pulses()) == 14
    assert run.subjects[0].compiled
    assert [t.name for t in run.tensors] == [name for name, _ in net.named_parameters()]
    assert [note.kind for note in run.info.notes] == ["event"]
    assert "run eagerly" in run.info.notes[0].text


@pytest.mark.parametrize("style", ["wrapped", "inplace"])
def test_compiled_training_is_the_same_to_the_bit(watching, style):
    plain, seen = Net(), Net()
    seen.load_state_dict(plain.state_dict())
    torch.manual_seed(1)
    expected = train(compiled(plain, style, "aot_eager"), plain)
    torch.manual_seed(1)
    with watching():
        found = train(compiled(seen, style, "aot_eager"), seen)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_a_model_inside_a_compiled_function(watching):
    net, backend = Net(), Counting()
    forward = torch.compile(lambda x: net(x).square(), backend=backend)
    with watching() as w:
        train(forward, net)
    assert backend.graphs == 1
    assert len(w.run.pulses()) == 14
    assert [scan.step for scan in w.run.scans()] == [0, 10]


def test_validation_before_training_does_not_cost_a_graph(watching):
    net, backend = Net(), Counting()
    with watching() as w:
        model = compiled(net, "wrapped", backend)
        with torch.no_grad():
            model(torch.randn(4, 8))
        train(model, net)
    assert backend.graphs <= 2, "one without gradients and one with"
    assert [scan.step for scan in w.run.scans()] == [0, 10]


@pytest.mark.filterwarnings("ignore")
def test_a_whole_step_inside_a_compiled_function_is_said_to_be_unseen(watching):
    net, backend = Net(), Counting()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    @torch.compile(backend=backend)
    def step(x):
        loss = net(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    with watching() as w:
        for _ in range(4):
            before = [p.detach().clone() for p in net.parameters()]
            step(torch.randn(4, 8))
            assert not any(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert backend.graphs >= 1
    assert any("inside a function compiled" in note.text for note in w.run.info.notes)
