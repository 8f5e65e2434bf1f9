"""Layers trained one after the other, each on what the ones below give."""

import pytest
import torch
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.pretraining.layer_stack import first_inputs, hidden_layers
from livegrad.treat.pretraining.layer_training import Course, autoencode, contrast
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat, treat_body


def stack(depth, activation=nn.Sigmoid, width=64, inputs=64, bias=True):
    torch.manual_seed(0)
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, width, bias=bias), activation()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 10))


def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    order = torch.randperm(len(data.data), generator=torch.Generator().manual_seed(0))
    x = torch.tensor(data.data / 16, dtype=torch.float32)[order]
    y = torch.tensor(data.target)[order]
    return x[:1400], y[:1400], x[1400:], y[1400:]


def accuracy(model, epochs, make):
    x, y, held, labels = digits()
    optimizer = make(model.parameters())
    generator = torch.Generator().manual_seed(2)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        return float((model(held).argmax(1) == labels).float().mean())


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-3)


def test_six_sigmoid_layers_learn_digits_after_it_on_one_batch_and_not_before():
    model = stack(6)
    treat(model, "pretrain=rbm:steps=200", inputs=digits()[0][:64])
    assert accuracy(model, 6, sgd) > 0.8
    assert accuracy(stack(6), 6, sgd) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["autoencoder", "rbm"])
@pytest.mark.parametrize("make", [sgd, adam])
@pytest.mark.parametrize("depth", [6, 8, 10])
def test_deep_belief_nets_learn_digits_and_plain_sigmoid_stacks_do_not(depth, make, variant):
    model = stack(depth)
    treat(model, f"pretrain={variant}", inputs=digits()[0])
    assert accuracy(model, 15, make) > 0.8
    assert accuracy(stack(depth), 15, make) < 0.3


def test_samples_are_told_apart_by_the_deepest_layer():
    x = digits()[0][:128]

    def spread(model):
        with torch.no_grad():
            return float(model[:-1](x).std(0).mean())

    model = stack(8)
    before = spread(model)
    treat(model, "pretrain", inputs=x)
    assert before < 1e-3 and spread(model) > 0.1


def test_an_autoencoder_gives_back_what_was_hidden_from_it():
    # Entries come in equal pairs: what is hidden is known from its twin.
    generator = torch.Generator().manual_seed(0)
    half = torch.bernoulli(torch.full((256, 8), 0.5), generator=generator)
    x = torch.cat([half, half], 1)
    w, b = autoencode(
        0.1 * torch.randn(32, 16, generator=generator),
        torch.zeros(32),
        torch.sigmoid,
        x,
        Course(steps=600, rate=0.02),
        generator,
    )
    hidden = x.clone()
    hidden[:, :8] = 0
    code = torch.sigmoid(hidden @ w.T + b)
    back = code @ w[:, :8]
    ones, zeros = back[half > 0.5], back[half < 0.5]
    assert float(ones.mean()) > float(zeros.mean()) + 2


def test_an_rbm_learns_the_two_patterns_that_there_are():
    patterns = torch.tensor([[1.0, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]])
    x = patterns.repeat(64, 1)
    w, b = contrast(torch.zeros(6, 8), True, x, Course(steps=600, rate=0.1), torch.Generator().manual_seed(0))
    h = torch.sigmoid(patterns @ w.T + b)
    # Each unit that is of use tells one pattern from the other.
    assert float((h[0] - h[1]).abs().max()) > 0.5
    # And what excites one half of the entries inhibits the other.
    unit = int((h[0] - h[1]).abs().argmax())
    assert torch.equal(w[unit, :4].sign(), -w[unit, 4:].sign())


def test_the_head_is_left_alone_and_all_is_undone_bit_for_bit():
    model = stack(3, nn.Tanh)
    kept = [p.detach().clone() for p in model.parameters()]
    x = torch.randn(16, 64)
    state = torch.random.get_rng_state()
    treatment = treat(model, "pretrain=autoencoder:steps=5", inputs=x)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(model[-1].weight, kept[-2]) and not torch.equal(model[0].weight, kept[0])
    treatment.undo()
    assert all(torch.equal(a, b) for a, b in zip(kept, model.parameters(), strict=True))


def test_the_same_seed_trains_the_same():
    ends = []
    for _ in range(2):
        model = stack(2)
        torch.manual_seed(7)
        treat(model, "pretrain:steps=5", inputs=digits()[0][:32])
        ends.append(model[2].weight.detach().clone())
    assert torch.equal(*ends)


def test_layers_without_a_bias_are_trained_without_one():
    model = stack(3, bias=False)
    treatment = treat(model, "pretrain=rbm:steps=5", inputs=digits()[0][:32])
    assert {c.where for c in treatment.changes} == {"0.weight", "2.weight", "4.weight"}


def test_more_batches_are_taken_where_there_are():
    model = stack(2)
    x = digits()[0]
    body = Body(model, args=(x[:64],), more=lambda: ((part,) for part in x[64:256].split(64)))
    assert torch.equal(first_inputs(body, hidden_layers(body)), x[:256])


def test_what_comes_first_is_flattened_as_the_model_does_it():
    model = nn.Sequential(nn.Flatten(), *stack(2))
    x = digits()[0][:32].reshape(32, 8, 8)
    body = Body(model, args=(x,))
    assert torch.equal(first_inputs(body, hidden_layers(body)), x.flatten(1))


def test_sigmoids_on_probabilities_are_boltzmann_machines_and_others_autoencoders():
    choose = remedy("pretrain").resolve
    x = digits()[0][:32]
    assert choose(Body(stack(3), args=(x,)), Choice("pretrain")).variant == "rbm"
    assert choose(Body(stack(3), args=(x * 16,)), Choice("pretrain")).variant == "autoencoder"
    assert choose(Body(stack(3, nn.Tanh), args=(x,)), Choice("pretrain")).variant == "autoencoder"


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = torch.sigmoid(self.a(x))
        return self.c(x + torch.sigmoid(self.b(x)))


class Doubled(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.c(torch.sigmoid(self.b(2 * torch.sigmoid(self.a(x)))))


CONVOLUTIONAL = nn.Sequential(nn.Conv1d(8, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
NORMALIZED = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), *stack(2, inputs=8))


@pytest.mark.parametrize(
    ("model", "inputs", "reason"),
    [
        (Residual(), torch.rand(4, 8), "paths side by side"),
        (Doubled(), torch.rand(4, 8), "is not given what"),
        (CONVOLUTIONAL, torch.rand(4, 8, 2), "Conv1d"),
        (NORMALIZED, torch.rand(4, 8), "normalized"),
        (nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2)), torch.rand(4, 8), "fewer than two"),
    ],
)  # fmt: skip
def test_where_layers_do_not_chain_it_says_so(model, inputs, reason):
    with pytest.raises(Refused, match=reason):
        treat(model, "pretrain", inputs=inputs)


def test_trained_weights_explosions_and_missing_data_are_refused():
    model = stack(2)
    with pytest.raises(Refused, match="inputs=samples"):
        treat(model, "pretrain")
    x = digits()[0][:8]
    finding = {"code": "LG103"}
    with pytest.raises(Refused, match="explodes"):
        treat_body(Body(model, args=(x,), finding=finding), (Choice("pretrain"),))
    with pytest.raises(Refused, match=r"within \[0, 1\]"):
        treat(model, "pretrain=rbm", inputs=16 * x)
    with pytest.raises(Refused, match="sigmoids"):
        treat(stack(2, nn.Tanh), "pretrain=rbm", inputs=x)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(x).sum().backward()
    optimizer.step()
    with pytest.raises(Refused, match="trained already"):
        treat(model, "pretrain", optimizer, inputs=x)
