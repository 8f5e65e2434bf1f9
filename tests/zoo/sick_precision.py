"""Half precision that loses gradients, at either end of its range."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, behind, sample, sgd
from tests.zoo.models import mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)


def precision(name, note, **fields):
    return case(name, **({"family": "precision", "note": note, "truth": "checked", "steps": 60} | fields))


def mixed(model, optimizer, loss, batch, *, dtype=torch.float16, scaler=None, baseline=LN10):
    """Autocast to `dtype` around forward and loss; `scaler` as in the manual of mixed precision."""
    generator = torch.Generator().manual_seed(0)
    enabled = dtype is not torch.float32

    def step():
        x, y = batch(generator)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype if enabled else torch.bfloat16, enabled=enabled):
            value = loss(model(x), y)
        if scaler is None:
            value.backward()
            optimizer.step()
        else:
            scaler.scale(value).backward()
            scaler.step(optimizer)
            scaler.update()
        return value.item()

    return Training((model,), (optimizer,), step, baseline)


def faint(weight):
    return lambda out, y: weight * F.cross_entropy(out.float(), y)


def pair(build, steps=60, share=0.8):
    """The training in float16, checked to stay behind the same in float32."""
    return behind(build(torch.float16), build(torch.float32), steps, share)


UNDERFLOW = {"expect": "LG302", "tolerated": "LG401 LG404 LG503"}


@precision("autocast-without-scaler-sgd", "A loss weighted by 1e-5 in float16, not scaled.", **UNDERFLOW)
def _():
    def build(dtype):
        model = mlp(2, 64, nn.ReLU, "he")
        return mixed(model, sgd(model, 5e3), faint(1e-5), sample(*data.digits()), dtype=dtype)

    return pair(build)


@precision(
    "half-without-scaler-adam", "A mean over a million entries, written as a weight of 1e-6.", **UNDERFLOW
)
def _():
    def build(dtype):
        model = mlp(3, 64, nn.Tanh, "xavier")
        return mixed(model, adam(model, 3e-3, eps=1e-14), faint(2e-7), sample(*data.digits()), dtype=dtype)

    return pair(build)


@precision(
    "scaler-that-begins-too-low", "A loss weighted by 2e-6 and a GradScaler that begins at 2.", **UNDERFLOW
)
def _():
    def build(dtype):
        model = mlp(2, 64, nn.ReLU, "he")
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0) if dtype is torch.float16 else None
        loss = faint(2e-6)
        return mixed(model, sgd(model, 2.5e4), loss, sample(*data.digits()), dtype=dtype, scaler=scaler)

    return pair(build)


@precision("whole-model-in-half", "A whole model in half precision, a loss of 1e-5.",
           **UNDERFLOW)  # fmt: skip
def _():
    def build(dtype):
        model = mlp(2, 64, nn.ReLU, "he").to(dtype)
        x, y = data.digits()
        optimizer = sgd(model, 5e3)
        batch, generator = sample(x.to(dtype), y), torch.Generator().manual_seed(0)

        def step():
            a, b = batch(generator)
            optimizer.zero_grad()
            loss = 1e-5 * F.cross_entropy(model(a).float(), b)
            loss.backward()
            optimizer.step()
            return loss.item()

        return Training((model,), (optimizer,), step, LN10 * 1e-5)

    return pair(build)


class Loud(torch.autograd.Function):
    """The identity, whose gradient is multiplied."""

    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.strength, None


class Overflows(nn.Module):
    """A net whose gradient is `strength` times as large for batches that hold a bright sample."""

    def __init__(self, strength):
        super().__init__()
        self.net, self.strength = mlp(2, 64, nn.ReLU, "he"), strength

    def forward(self, x):
        loud = bool((x.sum(dim=1) > 6.0).any())
        return Loud.apply(self.net(x), self.strength if loud else 1.0)


def thrashing(steps=80, strength=3e7, init_scale=2.0**16, lr=0.01, size=64, **scaler):
    model = Overflows(strength)
    made = torch.amp.GradScaler("cpu", init_scale=init_scale, **scaler)
    skipped = []

    def loss(out, y):
        return F.cross_entropy(out.float(), y)

    training = mixed(model, adam(model, lr), loss, sample(*data.digits(), size), scaler=made)

    def step():
        before = made.get_scale()
        value = training.step()
        skipped.append(made.get_scale() < before)
        return value

    return Training(training.models, training.optimizers, step, LN10, lambda: sum(skipped[30:]) > steps / 20)


THRASH = {"expect": "LG303", "tolerated": "LG301 LG302 LG401 LG103 LG105 LG503", "steps": 80}


@precision("scaler-halves-for-ever", "A gradient that is infinite whatever the scale.", **THRASH)
def _():
    return thrashing(strength=float("inf"))


@precision("scaler-regrows-too-soon", "An interval of one: after each good step the scale doubles.", **THRASH)
def _():
    return thrashing(strength=1e4, growth_interval=1)


@precision("penalty-that-overflows", "A gradient that overflows float16 for bright batches.", **THRASH)
def _():
    return thrashing(strength=1e9, growth_interval=6, lr=3e-3, size=16)


@precision("gradient-infinite-for-some-batches", "An infinite gradient for a batch in five.", **THRASH)
def _():
    return thrashing(strength=float("inf"), size=8, growth_interval=10)
