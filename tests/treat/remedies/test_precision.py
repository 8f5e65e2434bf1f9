"""Number formats that hold what was lost: gradients in float16, steps in bfloat16, √v̂ under eps."""

import copy
import math

import pytest
import torch
from torch import nn

import livegrad
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.formats.rounding import share_lost
from livegrad.treat.formats.wide_steps import stochastically_rounded
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat, treat_body


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))


def batches(n, seed=1):
    torch.manual_seed(seed)
    return torch.randn(n, 16, 8)


def train(model, optimizer, data, factor=1.0, dtype=torch.float16, clip=None, scaler=None):
    for x in data:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype):
            loss = model(x).float().square().mean() * factor
        if scaler is None:
            loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            if clip is not None:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            scaler.step(optimizer)
            scaler.update()
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize(("factor", "clip"), [(1e-6, None), (1e-6, 1e-8), (1e6, None)])
def test_the_scaled_loss_is_bit_for_bit_a_grad_scaler(factor, clip):
    """With a factor of 1e6 the first scales overflow, and those steps are left out."""
    mine, theirs = net(), net()
    one = torch.optim.SGD(mine.parameters(), lr=1e-2 / factor)
    two = torch.optim.SGD(theirs.parameters(), lr=1e-2 / factor)
    treatment = treat(mine, "precision=scale", one)
    scaler = torch.amp.GradScaler("cpu")
    try:
        a = train(mine, one, batches(30), factor, clip=clip)
        b = train(theirs, two, batches(30), factor, clip=clip, scaler=scaler)
    finally:
        treatment.undo()
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not torch.equal(a[0], net()[0].weight)


def test_without_it_the_gradient_is_zero_and_with_it_it_is_that_of_float32():
    def gradient(treated, dtype):
        model = net()
        treatment = (
            treat(model, "precision=scale", torch.optim.SGD(model.parameters(), lr=0.1)) if treated else None
        )
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32):
            loss = model(batches(1)[0]).float().square().mean() * 1e-6
        loss.backward()
        if treatment is not None:
            treatment.undo()
        return model[0].weight.grad

    exact = gradient(False, torch.float32)
    assert gradient(False, torch.float16).eq(0).float().mean() > 0.5
    torch.testing.assert_close(gradient(True, torch.float16), exact, rtol=0.02, atol=1e-10)


def test_gradients_that_are_there_already_are_added_to_as_they_were():
    model = net()
    treatment = treat(model, "precision=scale", torch.optim.SGD(model.parameters(), lr=0.1))
    x = batches(1)[0]
    for _ in range(3):
        model(x).square().mean().backward()
    treatment.undo()
    once = net()
    once(x).square().mean().backward()
    torch.testing.assert_close(model[0].weight.grad, 3 * once[0].weight.grad)
    assert torch.equal(once[0].weight.grad, torch.autograd.grad(once(x).square().mean(), once[0].weight)[0])


def test_other_models_and_higher_derivatives_are_left_alone():
    model, other = net(), net(1)
    treatment = treat(model, "precision=scale", torch.optim.SGD(model.parameters(), lr=0.1))
    x = batches(1)[0].requires_grad_()
    alone = copy.deepcopy(other)
    other(x.detach()).square().mean().backward()
    (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    slope.square().mean().backward()
    treatment.undo()
    alone(x.detach()).square().mean().backward()
    assert torch.equal(other[0].weight.grad, alone[0].weight.grad)
    again = net()
    (slope,) = torch.autograd.grad(again(x).sum(), x, create_graph=True)
    slope.square().mean().backward()
    torch.testing.assert_close(model[0].weight.grad, again[0].weight.grad)


def test_the_share_that_a_scale_saves_is_that_of_theory():
    # rms r = 1e-8: erf(2⁻²⁴/(2√2 r)) is lost.
    lost = math.erf(2**-24 / (2 * math.sqrt(2) * 1e-8))
    assert share_lost(lost, 2**10) == pytest.approx(math.erf(2**-24 / (2 * math.sqrt(2) * 1e-8 * 2**10)))
    torch.manual_seed(0)
    half = (torch.randn(100_000) * 1e-8).half()
    assert float(half.eq(0).float().mean()) == pytest.approx(lost, abs=0.01)


def test_autocast_to_float16_becomes_bfloat16_also_inside_a_region_that_is_open():
    model = net()
    with torch.autocast("cpu", dtype=torch.float16):
        treatment = treat(model, "precision=bfloat16")
        assert model(batches(1)[0]).dtype is torch.bfloat16
    with torch.autocast("cpu", dtype=torch.float16):
        assert (model(batches(1)[0]) * 1e30).isfinite().all()
        treatment.undo()
    with torch.autocast("cpu", dtype=torch.float16):
        assert model(batches(1)[0]).dtype is torch.float16


class One(nn.Module):
    def __init__(self, n, dtype):
        super().__init__()
        self.w = nn.Parameter(torch.ones(n, dtype=dtype))


def fall(variant, dtype, step, steps, n=4):
    """Train w ← w − step from one; without a remedy each step is under half the spacing and is lost."""
    model = One(n, dtype)
    optimizer = torch.optim.SGD([model.w], lr=1.0)
    treatment = treat(model, f"precision={variant}", optimizer) if variant else None
    for _ in range(steps):
        model.w.grad = torch.full_like(model.w, step)
        optimizer.step()
        assert model.w.dtype is dtype and model.w.grad.dtype is dtype
    if treatment is not None:
        treatment.undo()
    return model.w.detach().double()


@pytest.mark.parametrize(
    ("dtype", "step"), [(torch.bfloat16, 2.0**-10), (torch.float16, 2.0**-13), (torch.float32, 2.0**-26)]
)
@pytest.mark.parametrize("variant", ["master", "kahan"])
def test_steps_that_are_rounded_away_add_up(variant, dtype, step):
    assert torch.equal(fall(None, dtype, step, 200), torch.ones(4, dtype=torch.float64))
    exact = 1 - 200 * step
    spacing = float(torch.finfo(dtype).eps)
    assert fall(variant, dtype, step, 200) == pytest.approx(exact, abs=spacing)


def test_random_rounding_is_right_on_average():
    found = fall("stochastic", torch.bfloat16, 2.0**-10, 100, n=10_000)
    # Each step goes down by 2⁻⁸ with the probability 1/4: a variance of 3/16 · 2⁻¹⁶ a step.
    error = math.sqrt(100 * 3 / 16) * 2**-8 / math.sqrt(10_000)
    assert float(found.mean()) == pytest.approx(1 - 100 * 2.0**-10, abs=4 * error)


def test_what_bfloat16_holds_is_not_rounded_and_infinity_stays():
    generator = torch.Generator().manual_seed(0)
    held = torch.tensor([1.0, -2.5, 0.0, math.inf, -math.inf, 3e38])
    assert torch.equal(stochastically_rounded(held, generator)[:5].float(), held[:5])
    assert torch.isnan(stochastically_rounded(torch.tensor([math.nan]), generator)).all()


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_with_a_master_copy_the_weights_are_those_of_float32_rounded(kind):
    torch.manual_seed(0)
    narrow = One(64, torch.bfloat16)
    wide = One(64, torch.float32)
    gradients = torch.randn(50, 64).to(torch.bfloat16)
    one, two = kind([narrow.w], lr=1e-3), kind([wide.w], lr=1e-3)
    treatment = treat(narrow, "precision=master", one)
    for g in gradients:
        narrow.w.grad, wide.w.grad = g.clone(), g.float()
        one.step()
        two.step()
    assert torch.equal(narrow.w.detach(), wide.w.detach().to(torch.bfloat16))
    treatment.undo()
    narrow.w.grad = gradients[0].clone()
    one.step()
    assert all(v.dtype is torch.bfloat16 for v in one.state[narrow.w].values() if v.shape == (64,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_line_for_a_program_does_the_same(dtype):
    torch.manual_seed(0)
    model, edited = One(64, dtype), One(64, dtype)
    one = torch.optim.AdamW([model.w], lr=1e-3)
    two = torch.optim.AdamW([edited.w], lr=1e-3)
    body = Body(model, (one,), sources={"step:0": "train.py:9"})
    treatment = treat_body(body, (Choice("precision", "master"),))
    define, call = remedy("precision").edits(body, treatment.choices[0], treatment.changes)
    space = {"torch": torch, "optimizer": two}
    exec(define.code, space)
    for g in torch.randn(20, 64).to(dtype):
        model.w.grad, edited.w.grad = g.clone(), g.clone()
        one.step()
        exec(call.code.replace("{receiver}", "optimizer"), space)
    assert torch.equal(model.w, edited.w)


def test_the_line_is_known_where_a_program_ends_in_the_middle_of_a_step():
    class Ends(torch.optim.SGD):
        def step(self, closure=None):
            assert model.w.dtype is torch.float32
            raise KeyboardInterrupt

    model = One(8, torch.bfloat16)
    optimizer = Ends([model.w], lr=0.1)
    body = Body(model, (optimizer,), sources={"step:0": "train.py:9"})
    treatment = treat_body(body, (Choice("precision", "master"),))
    model.w.grad = torch.ones_like(model.w)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    made = remedy("precision").edits(body, treatment.choices[0], treatment.changes)
    assert [edit.kind for edit in made] == ["define", "replace-call"]


def test_what_the_program_writes_into_a_weight_goes_before_the_copy():
    model = One(4, torch.bfloat16)
    optimizer = torch.optim.SGD([model.w], lr=1.0)
    treat(model, "precision=master", optimizer)
    for _ in range(2):
        model.w.grad = torch.full_like(model.w, 2.0**-10)
        optimizer.step()
        with torch.no_grad():
            model.w.fill_(5.0)
    model.w.grad = torch.zeros_like(model.w)
    optimizer.step()
    assert torch.equal(model.w.detach(), torch.full((4,), 5.0, dtype=torch.bfloat16))


def test_a_half_precision_model_computes_in_bfloat16_with_float32_weights():
    model = net().half()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = batches(1)[0].half()
    treatment = treat(model, "precision=autocast", optimizer)
    out = model(x)
    assert model[0].weight.dtype is torch.float32 and out.dtype is torch.float32
    out.square().mean().backward()
    optimizer.step()
    treatment.undo()
    assert model[0].weight.dtype is torch.float16 and model(x).dtype is torch.float16


@pytest.mark.parametrize("gradient", [1e-10, 1e-16])
def test_adams_eps_is_put_under_the_gradients_and_the_step_is_whole_again(gradient):
    def first_step(treated):
        model = One(16, torch.float32)
        model.w = nn.Parameter(torch.ones(4, 4))
        optimizer = torch.optim.Adam([model.w], lr=1e-3)
        treatment = treat(model, "precision=eps", optimizer) if treated else None
        model.w.grad = torch.full((4, 4), gradient)
        optimizer.step()
        eps = optimizer.param_groups[0]["eps"]
        if treatment is not None:
            treatment.undo()
            assert optimizer.param_groups[0]["eps"] == 1e-8
        return 1 - float(model.w.detach()[0, 0]), eps

    # √v̂/(√v̂ + eps); the spacing of float32 at one is 1.2e-7.
    assert first_step(False)[0] == pytest.approx(1e-3 * gradient / (gradient + 1e-8), rel=0.01, abs=6e-8)
    step, eps = first_step(True)
    assert eps == pytest.approx(1e-3 * gradient) and step == pytest.approx(1e-3 / 1.001, rel=1e-3)


def test_steps_that_float32_swallows_because_eps_divides_them_away_need_another_eps(tmp_path):
    """A loss of 1e-12 under Adam: the step is 1e-4 of what it would be, and rounded away at that."""
    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with livegrad.watch(model, optimizer, path=tmp_path / "run"):
        for x in batches(4):
            optimizer.zero_grad()
            (1e-12 * model(x).square().mean()).backward()
            optimizer.step()
    finding = {"code": "LG401", "evidence": {"swallowed_share": 1.0, "dtype": "float32"}}
    body = Body(model, (optimizer,), finding=finding, history=livegrad.load(tmp_path / "run"))
    cure = remedy("precision")
    choice = cure.resolve(body, Choice("precision"))
    assert choice.variant == "eps" and 1e-22 <= float(choice.options["eps"]) < 1e-14
    assert cure.assess(body, choice).works
    body.history = None
    assert cure.resolve(body, Choice("precision")).variant == "master"


def test_a_sound_eps_stays():
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    treat(model, "precision=eps", optimizer)
    model(batches(1)[0]).square().mean().backward()
    optimizer.step()
    assert optimizer.param_groups[0]["eps"] == 1e-8


@pytest.mark.parametrize(
    ("finding", "variant"),
    [
        ({"code": "LG302"}, "scale"),
        ({"code": "LG302", "evidence": {"loss_scale": 2.0}}, "bfloat16"),
        ({"code": "LG303"}, "bfloat16"),
        ({"code": "LG401", "evidence": {"under_eps_share": 1.0}}, "eps"),
        ({"code": "LG401", "evidence": {"swallowed_share": 1.0, "dtype": "bfloat16"}}, "master"),
    ],
)
def test_what_is_lost_says_which_format_to_change(finding, variant):
    model = net()
    body = Body(model, (torch.optim.Adam(model.parameters()),), finding=finding)
    assert remedy("precision").resolve(body, Choice("precision")).variant == variant


@pytest.mark.parametrize(
    ("choice", "finding", "reason"),
    [
        ("scale", {"code": "LG101"}, "postpones the zero"),
        ("eps", {"code": "LG101"}, "amplifies noise"),
        ("master", {"code": "LG302"}, "before it comes to the step"),
        ("scale", {"code": "LG303"}, "precision=bfloat16"),
        ("bfloat16", {"code": "LG401", "evidence": {"swallowed_share": 1.0}}, "precision=master"),
        ("master", {"code": "LG401", "evidence": {"update_ratio": 1e-9}}, "take schedule"),
        ("bfloat16", {"code": "LG301"}, "nothing computes in float16"),
        ("autocast", None, "no weight is kept in half precision"),
        ("stochastic", None, "precision=master"),
    ],
)
def test_where_a_format_does_not_help_it_says_so(choice, finding, reason):
    model = net()
    body = Body(model, (torch.optim.Adam(model.parameters()),), finding=finding)
    with pytest.raises(Refused, match=reason):
        treat_body(body, (Choice("precision", choice),))


def test_a_stack_through_which_nothing_comes_is_not_helped_by_eps():
    torch.manual_seed(0)
    deep = nn.Sequential(*[m for _ in range(12) for m in (nn.Linear(16, 16), nn.Sigmoid())], nn.Linear(16, 2))
    with pytest.raises(Refused, match="vanishes on its way"):
        treat(deep, "precision=eps", torch.optim.Adam(deep.parameters()), inputs=torch.randn(8, 16))


def test_float16_weights_have_float16_gradients_whatever_the_scale():
    model = net().half()
    with pytest.raises(Refused, match="precision=autocast"):
        treat(model, "precision=scale", torch.optim.SGD(model.parameters(), lr=0.1))
