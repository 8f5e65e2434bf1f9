"""The zoo's training loops: each returns a Training whose step is what a user would write."""

import math
from collections.abc import Callable, Iterable

import torch
from tests.zoo import data
from tests.zoo.case import Training
from torch import Tensor, nn
from torch.nn import functional as F

Batch = Callable[[torch.Generator], tuple[Tensor, Tensor]]


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    loss: Callable[..., Tensor],
    *,
    baseline: float | None = None,
    clip: float | None = None,
    schedule: Callable[[int], None] | None = None,
    check: Callable[[], bool] | None = None,
) -> Training:
    """One model, one optimizer: zero_grad, forward, loss(model(x), y), backward, clip, step.

    `schedule(step)` is called before each step, for what changes during the run.
    """
    generator = torch.Generator().manual_seed(0)
    count = 0

    def step() -> float:
        nonlocal count
        if schedule is not None:
            schedule(count)
        count += 1
        x, y = batch(generator)
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        return value.item()

    return Training((model,), (optimizer,), step, baseline, check)


def sample(x: Tensor, y: Tensor, size: int = 64) -> Batch:
    """Batches drawn with replacement from a data set."""

    def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(x), (size,), generator=generator)
        return x[rows], y[rows]

    return batch


def classify(
    model: nn.Module, optimizer: torch.optim.Optimizer, *, images=False, size=64, **options
) -> Training:
    """Digits, cross-entropy (ten classes: the constant predictor's loss is ln 10)."""
    x, y = data.digit_images() if images else data.digits()
    options = {"loss": F.cross_entropy, "baseline": math.log(10)} | options
    return train(model, optimizer, sample(x, y, size), **options)


def regress(model: nn.Module, optimizer: torch.optim.Optimizer, *, scale=1.0, size=64, **options) -> Training:
    """The teacher task, mean squared error (the constant predictor's loss is the targets' variance)."""
    x, y = data.teacher(scale=scale)
    options = {"loss": F.mse_loss, "baseline": y.var().item()} | options
    return train(model, optimizer, sample(x, y, size), **options)


def reconstruct(
    model: nn.Module, optimizer: torch.optim.Optimizer, *, images=False, size=64, **options
) -> Training:
    """Digits' pixels in [0, 1] as input and target, mean squared error."""
    x = data.digit_pixels()
    baseline = x.var(dim=0, correction=0).mean().item()
    x = x.reshape(-1, 1, 8, 8) if images else x
    options = {"loss": F.mse_loss, "baseline": baseline} | options
    return train(model, optimizer, sample(x, x, size), **options)


def next_character(
    model: nn.Module, optimizer: torch.optim.Optimizer, *, size=8, length=32, **options
) -> Training:
    """Character prediction; the model returns logits (size, length, vocabulary)."""

    def loss(logits: Tensor, tokens: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())

    options = {"loss": loss, "baseline": data.text_entropy()} | options
    return train(model, optimizer, lambda generator: data.windows(size, length, generator), **options)


def add_numbers(
    model: nn.Module, optimizer: torch.optim.Optimizer, *, length: int, size=32, **options
) -> Training:
    """The adding problem; the model returns (size,)."""
    options = {"loss": F.mse_loss, "baseline": 1 / 6} | options
    return train(model, optimizer, lambda generator: data.adding(size, length, generator), **options)


def recall_first(
    model: nn.Module, optimizer: torch.optim.Optimizer, *, length: int, size=32, **options
) -> Training:
    """Name the first of `length` inputs; the model returns logits (size, 4)."""
    options = {"loss": F.cross_entropy, "baseline": math.log(4)} | options
    return train(model, optimizer, lambda generator: data.recall(size, length, generator), **options)


def sgd(model: nn.Module, lr: float, momentum: float = 0.0, **options) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, **options)


def adam(model: nn.Module, lr: float = 1e-3, **options) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=lr, **options)


def adamw(model: nn.Module, lr: float = 1e-3, **options) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=lr, **options)


def rmsprop(model: nn.Module, lr: float = 1e-3, **options) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(model.parameters(), lr=lr, **options)


def adversaries(generator, discriminator, lr=1e-3, *, through=lambda x: x):
    """GAN on the digits' pixels, noise of size 8: returns both Adams and a step that trains first D, then G.

    `through` stands between generator and discriminator in the generator's own step.
    """
    real = data.digit_pixels()
    optimizers = adam(generator, lr, betas=(0.5, 0.999)), adam(discriminator, lr, betas=(0.5, 0.999))
    randomness = torch.Generator().manual_seed(0)

    def step():
        x = real[torch.randint(len(real), (32,), generator=randomness)]
        noise = torch.randn(32, 8, generator=randomness)
        true, false = discriminator(x), discriminator(generator(noise).detach())
        loss = F.softplus(-true).mean() + F.softplus(false).mean()
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()

        score = discriminator(through(generator(torch.randn(32, 8, generator=randomness))))
        loss = F.softplus(-score).mean()
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        return loss.item()

    return optimizers, step


def behind(training: Training, twin: Training, steps: int, share: float = 0.7) -> Training:
    """The first training, checked to end with a loss that its twin, trained as long, has `share` of at most.

    The twin is the same without the fault, and its loss is in the same unit.
    """
    losses = []

    def step() -> float:
        losses.append(training.step())
        return losses[-1]

    def check() -> bool:
        well = [twin.step() for _ in range(steps)]
        return sum(well[-5:]) < share * sum(losses[-5:])

    return Training(training.models, training.optimizers, step, training.baseline, check)


def never_moves(parameters: Iterable[Tensor], within: float = 0.0) -> Callable[[], bool]:
    """A check that these tensors end where they began, to `within` times their norm."""
    tensors = list(parameters)
    before = [tensor.detach().clone() for tensor in tensors]

    def check() -> bool:
        moved = sum(
            (now.detach() - then).float().square().sum().item()
            for now, then in zip(tensors, before, strict=True)
        )
        norm = sum(then.float().square().sum().item() for then in before)
        return math.sqrt(moved) <= within * math.sqrt(norm)

    return check
