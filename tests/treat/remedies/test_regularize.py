"""Weights are held in bounds by closed form, where they should be, and nothing else is touched."""

import math

import pytest
import torch
from torch import nn

import livegrad
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat, treat_body
from livegrad.treat.weight_bounds.decay import too_strong
from livegrad.treat.weight_bounds.limits import SpectralLimit, orthogonalize, shrink


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(10, 8)
        self.inner = nn.Linear(8, 16)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.inner(self.table(x)))))


def no_gradient(model):
    for p in model.parameters():
        p.grad = torch.zeros_like(p)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.0),
        lambda p: torch.optim.Adam(p, lr=0.1),
        lambda p: torch.optim.SGD(p, lr=0.1),
        lambda p: torch.optim.Rprop(p, lr=0.1),
    ],
)
def test_matrices_decay_as_the_power_of_one_minus_rate_times_strength_and_nothing_else_does(make):
    model = Net()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = make(model.parameters())
    treat(model, "regularize=decay:strength=0.5", optimizer)
    for _ in range(20):
        no_gradient(model)
        optimizer.step()
    for name, p in model.named_parameters():
        factor = (1 - 0.1 * 0.5) ** 20 if name in ("inner.weight", "head.weight") else 1.0
        torch.testing.assert_close(p.detach(), before[name] * factor, rtol=1e-4, atol=1e-6)


def test_adam_with_this_is_adamw_bit_for_bit():
    ends = []
    for treated in (False, True):
        torch.manual_seed(0)
        model = nn.Linear(6, 4, bias=False)
        if treated:
            optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
            treat(model, "regularize=decay:strength=0.3", optimizer)
        else:
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.3)
        torch.manual_seed(1)
        for x in torch.randn(10, 5, 6):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
        ends.append(model.weight.detach().clone())
    assert torch.equal(*ends)


SCHEDULERS = [
    lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5),
    lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda s: 1 / (s + 1)),
    lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10),
    lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=20),
    lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, 2, cycle_momentum=False),
    lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [torch.optim.lr_scheduler.ConstantLR(o, 0.1, 2), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)],
        [2],
    ),
]


@pytest.mark.parametrize("make", SCHEDULERS)
def test_a_group_is_split_with_the_optimizers_state_and_the_scheduler_goes_on(make):
    def run(treated):
        model = Net()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
        scheduler = make(optimizer)
        torch.manual_seed(1)
        rates, treatment = [], None
        for i in range(8):
            if i == 2 and treated:
                moments = optimizer.state[model.inner.bias]["exp_avg"]
                treatment = treat(model, "regularize=decay:strength=1e-9", optimizer)
                assert optimizer.state[model.inner.bias]["exp_avg"] is moments
                assert len(optimizer.param_groups) == 2
            optimizer.zero_grad()
            model(torch.randint(0, 10, (4,))).square().mean().backward()
            optimizer.step()
            scheduler.step()
            rates.append({g["lr"] for g in optimizer.param_groups})
        if treatment is not None:
            treatment.undo()
            assert len(optimizer.param_groups) == 1
            optimizer.step()
            scheduler.step()
        order = [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in model.parameters()]
        return rates, model.head.weight.detach().clone() if not treated else order

    plain, _ = run(False)
    rates, order = run(True)
    assert rates == plain and order


def test_decay_on_everything_is_moved_to_the_right_groups():
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    treat(model, "regularize", optimizer)
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    names = {name for name, p in model.named_parameters() if decays[id(p)] == 0.1}
    assert names == {"inner.weight", "head.weight"}


def test_the_usual_strength_is_what_adamw_and_sgd_are_usually_given():
    for kind, rate, usual in ((torch.optim.AdamW, 1e-3, 0.01), (torch.optim.SGD, 0.1, 1e-4)):
        model = Net()
        optimizer = kind(model.parameters(), lr=rate, weight_decay=0.0)
        treat(model, "regularize=decay", optimizer)
        assert optimizer.param_groups[0]["weight_decay"] == pytest.approx(usual)


def test_the_strength_from_a_history_stops_the_growth_that_was_recorded(tmp_path):
    def run(body=None, path=None):
        torch.manual_seed(0)
        model = nn.Linear(8, 8)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        if body is not None:
            treatment = treat_body(Body(model, (optimizer,), history=body), (Choice("regularize"),))
        with livegrad.watch(model, optimizer, path=path, every=1):
            for _ in range(60):
                optimizer.zero_grad()
                (-0.01 * model.weight.square().sum() / 2).backward()
                optimizer.step()
        return float(model.weight.detach().norm()), None if body is None else treatment

    start = 0.0
    torch.manual_seed(0)
    start = float(nn.Linear(8, 8).weight.detach().norm())
    grown, _ = run(path=tmp_path / "a")
    assert grown == pytest.approx(start * 1.001**60, rel=1e-3)
    held, treatment = run(livegrad.load(tmp_path / "a"), tmp_path / "b")
    assert held == pytest.approx(start, rel=5e-3)
    assert treatment.assessments[0].before["growth_per_step"] == pytest.approx(1e-3, rel=0.02)


def test_l1_makes_weights_exactly_zero_and_no_further():
    w = torch.tensor([[0.5, -0.5, 0.1, -0.05]])
    shrink(w, 0.1)
    torch.testing.assert_close(w, torch.tensor([[0.4, -0.4, 0.0, 0.0]]))
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    bias, most = model.inner.bias.detach().clone(), float(model.inner.weight.detach().abs().max())
    treat(model, "regularize=l1:strength=0.05", optimizer)
    for _ in range(math.ceil(most / 0.005)):
        no_gradient(model)
        optimizer.step()
    assert not model.inner.weight.any() and torch.equal(model.inner.bias, bias)


@pytest.mark.parametrize("shape", [(6, 6), (8, 5), (5, 8), (6, 2, 3, 3)])
def test_singular_values_go_as_the_recursion_says(shape):
    torch.manual_seed(0)
    w = 0.3 * torch.randn(shape, dtype=torch.float64)
    sigma = torch.linalg.svdvals(w.flatten(1))
    orthogonalize(w, 0.01, 1.2)
    expected = sigma - 0.01 * sigma * (sigma**2 / 1.2**2 - 1)
    torch.testing.assert_close(torch.linalg.svdvals(w.flatten(1)), expected)
    for _ in range(3000):
        orthogonalize(w, 0.01, 1.2)
    assert torch.allclose(torch.linalg.svdvals(w.flatten(1)), torch.full_like(sigma, 1.2), atol=1e-3)


def test_the_penalty_is_stable_where_singular_values_are_far_too_large():
    torch.manual_seed(0)
    w = 100 * torch.randn(16, 16, dtype=torch.float64)
    for _ in range(400):
        orthogonalize(w, 0.5, 1.0)
    assert float(torch.linalg.svdvals(w)[0]) < 1.5


def test_the_largest_singular_value_stays_under_its_limit():
    torch.manual_seed(0)
    model = nn.Linear(12, 12)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    treatment = treat(model, "regularize=spectral:limit=0.9", optimizer)
    before = float(torch.linalg.matrix_norm(model.weight.detach(), 2))
    assert treatment.assessments[0].before["largest_singular_value"] == pytest.approx(before, rel=0.01)
    for _ in range(60):
        no_gradient(model)
        model.weight.grad.copy_(-0.01 * torch.randn(12, 12))
        optimizer.step()
    assert float(torch.linalg.matrix_norm(model.weight.detach(), 2)) < 0.92


def test_a_spectral_limit_leaves_a_matrix_under_it_alone():
    torch.manual_seed(0)
    w = torch.randn(8, 8)
    limit = SpectralLimit(w, torch.Generator().manual_seed(0), limit=100.0)
    kept = w.clone()
    limit(w)
    assert torch.equal(w, kept)


def test_against_explosion_through_time_the_recurrent_weights_alone_are_held_and_it_ends():
    torch.manual_seed(0)
    model = nn.RNN(16, 16, batch_first=True)
    with torch.no_grad():
        nn.init.orthogonal_(model.weight_hh_l0).mul_(1.3)
        nn.init.eye_(model.weight_ih_l0).mul_(1e-6)
        model.bias_hh_l0.zero_()
        model.bias_ih_l0.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-30)
    x = torch.randn(3, 50, 16, requires_grad=True)

    def growth():
        x.grad = None
        model(x)[0][:, -1].sum().backward()
        return float(x.grad[:, 0].norm() / x.grad[:, -1].norm())

    kept = model.weight_ih_l0.detach().clone()
    assert growth() > 1e3
    body = Body(model, (optimizer,), finding={"code": "LG104"})
    treatment = treat_body(body, (Choice("regularize"),))
    assert str(treatment.choices[0]) == "regularize=spectral:only=recurrent"
    optimizer.step()
    # σ_max ≤ 1 and |tanh'| ≤ 1: no time step can amplify.
    assert growth() <= 1.01
    torch.testing.assert_close(model.weight_ih_l0.detach(), kept)


@pytest.mark.parametrize("variant", ["decay", "l1", "spectral"])
@pytest.mark.parametrize("code", ["LG101", "LG102"])
def test_what_pulls_singular_values_down_is_refused_for_vanishing(code, variant):
    model = nn.RNN(4, 8)
    body = Body(model, (torch.optim.SGD(model.parameters(), lr=0.1),), finding={"code": code})
    with pytest.raises(Refused, match="vanish faster"):
        treat_body(body, (Choice("regularize", variant),))


def test_l2_on_recurrent_weights_worsens_vanishing_and_orthogonality_does_not():
    def reach(variant):
        torch.manual_seed(0)
        model = nn.RNN(4, 16, batch_first=True)
        x = torch.randn(3, 20, 4, requires_grad=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        if variant:
            treat_body(Body(model, (optimizer,)), (Choice("regularize", variant, {"strength": 0.05}),))
        for _ in range(300):
            no_gradient(model)
            optimizer.step()
        model(x)[0][:, -1].sum().backward()
        return float(x.grad[:, 0].norm() / x.grad[:, -1].norm())

    assert reach("decay") < 1e-2 * reach(None) < 1e-2 * reach("orthogonal")


def test_saturation_from_the_first_step_is_no_case_for_it():
    model = Net()
    finding = {"code": "LG201", "first_step": 0}
    body = Body(model, (torch.optim.SGD(model.parameters(), lr=0.1),), finding=finding)
    with pytest.raises(Refused, match="acts over hundreds"):
        treat_body(body, (Choice("regularize"),))
    body.finding = {"code": "LG201", "first_step": 200}
    assert treat_body(body, (Choice("regularize"),)).changes


def test_the_edit_gives_the_optimizer_two_groups():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    body = Body(model, (optimizer,), sources={"optimizer:0": "train.py:5"})
    treatment = treat_body(body, (Choice("regularize", "decay", {"strength": 0.2}),))
    (edit,) = remedy("regularize").edits(body, treatment.choices[0], treatment.changes)
    assert (edit.kind, edit.target, edit.source) == ("argument", "params", "train.py:5")
    groups = eval(edit.code.replace("{model}", "model"), {"model": model})
    mine = [(len(g["params"]), g["weight_decay"]) for g in optimizer.param_groups]
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == mine == [(1, 0.2), (3, 0.0)]


@pytest.mark.parametrize(
    ("kind", "rate", "strength", "strong"),
    [
        (torch.optim.SGD, 0.1, 1e-4, False),
        (torch.optim.SGD, 0.1, 1.0, True),  # a tenth of each weight a step
        (torch.optim.SGD, 1e-3, 0.3, True),  # drowns the gradient, slow as it is
        (torch.optim.AdamW, 1e-3, 0.3, False),
        (torch.optim.AdamW, 0.01, 30.0, True),
        (torch.optim.Adam, 1e-3, 1e-2, False),
        (torch.optim.Adam, 1e-3, 1.0, True),  # drowns the gradient that it is divided with
    ],
)
def test_decay_that_nothing_is_learnt_against_is_made_usual(kind, rate, strength, strong):
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    body = Body(model, [kind(model.parameters(), lr=rate, weight_decay=strength)], (torch.randn(3, 4),))
    body.finding = {"code": "LG101", "first_step": 0}
    assert (too_strong(body.optimizers) is not None) is strong
    cure = remedy("regularize")
    choice = cure.resolve(body, Choice("regularize", "decay"))
    if strong:
        assert choice.options["strength"] * rate == pytest.approx(1e-5)
        assert cure.assess(body, choice).works is True


@pytest.mark.parametrize(("momentum", "dampening"), [(0.9, 0.0), (0.9, 0.5), (0.0, 0.0)])
def test_decay_that_goes_through_momentum_is_as_fast_as_what_is_said(momentum, dampening):
    """w falls by ηλ(1 − d)/(1 − μ) a step, once the momentum has built up."""
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=momentum, dampening=dampening, weight_decay=0.011)
    sizes = []
    for _ in range(60):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        sizes.append(float(weight.detach()))
    share = 1 - (sizes[-1] / sizes[29]) ** (1 / 30)
    found = too_strong([optimizer])
    assert (found is not None) is (share > 0.01)
    assert found is None or found[1] == pytest.approx(share, rel=0.15)
