"""What init does with the queries, keys and values of torch's own attention."""

import pytest
import torch
from torch import nn

from livegrad.treat.treatment import treat


@pytest.mark.parametrize("apart", [False, True])
def test_scores_far_apart_come_to_unit_size(apart):
    """Unit gains make of normalized inputs queries and keys of unit size: scores of variance one."""
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(64, 4, batch_first=True, kdim=48 if apart else None)
    keys = ("q_proj_weight", "k_proj_weight") if apart else ("in_proj_weight",)
    with torch.no_grad():
        for key in keys:
            attention.get_parameter(key).mul_(20)
        attention.in_proj_bias.fill_(1.0)
    x, memory = torch.randn(4, 6, 64), torch.randn(4, 6, 48 if apart else 64)
    treat(attention, "init=own-gain", inputs=(x, memory, x))
    for key in keys:
        weight = attention.get_parameter(key).detach()
        assert float(weight.square().mean() * weight.shape[1]) == pytest.approx(1.0, abs=0.05)
    assert not attention.in_proj_bias.any()


@pytest.mark.parametrize("size", [1.0, 0.05])
def test_what_torch_draws_stays_and_what_hands_nothing_on_does_not(size):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)
    with torch.no_grad():
        layer.self_attn.in_proj_weight.mul_(size)
    before = layer.self_attn.in_proj_weight.detach().clone()
    treatment = treat(layer, "init=own-gain", inputs=torch.randn(4, 6, 32))
    assert torch.equal(layer.self_attn.in_proj_weight, before) == (size == 1.0)
    treatment.undo()
    assert torch.equal(layer.self_attn.in_proj_weight, before)
