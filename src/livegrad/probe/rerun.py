"""Undoing what a checkpointed segment does to the program when a probe runs its forward pass once more."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch


@contextmanager
def unchanged_by_rerun(root: torch.nn.Module, device: torch.device, reruns: bool) -> Iterator[None]:
    """Put back the buffers of `root` (running means) and the random states of torch, Python and NumPy;
    nothing if not `reruns`.
    """
    if not reruns:
        yield
        return
    kept = [(buffer, buffer.detach().clone()) for buffer in root.buffers()]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    on_device = [] if device.type == "cpu" else [device]
    with (
        torch.random.fork_rng(on_device, device_type=device.type if on_device else "cuda"),
        ExitStack() as versions,
    ):
        # Autograd would take a buffer whose version has changed for one that the forward pass did not see.
        for buffer, _ in kept:
            versions.enter_context(torch.autograd._unsafe_preserve_version_counter(buffer))
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
            with torch.no_grad():
                for buffer, before in kept:
                    buffer.copy_(before)
