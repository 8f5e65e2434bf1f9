"""The learning rate is set by the size of the steps that it makes, without touching what a scheduler does."""

import math

import pytest
import torch
from torch import nn

import livegrad
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.rates.advice import from_sizes
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat, treat_body


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))


def step(model, optimizer, x=None, factor=1.0):
    optimizer.zero_grad()
    x = torch.ones(4, 8) if x is None else x
    (factor * (model(x) - 1).square().mean()).backward()
    optimizer.step()


def largest_move(model, before):
    pairs = zip(model.parameters(), before, strict=True)
    return max(float((p.detach() - b).norm() / b.norm()) for p, b in pairs if p.dim() > 1)


def copies(model):
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam])
def test_under_adam_the_first_step_is_known_beforehand_and_brought_to_that_of_its_usual_rate(kind):
    model = net()
    optimizer = kind(model.parameters(), lr=0.3)
    treatment = treat(model, "schedule=rate", optimizer)
    said = treatment.assessments[0]
    before = copies(model)
    step(model, optimizer)
    # The factor is rounded to one digit.
    assert largest_move(model, before) == pytest.approx(said.predicted["update_over_weights"], rel=0.1)
    assert 0.02 < largest_move(model, before) < 0.045


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=300.0),
        lambda p: torch.optim.SGD(p, lr=300.0, momentum=0.9),
        lambda p: torch.optim.RMSprop(p, lr=10.0),
        lambda p: torch.optim.Adadelta(p, lr=1e6),
    ],
)
def test_where_closed_form_does_not_tell_the_first_step_is_tried_and_taken_back(make):
    model = net()
    optimizer = make(model.parameters())
    wild = optimizer.param_groups[0]["lr"]
    treatment = treat(model, "schedule=rate", optimizer)
    before = copies(model)
    step(model, optimizer)
    momentum = 1 / (1 - optimizer.param_groups[0].get("momentum", 0))
    target = 0.1 if isinstance(optimizer, torch.optim.SGD) else 0.03
    assert 0.4 < largest_move(model, before) * momentum / target < 1.6
    # The step that was made is the one of an optimizer with this rate from the start.
    model_2 = net()
    optimizer_2 = make(model_2.parameters())
    for group in optimizer_2.param_groups:
        group["lr"] = optimizer.param_groups[0]["lr"]
    step(model_2, optimizer_2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), model_2.parameters(), strict=True))
    treatment.undo()
    assert optimizer.param_groups[0]["lr"] == wild


def test_a_sound_rate_stays():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    treat(model, "schedule=rate", optimizer)
    step(model, optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.001


def test_divergence_over_two_by_the_curvature_is_answered_by_what_the_growth_says():
    # |1 − ηλ| = 40 at every step: ηλ = 41, and η/41 lands in the minimum.
    advice = from_sizes([[1e-4]], [0.01], too_large=True, growth=40.0)
    assert advice.factors[0][0] == pytest.approx(1 / 41, rel=0.2)
    assert from_sizes([[1e-4]], [0.01], too_large=True).factors == ((0.1,),)


def test_only_the_group_whose_steps_are_too_large_is_changed():
    assert from_sizes([[2.0, 1e-3]], [0.01], too_large=True).factors == ((0.005, 1.0),)


def test_a_quadratic_that_diverges_under_sgd_converges_after_it(tmp_path):
    def run(treated, finding=None, history=None):
        torch.manual_seed(0)
        model = nn.Linear(16, 4, bias=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=4.0)
        x, y = torch.randn(64, 16), torch.randn(64, 4)
        if treated:
            body = Body(model, (optimizer,), finding=finding, history=history)
            treat_body(body, (Choice("schedule"),))
        losses = []
        with livegrad.watch(model, optimizer, path=tmp_path / f"run{treated}", every=1):
            for _ in range(40):
                optimizer.zero_grad()
                loss = (model(x) - y).square().mean()
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
        return losses

    sick = run(False)
    assert sick[-1] > 1e3 * sick[0]
    history = livegrad.load(tmp_path / "runFalse")
    cured = run(True, {"code": "LG106"}, history)
    assert cured[-1] < 0.9 * cured[0]


def test_a_warm_up_is_bit_for_bit_the_scheduler_of_the_edit():
    ends = []
    for treated in (False, True):
        model = net()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        body = Body(model, (optimizer,), sources={"optimizer:0": "t.py:3", "step:0": "t.py:9"})
        treatment = treat_body(body, (Choice("schedule", "warmup", {"steps": 10}),)) if treated else None
        if treatment is None:
            warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 1) / 10))
        torch.manual_seed(1)
        for _ in range(20):
            step(model, optimizer, torch.randn(4, 8))
            if treatment is None:
                warmup.step()
        ends.append(copies(model))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    made, stepped = remedy("schedule").edits(body, treatment.choices[0], treatment.changes)
    assert (made.kind, made.source, stepped.kind, stepped.source) == ("after", "t.py:3", "after", "t.py:9")
    space = {"torch": torch, "optimizer": torch.optim.SGD(net().parameters(), lr=1.0)}
    exec(made.code.replace("{target}", "optimizer"), space)
    assert space["optimizer"].param_groups[0]["lr"] == pytest.approx(0.1)


def test_it_multiplies_what_a_scheduler_sets_and_breaks_nothing():
    def rates(treated):
        model = net()
        optimizer = torch.optim.SGD(
            [{"params": model[0].parameters()}, {"params": model[2].parameters()}], lr=0.1
        )
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[0.1, 0.2], total_steps=12)
        if treated:
            treat(model, "schedule=rate:factor=0.5,schedule=warmup:steps=4", optimizer)
        seen, used = [], []

        def noted(o, args, kwargs):
            used.append([float(g["lr"]) for g in o.param_groups])

        optimizer.register_step_pre_hook(noted)
        for _ in range(11):
            step(model, optimizer)
            scheduler.step()
            seen.append(scheduler.get_last_lr() == [g["lr"] for g in optimizer.param_groups])
        return used, seen

    plain, _ = rates(False)
    treated, own = rates(True)
    assert all(own)
    for i, (a, b) in enumerate(zip(plain, treated, strict=True)):
        assert b == pytest.approx([0.5 * min(1, (i + 1) / 4) * rate for rate in a])


def test_the_length_of_a_warm_up_is_that_of_adams_memory():
    model = net()
    adam = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    choice = remedy("schedule").resolve(Body(model, (adam,)), Choice("schedule", "warmup"))
    assert choice.options["steps"] == 200


def test_a_rate_that_was_too_low_by_the_evidence_is_raised():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-7)
    finding = {"code": "LG503", "evidence": {"usual_update_over_weights": 1e-8}}
    treatment = treat_body(Body(model, (optimizer,), finding=finding), (Choice("schedule"),))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-2)
    assert str(treatment.choices[0]) == "schedule=rate:factor=100000.0"


def test_a_group_that_is_behind_by_its_rate_gets_that_of_the_others():
    model = net()
    groups = [{"params": model[0].parameters(), "lr": 1e-9}, {"params": model[2].parameters()}]
    optimizer = torch.optim.Adam(groups, lr=1e-3)
    evidence = {"update_ratio": 1e-9, "update_ratio_of_others": 1e-3}
    finding = {"code": "LG401", "layers": ["0"], "evidence": evidence}
    treatment = treat_body(Body(model, (optimizer,), finding=finding), (Choice("schedule"),))
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([1e-3, 1e-3])
    assert treatment.choices[0].options["group"] == 0
    same = torch.optim.SGD(net().parameters(), lr=1e-3)
    with pytest.raises(Refused, match="it is the gradient that is small"):
        treat_body(Body(model, (same,), finding=finding), (Choice("schedule"),))


@pytest.mark.parametrize(
    ("finding", "reason"),
    [
        ({"code": "LG101"}, "diverge first"),
        ({"code": "LG103"}, "explodes at any rate"),
        ({"code": "LG202", "first_step": 0}, "no rate gives them a slope"),
        ({"code": "LG401", "evidence": {"swallowed_share": 0.9}}, "take precision"),
        ({"code": "LG503", "evidence": {"usual_update_over_weights": 1e-3}}, "do move"),
    ],
)
def test_where_no_rate_helps_it_says_so(finding, reason):
    model = net()
    body = Body(model, (torch.optim.SGD(model.parameters(), lr=0.1),), finding=finding)
    with pytest.raises(Refused, match=reason):
        treat_body(body, (Choice("schedule"),))


def test_a_warm_up_does_not_help_steps_that_are_too_large_in_the_median():
    model = net()
    finding = {"code": "LG402", "evidence": {"usual_update_over_weights": 2.0, "first_such_step": 0}}
    body = Body(model, (torch.optim.Adam(model.parameters(), lr=1.0),), finding=finding)
    with pytest.raises(Refused, match="not only the first ones"):
        treat_body(body, (Choice("schedule", "warmup"),))
    assert remedy("schedule").resolve(body, Choice("schedule")).variant == "rate"
    early = {"usual_update_over_weights": 0.01, "first_such_step": 0}
    body.finding = {"code": "LG402", "evidence": early, "last_step": 500}
    assert remedy("schedule").resolve(body, Choice("schedule")).variant == "warmup"


def test_the_edit_is_the_argument_of_the_optimizer():
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    body = Body(model, (optimizer,), sources={"optimizer:0": "train.py:4"})
    treatment = treat_body(body, (Choice("schedule", "rate", {"lr": 0.002}),))
    (edit,) = remedy("schedule").edits(body, treatment.choices[0], treatment.changes)
    assert (edit.kind, edit.source, edit.target, edit.code) == ("argument", "train.py:4", "lr", "0.002")
    assert optimizer.param_groups[0]["lr"] == 0.002
    treatment.undo()
    assert optimizer.param_groups[0]["lr"] == 0.5 and math.isfinite(float(edit.code))


def test_steps_that_are_rounded_away_because_the_rate_is_far_too_low_need_a_rate_and_no_format():
    model = net()
    finding = {"code": "LG401", "evidence": {"swallowed_share": 0.9, "dtype": "float32"}}
    tiny = Body(model, (torch.optim.Adam(model.parameters(), lr=1e-9),), finding=finding)
    with pytest.raises(Refused, match="take schedule"):
        treat_body(tiny, (Choice("precision", "master"),))
    treat_body(tiny, (Choice("schedule"),))
    assert 1e-5 < tiny.optimizers[0].param_groups[0]["lr"] < 1e-3
    usual = Body(model, (torch.optim.Adam(model.parameters(), lr=1e-3),), finding=finding)
    with pytest.raises(Refused, match="take precision"):
        treat_body(usual, (Choice("schedule"),))
    assert treat_body(usual, (Choice("precision", "master"),)).changes


def test_once_the_depth_is_cured_by_what_goes_before_the_rate_may_be_set():
    torch.manual_seed(0)
    deep = nn.Sequential(*[m for _ in range(12) for m in (nn.Linear(32, 32), nn.Tanh())], nn.Linear(32, 2))
    with torch.no_grad():
        for p in deep.parameters():
            p.mul_(0.3)
    optimizer = torch.optim.Adam(deep.parameters(), lr=1.0)
    body = Body(deep, (optimizer,), (torch.randn(8, 32),), finding={"code": "LG101"})
    with pytest.raises(Refused, match="diverge first"):
        treat_body(body, (Choice("schedule"),))
    body = Body(deep, (optimizer,), (torch.randn(8, 32),), finding={"code": "LG101"})
    treat_body(body, (Choice("init", "orthogonal"), Choice("schedule")))
    assert optimizer.param_groups[0]["lr"] < 0.01
