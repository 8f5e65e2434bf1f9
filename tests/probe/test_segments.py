"""Opened segments: which paths run side by side, what lies along them, and what each brings to the fork."""

import numpy as np
import pytest
import torch
from tests.probe.test_spine import chain, data_graph
from torch import nn

from livegrad.probe.segments import open_segments


def opened(reads, spine):
    return open_segments(data_graph(reads, {}), spine, lambda i: i)


def test_a_plain_chain_has_no_segment_to_open():
    assert opened(chain(6), list(range(6))) == []


def test_a_residual_block_is_an_identity_and_a_branch():
    # 0 = add(1, 3), 1 ← 2 ← 3
    identity, branch = opened([[1, 3], [2], [3], []], [0, 3])
    assert (identity.number, identity.chain, identity.edges) == (1, (), ((0, 3),))
    assert (branch.number, branch.chain, branch.edges) == (2, (1, 2), ((2, 3),))


def test_what_lies_inside_a_path_is_opened_in_the_same_way():
    # 0 = add(1, 6); 1 = mul(2, 3); 2 ← 4 and 3 ← 4; 4 ← 5 ← 6: a gate inside the branch.
    found = opened([[1, 6], [2, 3], [4], [4], [5], [6], []], [0, 6])
    outer = [path for path in found if path.top == 0]
    inner = [path for path in found if path.top == 1]
    assert [path.chain for path in outer] == [(), (1, 4, 5)]
    assert [path.chain for path in inner] == [(2,), (3,)] and {path.bottom for path in inner} == {4}


def test_paths_that_share_something_and_part_at_the_top_are_not_taken_apart():
    # 0 reads 1 and 2, both read 3, beside the identity.
    identity, tangle = opened([[1, 2, 4], [3], [3], [4], []], [0, 4])
    assert not identity.tangled
    assert tangle.tangled and tangle.inside == {1, 2, 3}


def test_a_segment_that_holds_a_loop_stays_closed():
    graph = data_graph([[1, 3], [2], [3], []], {})
    assert open_segments(graph, [0, 3], lambda i: i, closed={2}) == []


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def decades(tensor, of):
    return float(torch.log10(tensor.norm() / of.norm()))


@pytest.fixture
def block(scan_step):
    """A residual block between two linear maps, and the true gradients around it, taken with retain_grad."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(8, 8), Residual(nn.Sequential(nn.Linear(8, 8), nn.Tanh())), nn.Linear(8, 3)
    )
    x = torch.randn(16, 8)
    scanned = scan_step(model, lambda: model(x).square().mean())
    first = model[0](x).detach().requires_grad_()
    inner = model[1].inner(first)
    output = model[2](first + inner)
    seed = torch.autograd.grad(output.square().mean(), output)[0]
    total = torch.autograd.grad(output, first, seed, retain_graph=True)[0]
    joined = seed @ model[2].weight.detach()
    branch = torch.autograd.grad(inner, first, joined, retain_graph=True)[0]
    return scanned, {"output": seed, "total": total, "joined": joined, "branch": branch}


def test_each_path_brings_what_autograd_brings_along_it(block):
    scanned, true = block
    assert scanned.value("1", "transport") == pytest.approx(decades(true["joined"], true["output"]))
    assert scanned.value("1/1", "transport") == pytest.approx(decades(true["joined"], true["output"]))
    assert scanned.value("1/2", "transport") == pytest.approx(decades(true["branch"], true["output"]))
    assert scanned.value("0", "transport") == pytest.approx(decades(true["total"], true["output"]))


def test_what_operations_pass_on_adds_up_to_their_path(block):
    scanned, _ = block
    along = [i for i, layer in enumerate(scanned.layers) if layer.segment == "1" and layer.kind == "branch"]
    assert [scanned.layers[i].name for i in along] == ["1.inner.0", "1.inner.1"]
    passed = scanned.columns["passed"][along].sum()
    assert passed == pytest.approx(scanned.value("1/2", "transport") - scanned.value("1", "transport"))


def test_paths_that_meet_the_fork_twice_are_summed_before_they_are_measured(scan_step):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.a, self.b = (nn.Linear(6, 6) for _ in range(3))

        def forward(self, x):
            x = self.first(x)
            return x + torch.relu(self.a(x) - self.b(x))

    torch.manual_seed(0)
    model, x = Twice(), torch.randn(8, 6)
    scanned = scan_step(model, lambda: model(x).sum())
    fork = model.first(x).detach().requires_grad_()
    branch = torch.relu(model.a(fork) - model.b(fork))
    true = torch.autograd.grad(branch.sum(), fork)[0]
    assert scanned.value("add/2", "transport") == pytest.approx(decades(true, torch.ones(8, 6)), abs=1e-6)
    assert {layer.segment for layer in scanned.layers if layer.name in ("a", "b")} == {"sub"}


def test_an_attention_is_open_down_to_its_softmax(scan_step):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))

        def forward(self, x):
            weights = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2), -1)
            return self.o(weights @ self.v(x))

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), Residual(Attention()), nn.Linear(8, 2))
    x = torch.randn(4, 5, 8)
    scanned = scan_step(model, lambda: model(x).square().mean())
    where = {layer.name: (layer.segment, layer.path) for layer in scanned.layers}
    assert where["1.inner.o"][0] == "1" and where["1.inner.matmul#2"][0] == "1"
    assert where["1.inner.softmax"] != where["1.inner.v"]
    assert where["1.inner.softmax"][0] == where["1.inner.v"][0] == "1.inner.matmul#2"
    assert where["1.inner.q"][0] == where["1.inner.k"][0] == "1.inner.matmul#1"
    assert np.isfinite(scanned.value("1.inner.softmax", "passed"))
