"""Unusual values: dtypes, complex numbers, empty and single batches, subclasses, infinities."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F


def net(width: int = 16) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(8, width),
        nn.LayerNorm(width),
        nn.GELU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, 4),
    )


LABELS = torch.arange(6) % 4


def test_autocast_measures_what_float32_does_within_its_precision(scan_unnoticed, scan_step):
    def build():
        model, x = net(), torch.randn(6, 8)

        def forward():
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return F.cross_entropy(model(x), LABELS)

        return model, forward

    scanned = scan_unnoticed(build)
    torch.manual_seed(0)
    model, x = net(), torch.randn(6, 8)
    full = scan_step(model, lambda: F.cross_entropy(model(x), LABELS))

    assert scanned.names() == full.names()
    assert scanned.columns["audibility"] == pytest.approx(full.columns["audibility"], rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_models_of_another_precision(scan_unnoticed, scan_step, dtype):
    scanned = scan_unnoticed(lambda: step_of(net().to(dtype), torch.randn(6, 8).to(dtype)))
    torch.manual_seed(0)
    full = scan_step(*step_of(net(), torch.randn(6, 8)))

    tolerance = 0.1 if dtype is torch.bfloat16 else 1e-4
    assert scanned.columns["audibility"] == pytest.approx(full.columns["audibility"], rel=tolerance)
    assert scanned.columns["activation_slope"] == pytest.approx(
        full.columns["activation_slope"], rel=tolerance, nan_ok=True
    )


def step_of(model: nn.Module, x: torch.Tensor):
    return model, lambda: F.cross_entropy(model(x).float(), LABELS)


class Spectral(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)
        self.filter = nn.Parameter(torch.randn(5, dtype=torch.cfloat))

    def forward(self, x):
        return self.b(torch.fft.irfft(torch.fft.rfft(self.a(x)) * self.filter, n=8))


def test_complex_values_in_between(scan_unnoticed):
    scanned = scan_unnoticed(lambda: step_of(Spectral(), torch.randn(6, 8)))

    assert scanned.names() == ["a", "fft_rfft", "mul", "fft_irfft", "b"]
    assert scanned.owners["filter"] == "mul"
    assert scanned.layer("mul").width == 10  # real numbers
    assert scanned.value("mul", "audibility") > 0


def test_a_complex_output(scan_unnoticed):
    class Ends(nn.Module):
        def __init__(self):
            super().__init__()
            self.filter = nn.Parameter(torch.randn(5, dtype=torch.cfloat))

        def forward(self, x):
            return torch.fft.rfft(x) * self.filter

    def build():
        model, x = Ends(), torch.randn(6, 8)
        return model, lambda: model(x).abs().square().mean()

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["mul"]
    assert scanned.value("mul", "audibility") > 0


def test_an_empty_batch_is_no_scan_and_no_error(scan_unnoticed):
    def build():
        model = net()
        return model, lambda: model(torch.zeros(0, 8)).sum()

    scanned = scan_unnoticed(build)

    assert scanned.result is None
    assert "empty" in scanned.reason


@pytest.mark.parametrize("shape", [(1, 8), (8,), (2, 3, 8)])
def test_any_batch_shape(scan_unnoticed, shape):
    def build():
        model, x = net(), torch.randn(shape)
        return model, lambda: model(x).square().mean()

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["0", "1", "2", "3", "4", "5"]
    assert scanned.columns["samples"].tolist() == [shape[0] if len(shape) > 1 else 1] * 6
    assert scanned.layer("0").width == 16 * (3 if len(shape) == 3 else 1)


def test_a_vector_with_one_entry_for_each_sample_is_a_batch_of_numbers(scan_unnoticed):
    class Score(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.w = nn.Linear(8, 8), nn.Parameter(torch.randn(8))

        def forward(self, x):
            return self.a(x).tanh() @ self.w

    def build():
        model, x = Score(), torch.randn(6, 8)
        return model, lambda: model(x).square().mean()

    scanned = scan_unnoticed(build)

    assert scanned.columns["samples"].tolist() == [6, 6, 6]
    assert scanned.layer("matmul").width == 1


def test_a_tensor_subclass(scan_unnoticed):
    class Named(torch.Tensor):
        pass

    def build():
        model, x = net(), torch.randn(6, 8).as_subclass(Named)
        return model, lambda: model(x).square().mean().as_subclass(torch.Tensor)

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["0", "1", "2", "3", "4", "5"]


def test_infinite_activations_are_data(scan_unnoticed):
    class Explodes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x):
            return self.b(self.a(x) * 1e30 * 1e30)

    def build():
        model, x = Explodes(), torch.randn(6, 8)
        return model, lambda: model(x).square().mean()

    scanned = scan_unnoticed(build)

    assert scanned.value("mul#1", "activation_rms") > 1e29
    assert scanned.value("mul#2", "activation_rms") == math.inf
    assert scanned.value("mul#2", "nonfinite") >= 48


def test_integer_inputs(scan_unnoticed):
    def build():
        model, x = (
            nn.Sequential(nn.Embedding(10, 8), nn.Flatten(), nn.Linear(24, 4)),
            torch.randint(0, 10, (6, 3)),
        )
        return model, lambda: F.cross_entropy(model(x), LABELS)

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["0", "2"]
    assert scanned.layer("0").width == 24


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_are_passed_over(scan_unnoticed, layout):
    class Ragged(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, parts):
            x = self.a(torch.nested.as_nested_tensor(parts, layout=layout))
            return self.b(torch.stack([part.mean(0) for part in x.unbind()]))

    def build():
        model, parts = Ragged(), [torch.randn(3, 8), torch.randn(5, 8)]
        return model, lambda: F.cross_entropy(model(parts), LABELS[:2])

    torch.manual_seed(0)
    scanned = scan_unnoticed(build, all_owned=False)

    assert scanned.reason is None
    assert scanned.names()[-1] == "b"
