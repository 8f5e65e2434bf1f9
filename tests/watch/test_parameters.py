"""Parameters of every kind: tied, frozen, integer, complex, sparse, added later."""

import numpy as np
import torch
from torch import nn


def by_name(run) -> dict:
    return {tensor.name: tensor for tensor in run.tensors}


def test_a_tied_tensor_is_one_tensor_with_two_names(watching):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode = nn.Embedding(11, 4)
            self.decode = nn.Linear(4, 11, bias=False)
            self.decode.weight = self.encode.weight

        def forward(self, x):
            return self.decode(self.encode(x))

    net = Tied()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching() as w:
        net(torch.arange(5)).square().mean().backward()
        expected = net.encode.weight.grad.norm().item()
        optimizer.step()
    (tensor,) = w.run.tensors
    assert (tensor.name, tensor.tied) == ("encode.weight", ("decode.weight",))
    np.testing.assert_allclose(w.run.pulses().gradient_norm, [[expected]], rtol=1e-5)


def test_frozen_parameters_have_weights_and_no_gradient(watching):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    net[0].requires_grad_(False)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching() as w:
        net(torch.randn(3, 4)).square().mean().backward()
        optimizer.step()
    pulses = w.run.pulses()
    assert pulses.has_gradient[0].tolist() == [False, False, True, True]
    assert np.isfinite(pulses.weight_rms).all()
    assert [t.trainable for t in w.run.tensors] == [False, False, True, True]


def test_parameters_outside_the_optimizer_are_listed_without_one(watching):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(net[1].parameters(), lr=0.1)
    with watching() as w:
        net(torch.randn(3, 4)).square().mean().backward()
        optimizer.step()
    assert [t.optimizer for t in w.run.tensors] == [None, None, 0, 0]
    assert w.run.pulses().tensor.tolist() == [2, 3]
    assert w.run.subjects[0].parameters == 30


def test_integer_and_complex_parameters(watching):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.tensor([3, -4]), requires_grad=False)
            self.phase = nn.Parameter(torch.tensor([1 + 2j, 0.5j]))

        def forward(self, x):
            return (self.phase * x).abs().square().sum() + self.table.sum() * 0

    net = Odd()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching() as w:
        net(torch.tensor([1.0, 2.0])).backward()
        expected = net.phase.grad.abs().square().sum().sqrt().item()
        optimizer.step()
    pulses = w.run.pulses()
    np.testing.assert_allclose(pulses.gradient_norm[0, 1], expected, rtol=1e-5)
    np.testing.assert_allclose(pulses.weight_norm[0], [5.0, (5 + 0.25) ** 0.5], rtol=1e-5)


def test_sparse_gradients(watching):
    net = nn.Sequential(nn.Embedding(100, 4, sparse=True), nn.Flatten(), nn.Linear(12, 2))
    sparse = torch.optim.SparseAdam(net[0].parameters(), lr=0.1)
    dense = torch.optim.Adam(net[2].parameters(), lr=0.1)
    expected = []
    with watching() as w:
        for _ in range(3):
            net.zero_grad()
            net(torch.tensor([[1, 1, 7], [2, 1, 9]])).square().mean().backward()
            expected.append(net[0].weight.grad.to_dense().norm().item())
            sparse.step()
            dense.step()
    pulses = w.run.pulses()
    rows = pulses.optimizer == [o.type for o in w.run.subjects[0].optimizers].index("SparseAdam")
    column = pulses.tensor.tolist().index(by_name(w.run)["0.weight"].id)
    np.testing.assert_allclose(pulses.gradient_norm[rows, column], expected, rtol=1e-5)
    assert pulses.step.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_parameter_group_added_later(watching):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(net[1].parameters(), lr=0.1)
    with watching() as w:
        for i in range(6):
            if i == 3:
                optimizer.add_param_group({"params": list(net[0].parameters()), "lr": 0.01})
            optimizer.zero_grad()
            net(torch.randn(3, 4)).square().mean().backward()
            optimizer.step()
    pulses = w.run.pulses()
    assert pulses.step.tolist() == list(range(6))
    first = pulses.tensor.tolist().index(by_name(w.run)["0.weight"].id)
    assert np.isnan(pulses.gradient_norm[:, first]).tolist() == [True] * 3 + [False] * 3
    assert by_name(w.run)["0.weight"].group == 1


def test_a_new_optimizer_continues_the_count(watching):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    with watching() as w:
        for phase in range(2):
            optimizer = (torch.optim.SGD, torch.optim.Adam)[phase](net.parameters(), lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                net(torch.randn(3, 4)).square().mean().backward()
                optimizer.step()
    (subject,) = w.run.subjects
    assert [o.type for o in subject.optimizers] == ["SGD", "Adam"]
    assert w.run.pulses().step.tolist() == list(range(6))
    assert w.run.pulses().optimizer.tolist() == [0, 0, 0, 1, 1, 1]
    assert w.run.info.steps == 6


def test_a_replaced_layer_is_a_new_tensor(watching):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching() as w:
        for i in range(4):
            if i == 2:
                net[1] = nn.Linear(4, 3)
                optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            optimizer.zero_grad()
            net(torch.randn(3, 4)).square().mean().backward()
            optimizer.step()
    shapes = [t.shape for t in w.run.tensors if t.name == "1.weight"]
    assert shapes == [(2, 4), (3, 4)]
    assert len(w.run.subjects) == 1


def test_lazy_modules(watching):
    net = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching() as w:
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(3, 6)).square().mean().backward()
            optimizer.step()
    assert by_name(w.run)["0.weight"].shape == (4, 6)
    assert w.run.subjects[0].parameters == 4 * 6 + 4 + 10


def test_tensors_without_a_module(watching):
    weight = torch.randn(3, 2, requires_grad=True)
    bias = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([weight, bias], lr=0.1)
    with watching() as w:
        for _ in range(3):
            optimizer.zero_grad()
            (torch.randn(5, 3) @ weight + bias).square().mean().backward()
            expected = [weight.grad.norm().item(), bias.grad.norm().item()]
            optimizer.step()
    (subject,) = w.run.subjects
    assert subject.parameters == 8
    np.testing.assert_allclose(w.run.pulses().gradient_norm[-1], expected, rtol=1e-5)
    assert any(note.kind == "not_observed" for note in w.run.info.notes), (
        "its layers cannot be scanned: say so"
    )


def test_a_tensor_learning_rate(watching):
    net = nn.Linear(4, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=torch.tensor(0.25))
    with watching() as w:
        net(torch.randn(3, 4)).square().mean().backward()
        optimizer.step()
    assert w.run.pulses().learning_rate.tolist() == [0.25]


def test_an_empty_batch(watching):
    net = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching() as w:
        for _ in range(2):
            optimizer.zero_grad()
            net(torch.randn(0, 4)).sum().backward()
            optimizer.step()
    np.testing.assert_array_equal(w.run.pulses().gradient_norm, 0.0)


def test_an_optimizer_for_every_parameter_that_steps_inside_backward(watching):
    net = nn.Sequential(*[nn.Linear(4, 4) for _ in range(20)])
    optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in net.parameters()}

    def apply(p):
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in net.parameters():
        p.register_post_accumulate_grad_hook(apply)
    with watching() as w:
        for _ in range(3):
            net(torch.randn(3, 4)).square().mean().backward()
    (subject,) = w.run.subjects
    assert len(subject.optimizers) == 32
    assert set(w.run.pulses().step) == {0, 1, 2}
    assert any("optimizers" in note.text for note in w.run.info.notes)


def test_a_new_optimizer_of_the_same_kind_takes_the_place_of_one_that_is_gone(watching):
    net = nn.Linear(4, 2)
    with watching() as w:
        for _ in range(5):
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            for _ in range(2):
                optimizer.zero_grad()
                net(torch.randn(3, 4)).square().mean().backward()
                optimizer.step()
            del optimizer
    assert len(w.run.subjects[0].optimizers) == 1
    assert w.run.pulses().step.tolist() == list(range(10))
