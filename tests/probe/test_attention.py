"""How sharp a softmax is, however its attention was written."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from livegrad.probe.attention import measure_weights


def shut_share(result, first=0):
    found = measure_weights(result.grad_fn, first)
    assert found is not None and found.saturated is not None
    return float(found.saturated)


def by_hand(q, k, v):
    return (q @ k.transpose(-1, -2)).softmax(-1)


def fused(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)


def masked(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=torch.zeros(8, 8), scale=1.0)


def dropped(q, k, v):
    return F.dropout((q @ k.transpose(-1, -2)).transpose(-1, -2).softmax(-2), 0.1).transpose(1, 2) + 1


@pytest.mark.parametrize("attend", [by_hand, fused, masked, dropped])
def test_scores_far_apart_shut_every_row_and_equal_ones_none(attend):
    """A query is one of eight orthogonal keys: its score is s there and 0 elsewhere, so that p₁ is known."""
    key = torch.eye(8).repeat(2, 1, 1, 1).requires_grad_()
    for score, share in ((0.0, 0.0), (1.0, 0.0), (50.0, 1.0)):
        assert shut_share(attend(score * key, key, key)) == share


def test_a_row_is_shut_where_its_jacobian_passes_under_a_twentieth_of_the_most():
    for first, shut in ((0.98, 0.0), (0.99, 1.0)):
        p = torch.tensor([first, *[(1 - first) / 3] * 3])
        jacobian = torch.diag(p) - p.outer(p)
        assert torch.linalg.eigvalsh(jacobian)[-1] <= 2 * first * (1 - first) + 1e-6
        assert shut_share(p.log()[None].requires_grad_().softmax(-1)) == shut


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("weights", [True, False])
def test_torchs_own_attention_is_read_inside_its_one_call(dropout, weights):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(16, 2, dropout=dropout, batch_first=True)
    x = torch.randn(4, 10, 16)
    assert shut_share(attention(x, x, x, need_weights=weights)[0]) < 0.1
    with torch.no_grad():
        attention.in_proj_weight[:32].mul_(30)
    assert shut_share(attention(x, x, x, need_weights=weights)[0]) > 0.9


def test_of_a_causal_attention_what_comes_later_is_not_counted():
    """The later keys have the higher scores by far: seen, all rows would choose the last."""
    key = torch.arange(6.0)[None, None, :, None].requires_grad_()
    out = F.scaled_dot_product_attention(torch.zeros_like(key), key, key, is_causal=True)
    assert shut_share(out) == pytest.approx(1 / 6)


def test_what_was_made_before_the_call_is_not_looked_into():
    x = torch.randn(4, 4, requires_grad=True)
    sharp = (1000 * x).softmax(-1)
    out = sharp + 1
    assert shut_share(out) == 1.0
    node: Any = out.grad_fn
    assert measure_weights(node, node._sequence_nr()) is None
