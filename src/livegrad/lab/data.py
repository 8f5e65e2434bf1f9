"""Real data that every machine has: scikit-learn's handwritten digits and the text that Python carries."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from livegrad.errors import LivegradError


@dataclass(frozen=True)
class Digits:
    """Images (N, 64), mean 0 and size 1 over the training set, and labels (N,); 1,437 to train,
    360 to test.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor

    def batch(self, generator: torch.Generator, size: int = 64) -> tuple[Tensor, Tensor]:
        """A random batch of training images and their labels."""
        at = torch.randint(0, len(self.train), (size,), generator=generator)
        return self.train[at], self.train_labels[at]


@cache
def digits() -> Digits:
    """Return the digits. Raises LivegradError where scikit-learn is missing."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise LivegradError(
            "the lab's digits come with scikit-learn. Type: pip install scikit-learn"
        ) from error
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32)
    y = torch.tensor(labels)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    mean, size = x[:1437].mean(), x[:1437].std()
    x = (x - mean) / size
    return Digits(x[:1437], y[:1437], x[1437:], y[1437:])


@cache
def text() -> tuple[Tensor, int]:
    """Return the reference text of Python's help as character codes (N,), and the number of characters."""
    from pydoc_data.topics import topics

    whole = "\n".join(topics[name] for name in sorted(topics))
    letters = sorted(set(whole))
    code = {letter: number for number, letter in enumerate(letters)}
    return torch.tensor([code[letter] for letter in whole]), len(letters)
