"""Looking at weights that are computed anew each time they are read."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList


@contextmanager
def as_they_are(model: nn.Module) -> Iterator[None]:
    """Let parametrized weights be read, and copied, without moving their state.

    In training mode every reading of a spectral norm's weight is a step of its power iteration, which writes
    to buffers that the program's next step starts from.
    """
    lists = [m for m in model.modules() if isinstance(m, ParametrizationList)]
    training = [part for held in lists for part in held.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True
