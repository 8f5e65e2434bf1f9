"""Audibility and transport against theory: exact Jacobians, mean-field decay rates, finite width,
invariances.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livegrad.probe import squares


def deep_net(
    width: int, depth: int, act: type[nn.Module], gain: float | None, norm: bool = False
) -> nn.Sequential:
    """Linear + activation `depth` times, weights N(0, gain²/width) without bias, or torch's default init if
    gain is None.
    """
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(width, width, bias=gain is None)
        if gain is not None:
            nn.init.normal_(linear.weight, 0, gain / math.sqrt(width))
        layers += [linear, *([nn.BatchNorm1d(width)] if norm else []), act()]
    return nn.Sequential(*layers, nn.Linear(width, 10, bias=gain is None))


def step(model: nn.Module, inputs: Tensor, scale: float = 1.0, reduction: str = "mean", classes: int = 10):
    labels = torch.arange(len(inputs)) % classes
    return lambda: F.cross_entropy(model(inputs), labels, reduction=reduction) * scale


def rate(scanned, column: str, kind: str = "Linear") -> float:
    """Factor per layer, from the first quarter of the depth to just under the output, of the layers of one
    type.
    """
    rows = [i for i, layer in enumerate(scanned.layers) if layer.type == kind]
    values = scanned.columns[column][rows]
    logs = np.log(values) if column == "audibility" else values * math.log(10)
    first, last = len(rows) // 4, len(rows) - 3
    return math.exp((logs[first] - logs[last]) / (last - first))


# Backward factor per layer in the wide limit. The tolerance is 3 standard errors of a 30-layer, 256-wide net
# (He ReLU's: √(5/256/20)/2 = 1.6 %, less for smoother activations).
RATES = {
    "Xavier ReLU": (nn.ReLU, 1.0, False, 0.7071, 0.05),
    "He ReLU": (nn.ReLU, math.sqrt(2), False, 1.0, 0.05),
    "default ReLU": (nn.ReLU, None, False, 0.4082, 0.05),
    "tanh at its gain": (nn.Tanh, 1.5925, False, 1.0853, 0.03),
    "Xavier sigmoid": (nn.Sigmoid, 1.0, False, 0.2361, 0.03),
    "SELU": (nn.SELU, 1.0, False, 1.0352, 0.03),
    "BatchNorm ReLU": (nn.ReLU, 1.0, True, 1.2112, 0.03),
}


@pytest.mark.parametrize("case", RATES)
def test_gradients_decay_through_a_deep_net_as_mean_field_theory_says(scan_step, case):
    act, gain, norm, expected, tolerance = RATES[case]
    torch.manual_seed(0)
    model = deep_net(256, 30, act, gain, norm)

    scanned = scan_step(model, step(model, torch.randn(64, 256)))

    assert rate(scanned, "transport") == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(
    ("act", "gain", "norm", "expected"),
    [
        (
            nn.ReLU,
            1.0,
            False,
            1.0,
        ),  # scale-free: what the forward pass loses, z → cz, is no loss of audibility
        (nn.ReLU, None, False, 0.4082),  # the biases hold the forward pass up, so what is lost is the signal
        (nn.Sigmoid, 1.0, False, 0.2361),
        (nn.Tanh, 1.5925, False, 1.0853),
        (nn.ReLU, 1.0, True, 1.2112),
    ],
)
def test_audibility_per_layer_is_the_backward_factor_once_the_forward_scale_is_taken_out(
    scan_step, act, gain, norm, expected
):
    torch.manual_seed(1)
    model = deep_net(256, 30, act, gain, norm)

    scanned = scan_step(model, step(model, torch.randn(64, 256)))

    assert rate(scanned, "audibility") == pytest.approx(expected, rel=0.05)


def test_in_a_linear_net_audibility_is_that_of_the_explicit_jacobian(scan_step):
    torch.manual_seed(0)
    sizes = [6, 9, 7, 8, 5]
    model = nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))).double()
    x, seed = torch.randn(11, 6, dtype=torch.float64), 3

    scanned = scan_step(
        model, lambda: F.cross_entropy(model(x), torch.zeros(11, dtype=torch.long)), seed=seed
    )

    generator = torch.Generator().manual_seed(seed)
    probe = torch.randn(11, 5, generator=generator).double()
    values, jacobian = [x], torch.eye(5, dtype=torch.float64)
    for linear in model:
        values.append(linear(values[-1]).detach())
    for number in reversed(range(4)):
        z = values[number + 1]
        heard = ((probe @ jacobian).square().sum(1) * z.square().sum(1)).mean() / z.shape[1]
        assert scanned.value(str(number), "audibility") == pytest.approx(float(heard.sqrt()), rel=1e-6)
        jacobian = jacobian @ model[number].weight.detach()


def test_the_true_gradient_of_each_layer_is_measured(scan_step):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 5)).double()
    x = torch.randn(11, 6, dtype=torch.float64)

    scanned = scan_step(model, lambda: model(x).pow(3).mean())

    hidden = model[0](x).detach().requires_grad_()
    activation = hidden.tanh()
    output = model[2](activation)
    deltas = torch.autograd.grad(output.pow(3).mean(), [hidden, activation, output])
    for number, delta in enumerate(deltas):
        assert scanned.value(str(number), "gradient_rms") == pytest.approx(
            float(delta.square().mean().sqrt()), rel=1e-6
        )
        decades = float(torch.log10(delta.norm() / deltas[-1].norm()))
        assert scanned.value(str(number), "transport") == pytest.approx(decades, abs=1e-6)


def audibility(scanned) -> np.ndarray:
    return scanned.columns["audibility"] / scanned.columns["audibility_output"]


@pytest.fixture
def plain():
    torch.manual_seed(0)
    return deep_net(32, 6, nn.ReLU, math.sqrt(2)), torch.randn(16, 32)


def test_rescaling_that_leaves_the_function_alone_leaves_audibility_alone(scan_step, plain):
    model, x = plain
    before = scan_step(model, step(model, x))
    with torch.no_grad():
        model[0].weight *= 1000
        model[2].weight /= 1000

    after = scan_step(model, step(model, x))

    assert audibility(after) == pytest.approx(audibility(before), rel=1e-4)
    assert after.value("2", "gradient_rms") == pytest.approx(before.value("2", "gradient_rms"), rel=1e-4)
    assert after.value("0", "gradient_rms") == pytest.approx(
        before.value("0", "gradient_rms") / 1000, rel=1e-4
    )


@pytest.mark.parametrize(("scale", "reduction"), [(1e-8, "mean"), (1e8, "mean"), (1.0, "sum")])
def test_the_scale_and_reduction_of_the_loss_change_neither_audibility_nor_transport(
    scan_step, plain, scale, reduction
):
    model, x = plain
    before = scan_step(model, step(model, x))

    after = scan_step(model, step(model, x, scale, reduction))

    assert np.array_equal(after.columns["audibility"], before.columns["audibility"])
    assert after.columns["transport"] == pytest.approx(before.columns["transport"], abs=1e-4)


def test_a_converged_loss_is_no_loss_of_audibility(scan_step, plain):
    model, x = plain
    before = scan_step(model, step(model, x))
    labels = model(x).argmax(1)

    after = scan_step(model, lambda: F.cross_entropy(model(x) * 1e4, labels))

    assert after.value("0", "gradient_rms") == 0
    assert np.array_equal(after.columns["audibility"], before.columns["audibility"])


def test_scaling_the_data_of_a_scale_free_net_changes_nothing(scan_step, plain):
    model, x = plain

    small, large = (scan_step(model, step(model, x * scale)) for scale in (1e-12, 1e12))

    assert audibility(small) == pytest.approx(audibility(large), rel=1e-4)


def test_the_gains_of_the_segments_multiply_to_the_whole(scan_step, plain):
    model, x = plain
    scanned = scan_step(model, step(model, x))
    transport = scanned.columns["transport"][: len(scanned.names())]

    gains = 10 ** np.diff(transport)

    hidden = model[0](x).detach().requires_grad_()
    output = model[1:](hidden)
    inner, outer = torch.autograd.grad(F.cross_entropy(output, torch.arange(16) % 10), [hidden, output])
    assert np.prod(1 / gains) == pytest.approx(float(inner.norm() / outer.norm()), rel=1e-4)


def test_finite_width_spreads_audibility_as_hanin_and_nica_say(scan_step):
    # ln ‖Jᵀv‖² ~ N(−β/2, β), β = 5 Σ 1/n for He-initialized ReLU networks; the s.d. over 120 nets is known to
    # 6.5 %. Two samples, not one: the theory is of J alone, and a sample's own activation is not independent
    # of it.
    ratios = []
    for seed in range(120):
        torch.manual_seed(seed)
        model = deep_net(48, 12, nn.ReLU, math.sqrt(2))
        scanned = scan_step(model, step(model, torch.randn(2, 48)), seed=seed)
        ratios.append(np.log(audibility(scanned)[:24:2]))
    spread = np.std(ratios, axis=0)

    expected = scanned.columns["null_sd"][:24:2]

    assert expected[0] == pytest.approx(math.sqrt(12 * 5 / 48 + 2 / 10) / 2)
    assert spread / expected == pytest.approx(np.ones(12), abs=0.3)


def test_values_outside_the_range_of_float32_squares_are_right(scan_step):
    class Shrinks(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x):
            return self.b(torch.tanh(self.a(x) * 1e-25 * 1e25))

    torch.manual_seed(0)
    model, x = Shrinks(), torch.randn(6, 8)

    scanned = scan_step(model, lambda: model(x).square().mean())

    linear = scanned.value("a", "activation_rms")
    assert scanned.value("mul#1", "activation_rms") == pytest.approx(linear * 1e-25, rel=1e-5)
    assert scanned.value("mul#1", "gradient_rms") == pytest.approx(
        scanned.value("a", "gradient_rms") * 1e25, rel=1e-5
    )
    assert scanned.value("mul#1", "audibility") == pytest.approx(scanned.value("a", "audibility"), rel=1e-5)


def test_non_finite_entries_are_counted_one_by_one(scan_step):
    class Logs(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.b(self.a(x).log())

    torch.manual_seed(0)
    model, x = Logs(), torch.randn(3, 4)
    values = model.a(x)

    scanned = scan_step(model, lambda: model(x).sum())

    # log x is NaN below 0, what reads it is NaN all over; the gradient 1 of the sum is finite all the way
    # down.
    assert scanned.value("log", "nonfinite") == int((values < 0).sum())
    assert scanned.value("b", "nonfinite") == 2 * int((values < 0).any(1).sum())
    assert scanned.value("a", "nonfinite") == 0
    assert math.isnan(scanned.value("log", "activation_rms"))


def test_tensors_that_are_not_in_host_memory_are_measured_alike(scan_step, monkeypatch):
    # Without a device here, only the choice is changed: sums stay tensors, and come to the host together at
    # the end.
    def columns():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(8, 8),
            nn.ReLU(),
            nn.Linear(8, 8),
            nn.Tanh(),
            nn.Linear(8, 8),
            nn.GELU(),
            nn.Linear(8, 4),
        )
        return scan_step(model, step(model, torch.randn(16, 8), classes=4)).columns

    here = columns()
    monkeypatch.setattr(squares, "in_host_memory", lambda tensor: False)

    elsewhere = columns()

    assert here.keys() == elsewhere.keys()
    for name, values in here.items():
        assert elsewhere[name] == pytest.approx(values, rel=1e-5, nan_ok=True), name
