"""What is prescribed for small sick nets, what is said to be impossible, and that nothing else is touched."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.treat.body import Body
from livegrad.treat.prescribe import prescribe
from livegrad.treat.prescription.lessons import Lessons
from livegrad.treat.prescription.proposal import Prescription
from livegrad.treat.prescription.rehearsal import Stage, copies_of
from livegrad.treat.treatment import treat_body


def stack(depth, activation, width=32, inputs=16, classes=4):
    layers = []
    for i in range(depth):
        layers += [nn.Linear(inputs if i == 0 else width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, classes))


def batches(number=24, size=32):
    """Points around four centres, and which."""
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(4, 16, generator=generator)
    for _ in range(number):
        labels = torch.randint(4, (size,), generator=generator)
        yield centres[labels] + 0.3 * torch.randn(size, 16, generator=generator), labels


def train(model, optimizer, data):
    losses = []
    for x, y in data:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def staged(model, optimizer, steps=24):
    """The body and stage of a program that trains `model`, as they were before its first step."""
    base = copies_of([model], [optimizer])
    with Lessons([model], [optimizer]) as lessons:
        train(model, optimizer, batches(steps))
    x, _ = next(batches(1))
    body = Body(base.models[0], base.optimizers, (x,))
    return body, Stage(base, [model], lessons.lessons, 0, body)


def finding(code, name="sick", severity="error", **cause):
    return {
        "code": code,
        "name": name,
        "severity": severity,
        "cause": cause or None,
        "evidence": {},
        "next": "…",
    }


@pytest.fixture(scope="module")
def for_sigmoids():
    torch.manual_seed(0)
    model = stack(12, nn.Sigmoid)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = copy.deepcopy(model)
    body, stage = staged(model, optimizer)
    found = prescribe(
        body, [finding("LG101", "vanishing-gradient", operator="Sigmoid")], stage=stage, patience=12
    )
    return before, found


def test_what_is_prescribed_first_for_deep_sigmoids_has_them_learn(for_sigmoids):
    model, found = for_sigmoids
    assert len(found.remedies) >= 3
    treated = copy.deepcopy(model)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (model, treated)]
    x, _ = next(batches(1))
    treat_body(Body(treated, optimizers[1:], (x,)), found.remedies[0].choices)
    left_alone = train(copy.deepcopy(model), optimizers[0], batches(60))
    assert sum(left_alone[-10:]) / 10 > 1.3  # ln 4 = 1.386: one answer for all
    assert sum(train(treated, optimizers[1], batches(60))[-10:]) / 10 < 0.5


def test_what_cannot_cure_deep_sigmoids_is_said_with_its_reason(for_sigmoids):
    _, found = for_sigmoids
    said = {refusal.spec: refusal.reason for refusal in found.refused}
    assert "at most 1" in said["clip"]
    # Their best factor is 0.391 whatever the weights' scale; clipping, orthogonality and LSUV only scale.
    assert any(spec.startswith("init=orthogonal") and "0.39" in why for spec, why in said.items())
    assert all(not spec.startswith("clip") for p in found.proposals for spec in p.spec.split(","))


def test_each_remedy_says_what_it_is_for_how_much_it_changes_and_what_was_measured(for_sigmoids):
    _, found = for_sigmoids
    for proposal in found.remedies:
        assert proposal.answers == ("LG101",)
        assert proposal.change in ("setting", "weights", "activation", "modules", "architecture", "stage")
        assert proposal.reason
    assert {"audibility_decades", "loss_after_first_steps"} <= found.remedies[0].measured.keys()
    assert Prescription.from_dict(found.to_dict()) == found


@pytest.mark.parametrize("findings", [(), [finding("LG101", severity="info")]])
def test_nothing_is_prescribed_for_what_is_well(findings):
    model = stack(2, nn.ReLU)
    x, _ = next(batches(1))
    found = prescribe(Body(model, [torch.optim.SGD(model.parameters(), lr=0.1)], (x,)), findings)
    assert found == Prescription()


@pytest.mark.parametrize(
    ("code", "spec"),
    [
        ("LG101", "clip"),
        ("LG102", "clip"),
        ("LG103", "activation"),
        ("LG402", "precision"),
    ],
)
def test_facts_of_theory_are_said_whatever_the_model_is(code, spec):
    model = stack(2, nn.Tanh)
    found = prescribe(Body(model, [torch.optim.SGD(model.parameters(), lr=0.1)]), [finding(code)])
    assert spec in {refusal.spec for refusal in found.refused}
    assert all(
        proposal.spec.partition("=")[0] != spec for proposal in found.remedies if "," not in proposal.spec
    )


def test_batchnorm_is_not_prescribed_for_a_batch_of_one():
    torch.manual_seed(0)
    model = stack(12, nn.Sigmoid)
    x, _ = next(batches(1, 1))
    body = Body(model, [torch.optim.SGD(model.parameters(), lr=0.1)], (x,))
    found = prescribe(body, [finding("LG101")], patience=1e-9)
    assert any(r.spec == "normalize=batch" and "batch of 1" in r.reason for r in found.refused)
    assert "normalize=batch" not in {p.spec for p in found.remedies}


def test_layernorm_before_deep_sigmoids_is_refused_with_its_factor():
    model = stack(30, nn.Sigmoid)
    x, _ = next(batches(1))
    body = Body(model, [torch.optim.SGD(model.parameters(), lr=0.1)], (x,))
    found = prescribe(body, [finding("LG101")], patience=1e-9)
    assert "normalize=layer" not in {p.spec for p in found.remedies}


@pytest.mark.parametrize("code", ["LG404", "LG502", "LG501"])
def test_what_no_remedy_mends_is_advised_in_words(code):
    model = stack(2, nn.ReLU)
    found = prescribe(Body(model), [{**finding(code), "next": "Do this."}])
    (said,) = found.advice
    assert said.answers == (code,) and said.reason.endswith("Do this.")


def test_prescribing_changes_nothing_of_the_body():
    torch.manual_seed(0)
    model = stack(8, nn.Sigmoid)
    optimizer = torch.optim.Adam(model.parameters())
    x, _ = next(batches(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    numbers = torch.get_rng_state()
    found = prescribe(Body(model, [optimizer], (x,)), [finding("LG101", operator="Sigmoid")], patience=2)
    assert found.remedies and torch.equal(torch.get_rng_state(), numbers)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not optimizer.state and all(p.grad is None for p in model.parameters())


def test_where_nothing_can_be_applied_the_findings_own_words_are_the_advice():
    body = Body(stack(2, nn.ReLU))  # no optimizer whose rate or gradient could be held
    found = prescribe(body, [{**finding("LG402"), "next": "Lower the learning rate."}])
    assert not found.remedies
    assert [p.reason for p in found.advice] == ["Lower the learning rate."]


def test_after_a_wild_start_the_weights_are_drawn_anew():
    """Weights of N(0, 1) in layers of width 32 multiply by four each: hundreds of nats of wrong confidence,
    and steps of a usual size are next to nothing beside them.
    """
    torch.manual_seed(0)
    model = stack(3, nn.ReLU)
    for layer in model[::2]:
        nn.init.normal_(layer.weight)
    body, stage = staged(model, torch.optim.Adam(model.parameters(), 1e-3))
    wild = finding("LG503", "not-learning", "warning")
    wild["evidence"] = {"loss_at_the_start_over_a_constant_answers": 50.0}
    found = prescribe(body, [wild], stage=stage)
    assert found.proposals[0].choices[0].remedy == "init"
    assert found.proposals[0].measured["loss_after_first_steps"] < 1.5


def test_beside_an_optimizer_that_asks_for_the_loss_itself_closed_form_decides():
    model = stack(12, nn.Sigmoid)
    optimizer = torch.optim.LBFGS(model.parameters())
    x, _ = next(batches(1))
    stage = Stage.of(Body(model, (optimizer,), (x,)))
    found = prescribe(stage.body, [finding("LG101")], stage=stage)
    assert {"init=centred", "activation=tanh"} <= {p.spec for p in found.proposals}
    assert any("LBFGS asks for the loss" in note for note in found.notes)
