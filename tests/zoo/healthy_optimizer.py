"""Well nets under unusual but sound ways to step."""

import copy
import math

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import (
    adam,
    adamw,
    classify,
    never_moves,
    next_character,
    regress,
    rmsprop,
    sample,
    sgd,
    train,
)
from tests.zoo.models import CharTransformer, cnn, mlp
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

LN10 = math.log(10)


def optimizer_case(name, note, **fields):
    return case(name, family="optimizer", note=note, **({"steps": 60} | fields))


def he_mlp(depth=3, width=64):
    return mlp(depth, width, nn.ReLU, "he")


def digit_batches(size=64):
    x, labels = data.digits()
    batch, generator = sample(x, labels, size), torch.Generator().manual_seed(0)
    return lambda: batch(generator)


@optimizer_case(
    "gradient-clipping-hard", "The norm is clipped to 0.1 at each step; the rate makes up for it."
)
def _():
    model = he_mlp()
    return classify(model, sgd(model, 0.5), clip=0.1)


@optimizer_case("gradient-clipping-by-value", "clip_grad_value_ cuts the largest entries.")
def _():
    model = he_mlp()
    optimizer = adam(model, 3e-3)
    batches = digit_batches()

    def step():
        x, labels = batches()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.01)
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, LN10)


@optimizer_case("gradient-accumulation-4", "Four backward passes for each step.")
def _():
    model = he_mlp()
    optimizer = adam(model, 3e-3)
    batches = digit_batches(16)

    def step():
        optimizer.zero_grad()
        total = 0.0
        for _ in range(4):
            x, labels = batches()
            loss = F.cross_entropy(model(x), labels) / 4
            loss.backward()
            total += loss.item()
        optimizer.step()
        return total

    return Training((model,), (optimizer,), step, LN10)


@optimizer_case("lbfgs-closure", "The optimizer calls a closure many times in one step.", steps=8)
def _():
    x, y = data.teacher(count=256)
    model = mlp(2, 32, nn.Tanh, inputs=16, outputs=1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=10, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    def step():
        return optimizer.step(closure).item()

    return Training((model,), (optimizer,), step, y.var().item())


@optimizer_case("sgd-with-closure", "An ordinary optimizer given a closure.")
def _():
    model = he_mlp()
    optimizer = sgd(model, 0.05, momentum=0.9)
    batches = digit_batches()

    def step():
        x, labels = batches()

        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            return loss

        return optimizer.step(closure).item()

    return Training((model,), (optimizer,), step, LN10)


@optimizer_case(
    "low-rate-fine-tuning-1e-5",
    "A converged net tuned on at AdamW 1e-5: small steps, by design.",
    truth="converged",
)
def _():
    model = he_mlp(3, 128)
    before = classify(model, adam(model, 3e-3))
    for _ in range(120):
        before.step()
    return classify(model, adamw(model, 1e-5))


@optimizer_case(
    "low-rate-new-domain-3e-5", "Fine-tuning at 3e-5 on dimmed digits: slow and right.", truth="slow"
)
def _():
    model = he_mlp(3, 128)
    before = classify(model, adam(model, 3e-3))
    for _ in range(120):
        before.step()
    x, labels = data.digits()
    x = 0.5 * x + 0.3
    return train(model, adamw(model, 3e-5), sample(x, labels), F.cross_entropy, baseline=LN10)


@optimizer_case("warmup-from-zero", "The rate begins at 0 and rises over thirty steps.")
def _():
    model = he_mlp()
    optimizer = adam(model, 5e-3)

    def schedule(step):
        optimizer.param_groups[0]["lr"] = 5e-3 * min(1.0, step / 30)

    return classify(model, optimizer, schedule=schedule)


@optimizer_case("cosine-to-zero", "The rate falls to 0 at the end.")
def _():
    model = he_mlp()
    optimizer = sgd(model, 0.1, momentum=0.9)

    def schedule(step):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 + math.cos(math.pi * min(step / 60, 1)))

    return classify(model, optimizer, schedule=schedule)


@optimizer_case("rates-per-layer", "Rates falling by 0.5 from the head to the first layer.")
def _():
    model = he_mlp(4)
    linears = [module for module in model if isinstance(module, nn.Linear)]
    groups = [
        {"params": list(linear.parameters()), "lr": 5e-3 * 0.5**i}
        for i, linear in enumerate(reversed(linears))
    ]
    return classify(model, torch.optim.AdamW(groups, lr=1e-3))


@optimizer_case("weight-decay-strong", "AdamW with decay 0.3.")
def _():
    model = he_mlp()
    return classify(model, adamw(model, 3e-3, weight_decay=0.3))


@optimizer_case("two-optimizers-one-model", "SGD for the trunk, Adam for the head.")
def _():
    model = he_mlp()
    trunk, head = sgd(model[:-1], 0.05, momentum=0.9), adam(model[-1], 1e-2)
    batches = digit_batches()

    def step():
        x, labels = batches()
        trunk.zero_grad()
        head.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        trunk.step()
        head.step()
        return loss.item()

    return Training((model,), (trunk, head), step, LN10)


@optimizer_case("adagrad", "Adagrad.")
def _():
    model = he_mlp()
    return classify(model, torch.optim.Adagrad(model.parameters(), lr=0.03))


@optimizer_case("nadam-text", "NAdam on a small transformer.", steps=100)
def _():
    model = CharTransformer(data.text()[1], 2)
    return next_character(model, torch.optim.NAdam(model.parameters(), lr=5e-3))


@optimizer_case("rmsprop-centered", "Centred RMSprop with momentum.")
def _():
    model = he_mlp()
    return classify(model, rmsprop(model, 1e-3, centered=True, momentum=0.5))


@optimizer_case("maximize", "maximize=True on the negative loss.")
def _():
    model = he_mlp()
    optimizer = sgd(model, 0.05, maximize=True)
    return classify(
        model,
        optimizer,
        loss=lambda a, b: -F.cross_entropy(a, b),
        check=lambda: _accuracy(model) > 0.8,
        baseline=0.0,
    )


def _accuracy(model):
    x, labels = data.digits()
    with torch.no_grad():
        return (model(x).argmax(1) == labels).float().mean().item()


@optimizer_case("autocast-bfloat16", "torch.autocast in bfloat16 on the CPU.")
def _():
    model = he_mlp()
    optimizer = adam(model, 3e-3)
    batches = digit_batches()

    def step():
        x, labels = batches()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, LN10)


@optimizer_case("bfloat16-weights-sound-rate", "All in bfloat16 with steps that bfloat16 can hold.")
def _():
    model = he_mlp().bfloat16()
    model.register_forward_pre_hook(lambda module, inputs: tuple(x.bfloat16() for x in inputs))
    return classify(model, adam(model, 5e-3), loss=lambda a, b: F.cross_entropy(a.float(), b))


@optimizer_case("float64", "Double precision.")
def _():
    model = he_mlp().double()
    model.register_forward_pre_hook(lambda module, inputs: tuple(x.double() for x in inputs))
    return classify(model, adam(model, 3e-3))


@optimizer_case(
    "loss-scaling-with-a-skipped-step",
    "Dynamic loss scaling by hand: the first steps overflow float16, are skipped, and the scale halves."
    " Non-finite scaled gradients are part of the method.",
)
def _():
    model = he_mlp()
    optimizer = adam(model, 3e-3)
    batches = digit_batches()
    scale = 2.0**24

    def step():
        nonlocal scale
        x, labels = batches()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        (loss * scale).backward()
        for parameter in model.parameters():
            parameter.grad = parameter.grad.half().float() / scale
        if all(parameter.grad.isfinite().all() for parameter in model.parameters()):
            optimizer.step()
        else:
            scale /= 2
        return loss.item()

    return Training((model,), (optimizer,), step, LN10)


@optimizer_case("activation-checkpointing", "Activations are computed again in backward.")
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([mlp(1, 64, nn.ReLU, "he", outputs=64) for _ in range(4)])
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            for block in self.blocks:
                x = x + checkpoint(block, x, use_reentrant=False)
            return self.head(x)

    model = Net()
    return classify(model, adam(model, 2e-3))


@optimizer_case(
    "averaged-weights-and-teacher",
    "BYOL-like: an averaged copy gives targets and takes no gradient.",
    steps=100,
)
def _():
    student = mlp(2, 64, nn.ReLU, "he")
    teacher = copy.deepcopy(student).requires_grad_(False)
    optimizer = adam(student, 3e-3)
    batches = digit_batches()

    def step():
        images, targets = batches()
        logits = student(images)
        consistency = F.mse_loss(student(images + 0.1 * torch.randn_like(images)), teacher(images))
        loss = F.cross_entropy(logits, targets) + 0.1 * consistency
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
                slow.lerp_(fast, 0.05)
        return loss.item()

    return Training((student,), (optimizer,), step, LN10)


@optimizer_case("sam-two-passes", "Sharpness-aware minimization: two backward passes, weights moved between.")
def _():
    model = he_mlp()
    optimizer = sgd(model, 0.05, momentum=0.9)
    batches = digit_batches()

    def step():
        x, labels = batches()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        parameters = list(model.parameters())
        norm = torch.stack([p.grad.norm() for p in parameters]).norm()
        shifts = [0.05 * p.grad / norm for p in parameters]
        with torch.no_grad():
            for p, shift in zip(parameters, shifts, strict=True):
                p.add_(shift)
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        with torch.no_grad():
            for p, shift in zip(parameters, shifts, strict=True):
                p.sub_(shift)
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, LN10)


@optimizer_case("gradient-noise-hook", "A hook on each gradient adds noise.")
def _():
    model = he_mlp()
    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: gradient + 1e-3 * torch.randn_like(gradient))
    return classify(model, adam(model, 3e-3))


@optimizer_case("batch-of-one", "One image a step.", steps=400)
def _():
    model = he_mlp()
    return classify(
        model, sgd(model, 0.01), size=1, check=lambda: _accuracy(model) > 0.6, loss=F.cross_entropy
    )


@optimizer_case("full-batch-cnn", "All of 256 images at each step.", steps=40)
def _():
    model = cnn(3, 16, nn.ReLU, "he", norm=nn.BatchNorm2d)
    return classify(model, adam(model, 1e-2), images=True, size=256)


@optimizer_case(
    "frozen-trunk", "The trunk takes no gradient and is not in the optimizer, by design.", steps=80
)
def _():
    model = mlp(2, 128, nn.ReLU, "he")
    model[:-1].requires_grad_(False)
    check = never_moves(model[:-1].parameters())
    return classify(model, adam(model[-1], 1e-2), check=check)


@optimizer_case(
    "frozen-trunk-in-the-optimizer", "Frozen, but handed to the optimizer all the same.", steps=80
)
def _():
    model = mlp(2, 128, nn.ReLU, "he")
    model[:-1].requires_grad_(False)
    return classify(model, adam(model, 1e-2))


@optimizer_case(
    "frozen-first-half-fine-tune", "Pretrained; the first layers frozen, the rest tuned.", truth="converged"
)
def _():
    model = he_mlp(4, 96)
    before = classify(model, adam(model, 3e-3))
    for _ in range(120):
        before.step()
    model[:4].requires_grad_(False)
    return classify(model, adamw(model[4:], 1e-4))


@optimizer_case(
    "regression-adam-high-loss-floor", "Targets half noise: the loss stays high and all is well.", steps=120
)
def _():
    x, y = data.teacher()
    noisy = y + torch.randn(y.shape, generator=torch.Generator().manual_seed(5))
    model = mlp(2, 48, nn.Tanh, inputs=16, outputs=1)
    return train(model, adam(model, 3e-3), sample(x, noisy), F.mse_loss, baseline=noisy.var().item())


@optimizer_case(
    "regression-scale-100-adam",
    "Targets of scale 100 without rescaling: it takes long, and learns.",
    steps=200,
)
def _():
    model = mlp(2, 64, nn.ReLU, inputs=16, outputs=1)
    return regress(model, adam(model, 5e-2), scale=100.0)
