"""Transformers: torch's own, a hand-written GPT with tied embeddings, checkpointing, and attention by
itself.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

TOKENS = 11


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2, self.drop = nn.LayerNorm(width), nn.LayerNorm(width), nn.Dropout(0.1)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).split(width, 2)
        q, k, v = (part.view(batch, time, 2, width // 2).transpose(1, 2) for part in (q, k, v))
        y = (
            F.scaled_dot_product_attention(q, k, v, is_causal=True)
            .transpose(1, 2)
            .reshape(batch, time, width)
        )
        x = x + self.drop(self.out(y))
        return x + self.drop(self.mlp(self.norm2(x)))


class GPT(nn.Module):
    """Pre-LN, embedding and head tied; reentrant: how its blocks are checkpointed, None if they are not."""

    def __init__(self, reentrant=None):
        super().__init__()
        self.token, self.place = nn.Embedding(TOKENS, 16), nn.Embedding(7, 16)
        self.blocks = nn.ModuleList([Block(16) for _ in range(3)])
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, TOKENS, bias=False)
        self.head.weight = self.token.weight
        self.reentrant = reentrant

    def forward(self, tokens, targets=None):
        x = self.token(tokens) + self.place(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x) if self.reentrant is None else checkpoint(block, x, use_reentrant=self.reentrant)
        logits = self.head(self.norm(x))
        return (
            logits if targets is None else (logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten()))
        )


def train(model: nn.Module):
    tokens = torch.randint(0, TOKENS, (4, 7))
    return model, lambda: F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())


JOINS = [
    "token", "add", "blocks.0.add", "blocks.0", "blocks.1.add", "blocks.1", "blocks.2.add", "blocks.2",
    "norm", "head",
]  # fmt: skip


def test_a_gpt_with_tied_embeddings(scan_unnoticed):
    scanned = scan_unnoticed(lambda: train(GPT()))

    assert scanned.names() == JOINS
    assert scanned.owners["token.weight"] == "token"
    assert scanned.owners["blocks.1.qkv.weight"] == "blocks.1.qkv"
    assert scanned.owners["blocks.1.mlp.2.bias"] == "blocks.1.mlp.2"
    assert not [name for name in scanned.names("branch") if "drop" in name]


def test_a_loss_inside_the_model_is_peeled_off(scan_unnoticed):
    def build():
        model, tokens = GPT(), torch.randint(0, TOKENS, (4, 7))
        return model, lambda: model(tokens, tokens)[1]

    assert scan_unnoticed(build).names() == JOINS


def test_a_checkpointed_gpt_is_scanned_like_a_plain_one(scan_unnoticed):
    plain, scanned = (scan_unnoticed(lambda how=how: train(GPT(how))) for how in (None, False))

    assert scanned.names() == plain.names()
    # Dropout draws again when a segment is run again; with the random state put back the probe sees the same
    # masks.
    assert scanned.columns["audibility"] == pytest.approx(plain.columns["audibility"], rel=1e-5, nan_ok=True)


def test_a_reentrant_checkpoint_cannot_be_probed_but_its_parameters_are_reached(scan_unnoticed, scan_step):
    torch.manual_seed(0)
    scanned = scan_step(*train(GPT(True)))

    assert "use_reentrant=False" in scanned.reason
    assert (
        scanned.result.reached == scanned.result.called == set(range(len(list(scanned.model.parameters()))))
    )
    assert scanned.value("head", "transport") == 0


def test_batch_norm_in_a_checkpoint_keeps_its_running_means(scan_unnoticed):
    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU())
            self.head = nn.Linear(8, 4)

        def forward(self, x):
            return self.head(checkpoint(self.body, x, use_reentrant=False))

    def build():
        model, x = Checkpointed(), torch.randn(6, 8)
        return model, lambda: model(x).square().mean()

    scanned = scan_unnoticed(build)  # compares the buffers

    assert scanned.reason is None
    assert scanned.names() == ["body.0", "body.1", "body.2", "head"]


def test_torchs_encoder_and_decoder(scan_unnoticed):
    def build():
        model = nn.Transformer(16, 2, 2, 2, 32, batch_first=True)
        source, target = torch.randn(4, 5, 16), torch.randn(4, 3, 16)
        return model, lambda: model(source, target).square().mean()

    scanned = scan_unnoticed(build)

    assert scanned.names()[-1] == "decoder.norm"
    assert scanned.layer("encoder.layers.0.self_attn").type == "MultiheadAttention"
    assert scanned.owners["encoder.layers.0.self_attn.out_proj.weight"] == "encoder.layers.0.self_attn"


def test_the_weights_of_attention_beside_its_output(scan_unnoticed):
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.attention, self.head = (
                nn.Linear(8, 8),
                nn.MultiheadAttention(8, 2, batch_first=True),
                nn.Linear(8, 4),
            )

        def forward(self, x):
            x = self.first(x)
            y, weights = self.attention(x, x, x, need_weights=True)
            return self.head(x + y), weights

    def build():
        model, x = Attends(), torch.randn(3, 5, 8)
        return model, lambda: sum(part.square().mean() for part in model(x))

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["first", "add", "head"]
    assert scanned.owners["attention.in_proj_weight"] == "attention"


def test_a_frozen_encoder_in_evaluation_keeps_its_fast_path(scan_unnoticed):
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.body = nn.TransformerEncoder(layer, 1).eval().requires_grad_(False)
            self.head = nn.Linear(8, 4)

        def forward(self, x):
            return self.head(self.body(x))

    def build():
        model, x = Frozen(), torch.randn(3, 5, 8)
        return model, lambda: model(x).square().mean()

    assert scan_unnoticed(build).names() == ["head"]  # compares the loss bit by bit


def test_einsum_is_a_layer(scan_unnoticed):
    class Einsum(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside, self.outside = nn.Parameter(torch.randn(8, 2, 4)), nn.Parameter(torch.randn(2, 4, 3))

        def forward(self, x):
            return torch.einsum(
                "bjk,jko->bo", torch.einsum("bi,ijk->bjk", x, self.inside).relu(), self.outside
            )

    def build():
        model, x = Einsum(), torch.randn(6, 8)
        return model, lambda: model(x).square().mean()

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["einsum#1", "relu", "einsum#2"]
    assert scanned.owners == {"inside": "einsum#1", "outside": "einsum#2"}
