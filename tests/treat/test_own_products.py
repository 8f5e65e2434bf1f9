"""Products that a program writes itself, x @ W + b, are layers as those of torch are."""

import copy
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.theory.activation import gain, moments
from livegrad.treat.body import Body
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat
from livegrad.treat.weights import weights_of

WIDTH = 256


class Dense(nn.Module):
    """As in many a tutorial: inputs × outputs, and an activation that is handed in."""

    def __init__(self, inputs, outputs, activation=None):
        super().__init__()
        self.w = nn.Parameter(0.01 * torch.randn(inputs, outputs))
        self.b = nn.Parameter(torch.full((1, outputs), 0.3))
        self.activation = activation

    def forward(self, x):
        z = x @ self.w + self.b
        return z if self.activation is None else self.activation(z)


class Bare(nn.Module):
    """All parameters in one module, each product written another way."""

    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(0.01 * torch.randn(8, WIDTH))
        self.second = nn.Parameter(0.01 * torch.randn(WIDTH, 64))
        self.shift = nn.Parameter(torch.zeros(64))
        self.last = nn.Parameter(0.01 * torch.randn(4, 64))

    def forward(self, x):
        h = torch.relu(x.mm(self.first))
        h = torch.relu(torch.addmm(self.shift, h, self.second))
        return F.linear(h, self.last)


def dense_stack(activation=torch.tanh, depth=6):
    hidden = [Dense(WIDTH, WIDTH, activation) for _ in range(depth)]
    return nn.Sequential(Dense(8, WIDTH, activation), *hidden, Dense(WIDTH, 4))


def weights(model, x):
    return list(weights_of(model, Body(model, (), (x,)).anatomy.parts))


class Single(nn.Module):
    """A layer that is its product and nothing else."""

    def __init__(self, inputs, outputs, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


@pytest.mark.parametrize("shape", [(16, 8), (4, 5, 8)])
def test_a_module_that_is_one_product_is_a_layer_beside_those_of_torch(shape):
    model = nn.Sequential(Single(8, 32), nn.Tanh(), Single(32, 32, bias=False), nn.Tanh(), nn.Linear(32, 4))
    x = torch.randn(*shape)
    assert [(w.name, w.fan_in, w.fan_out) for w in weights(model, x)] == [
        ("0.weight", 8, 32), ("2.weight", 32, 32), ("4", 32, 4),
    ]  # fmt: skip
    treat(model, "init=orthogonal", inputs=x)
    square = model[2].weight.detach() / gain("Tanh")
    assert torch.allclose(square @ square.T, torch.eye(32), atol=1e-4)


class Kernels(nn.Module):
    """Convolutions as calls, over kernels that are parameters."""

    def __init__(self, channels, places, act):
        super().__init__()
        shapes = [(b, a, *[3] * places) for a, b in itertools.pairwise(channels)]
        self.kernels = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in shapes)
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(c)) for c in channels[1:])
        self.act = act
        self.call = (F.conv1d, F.conv2d, F.conv3d)[places - 1]

    def forward(self, x):
        for kernel, shift in zip(self.kernels, self.shifts, strict=True):
            x = self.act(self.call(x, kernel, shift, padding=1))
        return x.flatten(2).mean(2)


@pytest.mark.parametrize(
    "places, variant",
    [(1, "lsuv"), (2, "lsuv"), (3, "lsuv"), (1, "centred"), (1, "delta-orthogonal"), (2, "delta-orthogonal")],
)
def test_convolutions_with_kernels_of_their_own_are_layers(places, variant):
    torch.manual_seed(0)
    act = torch.sigmoid if variant == "centred" else torch.tanh
    model, x = Kernels([2, 16, 24], places, act), torch.randn(8, 2, *[6] * places)
    kernel = 3**places
    assert [(w.name, w.fan_in, w.fan_out, w.bias is not None) for w in weights(model, x)] == [
        ("kernels.0", 2 * kernel, 16 * kernel, True), ("kernels.1", 16 * kernel, 24 * kernel, True),
    ]  # fmt: skip
    again = Kernels([2, 16, 24], places, act)
    again.load_state_dict(model.state_dict())
    torch.manual_seed(0)
    done = treat(model, f"init={variant}", inputs=x)
    if variant == "lsuv":
        first = model.call(x, model.kernels[0], padding=1)
        assert float(first.detach().std()) == pytest.approx(1, abs=1e-3)
    if variant == "delta-orthogonal":
        centre = model.kernels[1][(slice(None), slice(None), *[1] * places)].detach()
        gram = centre.T @ centre
        assert torch.allclose(gram, gram[0, 0] * torch.eye(16), atol=1e-5)
        assert float(model.kernels[1].detach().square().sum()) == pytest.approx(float(centre.square().sum()))
    names = {"torch": torch, "nn": nn, "math": math}
    exec(next(edit.code for edit in done.edits if edit.kind == "define"), names)
    names["initialize"](again)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


class Residual(nn.Module):
    """h + B relu(A h), the matrices in lists."""

    def __init__(self, width, blocks):
        super().__init__()
        self.embed = nn.Linear(width, width)
        self.first = nn.ParameterList(nn.Parameter(torch.randn(width, width)) for _ in range(blocks))
        self.second = nn.ParameterList(nn.Parameter(torch.randn(width, width)) for _ in range(blocks))
        self.readout = nn.Linear(width, 3)

    def forward(self, x):
        h = self.embed(x)
        for a, b in zip(self.first, self.second, strict=True):
            h = h + F.linear(F.relu(F.linear(h, a)), b)
        return self.readout(h)


def test_residual_branches_of_products_of_ones_own_are_shrunk():
    """Matrices of gain √2 behind ReLUs add as much as is there; each of L of them is to add 1/L of it."""
    torch.manual_seed(0)
    model, x = Residual(128, 8), torch.randn(64, 128)
    again = copy.deepcopy(model)
    torch.manual_seed(0)
    done = treat(model, "init=residual", inputs=x)
    assert [float(p.detach().square().mean()) * 128 for p in model.first] == pytest.approx([1] * 8, rel=0.05)
    assert [float(p.detach().square().mean()) * 128 for p in model.second] == pytest.approx(
        [2 / 8] * 8, rel=0.05
    )
    names = {"torch": torch, "nn": nn, "math": math}
    exec(next(edit.code for edit in done.edits if edit.kind == "define"), names)
    names["initialize"](again)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    with pytest.raises(Refused, match="take init=residual"):
        treat(Residual(8, 3), "init=fixup", inputs=torch.randn(4, 8))


class Grouped(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 4, 3))

    def forward(self, x):
        return F.conv1d(x, self.weight, padding=1, groups=2)


def test_groups_of_a_convolution_of_ones_own_are_known():
    """The centre of a kernel in groups is no orthogonal map of all channels."""
    model, x = nn.Sequential(Grouped(), nn.Tanh(), Grouped(), nn.Flatten()), torch.randn(4, 8, 6)
    assert [w.groups for w in weights(model, x)] == [2, 2]
    with pytest.raises(Refused, match="without groups"):
        treat(model, "init=delta-orthogonal", inputs=x)


class Scaled(Single):
    """W / √n at each call: what stands in the product is not the parameter."""

    def forward(self, x):
        return F.linear(x, self.weight / math.sqrt(self.weight.shape[1]), self.bias)


class Named(nn.Linear):
    """A layer of torch by another name."""

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


def test_a_matrix_that_is_computed_first_is_no_layer_and_one_of_torch_stays_one():
    model = nn.Sequential(Scaled(8, 32), nn.Tanh(), Named(32, 32), nn.Tanh(), Single(32, 4))
    assert [w.name for w in weights(model, torch.randn(16, 8))] == ["2", "4.weight"]


class Filters(nn.Module):
    def __init__(self, channels, kernels):
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(kernels, channels, 3, 3))

    def forward(self, x):
        return F.conv2d(x, self.weight, padding=1)


@pytest.mark.parametrize("spec", ["skip", "normalize", "normalize=batch", "normalize=batch:position=after"])
def test_layers_of_the_programs_own_are_bridged_and_normalized_as_those_of_torch_are(spec):
    """The same net of torch's layers gives the same, to the bit."""
    torch.manual_seed(0)
    own = nn.Sequential(Filters(1, 6), *(m for _ in range(4) for m in (nn.Tanh(), Filters(6, 6))), nn.Tanh())
    known = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        *(m for _ in range(4) for m in (nn.Tanh(), nn.Conv2d(6, 6, 3, padding=1, bias=False))),
        nn.Tanh(),
    )
    own, known = (nn.Sequential(net, nn.Flatten(), nn.Linear(6 * 25, 2)) for net in (own, known))
    known.load_state_dict(own.state_dict())
    x = torch.randn(8, 1, 5, 5)
    for model in (own, known):
        treat(model, spec, inputs=x, force=True)
    assert torch.equal(own(x), known(x))


def test_what_each_matrix_is_told_by_what_the_product_gives():
    found = weights(Bare(), torch.randn(16, 8))
    assert [(w.name, w.fan_in, w.fan_out, w.by_columns) for w in found] == [
        ("first", 8, WIDTH, True), ("second", WIDTH, 64, True), ("last", 64, 4, False),
    ]  # fmt: skip
    assert [w.bias is not None for w in found] == [False, True, False]
    assert [(w.part.before, w.part.activation) for w in found] == [
        (None, "ReLU"), ("ReLU", "ReLU"), ("ReLU", None),
    ]  # fmt: skip


def test_what_is_added_is_the_bias_and_no_layer_of_its_own():
    model = dense_stack(depth=2)
    parts = Body(model, (), (torch.randn(16, 8),)).anatomy.parts
    assert [(p.activation, p.own.bias) for p in parts] == [
        ("Tanh", "0.b"), ("Tanh", "1.b"), ("Tanh", "2.b"), (None, "3.b"),
    ]  # fmt: skip


def test_frozen_matrices_stay_and_shared_ones_are_drawn_once():
    model = dense_stack(depth=2)
    model[2].w = model[1].w
    model[0].w.requires_grad_(False)
    assert [w.name for w in weights(model, torch.randn(16, 8))] == ["1.w", "3.w"]


@pytest.mark.parametrize("variant", ["own-gain", "orthogonal"])
def test_the_signal_keeps_its_size_over_depth(variant):
    """σ_w = (E φ²)^-½: a stream of unit mean square in front of each activation."""
    torch.manual_seed(0)
    model, x = dense_stack(), torch.randn(512, 8)
    treat(model, f"init={variant}", inputs=x)
    for layer in model[1:-1]:
        assert float(layer.w.detach().square().mean()) * WIDTH == pytest.approx(gain("Tanh") ** 2, rel=0.02)
    seen = []
    for layer in model[:-1]:
        x = x @ layer.w + layer.b
        seen.append(float(x.detach().square().mean()))
        x = torch.tanh(x)
    # Each layer's mean square is a mean over 256 units: a few per cent a layer.
    assert seen == pytest.approx([1.0] * len(seen), rel=0.25)


def test_each_output_has_unit_variance_on_the_batch():
    torch.manual_seed(0)
    model, x = Bare(), torch.randn(512, 8)
    treat(model, "init=lsuv", inputs=x)
    first = x @ model.first
    second = torch.relu(first) @ model.second + model.shift
    last = torch.relu(second) @ model.last.T
    assert [float(z.detach().std()) for z in (first, second, last)] == pytest.approx([1.0] * 3, abs=1e-3)


def test_a_centred_bias_takes_the_mean_of_the_inputs_of_its_own_unit():
    torch.manual_seed(0)
    model = dense_stack(torch.sigmoid)
    treat(model, "init=centred", inputs=torch.randn(64, 8))
    mean = moments("Sigmoid")[0]
    with torch.no_grad():
        torch.testing.assert_close(model[1].b, -mean * model[1].w.sum(0, keepdim=True), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "make, variant",
    [(dense_stack, "lsuv"), (Bare, "lsuv"), (lambda: dense_stack(torch.sigmoid), "centred")],
)
def test_the_edit_draws_the_same_weights(make, variant):
    torch.manual_seed(3)
    model, again = make(), make()
    done = treat(model, f"init={variant}", inputs=torch.randn(64, 8))
    code = next(edit.code for edit in done.edits if edit.kind == "define")
    names = {"torch": torch, "nn": nn, "math": math}
    exec(code, names)
    names["initialize"](again)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
