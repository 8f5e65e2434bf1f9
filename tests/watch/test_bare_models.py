"""Models that no torch.nn.Module holds: tensors, functions and an optimizer."""

import pytest
import torch
import torch.nn.functional as F

DEPTH = 8


def tensors(gain=0.1):
    torch.manual_seed(0)
    weights = [(gain * torch.randn(16, 16) / 4).requires_grad_() for _ in range(DEPTH)]
    return [*weights, (torch.randn(3, 16) / 4).requires_grad_()]


def forward(weights, x):
    for w in weights[:-1]:
        x = torch.tanh(x @ w)
    return F.linear(x, weights[-1])


def train(weights, steps=40):
    optimizer = torch.optim.SGD(weights, lr=0.01)
    losses = []
    for _ in range(steps):
        x, y = torch.randn(32, 16), torch.randint(0, 3, (32,))
        loss = F.cross_entropy(forward(weights, x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_their_layers_are_scanned_and_the_line_of_the_weights_is_named(watching):
    with watching(every=None) as w:
        train(tensors())
    found = {f["code"]: f for f in w.run.report().to_dict()["findings"]}
    cause = found["LG101"]["cause"]
    assert (cause["operator"], cause["kind"]) == ("matmul", "weights-small")
    line = forward.__code__.co_firstlineno + 2
    assert found["LG101"]["source"] == f"tests/watch/test_bare_models.py:{line}"
    assert "no torch.nn.Module" in cause["counterfactual"]


def test_training_is_the_same_to_the_bit(watching):
    plain, seen = tensors(), tensors()
    torch.manual_seed(1)
    expected = train(plain)
    torch.manual_seed(1)
    with watching():
        losses = train(seen)
    assert losses == expected
    assert all(torch.equal(a, b) for a, b in zip(plain, seen, strict=True))
    assert torch._C._len_torch_function_stack() == 0


def test_a_program_that_ends_between_two_steps_leaves_no_mode(watching):
    with pytest.raises(KeyboardInterrupt), watching(every=None):
        train(tensors(), steps=10)  # the step after is to be scanned
        raise KeyboardInterrupt
    assert torch._C._len_torch_function_stack() == 0


def test_a_sound_one_is_left_in_peace(watching):
    with watching(every=None) as w:
        train(tensors(gain=1.6))
    assert w.run.report().verdict == "healthy"
    assert len(w.run.scans()) >= 2
