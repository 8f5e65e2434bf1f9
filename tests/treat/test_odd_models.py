"""Models that are not a plain stack: every remedy treats them or refuses them in words, and what it did can
be taken back to the last bit.
"""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from livegrad.errors import LivegradError
from livegrad.theory.activation import gain
from livegrad.treat.remedies import names, remedy
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat


class Tied(nn.Module):
    """The output layer has the embedding's weights; the output is a dictionary."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(4)])
        self.head = nn.Linear(8, 20, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        x = self.embed(tokens)
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return {"logits": self.head(x)}


class OfComplexNumbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(6, 6, dtype=torch.cfloat)) for _ in "abc"])
        self.steps = nn.Parameter(torch.arange(3), requires_grad=False)

    def forward(self, x):
        x = x.to(torch.cfloat)
        for weight in self.weights:
            x = torch.tanh(x @ weight)
        return x.abs()


class Looped(nn.Module):
    """One layer again and again, from a generator."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.Linear(6, 6), nn.Linear(6, 2)

    def states(self, x):
        for _ in range(5):
            x = torch.tanh(self.cell(x))
            yield x

    def forward(self, x):
        return self.head(list(self.states(x))[-1])


def images():
    up = nn.ConvTranspose2d(6, 4, 2, stride=2)
    return nn.Sequential(nn.Conv2d(1, 6, 3, stride=2), nn.Sigmoid(), up, nn.Sigmoid(), nn.Conv2d(4, 1, 1))


def computed_weights():
    hidden = [m for _ in range(4) for m in (weight_norm(nn.Linear(6, 6)), nn.Sigmoid())]
    return nn.Sequential(*hidden, spectral_norm(nn.Linear(6, 2)))


def frozen_trunk():
    trunk = nn.Sequential(*[m for _ in range(3) for m in (nn.Linear(6, 6), nn.Sigmoid())])
    head = nn.Sequential(*[m for _ in range(3) for m in (nn.Linear(6, 6), nn.Sigmoid())], nn.Linear(6, 2))
    return nn.Sequential(trunk.requires_grad_(False), head)


MODELS = {
    "tied": (Tied, lambda: torch.randint(0, 20, (4, 5))),
    "complex": (OfComplexNumbers, lambda: torch.randn(4, 6)),
    "looped": (Looped, lambda: torch.randn(4, 6)),
    "images": (images, lambda: torch.randn(3, 1, 9, 9)),
    "computed weights": (computed_weights, lambda: torch.randn(4, 6)),
    "frozen trunk": (frozen_trunk, lambda: torch.randn(4, 6)),
    "one sample": (
        lambda: nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2)),
        lambda: torch.randn(1, 6),
    ),
    "no sample": (
        lambda: nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2)),
        lambda: torch.randn(0, 6),
    ),
    "no parameters": (lambda: nn.Sequential(nn.Flatten(), nn.Tanh()), lambda: torch.randn(4, 6)),
}


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("cure", names())
def test_a_remedy_treats_or_refuses_and_leaves_nothing_behind_when_undone(name, cure, every):
    make, draw = MODELS[name]
    for variant in ("", *(f"={v}" for v in remedy(cure).variants if every)):
        torch.manual_seed(0)
        model, batch = make(), draw()
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizers = [torch.optim.Adam(trained)] if trained else []
        before, random = state_of(model), torch.get_rng_state()
        try:
            treatment = treat(model, cure + variant, *optimizers, inputs=batch)
        except LivegradError as refused:
            assert str(refused)
        else:
            held = {id(p) for o in optimizers for group in o.param_groups for p in group["params"]}
            assert all(id(p) in held for p in model.parameters() if p.requires_grad)
            treatment.undo()
        assert same(state_of(model), before), cure + variant
        assert torch.equal(torch.get_rng_state(), random), cure + variant


def test_norms_beside_frozen_layers_are_frozen_and_others_are_trained():
    model = frozen_trunk()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    treat(model, "normalize=batch", optimizer)
    norms = {name: p for name, p in model.named_parameters() if ".norm." in name}
    assert {name.split(".")[0] for name in norms} == {"0", "1"}
    assert all(p.requires_grad == name.startswith("1.") for name, p in norms.items())


def test_activations_of_complex_numbers_are_left_alone():
    with pytest.raises(Refused, match="complex"):
        treat(OfComplexNumbers(), "activation=relu", inputs=torch.randn(4, 6))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_centred_takes_the_mean_of_the_inputs_away_from_a_transposed_convolution_too(groups, stride):
    """With inputs of mean m at every place Σ W m = −b, so outputs away from the border are zero: the kernel
    meets 1/stride of its places in each direction, on the average over a stretch of outputs.
    """
    torch.manual_seed(0)
    up = nn.ConvTranspose2d(8, 12, 4, stride=stride, groups=groups)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Sigmoid(), up, nn.Sigmoid(), nn.Conv2d(12, 1, 1))
    treat(model, "init=centred", inputs=torch.randn(4, 1, 12, 12))
    flat = up(torch.full((1, 8, 20, 20), 0.5))
    inner = flat[:, :, 6 * stride : -6 * stride, 6 * stride : -6 * stride].mean((0, 2, 3))
    assert inner.abs().max() < 1e-5


@pytest.mark.parametrize("shape", [(8, 4), (4, 8), (8, 8)])
def test_orthogonal_weights_of_a_transposed_convolution_have_their_gain(shape):
    """fan-in · mean W² = gain², where each output meets kernel/stride places of every input channel."""
    up = nn.ConvTranspose1d(shape[0], shape[1], 4, stride=2)
    model = nn.Sequential(nn.Conv1d(1, shape[0], 1), nn.Tanh(), up, nn.Tanh(), nn.Conv1d(shape[1], 1, 1))
    treat(model, "init=orthogonal", inputs=torch.randn(2, 1, 9))
    gained = 2 * shape[0] * float(up.weight.detach().square().mean())
    assert gained == pytest.approx(gain("Tanh") ** 2, rel=1e-4)
