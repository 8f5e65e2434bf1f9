"""What must not matter does not: units of the loss, its reduction, and where the scale of a network sits."""

import numpy as np
import pytest
import torch
from tests.diagnose.test_live import stack, task
from torch import nn

import livegrad


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


BODIES = {
    "healthy": lambda: stack(4, nn.ReLU, gain=2**0.5),
    "vanishing": lambda: stack(14, nn.Sigmoid),
    "exploding": lambda: stack(20, nn.Tanh, gain=4.0),
}


def watched(folder, body, loss, optimizer, change=None, steps=34):
    """The report on a training from seed 0; `change` is applied to the model before it begins."""
    torch.manual_seed(0)
    x, y = task()
    model = BODIES[body]()
    if change is not None:
        change(model)
    made = optimizer(model.parameters())
    with livegrad.watch(model, made, path=folder) as run:
        for _ in range(steps):
            made.zero_grad()
            loss(model(x), y).backward()
            made.step()
    return run.report()


def verdict(report):
    return report.verdict, [(f["code"], f["severity"], f["layers"]) for f in report.findings]


def sgd(rate):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate)


def mean_loss(logits, y):
    return nn.functional.cross_entropy(logits, y)


@pytest.mark.parametrize("body", BODIES)
# About 1e±8. A power of two rounds nothing: an exploding net is chaotic, and 1e8 would send it elsewhere.
@pytest.mark.parametrize("factor", [2.0**-27, 2.0**27])
def test_the_unit_of_the_loss_does_not_matter(tmp_path, body, factor):
    plain = watched(tmp_path / "plain", body, mean_loss, sgd(0.05))
    scaled = watched(tmp_path / "scaled", body, lambda out, y: factor * mean_loss(out, y), sgd(0.05 / factor))
    assert verdict(scaled) == verdict(plain)
    assert (body == "healthy") == (plain.verdict == "healthy")


@pytest.mark.parametrize("body", BODIES)
def test_sum_or_mean_does_not_matter(tmp_path, body):
    plain = watched(tmp_path / "mean", body, mean_loss, sgd(0.05))
    summed = watched(
        tmp_path / "sum",
        body,
        lambda out, y: nn.functional.cross_entropy(out, y, reduction="sum"),
        sgd(0.05 / 64),
    )
    assert verdict(summed) == verdict(plain)


def move_scale(factor):
    """Multiply every other ReLU layer and divide the next: the function stays the same, bit for bit."""

    def change(model):
        linear = [module for module in model if isinstance(module, nn.Linear)]
        with torch.no_grad():
            for first, second in zip(linear[:-1:2], linear[1::2], strict=False):
                first.weight *= factor
                first.bias *= factor
                second.weight /= factor

    return change


@pytest.mark.parametrize("factor", [1 / 8, 8.0])
def test_where_the_scale_of_a_network_sits_does_not_matter(tmp_path, factor):
    plain = watched(tmp_path / "plain", "healthy", mean_loss, sgd(0.005))
    moved = watched(tmp_path / "moved", "healthy", mean_loss, sgd(0.005), move_scale(factor))
    assert verdict(plain) == verdict(moved) == ("healthy", [])
    first = [livegrad.load(tmp_path / name).scans()[0].audibility for name in ("plain", "moved")]
    assert np.allclose(first[0], first[1], rtol=1e-6, equal_nan=True)
