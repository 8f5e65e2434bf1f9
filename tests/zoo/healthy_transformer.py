"""Transformers that are well."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, adamw, classify, next_character, sgd, train
from tests.zoo.models import CharTransformer, TransformerBlock
from torch import nn
from torch.nn import functional as F


def transformer_case(name, note, **fields):
    return case(name, family="transformer", note=note, **({"steps": 60} | fields))


def warm_up(optimizer, steps):
    rates = [group["lr"] for group in optimizer.param_groups]

    def schedule(step):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, (step + 1) / steps)

    return schedule


@transformer_case("gpt-pre-ln-6", "Six pre-LN blocks, Adam.", steps=100)
def _():
    model = CharTransformer(data.text()[1], 6)
    return next_character(model, adam(model, 5e-3))


@transformer_case("gpt-pre-ln-4-tied", "Four pre-LN blocks, tied embeddings, AdamW, clipping.", steps=100)
def _():
    model = CharTransformer(data.text()[1], 4, tied=True)
    return next_character(model, adamw(model, 5e-3), size=16, clip=1.0)


@transformer_case("gpt-post-ln-6-warmup", "Six post-LN blocks with warm-up.", steps=120)
def _():
    model = CharTransformer(data.text()[1], 6, order="post")
    optimizer = adam(model, 3e-3)
    return next_character(model, optimizer, schedule=warm_up(optimizer, 30))


@transformer_case("gpt-post-ln-3", "Three post-LN blocks need no warm-up.", steps=80)
def _():
    model = CharTransformer(data.text()[1], 3, order="post")
    return next_character(model, adam(model, 3e-3), size=16)


@transformer_case("torch-encoder-pre-ln-4", "nn.TransformerEncoder with norm_first.", steps=100)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, norm_first=True, batch_first=True)
            self.embedding = nn.Embedding(data.text()[1], 32)
            self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
            self.head = nn.Linear(32, data.text()[1])
            self.mask = nn.Transformer.generate_square_subsequent_mask(32)

        def forward(self, tokens):
            return self.head(self.encoder(self.embedding(tokens), mask=self.mask, is_causal=True))

    model = Net()
    return next_character(model, adam(model, 5e-3))


class Patches(nn.Module):
    """Sixteen 2x2 patches of an 8x8 image, with a class token and positions."""

    def __init__(self, width):
        super().__init__()
        self.project = nn.Linear(4, width)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(17, width))

    def forward(self, images):
        x = self.project(images.unfold(2, 2, 2).unfold(3, 2, 2).reshape(len(images), 16, 4))
        return torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions


class First(nn.Module):
    def forward(self, x):
        return x[:, 0]


@transformer_case("vit-tiny-4", "A vision transformer with a class token.", steps=80)
def _():
    blocks = [TransformerBlock(32, causal=False) for _ in range(4)]
    model = nn.Sequential(Patches(32), *blocks, First(), nn.LayerNorm(32), nn.Linear(32, 10))
    return classify(model, adam(model, 3e-3), images=True, size=32)


class LayerScaled(TransformerBlock):
    """CaiT's block: each branch times a learned vector that starts at 1e-4 (Touvron et al. 2021)."""

    def __init__(self, width, start=1e-4):
        super().__init__(width, causal=False)
        self.scale1 = nn.Parameter(torch.full((width,), start))
        self.scale2 = nn.Parameter(torch.full((width,), start))

    def forward(self, x):
        x = x + self.scale1 * self.attend(self.norm1(x))
        return x + self.scale2 * self.mlp(self.norm2(x))


@transformer_case("vit-24-narrow-16", "Twenty-four pre-LN blocks of width 16.", steps=50)
def _():
    blocks = [TransformerBlock(16, heads=2, causal=False) for _ in range(24)]
    model = nn.Sequential(Patches(16), *blocks, nn.LayerNorm(16), nn.Flatten(), nn.Linear(17 * 16, 10))
    return classify(model, adam(model, 3e-3), images=True, size=32)


@transformer_case("vit-layer-scale-1e-4", "LayerScale: branches begin almost closed, by design.", steps=80)
def _():
    blocks = [LayerScaled(32) for _ in range(6)]
    model = nn.Sequential(Patches(32), *blocks, nn.LayerNorm(32), nn.Flatten(), nn.Linear(17 * 32, 10))
    return classify(model, adam(model, 3e-3), images=True, size=32)


class Gated(TransformerBlock):
    """Llama's block in small: RMSNorm, SwiGLU, no biases."""

    def __init__(self, width):
        super().__init__(width)
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.gate = nn.Linear(width, 2 * width, bias=False)
        self.up = nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)
        del self.mlp

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


@transformer_case("llama-like-8", "RMSNorm and SwiGLU, eight blocks.")
def _():
    model = CharTransformer(data.text()[1], 0)
    model.blocks = nn.ModuleList([Gated(32) for _ in range(8)])
    return next_character(model, adamw(model, 3e-3))


@transformer_case("gpt-sgd-momentum", "A pre-LN transformer under SGD learns, slowly.", steps=150)
def _():
    model = CharTransformer(data.text()[1], 4)
    return next_character(model, sgd(model, 0.1, momentum=0.9), size=8)


@transformer_case("encoder-decoder-reverse", "nn.Transformer copies eight symbols backwards.", steps=150)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.source, self.target = nn.Embedding(6, 32), nn.Embedding(7, 32)
            self.positions = nn.Parameter(torch.randn(8, 32) * 0.5)
            self.core = nn.Transformer(32, 4, 2, 2, 64, dropout=0.0, batch_first=True)
            self.head = nn.Linear(32, 6)
            self.mask = nn.Transformer.generate_square_subsequent_mask(8)

        def forward(self, tokens):
            answer = tokens.flip(1)
            shifted = F.pad(answer[:, :-1], (1, 0), value=6)
            y = self.core(
                self.source(tokens) + self.positions,
                self.target(shifted) + self.positions,
                tgt_mask=self.mask,
                tgt_is_causal=True,
            )
            return self.head(y)

    model = Net()

    def batch(generator):
        tokens = torch.randint(6, (32, 8), generator=generator)
        return tokens, tokens.flip(1)

    def loss(logits, answer):
        return F.cross_entropy(logits.flatten(0, 1), answer.flatten())

    return train(model, adam(model, 3e-3), batch, loss, baseline=1.7918)


@transformer_case(
    "masked-symbols", "A bidirectional model of hidden symbols; loss at a few places only.", steps=150
)
def _():
    model = CharTransformer(11, 3, length=16, causal=False)

    def batch(generator):
        start = torch.randint(10, (16, 1), generator=generator)
        tokens = (start + torch.arange(16)) % 10
        hidden = torch.rand(tokens.shape, generator=generator) < 0.15
        return tokens.masked_fill(hidden, 10), tokens.masked_fill(~hidden, -100)

    def loss(logits, answer):
        return F.cross_entropy(logits.flatten(0, 1), answer.flatten(), ignore_index=-100)

    return train(model, adam(model, 5e-3), batch, loss, baseline=math.log(10))


@transformer_case("gpt-pre-ln-12-counting", "Twelve pre-LN blocks continue a count.", steps=60)
def _():
    model = CharTransformer(10, 12, length=16)

    def batch(generator):
        start, pace = (torch.randint(low, 10, (16, 1), generator=generator) for low in (0, 1))
        tokens = (start + pace * torch.arange(17)) % 10
        return tokens[:, :-1], tokens[:, 1:]

    def loss(logits, answer):
        return F.cross_entropy(logits.flatten(0, 1), answer.flatten())

    return train(model, adam(model, 3e-3), batch, loss, baseline=math.log(10))


@transformer_case("linear-attention-text", "Attention without softmax.", steps=100)
def _():
    class Linear(TransformerBlock):
        def attend(self, x):
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            q, k = F.elu(q) + 1, F.elu(k) + 1
            weights = (q @ k.transpose(1, 2)).tril()
            return self.out((weights / weights.sum(-1, keepdim=True)) @ v)

    model = CharTransformer(data.text()[1], 0)
    model.blocks = nn.ModuleList([Linear(32) for _ in range(4)])
    return next_character(model, adam(model, 5e-3))
