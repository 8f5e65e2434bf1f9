"""Lessons: what a program does in its first steps is done again by copies, to the last bit."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import livegrad
from livegrad.treat.body import Body
from livegrad.treat.choice import parse_choices
from livegrad.treat.prescription.later_rates import later_rates
from livegrad.treat.prescription.lesson import CannotReplay, StandIn, own_steps
from livegrad.treat.prescription.lessons import Lessons
from livegrad.treat.prescription.rehearsal import Copies, Course, Stage, adopt, copies_of

STEPS = 6


def rehearsed(models, optimizers, program):
    """The losses of the program, and those of copies that take its recorded steps."""
    base = copies_of(models, optimizers)
    with Lessons(models, optimizers) as lessons:
        losses = [program() for _ in range(STEPS)]
    copies = copies_of(base.models, base.optimizers, base.parameters)
    again: list[float] = []
    with own_steps():
        Course(copies, lessons.lessons).take(len(lessons.lessons), again)
    return losses, again


def data():
    return torch.randn(16, 8), torch.randint(3, (16,))


def test_copies_have_the_losses_of_the_program():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.7**step)

    def program():
        x, y = data()
        x = x + 0.1 * torch.randn_like(x)
        loss = F.cross_entropy(F.dropout(model(x), 0.1), y) + 1e-3 * sum(
            p.square().sum() for p in model.parameters()
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        return loss.item()

    losses, again = rehearsed([model], [optimizer], program)
    assert again == losses


def test_behind_the_recorded_steps_the_rates_go_on_as_an_earlier_run_had_them():
    """One batch over and over: copies that know the schedule have the program's losses to the end."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 10))
    x, y = data()
    rates, losses = [], []

    def program():
        rates.append(optimizer.param_groups[0]["lr"])
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())

    base = copies_of([model], [optimizer])
    with Lessons([model], [optimizer]) as lessons:
        for _ in range(STEPS):
            program()
    for _ in range(2 * STEPS):
        program()
    for later, same in ((np.array(rates), True), (None, False)):
        again: list[float] = []
        with own_steps():
            copies = copies_of(base.models, base.optimizers, base.parameters)
            Course(copies, lessons.lessons, later).take(3 * STEPS, again)
        assert (again == pytest.approx(losses, rel=1e-5)) is same
        assert again[: STEPS + 1] == losses[: STEPS + 1]


def test_the_rates_of_an_earlier_run_are_read_off_it(tmp_path):
    path = tmp_path / "run"
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    with livegrad.watch(model, optimizer, path=path, every=1):
        for _ in range(12):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            schedule.step()
    body = Body(nn.Linear(4, 2), (optimizer,), None, history=livegrad.load(path))
    assert later_rates(body) == pytest.approx(0.1 * 0.9 ** np.arange(12))
    assert later_rates(Body(nn.Linear(4, 2), (optimizer,), None)) is None


@pytest.mark.parametrize(
    "rates, rises", [([1.0] * 20, False), (range(1, 21), True), (range(20, 0, -1), False)]
)
def test_a_rate_that_rises_behind_a_look_is_known(rates, rises):
    stage = Stage(copies_of([], []), [], [], 0, Body(nn.Linear(2, 2), (), None))
    stage._later = np.array([*rates], float)
    assert bool(stage.rises_after(6)) is rises and not stage.rises_after(20)


def test_adversaries_take_turns_as_in_the_program():
    torch.manual_seed(0)
    maker, judge = nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.01) for m in (maker, judge)]
    losses = []

    def program():
        made = maker(torch.randn(16, 4))
        for optimizer, loss in (
            (
                optimizers[1],
                F.softplus(-judge(torch.randn(16, 8))).mean() + F.softplus(judge(made.detach())).mean(),
            ),
            (optimizers[0], F.softplus(-judge(made)).mean()),
        ):
            optimizer.zero_grad()
            losses.append(loss.item())
            loss.backward(retain_graph=True)
            if optimizer is optimizers[0]:
                optimizer.step()
        optimizers[1].step()

    base = copies_of([maker, judge], optimizers)
    with Lessons([maker, judge], optimizers) as lessons:
        program()
    stage = Stage(base, [maker, judge], lessons.lessons, 0, Body(base.models[0], base.optimizers[:1]))
    assert not stage.is_contest or len(lessons.lessons) > 1
    again: list[float] = []
    Course(stage.copies(), lessons.lessons).take(len(lessons.lessons), again)
    assert sum(again) == pytest.approx(sum(losses))


def test_what_one_adversary_is_shown_the_other_goes_on_with():
    """The maker's work is made once: the judge learns from it detached, then the maker through the judge."""
    torch.manual_seed(0)
    maker = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8))
    judge = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    makers, judges = (torch.optim.Adam(m.parameters(), lr=0.01) for m in (maker, judge))
    losses = []

    def program():
        made = 0.5 * maker(torch.randn(16, 4))
        loss = judge(made.detach()).mean() - judge(torch.randn(16, 8)).mean()
        judges.zero_grad()
        loss.backward()
        judges.step()
        losses.append(loss.item())
        loss = -judge(made).mean() + 0.1 * made.square().mean()
        makers.zero_grad()
        loss.backward()
        makers.step()
        losses.append(loss.item())

    _, again = rehearsed([maker, judge], [makers, judges], program)
    assert again == losses


def test_a_scaled_loss_is_unscaled_for_the_step():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)

    def program():
        x, y = data()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.item()

    losses, again = rehearsed([model], [optimizer], program)
    assert again == pytest.approx(losses, rel=1e-5)


def test_a_step_that_is_not_finite_is_left_out_at_a_scale_of_one_too():
    torch.manual_seed(0)
    model = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0, growth_interval=1000)
    steps = iter(range(STEPS))

    def program():
        x, y = data()
        loss = F.cross_entropy(model(x), y)
        if next(steps) % 2:
            loss = loss + torch.sqrt(0 * model.weight.sum())  # 0 · ∞ on the way back
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.item()

    losses, again = rehearsed([model], [optimizer], program)
    assert again == losses and again[-1] == again[-1]


def test_what_autocast_computes_with_are_the_weights_of_each_step():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def program():
        x, y = data()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    losses, again = rehearsed([model], [optimizer], program)
    assert again == losses


def test_a_copy_of_a_scheduled_optimizer_steps_the_copy():
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    copies = copies_of([model], [optimizer])
    before = model.weight.detach().clone()
    copies.models[0](torch.ones(2, 3)).sum().backward()
    copies.optimizers[0].step()
    assert torch.equal(model.weight, before)
    assert not torch.equal(copies.models[0].weight, before)


def test_a_batch_that_was_written_to_since_is_not_replayed():
    model = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(4, 8)
    with Lessons([model], [optimizer]) as lessons:
        model(x).square().mean().backward()
        optimizer.step()
    x.zero_()
    copies = copies_of([model], [optimizer])
    with pytest.raises(CannotReplay, match="written to"):
        Course(copies, lessons.lessons).take(1, [])


def test_a_rehearsal_treats_copies_watches_them_and_says_what_is_left():
    torch.manual_seed(0)
    layers = [m for _ in range(20) for m in (nn.Linear(16, 16), nn.Sigmoid())]
    model = nn.Sequential(*layers, nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(32, 16)
    body = Body(model, [optimizer], (x,))
    stage = Stage.of(body)
    stage.lessons = [StandIn((x,), {})]
    numbers = torch.get_rng_state()
    untreated, treated = (stage.rehearse(parse_choices(s) if s else (), 16) for s in ("", "activation=tanh"))
    assert untreated.codes >= {"LG101"} and untreated.decades < -3  # 20 layers of 0.14 each
    assert not treated.codes & {"LG101"} and abs(treated.decades) < 1.5
    assert len(treated.losses) == 16 and torch.equal(torch.get_rng_state(), numbers)
    assert isinstance(model[1], nn.Sigmoid)


@pytest.mark.parametrize("beside", ["a model", "a layer"])
def test_what_one_optimizer_trains_beside_a_model_is_trained_in_the_copies_too(beside):
    """Copies are made as each model is heard for the first time; a layer beside them never is."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
    head = (
        nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)) if beside == "a model" else nn.Linear(8, 3)
    )
    optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.3, momentum=0.9)
    x, y = data()

    def program():
        loss = F.cross_entropy(head(model(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    copies = [copies_of([model], [optimizer])]
    models = [model, head] if beside == "a model" else [model]
    for later in models[1:]:
        copies.append(copies_of([later], []))
        adopt(copies[0], copies[-1])
    with Lessons(models, [optimizer]) as lessons:
        losses = [program() for _ in range(STEPS)]
    parameters = {key: p for one in copies for key, p in one.parameters.items()}
    base = Copies([m for one in copies for m in one.models], copies[0].optimizers, parameters)
    for _ in range(2):  # copies of copies, as for each rehearsal
        base = copies_of(base.models, base.optimizers, base.parameters)
    again: list[float] = []
    with own_steps():
        Course(base, lessons.lessons).take(STEPS, again)
    assert again == losses
