"""The zoo's data: scikit-learn's digits, English text, and tasks drawn from a fixed seed."""

import math
from functools import lru_cache
from pydoc_data.topics import topics

import torch
from sklearn.datasets import load_digits
from torch import Tensor


@lru_cache
def digits() -> tuple[Tensor, Tensor]:
    """Handwritten digits, shuffled and standardized: images (1797, 64) float32, labels (1797,) int64."""
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(images, dtype=torch.float32)[order]
    return (images - images.mean()) / images.std(), torch.tensor(labels)[order]


def digit_images() -> tuple[Tensor, Tensor]:
    """The digits as images of shape (1797, 1, 8, 8)."""
    images, labels = digits()
    return images.reshape(-1, 1, 8, 8), labels


@lru_cache
def digit_pixels() -> Tensor:
    """The digits' raw grey values in [0, 1], shape (1797, 64)."""
    images, _ = load_digits(return_X_y=True)
    return torch.tensor(images / 16, dtype=torch.float32)


@lru_cache
def text() -> tuple[Tensor, int]:
    """Characters of Python's help topics: tokens (200000,) int64 and how many kinds."""
    joined = "\n".join(topics[name] for name in sorted(topics))[:200_000].lower()
    alphabet = "\n abcdefghijklmnopqrstuvwxyz.,()"
    index = {character: i for i, character in enumerate(alphabet)}
    return torch.tensor([index.get(character, len(alphabet)) for character in joined]), len(alphabet) + 1


def teacher(count: int = 1024, inputs: int = 16, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """A smooth regression task with unit-variance targets times `scale`: x (count, inputs), y (count, 1)."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, inputs, generator=generator)
    first = torch.randn(inputs, 8, generator=generator) / math.sqrt(inputs)
    second = torch.randn(8, 1, generator=generator)
    y = torch.tanh(2 * x @ first) @ second
    return x, scale * (y - y.mean()) / y.std()


def adding(size: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The adding problem (Hochreiter & Schmidhuber 1997): x (size, length, 2), y (size,) of variance 1/6."""
    numbers = torch.rand(size, length, generator=generator)
    markers = torch.zeros(size, length)
    rows = torch.arange(size)
    markers[rows, torch.randint(0, length // 2, (size,), generator=generator)] = 1
    markers[rows, torch.randint(length // 2, length, (size,), generator=generator)] = 1
    return torch.stack([numbers, markers], dim=-1), (numbers * markers).sum(dim=1)


def recall(size: int, length: int, generator: torch.Generator, symbols: int = 4) -> tuple[Tensor, Tensor]:
    """A symbol, then noise, then the question which it was: x (size, length, symbols), y (size,)."""
    x = 0.1 * torch.randn(size, length, symbols, generator=generator)
    y = torch.randint(symbols, (size,), generator=generator)
    x[torch.arange(size), 0, y] += 1
    return x, y


def windows(size: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random windows of the text and the same shifted by one: both (size, length) int64."""
    tokens, _ = text()
    starts = torch.randint(len(tokens) - length - 1, (size, 1), generator=generator)
    window = tokens[starts + torch.arange(length + 1)]
    return window[:, :-1], window[:, 1:]


def text_entropy() -> float:
    """Entropy of the text's character frequencies, in nats: the loss of the best constant prediction."""
    tokens, vocabulary = text()
    share = torch.bincount(tokens, minlength=vocabulary).double() / len(tokens)
    return -(share[share > 0] * share[share > 0].log()).sum().item()
