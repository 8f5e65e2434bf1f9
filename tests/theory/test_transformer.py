"""Transformer blocks in closed form against torch's own encoder layers."""

import math

import numpy as np
import pytest
import torch

from livegrad.theory.transformer import TransformerBlock

WIDTH, TOKENS, DEPTH = 128, 16, 8


def sampled(placement, activation, correlation, seed, mask=None):
    """Gradient and stream in decades, and the correlation between tokens, of one random stack."""
    torch.manual_seed(seed)
    stack = [
        torch.nn.TransformerEncoderLayer(
            WIDTH, 4, 4 * WIDTH, 0.0, activation, batch_first=True, norm_first=placement == "pre"
        )
        for _ in range(DEPTH)
    ]
    for block in stack:
        for layer in (block.linear1, block.linear2):
            torch.nn.init.xavier_uniform_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    common, own = torch.randn(4, 1, WIDTH), torch.randn(4, TOKENS, WIDTH)
    x = (math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own).requires_grad_()
    out = x
    for block in stack:
        out = block(out, src_mask=mask)
    v = torch.randn_like(out)
    (gradient,) = torch.autograd.grad(out, x, v)
    h = torch.nn.functional.normalize(out.detach(), dim=-1)
    alike = (h @ h.transpose(1, 2)).mean(0)
    off = float((alike.sum() - alike.trace()) / (TOKENS * (TOKENS - 1)))
    return (
        math.log10(float(gradient.norm() / v.norm())),
        math.log10(float(out.detach().norm() / x.detach().norm())),
        off,
    )


@pytest.mark.parametrize("correlation", [0.0, 0.5])
@pytest.mark.parametrize(("placement", "activation"), [("pre", "relu"), ("post", "relu"), ("pre", "gelu")])
def test_torchs_encoder_layers_do_what_the_closed_form_says(placement, activation, correlation):
    name = {"relu": "ReLU", "gelu": "GELU"}[activation]
    predicted = TransformerBlock(TOKENS, name, placement).propagate(DEPTH, correlation)
    found = np.array([sampled(placement, activation, correlation, seed) for seed in range(3)])
    # 1/width and 1/tokens of what a block does, which is about a tenth of a decade.
    assert found[:, 0].mean() == pytest.approx(predicted.decades, abs=0.06)
    assert found[:, 1].mean() == pytest.approx(predicted.forward_decades, abs=0.03)
    assert found[:, 2].mean() == pytest.approx(predicted.correlations[-1], abs=0.05)


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_a_causal_mask_lets_early_tokens_gather_gradient(placement):
    mask = torch.nn.Transformer.generate_square_subsequent_mask(TOKENS)
    predicted = TransformerBlock(TOKENS, placement=placement, causal=True).propagate(DEPTH)
    found = np.array([sampled(placement, "relu", 0.0, seed, mask) for seed in range(3)])
    assert found[:, 0].mean() == pytest.approx(predicted.decades, abs=0.06)
    assert found[:, 2].mean() == pytest.approx(predicted.correlations[-1], abs=0.05)
    unmasked = TransformerBlock(TOKENS, placement=placement).propagate(DEPTH)
    assert predicted.decades > unmasked.decades


def test_post_norm_loses_gradient_and_pre_norm_does_ever_less_to_it():
    # Xiong et al. (2020): near the output a post-norm block loses several percent; a pre-norm block's effect
    # fades with depth, because its stream has grown.
    pre, post = (TransformerBlock(64, placement=p).propagate(24) for p in ("pre", "post"))
    assert post.decades < -0.4
    assert post.factors[-1] < 0.95
    assert 0 < pre.decades < 0.7
    assert np.all(pre.factors > 1)
    assert pre.factors[-1] < 1.02 < pre.factors[0]


def test_a_closed_gate_passes_everything_and_one_token_attends_to_itself():
    closed = TransformerBlock(16, scale=0.0).propagate(50)
    assert (closed.decades, closed.forward_decades) == (0.0, 0.0)
    alone = TransformerBlock(1, first_gain=1e-9, query_gain=0.0).propagate(1)
    # Attention to oneself is the linear map W_o W_v: q' = 1 + σ_v² σ_o², and the gradient likewise.
    assert alone.lengths[-1] == pytest.approx(1 + 1 / 6)
    assert alone.decades == pytest.approx(0.5 * math.log10(1 + 1 / 6))


def test_uniform_attention_makes_tokens_alike():
    # Rank collapse (Noci et al. 2022): without a skip that outweighs it the correlation tends to one.
    found = TransformerBlock(32, placement="post").propagate(40).correlations
    assert np.all(np.diff(found) > -1e-9)
    assert found[-1] > 0.9


def test_wrong_words_are_refused():
    with pytest.raises(ValueError, match="pre"):
        TransformerBlock(8, placement="sandwich")
    with pytest.raises(ValueError, match="at least one token"):
        TransformerBlock(0)
