"""What models return, and what the loss takes of it: which output the model is judged by."""

import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

Pair = namedtuple("Pair", "logits hidden")


@dataclass
class Answer:
    logits: torch.Tensor
    hidden: list[torch.Tensor]


class ModelOutput(OrderedDict):
    """As in transformers: a dict whose items are attributes too."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Net(nn.Module):
    """Linear a, ReLU, Linear b; `answer(hidden, logits)` makes the output."""

    def __init__(self, answer):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)
        self.answer = answer

    def forward(self, x):
        hidden = self.a(x).relu()
        return self.answer(hidden, self.b(hidden))


LABELS = torch.arange(6) % 4
FORMS = {
    "tensor": (lambda h, y: y, lambda out: F.cross_entropy(out, LABELS)),
    "tuple": (lambda h, y: (h, y, None, 3), lambda out: F.cross_entropy(out[1], LABELS)),
    "namedtuple": (lambda h, y: Pair(y, h), lambda out: F.cross_entropy(out.logits, LABELS)),
    "dataclass": (lambda h, y: Answer(y, [h]), lambda out: F.cross_entropy(out.logits, LABELS)),
    "dict": (
        lambda h, y: {"y": y, "h": [{"deep": h}], "name": "x"},
        lambda out: F.cross_entropy(out["y"], LABELS),
    ),
    "loss and logits": (
        lambda h, y: ModelOutput(loss=F.cross_entropy(y, LABELS), logits=y, hidden_states=(h,)),
        lambda out: out.loss,
    ),
    "loss only": (lambda h, y: F.cross_entropy(y, LABELS), lambda out: out),
    "sum of losses": (lambda h, y: F.cross_entropy(y, LABELS) + h.square().mean(), lambda out: out),
    "softmax": (lambda h, y: y.softmax(1), lambda out: F.nll_loss(out.log(), LABELS)),
    "log-softmax": (lambda h, y: y.log_softmax(1), lambda out: F.nll_loss(out, LABELS)),
    "sigmoid": (lambda h, y: torch.sigmoid(y), lambda out: F.mse_loss(out, torch.zeros(6, 4))),
    "transposed": (lambda h, y: y.t().contiguous().flatten(), lambda out: out.square().mean()),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_last_weighted_layer_is_the_output_whatever_the_model_wraps_it_in(scan_unnoticed, form):
    answer, loss = FORMS[form]

    def build():
        model, x = Net(answer), torch.randn(6, 8)
        return model, lambda: loss(model(x))

    scanned = scan_unnoticed(build)

    assert scanned.reason is None
    assert scanned.names() == ["a", "relu", "b"]
    assert scanned.value("b", "audibility") == scanned.columns["audibility_output"][0]
    assert scanned.value("b", "transport") == 0


def test_a_distribution_is_looked_into(scan_unnoticed):
    def build():
        model, x = Net(lambda h, y: torch.distributions.Normal(y, 1.0)), torch.randn(6, 8)
        return model, lambda: -model(x).log_prob(torch.zeros(6, 4)).mean()

    assert scan_unnoticed(build).names() == ["a", "relu", "b"]


class Variational(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode, self.mean, self.spread = nn.Linear(8, 16), nn.Linear(16, 2), nn.Linear(16, 2)
        self.decode, self.out = nn.Linear(2, 16), nn.Linear(16, 8)

    def forward(self, x):
        hidden = F.relu(self.encode(x))
        mean, spread = self.mean(hidden), self.spread(hidden)
        z = mean + torch.randn_like(mean) * torch.exp(spread / 2)
        return torch.sigmoid(self.out(F.relu(self.decode(z)))), mean, spread


def test_a_variational_autoencoder_is_judged_by_its_reconstruction(scan_unnoticed):
    def build():
        model, x = Variational(), torch.rand(6, 8)

        def forward():
            y, mean, spread = model(x)
            return F.binary_cross_entropy(y, x) + (mean.square() + spread.exp() - spread).mean()

        return model, forward

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["encode", "relu#1", "add", "decode", "relu#2", "out"]
    assert scanned.owners["spread.weight"] == "spread"


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
        self.policy, self.value = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4)), nn.Linear(8, 1)

    def forward(self, x):
        x = self.body(x)
        return self.policy(x), self.value(x)


def test_a_second_head_has_a_row_but_is_not_heard_at_the_first(scan_unnoticed):
    def build():
        model, x = Heads(), torch.randn(6, 8)

        def forward():
            policy, value = model(x)
            return F.cross_entropy(policy, LABELS) + value.square().mean()

        return model, forward

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["body.0", "body.1", "policy.0", "policy.1", "policy.2"]
    assert scanned.owners["value.weight"] == "value"
    assert scanned.layer("value").kind == "branch"
    assert scanned.layer("value").depth == scanned.layer("body.1").depth
    assert math.isnan(scanned.value("value", "audibility"))
    assert scanned.value("value", "gradient_rms") > 0


def test_an_output_that_the_loss_leaves_out_is_not_the_output(scan_unnoticed):
    class Extra(Net):
        def __init__(self):
            super().__init__(lambda h, y: (y, self.extra(y)))
            self.extra = nn.Linear(4, 8)

    def build():
        model, x = Extra(), torch.randn(6, 8)
        return model, lambda: F.cross_entropy(model(x)[0], LABELS)

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["a", "relu", "b"]
    assert len(scanned.result.called) == 6
    assert len(scanned.result.reached) == 4


def test_a_value_the_model_keeps_and_the_loss_takes(scan_unnoticed):
    def build():
        kept = []
        model, x = Net(lambda h, y: (kept.append(h), y.detach())[1]), torch.randn(6, 8)
        return model, lambda: (model(x), kept.pop())[1].square().mean()

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["a"]  # its ReLU is the output's link
    assert scanned.owners == {"a.weight": "a", "a.bias": "a"}


def test_a_loss_that_has_nothing_to_do_with_the_model(scan_step):
    model, other = Net(lambda h, y: y), nn.Parameter(torch.ones(3))

    scanned = scan_step(model, lambda: (model(torch.randn(6, 8)), other.sum())[1])

    assert scanned.result is None
    assert scanned.reason == "no output of the model's forward pass leads to the loss"


def test_a_model_whose_forward_does_not_run(scan_step):
    model = Net(lambda h, y: y)

    scanned = scan_step(model, lambda: sum(p.square().sum() for p in model.parameters()))

    assert scanned.result is None
    assert "did not run" in scanned.reason


class Lightning(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))

    def training_step(self, x):
        return F.cross_entropy(self.decoder(self.encoder(x) * 2), LABELS)


def test_parts_that_a_method_calls_without_the_models_own_forward(scan_unnoticed):
    def build():
        model, x = Lightning(), torch.randn(6, 8)
        return model, lambda: model.training_step(x)

    assert scan_unnoticed(build).names() == ["encoder.0", "encoder.1", "decoder.0", "decoder.1", "decoder.2"]


def test_two_forward_passes_before_one_backward(scan_unnoticed):
    def build():
        model, x = Net(lambda h, y: y), torch.randn(6, 8)
        return model, lambda: (model(x) - model(x + 1)).square().mean()

    assert scan_unnoticed(build).names() == ["a", "relu", "b"]


def test_several_backward_passes_in_a_step_are_measured_by_the_first(scan_step):
    torch.manual_seed(0)
    model, parts = Net(lambda h, y: y), torch.randn(3, 6, 8)

    def forward():
        losses = [F.cross_entropy(model(part), LABELS) for part in parts]
        losses[1].backward()
        return losses[0]

    scanned = scan_step(model, forward)
    alone = scan_step(model, lambda: F.cross_entropy(model(parts[0]), LABELS))

    assert scanned.columns["gradient_rms"] == pytest.approx(alone.columns["gradient_rms"])


def test_what_made_the_input_is_not_part_of_the_model(scan_unnoticed):
    def build():
        generator, model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)), Net(lambda h, y: y)
        return model, lambda: F.cross_entropy(model(generator(torch.ones(6, 8))), LABELS)

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["a", "relu", "b"]


def test_a_gradient_penalty(scan_unnoticed):
    def build():
        model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
        x = torch.randn(6, 8, requires_grad=True)

        def forward():
            y = model(x)
            (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
            return y.mean() + (slope.norm(dim=1) - 1).square().mean()

        return model, forward

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["0", "1", "2"]
    assert scanned.reason is None


def test_a_backward_pass_that_keeps_its_own_graph(scan_step):
    torch.manual_seed(0)
    model, x = Net(lambda h, y: y), torch.randn(6, 8)

    def forward():
        loss = F.cross_entropy(model(x), LABELS)
        backward = loss.backward
        loss.backward = lambda: backward(create_graph=True)
        return loss

    with pytest.warns(UserWarning, match="create_graph"):
        scanned = scan_step(model, forward)
    plain = scan_step(model, lambda: F.cross_entropy(model(x), LABELS))

    assert scanned.columns["gradient_rms"] == pytest.approx(plain.columns["gradient_rms"])
    model.zero_grad()


def test_a_single_layer_is_its_own_output(scan_unnoticed):
    def build():
        model = nn.Linear(8, 4)
        return model, lambda: F.cross_entropy(model(torch.ones(6, 8)), LABELS)

    scanned = scan_unnoticed(build)

    assert [(layer.name, layer.type) for layer in scanned.layers] == [("linear", "Linear")]
    assert scanned.value("linear", "audibility") > 0
