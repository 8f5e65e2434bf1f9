"""The random states that a forward pass can draw from: torch's on the host and on the model's devices,
Python's and NumPy's.
"""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class RandomState:
    """All of them at one moment. devices: device -> state of its generator."""

    host: torch.Tensor
    devices: dict[torch.device, torch.Tensor]
    python: Any
    numpy: Any

    @classmethod
    def now(cls, devices: Iterable[torch.device] = ()) -> "RandomState":
        """Take the states; `devices`: those beside the host whose generators are used."""
        kept = {d: torch.get_device_module(d).get_rng_state(d) for d in devices if d.type != "cpu"}
        return cls(torch.get_rng_state(), kept, random.getstate(), np.random.get_state())  # noqa: NPY002

    def restore(self) -> None:
        """Put them back."""
        torch.set_rng_state(self.host)
        for device, state in self.devices.items():
            torch.get_device_module(device).set_rng_state(state, device)
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002


@contextmanager
def replayed(state: RandomState) -> Iterator[None]:
    """Run from `state`, and leave the program's own random states as they were."""
    own = RandomState.now(state.devices)
    state.restore()
    try:
        yield
    finally:
        own.restore()
