"""livegrad.prescribe: a model, its optimizer and a batch are enough."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

import livegrad
from livegrad.errors import UsageError


def stack(depth, activation):
    layers = [m for _ in range(depth) for m in (nn.Linear(16, 16), activation())]
    return nn.Sequential(*layers, nn.Linear(16, 4))


def test_what_it_prescribes_for_deep_sigmoids_can_be_given_to_treat():
    torch.manual_seed(0)
    model = stack(14, nn.Sigmoid)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(32, 16), torch.randint(4, (32,))
    found = livegrad.prescribe(model, optimizer, inputs=x, loss=F.cross_entropy, targets=y, patience=10)
    assert found.remedies and "LG101" in found.remedies[0].answers
    done = livegrad.treat(model, found.remedies[0].spec, optimizer, inputs=x)
    assert done.certificate is not None
    assert done.certificate.decades_before < -3 and abs(done.certificate.decades_after) < 1.5


def test_nothing_is_prescribed_for_a_sound_model():
    torch.manual_seed(0)
    model = stack(2, nn.ReLU)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(32, 16), torch.randint(4, (32,))
    found = livegrad.prescribe(model, optimizer, inputs=x, loss=F.cross_entropy, targets=y)
    assert not found.proposals and not found.refused


def test_it_says_what_it_needs():
    with pytest.raises(UsageError, match="optimizer"):
        livegrad.prescribe(stack(2, nn.ReLU), inputs=torch.randn(2, 16))
    with pytest.raises(UsageError, match="Module"):
        livegrad.prescribe(3, inputs=torch.randn(2, 16))


def test_a_power_iteration_stands_where_it_stood():
    """In training mode each reading of a spectrally normed weight is a step of its power iteration."""
    torch.manual_seed(0)
    model = nn.Sequential(*stack(14, nn.Sigmoid)[:-1], spectral_norm(nn.Linear(16, 4)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(32, 16), torch.randint(4, (32,))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    found = livegrad.prescribe(model, optimizer, inputs=x, loss=F.cross_entropy, targets=y, patience=2)
    assert found.remedies
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state()) and model[-1].training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
