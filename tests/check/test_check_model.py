"""`livegrad.check(model, inputs)`: what it says of models whose fate theory knows, what it leaves alone."""

import random

import jsonschema
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import livegrad
from livegrad import Report
from livegrad.errors import UsageError
from livegrad.watch import patches


def stack(depth, activation, width=64, outputs=10, norm=None):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), *([norm(width)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def he(model):
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return model


def prognosis(report):
    document = report.to_dict()
    jsonschema.validate(document, Report.json_schema())
    return document["prognosis"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


X, Y = torch.randn(64, 64, generator=torch.Generator().manual_seed(1)), torch.arange(64) % 10


@pytest.mark.parametrize(
    ("make", "verdict"),
    [
        (lambda: stack(20, nn.Sigmoid), "will-not-train"),
        (lambda: he(stack(20, nn.ReLU)), "trains"),
        (lambda: stack(20, nn.Sigmoid, norm=nn.LayerNorm), "will-not-train"),
        (lambda: stack(20, nn.Sigmoid, norm=nn.BatchNorm1d), "trains"),
    ],
    ids=["sigmoid", "He ReLU", "LayerNorm does not cure a sigmoid", "BatchNorm does"],
)
def test_the_verdict_is_that_of_theory(make, verdict):
    assert prognosis(livegrad.check(make(), X))["verdict"] == verdict


def test_the_measured_factor_is_the_predicted_one():
    """Xavier sigmoid 0.2361 per layer; LayerNorm 0.3909 (measured within finite width)."""
    plain = stack(16, nn.Sigmoid, width=256)
    for module in plain:
        if isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
            nn.init.zeros_(module.bias)
    (subject,) = prognosis(livegrad.check(plain, torch.randn(32, 256)))["subjects"]
    depth, table = subject["depth"], subject["what_if"]
    assert depth["factor"] == pytest.approx(0.236, rel=0.05)
    assert table[0]["factor"] == pytest.approx(0.236, rel=0.02)
    assert depth["reach"] == pytest.approx(6 / -np.log(0.236), rel=0.03)


def test_nothing_of_the_model_the_optimizer_or_chance_is_touched():
    model = nn.Sequential(
        nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Dropout(0.3), nn.ReLU(), nn.Linear(32, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    F.cross_entropy(model(X), Y).backward()
    optimizer.step()
    model[2].eval()
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = _everything(model, optimizer)
    livegrad.check(model, X, loss=F.cross_entropy, targets=Y, optimizer=optimizer, jacobian=True)
    livegrad.check(model, X)
    after = _everything(model, optimizer)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]) if torch.is_tensor(value) else value == after[name], name
    assert not patches.watched()


def _everything(model, optimizer):
    found = {f"state {k}": v.clone() for k, v in model.state_dict().items()}
    found |= {f"gradient {k}": p.grad.clone() for k, p in model.named_parameters()}
    found |= {f"mode {k}": m.training for k, m in model.named_modules()}
    found |= {
        f"hooks {k}": len(m._forward_hooks) + len(m._forward_pre_hooks) for k, m in model.named_modules()
    }
    for i, state in optimizer.state_dict()["state"].items():
        found |= {f"optimizer {i} {k}": v.clone() for k, v in state.items()}
    found["torch"] = torch.get_rng_state()
    found["python"] = random.getstate()
    found["numpy"] = torch.tensor(np.random.get_state()[1].astype(np.int64))  # noqa: NPY002
    return found


def test_the_same_question_has_the_same_answer():
    model = stack(8, nn.Tanh)
    first, second = livegrad.check(model, X).to_dict(), livegrad.check(model, X).to_dict()
    assert first["prognosis"] == second["prognosis"]


def test_with_an_optimizer_the_steps_are_judged_too():
    model = he(stack(3, nn.ReLU))
    sane = torch.optim.SGD(model.parameters(), 0.05)
    wild = torch.optim.SGD(model.parameters(), 200.0)
    still = torch.optim.SGD(model.parameters(), 0.0)
    verdicts = [
        prognosis(livegrad.check(model, X, loss=F.cross_entropy, targets=Y, optimizer=o))["verdict"]
        for o in (sane, wild, still)
    ]
    assert verdicts == ["trains", "will-not-train", "will-not-train"]


class Encoder(nn.Module):
    """Two inputs, a mapping out, attention and a skip inside, functions instead of modules."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(12, 16)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.weight = nn.Parameter(torch.randn(16, 16) / 4)
        self.side = nn.Linear(4, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, ids, features=None):
        x = self.embed(ids) + self.side(features)[:, None]
        x = x + self.attend(x, x, x)[0]
        x = x + torch.tanh(x @ self.weight)
        return {"logits": self.head(x.mean(1)), "hidden": x}


class Recurrent(nn.Module):
    def __init__(self, core):
        super().__init__()
        self.core, self.head = core, nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.core(x)[0][:, -1])


def test_any_model_and_any_way_to_call_it():
    ids, features = torch.randint(0, 12, (8, 5)), torch.randn(8, 4)
    for inputs in ((ids, features), {"ids": ids, "features": features}):
        found = prognosis(livegrad.check(Encoder(), inputs, loss=lambda out: out["logits"].square().mean()))
        assert found["verdict"] == "trains"
    assert prognosis(livegrad.check(Encoder(), (ids, features)))["verdict"] == "trains"


def test_a_recurrence_says_how_far_back_it_hears():
    long = torch.randn(8, 120, 4)
    deaf = prognosis(livegrad.check(Recurrent(nn.RNN(4, 16, batch_first=True)), long))
    (time,) = deaf["subjects"][0]["time"]
    assert time["steps"] == 120 and time["reach"] < 60
    assert deaf["verdict"] != "trains"
    hears = Recurrent(nn.RNN(4, 16, batch_first=True, nonlinearity="relu"))
    with torch.no_grad():
        hears.core.weight_hh_l0.copy_(torch.eye(16))
        hears.core.bias_hh_l0.zero_()
        hears.core.bias_ih_l0.zero_()
    found = prognosis(livegrad.check(hears, long.abs()))
    assert found["subjects"][0]["time"][0]["reach"] == 120
    assert found["verdict"] == "trains"


def test_a_nan_in_the_loss_is_fatal():
    found = prognosis(livegrad.check(he(stack(2, nn.ReLU)), X, loss=lambda y: (y - y.max() - 1).log().mean()))
    assert found["verdict"] == "will-not-train"
    assert found["subjects"][0]["reasons"][0]["code"] == "LG301"


def test_the_jacobian_on_request():
    found = prognosis(livegrad.check(he(stack(2, nn.ReLU)), X, jacobian=True))
    jacobian = found["subjects"][0]["jacobian"]
    assert (jacobian["inputs"], jacobian["outputs"], jacobian["complete"]) == (64, 10, True)
    assert "jacobian" not in prognosis(livegrad.check(he(stack(2, nn.ReLU)), X))["subjects"][0]


def anothers():
    return torch.optim.SGD(nn.Linear(1, 1).parameters(), 0.1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda m: (X, X), "needs a torch.nn.Module first"),
        (lambda m: (m, X, {"optimizer": torch.optim.SGD(m.parameters(), 0.1)}), "without a loss"),
        (lambda m: (m, X, {"loss": F.cross_entropy, "targets": Y, "optimizer": anothers()}), "none of the"),
        (lambda m: (m, X, {"loss": lambda y: y}), "must return one number"),
        (lambda m: (m, X, {"steps": 0}), "from 1 up"),
        (lambda m: (m.requires_grad_(False), X), "nothing to train"),
        (lambda m: (nn.ReLU(), X), "ReLU holds no parameters"),
        (lambda m: (m, X[:0]), "holds no sample"),
        (lambda m: (m.to("meta"), X), "meta device"),
        (lambda m: (m, X[:, :-1]), r"cannot be called with a float32 tensor of shape .*inputs is what"),
        (lambda m: (m, {"z": X}), "cannot be called with z=a float32 tensor"),
        (lambda m: (m, X, {"loss": 3}), "must be callable"),
        (lambda m: (m, X, {"loss": F.cross_entropy}), "targets="),
        (lambda m: (m, X, {"targets": Y}), "targets are for a loss"),
    ],
)  # fmt: skip
def test_wrong_calls_are_explained(arguments, said):
    model, inputs, *more = arguments(stack(1, nn.ReLU))
    with pytest.raises(UsageError, match=said):
        livegrad.check(model, inputs, **(more[0] if more else {}))
    assert not patches.watched()
