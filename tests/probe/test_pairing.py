"""What does not fit between an output and its loss is read from the graph, wherever it was written."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

LABELS = torch.arange(12) % 4
ONE_HOT = F.one_hot(LABELS, 4).float()


def faults(scan_step, loss, *link: nn.Module, outputs: int = 4) -> list[str]:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, outputs), *link), torch.randn(12, 6)
    found = scan_step(model, lambda: loss(model(x)))
    return [pairing["fault"] for pairing in found.result.pairings]


MISFITS = [
    ("softmax into cross-entropy", [nn.Softmax(-1)], lambda z: F.cross_entropy(z, LABELS)),
    ("softmax into cross-entropy", [], lambda z: F.cross_entropy(z.softmax(1), ONE_HOT)),
    ("sigmoid into cross-entropy", [], lambda z: F.cross_entropy(torch.sigmoid(z).view(12, 4), LABELS)),
    ("softmax into cross-entropy", [nn.Softmax(1)],
     lambda z: 0.1 * z.square().sum() + F.cross_entropy(z, LABELS, label_smoothing=0.1)),
    ("log-softmax into cross-entropy", [nn.LogSoftmax(-1)], lambda z: F.cross_entropy(z, LABELS)),
    ("raw scores into negative log-likelihood", [], lambda z: F.nll_loss(z, LABELS)),
    ("softmax into negative log-likelihood", [nn.Softmax(1)], lambda z: F.nll_loss(z, LABELS)),
    ("log-softmax over the samples into negative log-likelihood", [nn.LogSoftmax(0)],
     lambda z: F.nll_loss(z, LABELS)),
    ("softmax over the samples into binary cross-entropy", [nn.Softmax(0)],
     lambda z: F.binary_cross_entropy(z, ONE_HOT)),
    ("sigmoid into binary cross-entropy with logits", [nn.Sigmoid()],
     lambda z: F.binary_cross_entropy_with_logits(z, ONE_HOT)),
    ("clamped raw scores into binary cross-entropy", [],
     lambda z: F.binary_cross_entropy((3 * z).clamp(0, 1), ONE_HOT)),
]  # fmt: skip


@pytest.mark.parametrize("fault, link, loss", MISFITS)
def test_what_does_not_fit_is_named(scan_step, fault, link, loss):
    assert faults(scan_step, loss, *link) == [fault]


FITTING = [
    ([], lambda z: F.cross_entropy(z, LABELS)),
    ([], lambda z: F.cross_entropy(z, ONE_HOT)),
    ([nn.LogSoftmax(-1)], lambda z: F.nll_loss(z, LABELS)),
    ([nn.Softmax(-1)], lambda z: F.nll_loss((z + 1e-8).log(), LABELS)),
    ([nn.Softmax(-1)], lambda z: F.mse_loss(z, ONE_HOT)),
    ([nn.Softmax(-1)], lambda z: F.binary_cross_entropy(z, ONE_HOT)),
    ([nn.Sigmoid()], lambda z: F.binary_cross_entropy(z.clamp(1e-6, 1 - 1e-6), ONE_HOT)),
    ([], lambda z: F.binary_cross_entropy_with_logits(z, ONE_HOT)),
    ([], lambda z: F.cross_entropy(5 * torch.tanh(z / 5), LABELS)),
    ([], lambda z: F.kl_div((z / 3).log_softmax(1), ONE_HOT.softmax(1), reduction="batchmean")),
    ([], lambda z: F.cross_entropy(z @ z.T / 3, torch.arange(12)) + F.cross_entropy(z.T, torch.arange(4))),
]


@pytest.mark.parametrize("link, loss", FITTING)
def test_what_fits_is_left_in_peace(scan_step, link, loss):
    assert faults(scan_step, loss, *link) == []


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_column_of_outputs_against_a_row_of_targets(scan_step):
    row, column = torch.randn(12), torch.randn(12, 1)
    assert faults(scan_step, lambda z: F.mse_loss(z, row), outputs=1) == [
        "outputs and targets of different shapes into mean squared error"
    ]
    assert faults(scan_step, lambda z: (z - row).square().mean(), outputs=1) == [
        "outputs and targets of different shapes into a difference"
    ]
    assert faults(scan_step, lambda z: F.mse_loss(z, column), outputs=1) == []
    assert faults(scan_step, lambda z: (z.squeeze(1) - row).abs().mean(), outputs=1) == []
    assert faults(scan_step, lambda z: (z - z.T).abs().mean(), outputs=1) == []


def test_a_softmax_of_one_column(scan_step):
    wanted = (LABELS > 1).float().unsqueeze(1)
    assert faults(scan_step, lambda z: F.binary_cross_entropy(z, wanted), nn.Softmax(1), outputs=1) == [
        "softmax over a single class into binary cross-entropy"
    ]


def test_the_link_inside_the_model_has_its_line_and_module(scan_step):
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 4), nn.Softmax(1)), torch.randn(12, 6)
    (pairing,) = scan_step(model, lambda: F.cross_entropy(model(x), LABELS)).result.pairings
    assert (
        pairing["module"] == "1" and pairing["link"] == "softmax" and "test_pairing.py" in pairing["source"]
    )


def test_a_second_log_softmax_is_harmless_and_over_another_dimension_is_not(scan_step):
    for dim, harmless in ((1, True), (-1, True), (0, False)):
        torch.manual_seed(0)
        model, x = nn.Sequential(nn.Linear(6, 4), nn.LogSoftmax(dim)), torch.randn(12, 6)
        (pairing,) = scan_step(model, lambda: F.cross_entropy(model(x), LABELS)).result.pairings  # noqa: B023
        assert pairing["harmless"] is harmless
