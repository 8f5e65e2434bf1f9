"""Undoing what a checkpointed segment does to the program when a probe runs its forward pass once more."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def unchanged_by_rerun(root: torch.nn.Module, reruns: bool) -> Iterator[None]:
    """Put back the buffers of `root` (running means) and the random states of Python and NumPy; nothing if
    not `reruns`.
    """
    if not reruns:
        yield
        return
    # `.data` shares memory but not the version counter, so that autograd does not take the restored buffer
    # for a changed one.
    kept = [(buffer, buffer.data.clone()) for buffer in root.buffers()]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        with torch.no_grad():
            for buffer, before in kept:
                buffer.data.copy_(before)
