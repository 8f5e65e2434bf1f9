"""Figures of live models: what they measure is true, and the model stays as it was."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from torch import nn

from livegrad import plot
from livegrad.errors import ScanError, UsageError
from livegrad.probe.jacobian import jacobian_spectrum
from livegrad.probe.preactivations import arguments_of


class Mixed(nn.Module):
    """An activation as a function, as an in-place module and as a method."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(20, 30), nn.Linear(30, 30), nn.Linear(30, 5)
        self.rectify, self.drop, self.norm = nn.ReLU(inplace=True), nn.Dropout(0.5), nn.BatchNorm1d(30)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        h = self.rectify(self.norm(self.second(self.drop(h))))
        return self.third(h).sigmoid()


def test_calls_of_functions_modules_and_methods_are_seen_with_what_they_were_given():
    torch.manual_seed(0)
    model, x = Mixed().eval(), torch.randn(64, 20)
    found = {item.activation: item for item in arguments_of(model, x)}
    assert list(found) == ["Tanh", "ReLU", "Sigmoid"]
    with torch.no_grad():
        first = model.first(x)
        second = model.norm(model.second(torch.tanh(first)))
    assert found["Tanh"].values == pytest.approx(first.flatten().double().numpy())
    assert found["ReLU"].values == pytest.approx(second.flatten().double().numpy(), abs=1e-6)
    assert found["ReLU"].layers == ("rectify",)


def test_a_model_that_is_looked_at_stays_as_it_was():
    torch.manual_seed(0)
    model, x = Mixed().train(), torch.randn(16, 20)
    before, states = copy.deepcopy(model.state_dict()), (torch.get_rng_state(), random.getstate())
    plot.activation(model, x)
    plot.jacobian(model, x)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(p.dtype == torch.float32 and p.grad is None for p in model.parameters())


def test_the_live_histogram_is_a_density_and_tells_what_saturates():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(50, 400, bias=False), nn.Tanh())
    nn.init.normal_(model[0].weight, std=3 / 50**0.5)
    x = torch.randn(64, 50)
    figure = plot.activation(model, x)
    bars = next(trace for trace in figure.data if trace.type == "bar")
    assert sum(np.array(bars.y) * np.array(bars.width)) == pytest.approx(1.0, rel=1e-3)
    with torch.no_grad():
        share = (1 - model(x) ** 2 < 0.05).float().mean().item()
    words = figure.layout.annotations[0].text
    assert f"{share * 100:.0f} % in the shaded part" in words
    assert "measured" in words


def test_non_finite_arguments_are_counted_and_not_drawn():
    x = torch.ones(10, 10)
    x[0], x[1, 0] = torch.nan, torch.inf
    figure = plot.activation(nn.Sequential(nn.ReLU()), x)
    assert "11 % NaN or infinite" in figure.layout.annotations[0].text


def test_the_classical_picture_is_that_of_the_functions():
    figure = plot.activation()
    slopes = [max(trace.y) for trace in figure.data if trace.name == "φ' (slope)"]
    assert slopes == [pytest.approx(0.25, abs=1e-3), pytest.approx(1.0, abs=1e-3), 1.0]
    edges = {round(shape.x0, 2) for shape in figure.layout.shapes} | {
        round(shape.x1, 2) for shape in figure.layout.shapes
    }
    # φ' is a twentieth of its largest at |x| = 4.36 for the sigmoid and 2.18 for tanh.
    assert {-4.36, 4.36, -2.18, 2.18, 0.0} <= edges
    assert all("assumed N(0, 1²)" in note.text for note in figure.layout.annotations)


def test_a_run_tells_the_distribution_by_its_rms_and_says_that_it_is_assumed(sick_run):
    figure = plot.activation(sick_run[0])
    assert "Sigmoid" in figure.layout.annotations[0].text
    assert "normal by assumption" in figure.layout.annotations[0].text
    curve = next(trace for trace in figure.data if "assumption" in trace.name)
    # The synthetic run's activations have rms 0.5 and no mean.
    assert max(curve.y) == pytest.approx(1 / (0.5 * math.sqrt(2 * math.pi)), rel=1e-3)


def test_unknown_activations_and_models_without_inputs_are_told():
    with pytest.raises(UsageError, match=r"'Rectifier'.*it has ReLU"):
        plot.activation("Rectifier")
    with pytest.raises(UsageError, match=r"activation\(model, inputs\)"):
        plot.activation(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(UsageError, match="no activation function"):
        plot.activation(nn.Linear(2, 2), torch.randn(3, 2))


def stack(depth, width, gain, orthogonal):
    layers = []
    for _ in range(depth):
        layer = nn.Linear(width, width, bias=False)
        if orthogonal:
            nn.init.orthogonal_(layer.weight, gain)
        else:
            nn.init.normal_(layer.weight, std=gain / width**0.5)
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers)


def test_all_singular_values_of_a_small_jacobian_are_those_of_autograd():
    torch.manual_seed(0)
    model, x = stack(4, 24, 1.3, False), torch.randn(1, 24)
    figure = plot.jacobian(model, x)
    exact = torch.linalg.svdvals(torch.autograd.functional.jacobian(model.double(), x.double())[0, :, 0])
    assert figure.data[0].y == pytest.approx(np.log10(exact.numpy()), abs=1e-3)


def test_a_large_jacobian_is_told_by_ritz_values_within_their_errors(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr("livegrad.probe.jacobian.MOST_ROWS", 64)
    model, x = nn.Sequential(nn.Linear(240, 200)), torch.randn(1, 240)
    found = jacobian_spectrum(copy.deepcopy(model), (x,))
    exact = torch.linalg.svdvals(model[0].weight.detach().double())
    assert not found.complete
    assert len(found.values) == 96
    for value, error in zip(found.values, found.errors, strict=True):
        assert (exact - value).abs().min() <= error + 1e-9
    assert found.values[0] == pytest.approx(exact[0].item(), rel=1e-3)
    figure = plot.jacobian(model, x)
    assert figure.data[0].name == "Ritz value"
    assert figure.data[0].error_y.visible


def test_an_exact_zero_is_a_mark_at_the_floor():
    figure = plot.jacobian(np.array([2.0, 1.0, 0.0]))
    zero = next(trace for trace in figure.data if trace.name == "exactly zero")
    assert list(zero.x) == [3]
    assert figure.data[0].y[:2] == pytest.approx([math.log10(2.0), 0.0], abs=1e-4)


def test_a_model_of_token_ids_alone_and_one_without_input_are_told():
    with pytest.raises(UsageError, match=r"jacobian\(model, inputs\)"):
        plot.jacobian(nn.Linear(2, 2))
    with pytest.raises(ScanError):
        plot.jacobian(nn.Flatten(), torch.arange(6).reshape(2, 3))
