"""What a loss tells: the answer that ignores the input, in closed form."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.probe.target import Target, read_target


def told(loss: torch.Tensor) -> Target:
    return read_target(loss.grad_fn, None)


def test_the_constant_answer_to_classes_has_the_entropy_of_their_frequencies():
    labels = torch.tensor([0] * 600 + [1] * 300 + [2] * 100)
    entropy = -sum(p * math.log(p) for p in (0.6, 0.3, 0.1))
    scores = torch.zeros(1000, 3).requires_grad_()
    found = told(F.cross_entropy(scores, labels))
    assert found.constant_loss == pytest.approx(entropy, abs=2 / 2000 + 1e-9)
    assert found.task_loss == pytest.approx(math.log(3))
    # The scores that are best for every sample alike reach it.
    best = torch.tensor([[0.6, 0.3, 0.1]]).log().expand(1000, 3).clone().requires_grad_()
    assert told(F.cross_entropy(best, labels)).task_loss == pytest.approx(entropy, rel=1e-5)


def test_the_estimate_from_few_labels_is_not_too_small():
    """Miller (1955): the plain estimate falls short by (K - 1)/2N on average."""
    generator = torch.Generator().manual_seed(0)
    levels = [
        told(F.cross_entropy(torch.zeros(64, 10).requires_grad_(), labels)).constant_loss
        for labels in torch.randint(10, (200, 64), generator=generator)
    ]
    assert sum(levels) / 200 == pytest.approx(math.log(10), rel=0.01)


def test_ignored_labels_and_weights_count_as_the_loss_counts_them():
    labels = torch.tensor([0, 0, 1, 1, 1, 1] * 20 + [2] * 80)
    weight = torch.tensor([2.0, 1.0, 1.0])
    loss = F.cross_entropy(torch.zeros(200, 3).requires_grad_(), labels, weight=weight, ignore_index=2)
    assert told(loss).constant_loss == pytest.approx(math.log(2), abs=0.01)
    assert told(loss).task_loss == pytest.approx(loss.item())


def test_labels_that_are_all_different_tell_nothing():
    scores = torch.randn(32, 32).requires_grad_()
    assert math.isnan(told(F.cross_entropy(scores, torch.arange(32))).constant_loss)


def test_the_constant_answer_to_a_regression_has_the_variance_of_each_output():
    torch.manual_seed(0)
    targets = torch.randn(2000, 2) * torch.tensor([1.0, 3.0]) + torch.tensor([50.0, 0.0])
    found = told(F.mse_loss(torch.zeros(2000, 2).requires_grad_(), targets))
    assert found.constant_loss == pytest.approx((1 + 9) / 2, rel=0.05)
    assert found.task_loss == pytest.approx(targets.square().mean().item(), rel=1e-4)


@pytest.mark.parametrize("delta", [0.05, 1.0, 50.0])
def test_the_constant_answer_to_smooth_l1_lies_between_the_median_and_the_mean(delta):
    """Quadratic to delta it is the variance's half over delta; straight, the mean distance from the median.
    No other constant does better.
    """
    torch.manual_seed(0)
    targets = torch.randn(4000, 1).exp()
    best = min(F.smooth_l1_loss(torch.full_like(targets, c), targets, beta=delta).item()
               for c in torch.linspace(0.5, 2.5, 201).tolist())  # fmt: skip
    given = torch.full_like(targets, 2.0).requires_grad_()
    found, huber = (
        told(F.smooth_l1_loss(given, targets, beta=delta)),
        told(F.huber_loss(given, targets, delta=delta)),
    )
    assert found.constant_loss == pytest.approx(best, rel=2e-3)
    assert found.task_loss == pytest.approx(F.smooth_l1_loss(given, targets, beta=delta).item(), rel=1e-5)
    assert huber.constant_loss == pytest.approx(delta * best, rel=2e-3)
    assert huber.task_loss == pytest.approx(F.huber_loss(given, targets, delta=delta).item(), rel=1e-5)


@pytest.mark.parametrize("with_logits", [True, False])
def test_the_constant_answer_to_questions_has_their_entropy(with_logits):
    targets = (torch.arange(400).reshape(100, 4) % 5 == 0).float()
    scores = torch.zeros(100, 4).requires_grad_()
    loss = (
        F.binary_cross_entropy_with_logits(scores, targets)
        if with_logits
        else F.binary_cross_entropy(scores.sigmoid(), targets)
    )
    entropy = -(0.2 * math.log(0.2) + 0.8 * math.log(0.8))
    assert told(loss).constant_loss == pytest.approx(entropy, abs=0.01)
    assert told(loss).task_loss == pytest.approx(math.log(2))


def test_scores_that_are_no_log_probabilities_have_no_misfit():
    found = told(F.nll_loss(torch.full((8, 3), 5.0).requires_grad_(), torch.arange(8) % 3))
    assert math.isnan(found.residual) and math.isnan(found.task_loss)


def test_a_sum_and_a_weight_change_nothing():
    torch.manual_seed(0)
    model, x, labels = nn.Linear(5, 3), torch.randn(30, 5), torch.arange(30) % 3
    plain = told(F.cross_entropy(model(x), labels))
    summed = told(7 * F.cross_entropy(model(x), labels, reduction="sum"))
    assert plain == summed


def told_of(answer: torch.Tensor, loss: torch.Tensor) -> Target:
    return read_target(loss.grad_fn, answer.grad_fn, (answer,))


@pytest.mark.parametrize(
    "written",
    [
        lambda y, t: ((y - t) ** 2).mean(),
        lambda y, t: (t - y).pow(2).sum(1).mean() / 2,
        lambda y, t: (y.squeeze() - t.squeeze()).square().sum(),
        lambda y, t: ((y - t) * (y - t)).mean().sqrt(),
        lambda y, t: 3 * torch.mean(torch.pow(t.view(-1) - y.view(-1), 2)) + 1,
    ],
)
def test_a_square_written_out_tells_what_mse_loss_does(written):
    torch.manual_seed(0)
    targets = 5 + 2 * torch.randn(300, 1)
    y = nn.Linear(4, 1)(torch.randn(300, 4))
    found, known = told_of(y, written(y, targets)), told(F.mse_loss(y, targets))
    assert found.unit == pytest.approx(known.unit)
    assert found.residual == pytest.approx(known.residual)
    assert found.constant_loss == pytest.approx(known.constant_loss, rel=1e-5)
    assert found.task_loss == pytest.approx(known.task_loss, rel=1e-5)


@pytest.mark.parametrize("written", [F.l1_loss, lambda y, t: (t - y).abs().sum()])
def test_the_constant_answer_to_absolute_differences_is_the_median(written):
    """Of a Laplace distribution of scale b the mean distance from the median is b."""
    torch.manual_seed(0)
    targets = torch.distributions.Laplace(4.0, 2.0).sample((4000, 1))
    y = nn.Linear(4, 1)(torch.randn(4000, 4))
    found = told_of(y, written(y, targets))
    assert found.constant_loss == pytest.approx(2.0, rel=0.05)
    assert found.task_loss == pytest.approx((y - targets).abs().mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    "written",
    [
        lambda y, t: ((y - t.squeeze()) ** 2).mean(),  # broadcast to every pair
        lambda y, t: ((y - y.flip(0)) ** 2).mean(),  # of two answers
        lambda y, t: ((y.t() - t.t()) ** 2).mean() * y.abs().mean(),
        lambda y, t: y.abs().mean(),  # a size, of nothing's difference
        lambda y, t: ((y - t) ** 3).mean(),
        lambda y, t: ((2 * y - t) ** 2).mean(),
    ],
)
def test_what_is_no_distance_from_targets_tells_nothing(written):
    y = nn.Linear(4, 1)(torch.randn(30, 4))
    assert told_of(y, written(y, torch.randn(30, 1))).unit is None
