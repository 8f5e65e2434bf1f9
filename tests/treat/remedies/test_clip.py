"""Clipping bounds the step by closed form, keeps NaN out of the weights, and says where it cannot help."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import livegrad
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.clipping.limit import FirstSteps, recorded_limit
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat, treat_body


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))


def backward(model, factor=1.0, x=None):
    for p in model.parameters():
        p.grad = None
    x = torch.ones(3, 6) if x is None else x
    (factor * model(x).square().sum()).backward()


def norm_of(model):
    return math.sqrt(sum(float(p.grad.double().square().sum()) for p in model.parameters()))


def copies(model):
    return [p.detach().clone() for p in model.parameters()]


def moved(model, before):
    pairs = zip(model.parameters(), before, strict=True)
    return math.sqrt(sum(float((p.detach() - b).square().sum()) for p, b in pairs))


def test_under_sgd_a_step_is_never_longer_than_rate_times_limit():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    treat(model, "clip=norm:limit=0.5", optimizer)
    for factor in (1e6, 1.0, 1e-2):
        backward(model, factor)
        size, before = norm_of(model), copies(model)
        optimizer.step()
        assert moved(model, before) == pytest.approx(0.1 * min(size, 0.5), rel=1e-4)


def test_it_is_bit_for_bit_the_line_of_the_program():
    torch.manual_seed(1)
    data = torch.randn(20, 4, 6)
    ends = []
    for treated in (False, True):
        model = linear()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        if treated:
            treat(model, "clip=norm:limit=0.5", optimizer)
        for x in data:
            backward(model, 3.0, x)
            if not treated:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
        ends.append(copies(model))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("variant", ["norm:limit=1", "value:limit=1", "agc", "robust", "norm"])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_broken_gradient_leaves_the_step_out(variant, broken):
    model = linear()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    treat(model, f"clip={variant}", optimizer)
    backward(model)
    optimizer.step()
    before = copies(model)
    count = float(optimizer.state[model[0].weight]["step"])
    backward(model)
    model[0].weight.grad[0, 0] = broken
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
    assert float(optimizer.state[model[0].weight]["step"]) == count
    assert model[0].weight.grad is not None
    backward(model)
    optimizer.step()
    assert moved(model, before) > 0


@pytest.mark.parametrize("variant", ["norm:limit=1", "value:limit=1", "agc", "robust"])
def test_where_asking_would_make_the_program_wait_a_broken_gradient_becomes_zero(variant, monkeypatch):
    monkeypatch.setattr("livegrad.treat.clipping.gradients.on_cpu", lambda parameters: False)
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    treat(model, f"clip={variant}", optimizer)
    backward(model)
    model[0].weight.grad[0, 0] = math.inf
    before = copies(model)
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
    backward(model)
    optimizer.step()
    assert 0 < moved(model, before) < math.inf


def test_finite_gradients_whose_squares_overflow_still_point_somewhere():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    treat(model, "clip=norm:limit=1", optimizer)
    backward(model)
    direction = [p.grad / norm_of(model) for p in model.parameters()]
    for p in model.parameters():
        p.grad.mul_(1e25)
    before = copies(model)
    optimizer.step()
    for p, b, d in zip(model.parameters(), before, direction, strict=True):
        torch.testing.assert_close(b - p, d, rtol=1e-4, atol=1e-6)


def test_each_entry_is_held_by_value_of_complex_ones_both_parts():
    p = nn.Parameter(torch.zeros(3, dtype=torch.cfloat))
    model = nn.Module()
    model.register_parameter("p", p)
    optimizer = torch.optim.SGD([p], lr=1.0)
    treat(model, "clip=value:limit=2", optimizer)
    p.grad = torch.tensor([1 + 5j, -7 + 0.5j, 0j])
    optimizer.step()
    assert torch.equal(-p.detach(), torch.tensor([1 + 2j, -2 + 0.5j, 0j]))


def test_per_unit_no_unit_moves_by_more_than_rate_times_share_of_itself_and_the_head_is_left_alone():
    model = linear()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    treat(model, "clip=agc:limit=0.02", optimizer, inputs=torch.ones(3, 6))
    backward(model, 1e4)
    head = model[2].weight.grad.clone()
    before = copies(model)
    optimizer.step()
    rows = (model[0].weight - before[0]).norm(dim=1) / before[0].norm(dim=1)
    assert torch.all(rows <= 0.0201) and float(rows.detach().max()) == pytest.approx(0.02, rel=1e-3)
    torch.testing.assert_close(before[2] - model[2].weight, head)


def test_sparse_missing_tied_and_half_precision_gradients():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(10, 4, sparse=True)
            self.unused = nn.Linear(4, 4)
            self.narrow = nn.Linear(4, 4).to(torch.bfloat16)

        def forward(self, x):
            return self.narrow(self.table(x).to(torch.bfloat16)).float()

    model = Net()
    optimizer = torch.optim.SGD(
        [{"params": model.table.parameters()}, {"params": model.narrow.parameters()}], lr=1.0
    )
    treat(model, "clip=norm:limit=0.1", optimizer)
    (1e3 * model(torch.tensor([1, 1, 2])).square().sum()).backward()
    before = copies(model)
    optimizer.step()
    assert moved(model, before) == pytest.approx(0.1, rel=0.02)
    tied = nn.Linear(4, 4)
    both = nn.Sequential(tied, tied)
    optimizer = torch.optim.SGD(both.parameters(), lr=1.0)
    treat(both, "clip=norm:limit=0.1", optimizer)
    (1e3 * both(torch.ones(2, 4)).square().sum()).backward()
    before = copies(both)
    optimizer.step()
    assert moved(both, before) == pytest.approx(0.1, rel=1e-3)


def test_the_limit_from_norms_cuts_one_step_in_ten():
    norms = np.exp(np.random.default_rng(0).normal(0, 1, 1000))
    limit = recorded_limit(np.arange(1000), norms)
    assert np.mean(norms > limit) == pytest.approx(0.1, abs=0.005)


def test_norms_on_the_way_up_do_not_count():
    sound = np.linspace(1, 2, 20)
    rising = 10.0 ** np.arange(1, 30)
    found = recorded_limit(np.arange(50), np.concatenate([sound, rising, [np.inf]]), broke=20)
    assert 1.8 < found < 2
    assert recorded_limit(np.arange(3), np.array([4.0, np.nan, 9e9])) == 4.0
    assert recorded_limit(np.arange(2), np.array([np.nan, np.inf])) is None


def test_a_limit_is_learnt_from_the_first_steps_which_a_spike_among_them_does_not_spoil():
    learner = FirstSteps()
    norms = [1.0] * 10 + [1e9] + [1.0] * 20
    limits = [learner(norm) for norm in norms]
    assert limits[10] == 3.0
    assert learner.limit == 1.0


def test_the_threshold_of_a_recorded_run(tmp_path):
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with livegrad.watch(model, optimizer, path=tmp_path / "run", every=1):
        for x in torch.randn(40, 8, 6):
            backward(model, 1.0, x)
            optimizer.step()
    run = livegrad.load(tmp_path / "run")
    norms = run.scalars()["gradient_norm"]
    treatment = treat_body(Body(model, (optimizer,), history=run), (Choice("clip"),))
    limit = treatment.choices[0].options["limit"]
    assert limit == pytest.approx(np.quantile(norms, 0.9), rel=0.06)
    assert treatment.assessments[0].before["largest_gradient_norm"] == pytest.approx(norms.max())


def test_a_watched_run_shows_the_gradient_as_it_was_and_the_clip(tmp_path):
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    treat(model, "clip=norm:limit=0.5", optimizer)
    sizes = []
    with livegrad.watch(model, optimizer, path=tmp_path / "run", every=1):
        for x in torch.randn(12, 8, 6):
            backward(model, 5.0, x)
            sizes.append(norm_of(model))
            optimizer.step()
    recorded = livegrad.load(tmp_path / "run").scalars()
    assert recorded["gradient_norm"] == pytest.approx(sizes, rel=1e-4)
    assert recorded["clip_factor"] == pytest.approx(np.minimum(1, 0.5 / np.array(sizes)), rel=1e-3)


@pytest.mark.parametrize("code", ["LG101", "LG102"])
def test_it_never_helps_vanishing(code):
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(Refused, match="at most one"):
        treat_body(Body(model, (optimizer,), finding={"code": code}), (Choice("clip"),))


def test_a_stack_that_vanishes_is_told_so_without_a_finding():
    torch.manual_seed(0)
    deep = nn.Sequential(*[m for _ in range(12) for m in (nn.Linear(16, 16), nn.Sigmoid())], nn.Linear(16, 2))
    optimizer = torch.optim.SGD(deep.parameters(), lr=0.1)
    with pytest.raises(Refused, match="vanishes"):
        treat(deep, "clip", optimizer, inputs=torch.randn(8, 16))


def test_under_adam_it_does_not_shorten_steps_and_under_sgd_it_does():
    model = linear()
    finding = {"code": "LG402"}
    adam = Body(model, (torch.optim.Adam(model.parameters()),), finding=finding)
    with pytest.raises(Refused, match="divides by the gradient's own size"):
        treat_body(adam, (Choice("clip", "norm", {"limit": 1.0}),))
    sgd = Body(model, (torch.optim.SGD(model.parameters(), lr=0.01),), finding=finding)
    treatment = treat_body(sgd, (Choice("clip", "norm", {"limit": 1.0}),))
    assert treatment.assessments[0].works is True
    wild = Body(model, (torch.optim.SGD(model.parameters(), lr=50.0),), finding=finding)
    with pytest.raises(Refused, match="lower the learning rate"):
        treat_body(wild, (Choice("clip", "norm", {"limit": 1.0}),))


def test_what_is_too_large_in_the_head_is_no_case_for_clipping_by_unit():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    finding = {"code": "LG105", "layers": ["2"]}
    with pytest.raises(Refused, match="leaves alone"):
        treat_body(Body(model, (optimizer,), finding=finding), (Choice("clip", "agc"),))
    finding = {"code": "LG105", "layers": ["0", "2"]}
    assert treat_body(Body(model, (optimizer,), finding=finding), (Choice("clip", "agc"),)).changes


def test_the_limit_of_a_program_that_clips_too_much_is_raised():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    evidence = {"recommended_clip_limit": 2.0, "clip_limit": 1e-6}
    body = Body(model, (optimizer,), finding={"code": "LG403", "evidence": evidence})

    def step():
        backward(model, 1e3)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-6)
        before = copies(model)
        optimizer.step()
        return moved(model, before)

    treatment = treat_body(body, (Choice("clip"),))
    assert step() == pytest.approx(2.0, rel=1e-3)
    treatment.undo()
    assert step() < 1e-4


def test_without_an_optimizer_or_with_a_limit_that_is_none_it_says_what_to_type():
    with pytest.raises(Refused, match=r"treat\(model, 'clip', optimizer\)"):
        treat(linear(), "clip")
    model = linear()
    with pytest.raises(Refused, match="positive number"):
        treat(model, "clip=norm:limit=-1", torch.optim.SGD(model.parameters(), lr=1.0))


class Loop(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell(3, 8)
        self.read = nn.Linear(8, 1)

    def forward(self, x):
        h = None
        for step in x.unbind(1):
            h = self.cell(step, h) if h is not None else self.cell(step, self.start(step))
        return self.read(h[0] if isinstance(h, tuple) else h)

    def start(self, step):
        zero = step.new_zeros(len(step), 8)
        return (zero, zero) if isinstance(self.cell, nn.LSTMCell) else zero


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_between_time_steps_the_gradient_grows_by_no_more_than_a_decade(cell):
    torch.manual_seed(0)
    model = Loop(cell)
    with torch.no_grad():
        for name, p in model.cell.named_parameters():
            p.mul_(1e-4 if name == "weight_ih" else 0)
        for block in model.cell.weight_hh.split(8):
            nn.init.eye_(block).mul_(1.15)
    x = torch.randn(4, 60, 3, requires_grad=True)

    def first():
        x.grad = None
        out = model(x)
        out.sum().backward()
        return float(x.grad[:, 0].norm()), float(x.grad[:, -1].norm()), out.detach()

    wild, last, before = first()
    treatment = treat(model, "clip=through-time", inputs=x, force=True)
    held, _, after = first()
    assert torch.equal(before, after)
    if cell is nn.RNNCell:
        assert wild > 1e3 * last
    assert held < 100 * last and held <= wild * 1.001
    treatment.undo()
    assert first()[0] == pytest.approx(wild)


def test_a_fused_recurrent_layer_lets_nothing_between_its_time_steps():
    with pytest.raises(Refused, match=r"nn\.LSTMCell"):
        treat(nn.LSTM(3, 8), "clip=through-time", inputs=torch.randn(5, 2, 3))


def test_undone_it_clips_no_more():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    treatment = treat(model, "clip=norm:limit=0.001", optimizer)
    treatment.undo()
    backward(model, 10.0)
    before, size = copies(model), norm_of(model)
    optimizer.step()
    assert moved(model, before) == pytest.approx(size, rel=1e-4)


def test_the_edit_is_the_line_above_the_step():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    body = Body(model, (optimizer,), sources={"step:0": "train.py:9"})
    treatment = treat_body(body, (Choice("clip", "norm", {"limit": 0.5}),))
    from livegrad.treat.remedies import remedy

    (edit,) = remedy("clip").edits(body, treatment.choices[0], treatment.changes)
    assert (edit.kind, edit.source, edit.target) == ("before", "train.py:9", "step")
    code = edit.code.replace("{receiver}", "optimizer").replace("{model}", "model")
    backward(model, 1e3)
    exec(code, {"torch": torch, "optimizer": optimizer, "model": model})
    assert norm_of(model) == pytest.approx(0.5, rel=1e-4)
    model[0].weight.grad[0, 0] = math.nan
    exec(code, {"torch": torch, "optimizer": optimizer, "model": model})
    assert model[0].weight.grad is None


def test_the_programs_own_limit_is_an_argument_of_its_own_line(tmp_path):
    from livegrad.treat.remedies import remedy

    script = tmp_path / "train.py"
    script.write_text("loss.backward()\nclip_grad_norm_(model.parameters(), 1e-6)\noptimizer.step()\n")
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    body = Body(model, (optimizer,), sources={"step:0": f"{script}:3"})
    treatment = treat_body(body, (Choice("clip", "norm", {"limit": 2.0, "own": True}),))
    treatment.undo()
    (edit,) = remedy("clip").edits(body, treatment.choices[0], treatment.changes)
    assert (edit.kind, edit.source, edit.code) == ("argument", f"{script}:2", "2")
    script.write_text("clip_grad_norm_(a, 1)\nclip_grad_norm_(b, 1)\noptimizer.step()\n")
    treatment = treat_body(body, (Choice("clip", "norm", {"limit": 2.0, "own": True}),))
    treatment.undo()
    (edit,) = remedy("clip").edits(body, treatment.choices[0], treatment.changes)
    assert edit.kind == "instruction"


def test_a_limit_of_its_own_never_lets_a_step_of_sgd_change_a_matrix_by_more_than_a_tenth():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    treat(model, "clip", optimizer)
    for factor in (1e3, 1e6, 1e4):
        backward(model, factor)
        before = copies(model)
        optimizer.step()
        for p, b in zip(model.parameters(), before, strict=True):
            if p.dim() > 1:
                assert float((p.detach() - b).norm() / b.norm()) < 0.11
