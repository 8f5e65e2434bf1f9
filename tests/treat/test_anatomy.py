"""The anatomy: which activation stands in front of a weighted operation, and which behind."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from livegrad.errors import UsageError
from livegrad.treat.anatomy import examine


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(8, 3)  # registered first, run last
        self.first = nn.Linear(5, 8)
        self.middle = nn.Linear(8, 8)

    def forward(self, x):
        return self.last(torch.tanh(self.middle(F.dropout(torch.sigmoid(self.first(x)), 0.1))))


def test_functional_calls_are_seen_in_order_of_execution():
    parts = examine(Functional(), (torch.randn(6, 5),), {}).parts
    assert [(p.module, p.before, p.activation) for p in parts] == [
        ("first", None, "Sigmoid"),
        ("middle", "Sigmoid", "Tanh"),
        ("last", "Tanh", None),
    ]
    assert all(
        p.activation_source is not None and "test_anatomy.py" in p.activation_source for p in parts[:2]
    )


def test_a_normalization_stands_between_and_takes_the_place_of_what_was_before():
    net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 2))
    for args in ((torch.randn(6, 5),), None):
        first, last = examine(net, args, {}).parts
        assert (first.normalization, first.activation) == ("BatchNorm1d", "ReLU")
        assert last.before is None


def test_without_a_batch_the_order_of_registration_is_taken():
    net = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Dropout(), nn.Linear(8, 2))
    assert [(p.module, p.before, p.activation) for p in examine(net, None, {}).parts] == [
        ("0", None, "GELU"),
        ("3", "GELU", None),
    ]


def test_examining_leaves_the_model_and_the_random_state_alone():
    net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Tanh(), nn.Linear(8, 2))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    examine(net, (torch.randn(6, 5, generator=torch.Generator().manual_seed(1)),), {})
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_a_model_whose_output_depends_on_no_parameter_is_refused_with_the_reason():
    class Constant(nn.Module):
        def forward(self, x):
            return x * 2

    with pytest.raises(UsageError, match="depends on its parameters"):
        examine(Constant(), (torch.ones(2, 2),), {})
