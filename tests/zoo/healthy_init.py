"""Nets that are silent in places at step 0 by design."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, adamw, classify, next_character, sgd
from tests.zoo.models import CharTransformer, TransformerBlock, mlp
from torch import nn
from torch.nn import functional as F


def init_case(name, note, **fields):
    return case(name, family="initialization", note=note, **({"steps": 60} | fields))


class ReZero(nn.Module):
    """x + a f(x) with a = 0 at the start (Bachlechner et al. 2020)."""

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.gate = nn.Parameter(torch.zeros(()))
        nn.init.kaiming_normal_(self.linear.weight)

    def forward(self, x):
        return x + self.gate * F.relu(self.linear(x))


@init_case("rezero-32", "Thirty-two ReZero layers.")
def _():
    model = nn.Sequential(*[ReZero(64) for _ in range(32)], nn.Linear(64, 10))
    return classify(model, adam(model, 3e-3))


@init_case("rezero-transformer-8", "Zero gates on both branches, no norm.", steps=100)
def _():
    class Block(TransformerBlock):
        def __init__(self):
            super().__init__(32, order="none")
            self.gates = nn.Parameter(torch.zeros(2))

        def forward(self, x):
            x = x + self.gates[0] * self.attend(x)
            return x + self.gates[1] * self.mlp(x)

    model = CharTransformer(data.text()[1], 0)
    model.blocks = nn.ModuleList([Block() for _ in range(8)])
    return next_character(model, adam(model, 5e-3))


@init_case("zero-head", "The head starts at zero: no gradient below it at the first step.")
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    nn.init.zeros_(model[-1].weight)
    return classify(model, sgd(model, 0.1))


@init_case("zero-head-adam-deep-residual", "Zero head over twelve residual layers.")
def _():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64))

        def forward(self, x):
            return x + self.net(x)

    model = nn.Sequential(*[Layer() for _ in range(12)], nn.LayerNorm(64), nn.Linear(64, 10))
    nn.init.zeros_(model[-1].weight)
    return classify(model, adam(model, 1e-3))


class LoRA(nn.Module):
    """A frozen Linear and a trained product B A of low rank, B = 0 at the start (Hu et al. 2021)."""

    def __init__(self, linear, rank=4):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, linear.in_features) / math.sqrt(linear.in_features))
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + x @ self.a.T @ self.b.T


@init_case("lora-on-a-pretrained-net", "LoRA adapters learn mirrored digits on a frozen net.", steps=100)
def _():
    model = mlp(3, 128, nn.ReLU, "he")
    before = classify(model, adam(model, 3e-3))
    for _ in range(120):
        before.step()
    adapted = nn.Sequential(*[LoRA(each) if isinstance(each, nn.Linear) else each for each in model])
    trained = [p for p in adapted.parameters() if p.requires_grad]
    adapted.register_forward_pre_hook(lambda module, x: (x[0].flip(1),))
    return classify(adapted, torch.optim.AdamW(trained, lr=5e-3))


@init_case("adapter-near-identity", "Bottleneck adapters that start at identity in a frozen net.", steps=100)
def _():
    class Adapter(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Linear(128, 16), nn.Linear(16, 128)
            nn.init.zeros_(self.up.weight)
            nn.init.zeros_(self.up.bias)

        def forward(self, x):
            return x + self.up(F.gelu(self.down(x)))

    trunk = mlp(3, 128, nn.ReLU, "he")[:-1].requires_grad_(False)
    model = nn.Sequential(trunk[:2], Adapter(), trunk[2:4], Adapter(), trunk[4:], nn.Linear(128, 10))
    return classify(model, torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3))


class Highway(nn.Module):
    """Srivastava et al. 2015: gates with bias -3 carry nearly everything at the start."""

    def __init__(self, width):
        super().__init__()
        self.transform, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, -3)

    def forward(self, x):
        gate = torch.sigmoid(self.gate(x))
        return gate * torch.tanh(self.transform(x)) + (1 - gate) * x


@init_case("highway-30-gates-closed", "Thirty highway layers, sigmoid gates nearly closed.")
def _():
    model = nn.Sequential(nn.Linear(64, 48), *[Highway(48) for _ in range(30)], nn.Linear(48, 10))
    return classify(model, adam(model, 3e-3))


@init_case("stochastic-depth", "Each of twelve branches is left out half of the time.")
def _():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))

        def forward(self, x):
            return x + self.net(x) if torch.rand(()) < 0.5 else x

    model = nn.Sequential(*[Branch() for _ in range(12)], nn.Linear(64, 10))
    return classify(model, adam(model, 1e-3))


@init_case("weight-norm", "Weight normalization.")
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    for module in list(model):
        if isinstance(module, nn.Linear):
            nn.utils.parametrizations.weight_norm(module)
    return classify(model, adam(model, 3e-3))


@init_case("identity-initialized-linear-60", "Sixty linear layers of identity plus noise.")
def _():
    model = mlp(60, 64, nn.Identity)
    with torch.no_grad():
        for module in model[:-1]:
            if isinstance(module, nn.Linear):
                module.weight.copy_(torch.eye(64) + 0.01 * torch.randn(64, 64))
                module.bias.zero_()
    return classify(model, adam(model, 3e-4))


@init_case("residual-mlp-100", "A hundred residual layers, branches scaled by 1/10.", steps=40)
def _():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 64)
            nn.init.kaiming_normal_(self.linear.weight)

        def forward(self, x):
            return x + 0.1 * self.linear(F.relu(x))

    model = nn.Sequential(*[Layer() for _ in range(100)], nn.Linear(64, 10))
    return classify(model, adam(model, 1e-3))


@init_case("batchnorm-mlp-12", "Twelve BatchNorm layers: the explosion at init is one decade, and harmless.")
def _():
    model = mlp(12, 64, nn.ReLU, "he", norm=nn.BatchNorm1d)
    return classify(model, adam(model, 3e-3))


@init_case("layernorm-relu-30", "LayerNorm and ReLU keep the gradient.", steps=80)
def _():
    model = mlp(30, 96, nn.ReLU, "he", norm=nn.LayerNorm)
    return classify(model, adam(model, 5e-4))


@init_case("rmsnorm-swish-12", "RMSNorm and SiLU.")
def _():
    model = mlp(12, 64, nn.SiLU, "lecun", norm=nn.RMSNorm)
    return classify(model, adamw(model, 2e-3))


@init_case("batchnorm-sigmoid-12", "BatchNorm cures a sigmoid: 1.02 per layer.")
def _():
    model = mlp(12, 64, nn.Sigmoid, "lecun", norm=nn.BatchNorm1d)
    return classify(model, adam(model, 5e-3))


@init_case("mup-like-small-head", "The head starts a hundred times smaller.")
def _():
    model = mlp(4, 128, nn.ReLU, "he")
    with torch.no_grad():
        model[-1].weight.mul_(0.01)
    return classify(model, adam(model, 2e-3))
