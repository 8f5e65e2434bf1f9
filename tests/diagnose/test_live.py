"""Real trainings, watched: the fault that was built in is found, where it was built in."""

import inspect
from functools import partial

import pytest
import torch
from tests.diagnose.conftest import check_document
from torch import nn

import livegrad
from livegrad.watch.session import WatchOptions, start

STEPS = 40


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def task(features=16, samples=64):
    """Two classes that a linear map nearly tells apart."""
    x = torch.randn(samples, features)
    return x, (x @ torch.randn(features) > 0).long()


def trained(folder, build, data, optimizer, steps=STEPS):
    """The report on `steps` steps on all of `data`, the model built while livegrad watches, as in `run`."""
    session = start(WatchOptions(path=folder / "run"), (), ())
    try:
        model = build()
        follow(model, optimizer(model.parameters()), data, steps)
    finally:
        session.finish(0, None)
    report = livegrad.load(folder / "run").report()
    check_document(report)
    return report


def follow(model, optimizer, data, steps=STEPS):
    x, y = data
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def sgd(rate):
    return partial(torch.optim.SGD, lr=rate)


def adam(rate):
    return partial(torch.optim.Adam, lr=rate)


def serious(report):
    return {f["code"]: f for f in report.findings if f["severity"] != "info"}


def stack(depth, activation, width=32, features=16, classes=2, gain=None):
    """features -> depth × (Linear, activation) -> classes, weights of s.d. gain/√fan_in if given."""
    sizes = [features] + [width] * depth
    blocks = [module for i in range(depth) for module in (nn.Linear(sizes[i], sizes[i + 1]), activation())]
    model = nn.Sequential(*blocks, nn.Linear(width, classes))
    if gain is not None:
        for linear in (m for m in model if isinstance(m, nn.Linear)):
            nn.init.normal_(linear.weight, std=gain / linear.in_features**0.5)
            nn.init.zeros_(linear.bias)
    return model


def lines_of(function):
    source, first = inspect.getsourcelines(function)
    return range(first, first + len(source))


def is_from(finding, function):
    path, _, line = finding["source"].rpartition(":")
    return path.endswith("test_live.py") and int(line) in lines_of(function)


def test_a_healthy_net_is_left_in_peace(tmp_path):
    report = trained(tmp_path, lambda: stack(4, nn.ReLU, gain=2**0.5), task(), adam(1e-2))
    assert (report.verdict, report.findings) == ("healthy", [])
    assert [row["type"] for row in report.layers] == ["Linear", "ReLU"] * 4 + ["Linear"]


def test_deep_sigmoids_make_the_gradient_vanish(tmp_path):
    finding = serious(trained(tmp_path, lambda: stack(16, nn.Sigmoid), task(), sgd(0.1)))["LG101"]
    assert finding["severity"] == "error" and finding["cause"]["operator"] == "Sigmoid"
    assert finding["layers"][0] == "0" and "32" not in finding["layers"]
    assert is_from(finding, stack)
    # Each sigmoid passes on a quarter at most, default weights less than their gain.
    assert finding["evidence"]["audibility_of_first_layer"] < 1e-8


def test_weights_too_large_make_it_explode(tmp_path):
    report = trained(tmp_path, lambda: stack(24, nn.Tanh, width=64, gain=4.0), task(), sgd(1e-3))
    finding = serious(report)["LG103"]
    assert finding["layers"][0] == "0" and finding["cause"]["operator"] == "Linear"
    assert is_from(finding, stack)
    assert "LG101" not in serious(report)


def test_inputs_far_too_large_saturate_a_tanh_and_are_what_is_named(tmp_path):
    x, y = task()
    found = serious(trained(tmp_path, lambda: stack(2, nn.Tanh), (1000 * x, y), sgd(1e-4)))
    assert found.keys() == {"LG501"}
    assert found["LG501"]["evidence"]["input_rms"] == pytest.approx(1000, rel=0.1)
    assert "saturated" in found["LG501"]["cause"]["summary"]


def test_weights_far_too_large_saturate_a_tanh(tmp_path):
    found = serious(trained(tmp_path, lambda: stack(2, nn.Tanh, gain=300.0), task(), sgd(1e-4)))
    finding = found["LG201"]
    assert is_from(finding, stack) and finding["evidence"]["rms_of_inputs"] > 100


def born_dead():
    model = stack(3, nn.ReLU)
    nn.init.constant_(model[2].bias, -100.0)
    return model


def test_a_bias_far_below_zero_kills_a_layer(tmp_path):
    found = serious(trained(tmp_path, born_dead, task(), sgd(0.01)))
    assert found.keys() == {"LG202"}
    assert found["LG202"]["layers"][0] == "3" and found["LG202"]["severity"] == "error"
    assert is_from(found["LG202"], stack)


class Log(nn.Module):
    """Takes the logarithm of zeros."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(16, 16)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(torch.log(torch.relu(self.inner(x))))


class Root(Log):
    """Takes the root of zeros: fine forward, infinite backward."""

    def forward(self, x):
        hidden = self.inner(x)
        return self.head(torch.sqrt(hidden * (hidden > 0)))


@pytest.mark.parametrize("kind, name, way", [(Log, "log", "made infinity"), (Root, "sqrt", "derivative of")])
def test_the_operation_that_makes_the_first_nan_is_named(tmp_path, kind, name, way):
    finding = serious(trained(tmp_path, kind, task(), sgd(0.1)))["LG301"]
    assert finding["first_step"] == 0 and finding["severity"] == "error"
    assert name in finding["cause"]["summary"] and way in finding["cause"]["summary"]
    assert is_from(finding, kind.forward)


def test_half_precision_rounds_small_steps_away(tmp_path):
    x, y = task()
    build, data = lambda: stack(2, nn.ReLU).bfloat16(), (x.bfloat16(), y)
    finding = serious(trained(tmp_path, build, data, sgd(1e-6)))["LG401"]
    assert finding["evidence"]["swallowed_share"] > 0.9
    assert finding["layers"] == ["0", "2", "4"] and is_from(finding, trained)  # the optimizer's line


def test_a_learning_rate_far_too_high_is_found(tmp_path):
    finding = serious(trained(tmp_path, lambda: stack(3, nn.Tanh), task(), sgd(300.0)))["LG402"]
    assert finding["first_step"] <= 1 and finding["evidence"]["learning_rate"] == 300.0
    assert is_from(finding, trained)  # the optimizer's line


class Detached(nn.Module):
    """Its encoder runs, but no gradient comes back to it."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(16, 16)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.encoder(x).detach())


def test_a_detach_is_found(tmp_path):
    found = serious(trained(tmp_path, Detached, task(), adam(1e-2)))
    assert found.keys() == {"LG404"}
    assert found["LG404"]["layers"] == ["encoder"] and is_from(found["LG404"], Detached.forward)
    assert found["LG404"]["cause"]["operator"] == "detach"
    assert "detach()" in found["LG404"]["next"]


def test_a_model_made_before_watching_began_is_named_by_its_call(tmp_path):
    model = stack(16, nn.Sigmoid)
    optimizer = sgd(0.1)(model.parameters())
    with livegrad.watch(model, optimizer, path=tmp_path / "run") as run:
        follow(model, optimizer, task())
    report = run.report()
    check_document(report)
    assert is_from(serious(report)["LG101"], follow)
