"""Following values that are not finite: who made them, who was told to write them, who passed them on."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.probe.forensics import graph_values
from livegrad.probe.forensics.finding_out import Notes, in_backward, in_forward
from livegrad.probe.forensics.operand import describe, flaw
from livegrad.probe.forensics.provenance import Provenance
from livegrad.probe.forensics.replay import Call, backward, replay
from livegrad.probe.forensics.script_part import Program, lines_of

INF, NAN = float("inf"), float("nan")


def call_of(module, *args):
    return Call(
        lambda: module, args, {}, 0, random=(torch.get_rng_state(),), versions=tuple(a._version for a in args)
    )


class Formula(nn.Module):
    """A module that computes what it is told."""

    def __init__(self, formula):
        super().__init__()
        self.formula = formula
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.formula(x * self.weight)


def test_flaws():
    assert [flaw(torch.tensor(v)) for v in (1.0, INF, NAN)] == ["", "inf", "nan"]
    assert flaw(torch.tensor([1, 2])) == "" and flaw(torch.empty(0)) == ""
    seen = describe("x", torch.tensor([[-2.0, NAN], [5.0, INF]]))
    assert (seen.low, seen.high, seen.nonfinite, seen.shape) == (-2.0, 5.0, 2, (2, 2))


@pytest.mark.parametrize(
    "formula, given, operator, made",
    [
        (torch.log, [0.0, 1.0, 2.0], "log", "inf"),
        (lambda x: x / x.sum(), [0.0, 0.0, 0.0], "div", "nan"),
        (lambda x: torch.exp(x) / torch.exp(x).sum(), [0.0, 100.0, 1.0], "exp", "inf"),
        (lambda x: x.log_() * 2, [-1.0, 1.0, 1.0], "log", "nan"),
        (lambda x: (x * 1e30).square() - (x * 1e30).square(), [1.0, 0.0, 0.0], "pow", "inf"),
        (lambda x: x.var(), [1.0, 2.0, 3.0], None, ""),
    ],
)
def test_the_first_operation_that_leaves_the_finite_numbers_is_named(formula, given, operator, made):
    birth = replay(call_of(Formula(formula), torch.tensor(given)), Provenance()).birth
    if operator is None:
        assert birth is None
    else:
        assert birth is not None and (birth.place.operator, birth.made) == (operator, made)
        assert birth.place.source is not None and "test_forensics.py" in birth.place.source


def test_an_infinity_that_was_asked_for_is_not_blamed_where_it_does_no_harm():
    mask = torch.tensor([False, True, True])
    found = replay(
        call_of(Formula(lambda x: x.masked_fill(mask, -INF).softmax(0)), torch.ones(3)), Provenance()
    )
    assert found.birth is None


def test_where_a_mask_turns_to_nan_the_operation_that_turned_it_is_named_and_the_mask_too():
    def attend(x):
        return x.masked_fill(torch.ones(3, dtype=torch.bool), -INF).softmax(0)

    birth = replay(call_of(Formula(attend), torch.ones(3)), Provenance()).birth
    assert birth is not None and birth.place.operator == "softmax" and birth.made == "nan"
    assert birth.mask is not None and birth.mask.operator == "masked_fill"


def test_a_nan_that_was_given_is_told_from_one_that_was_made():
    birth = replay(call_of(Formula(torch.log), torch.tensor([1.0, NAN, 2.0])), Provenance()).birth
    assert birth is not None and birth.given == "input 0"
    assert [place.operator for place in birth.propagators] == ["mul", "log"]


def test_batch_norm_in_training_does_not_read_the_statistics_that_the_step_has_broken():
    norm = nn.BatchNorm1d(3)
    norm(torch.tensor([[NAN, 1, 2], [0, 1, 2.0]]))
    assert flaw(norm.running_mean) == "nan"
    assert replay(call_of(norm, torch.randn(4, 3)), Provenance()).birth is None


def test_a_replay_leaves_no_trace(capsys):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.drop, self.calls = nn.BatchNorm1d(3), nn.Dropout(0.5), 0

        def forward(self, x):
            self.calls += 1
            print("loud")
            x.add_(1)
            return self.drop(self.norm(x)).log()

    net, x = Net(), torch.randn(5, 3)
    before = (x.clone(), net.norm.running_mean.clone(), torch.get_rng_state(), x._version)
    found = replay(call_of(net, x), Provenance())
    backward(found, [torch.ones_like(t) for t in found.outputs])
    assert torch.equal(x, before[0]) and x._version == before[3]
    assert torch.equal(net.norm.running_mean, before[1]) and torch.equal(torch.get_rng_state(), before[2])
    assert net.calls == 0 and all(p.grad is None for p in net.parameters())
    assert not net.norm._forward_hooks and capsys.readouterr().out == ""


def test_a_replay_draws_the_same_random_numbers():
    net = nn.Sequential(nn.Dropout(0.5))
    x = torch.ones(200)
    call = call_of(net, x)
    again = replay(call, Provenance()).outputs[0]
    assert torch.equal(net(x), again)


def test_a_module_that_raises_is_followed_up_to_there():
    def fail(x):
        x = x.sqrt()
        raise ValueError("mine")

    found = replay(call_of(Formula(fail), torch.tensor([-1.0, 1.0, 1.0])), Provenance())
    assert isinstance(found.error, ValueError)
    assert found.birth is not None and found.birth.place.operator == "sqrt"


def test_a_derivative_that_breaks_is_named_with_the_line_of_its_operation():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(3, 3)

        def forward(self, x):
            return (self.inner(x) * torch.tensor([1.0, 0.0, 1.0])).abs().sqrt()

    net, x = Root(), torch.randn(4, 3)
    call = call_of(net, x)
    net(x).sum().backward()
    bad = {id(p): name for name, p in net.named_parameters() if flaw(p.grad)}
    assert bad
    found = in_backward([call], bad, None, Notes([]))
    assert found is not None and found.certain and found.phase == "backward"
    assert found.operator == "SqrtBackward0" and found.source is not None


def test_a_replay_that_breaks_elsewhere_than_the_step_did_is_not_believed():
    net, x = Formula(lambda x: (x * 0).sqrt()), torch.ones(3)
    notes = Notes([])
    assert in_backward([call_of(net, x)], {1: "another"}, None, notes) is None
    assert notes.texts


OPERATIONS = [
    torch.log, torch.sqrt, torch.exp, torch.log1p, torch.acos, torch.rsqrt, torch.reciprocal, torch.abs,
    lambda x: x / 2, lambda x: x / x.detach(), lambda x: x * x, lambda x: x**2, lambda x: -x,
    lambda x: x.mean(), lambda x: x.mean(-1), lambda x: x.sum(-1, keepdim=True), lambda x: x.var(),
    lambda x: x.std(0), lambda x: x.logsumexp(-1), lambda x: x.softmax(-1), lambda x: x.log_softmax(-1),
    lambda x: x.norm(dim=-1), lambda x: x.clamp(0, 1), lambda x: x @ x.detach().t(), lambda x: x.max(),
    lambda x: x[:, 1], lambda x: x.gather(1, torch.tensor([[0], [1], [2]])), lambda x: x.unsqueeze(0),
    lambda x: torch.atan2(x, x.detach()), lambda x: torch.cdist(x, x.detach()), lambda x: x.prod(),
    lambda x: F.mse_loss(x, x.detach() + 1), lambda x: F.smooth_l1_loss(x, x.detach() + 1),
    lambda x: F.binary_cross_entropy(x, x.detach()), lambda x: F.nll_loss(x, torch.tensor([0, 1, 2])),
    lambda x: torch.cat([x, x]), lambda x: torch.stack([x, x], 1), lambda x: x.view(-1), lambda x: x.t(),
]  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_autograd_node_can_be_run_again_from_what_it_saved(operation):
    x = (torch.rand(3, 4, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1).requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = operation(x)
    children = [child.variable.detach() for child, _ in result.grad_fn.next_functions if child is not None]
    value = graph_values.saved_result(result.grad_fn)
    again = [value] if value is not None else graph_values.computed(result.grad_fn, children)
    assert torch.allclose(again[0], result.detach())


def test_the_script_s_own_part_is_followed_through_its_graph():
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    p = torch.softmax(w * 500, 0)
    loss = -(torch.tensor([1.0, 0.0]) * torch.log(p)).sum() + 0.1
    found = in_forward([], [loss], [], Notes([]))
    assert found is not None and (found.operator, found.made, found.phase) == ("log", "inf", "loss")
    assert [operand.low for operand in found.inputs][:1] == [0.0]


def test_a_target_that_is_nan_is_no_fault_of_the_loss():
    w = torch.ones(3, requires_grad=True)
    found = in_forward([], [F.mse_loss(w * 2, torch.tensor([1.0, NAN, 1.0]))], [], Notes([]))
    assert found is not None and found.phase == "input" and found.note == "target given to mse_loss"


def test_lines_come_from_another_step_and_are_sure_only_where_nothing_was_added():
    program = Program(("MulBackward0", "LogBackward0", "MeanBackward0"), (("a", 1), ("a", 2), ("a", 3)))
    assert lines_of(program.names, [program]) == ([("a", 1), ("a", 2), ("a", 3)], [True] * 3)
    lines, sure = lines_of(("MulBackward0", "MulBackward0", "LogBackward0", "MeanBackward0"), [program])
    assert lines[2:] == [("a", 2), ("a", 3)] and sure == [False, False, True, True]
