"""Transformers whose signal vanishes or explodes over depth."""

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, adamw, classify, next_character, sgd
from tests.zoo.models import CharTransformer, TransformerBlock, initialize
from torch import nn


@case(
    "transformer-12-no-skip",
    family="transformer",
    expect="LG101",
    tolerated="LG401",
    note="No skip connections and no norm: rank and gradient collapse with depth (Dong et al. 2021).",
)
def _():
    model = CharTransformer(data.text()[1], 12, order="none", skip=False)
    return next_character(model, adam(model))


@case(
    "transformer-16-no-skip-std-0.02",
    family="transformer",
    expect="LG101",
    tolerated="LG401",
    note="GPT's N(0, 0.02²) with the skip connections forgotten.",
)
def _():
    model = initialize(CharTransformer(data.text()[1], 16, order="none", skip=False), "std=0.02")
    return next_character(model, adamw(model))


@case(
    "transformer-post-ln-36-no-warmup",
    family="transformer",
    expect="LG101 LG103 LG402",
    tolerated="LG401 LG201",
    note="Post-LN without warm-up (Xiong et al. 2020, Liu et al. 2020): the first Adam steps break it, and it"
    " stays at the character frequencies.",
    steps=40,
)
def _():
    model = CharTransformer(data.text()[1], 36, width=32, order="post")
    return next_character(model, adam(model, 3e-3), size=4)


@case(
    "transformer-24-no-norm-large-weights",
    family="transformer",
    expect="LG103",
    tolerated="LG301 LG402",
    note="Residual blocks without LayerNorm and with MLP weights four times too large: each block"
    " multiplies.",
)
def _():
    model = CharTransformer(data.text()[1], 24, order="none")
    initialize(model, 1.5)
    return next_character(model, adam(model), size=4)


@case(
    "vit-12-no-skip",
    family="transformer",
    expect="LG101",
    tolerated="LG401",
    note="A vision transformer of sigmoid MLPs without skips, post-LN only.",
)
def _():
    class Patches(nn.Module):
        def forward(self, images):
            return images.unfold(2, 2, 2).unfold(3, 2, 2).reshape(len(images), 16, 4)

    class Pool(nn.Module):
        def forward(self, x):
            return x.mean(dim=1)

    blocks = [
        TransformerBlock(32, order="none", skip=False, causal=False, activation=nn.Sigmoid) for _ in range(12)
    ]
    model = nn.Sequential(Patches(), nn.Linear(4, 32), *blocks, Pool(), nn.Linear(32, 10))
    return classify(model, sgd(model, 0.1), images=True, size=32)


@case(
    "transformer-residual-scaled-down",
    family="transformer",
    expect="LG101",
    tolerated="LG401",
    note="A block that returns 0.1 (x + f(x)): the skip itself shrinks by ten at each of 16 blocks.",
)
def _():
    class Shrinking(TransformerBlock):
        def forward(self, x):
            return 0.1 * super().forward(x)

    class Net(CharTransformer):
        def __init__(self):
            super().__init__(data.text()[1], 0)
            self.blocks = nn.ModuleList([Shrinking(32, order="none") for _ in range(16)])
            self.norm = nn.Identity()

    model = Net()
    return next_character(model, sgd(model, 0.1))


@case(
    "torch-encoder-layer-18-post-ln-high-rate",
    family="transformer",
    expect="LG101 LG103 LG402",
    tolerated="LG401 LG201 LG202 LG301",
    note="nn.TransformerEncoder's default (post-LN) at Adam 1e-2 without warm-up stays at the frequencies.",
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
            self.embedding = nn.Embedding(data.text()[1], 32)
            self.encoder = nn.TransformerEncoder(layer, 18, enable_nested_tensor=False)
            self.head = nn.Linear(32, data.text()[1])
            self.mask = nn.Transformer.generate_square_subsequent_mask(32)

        def forward(self, tokens):
            return self.head(self.encoder(self.embedding(tokens), mask=self.mask, is_causal=True))

    model = Net()
    return next_character(model, torch.optim.Adam(model.parameters(), lr=1e-2), size=4)
