"""Sigmoid against ReLU on digits, deeper and deeper."""

import torch

from livegrad.lab.accuracy import over
from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import Plain
from livegrad.lab.training import trained
from livegrad.theory.activation import gain


def run(settings: Settings, progress: Progress) -> Result:
    """Train plain networks, each activation at its own gain, for the same steps."""
    steps = settings.of(300, 60)

    def one(kind: str, depth: int, generator: torch.Generator) -> float:
        return trained(Plain(depth, 64, kind, gain(kind), generator=generator), steps, generator)[0]

    sizes = (2, 8, 24) if settings.quick else (1, 2, 4, 8, 16, 32)
    caption = (
        f"Plain networks, 64 wide, weights at each activation's own gain, Adam 1e-3, {steps} steps on "
        "1,437 digits. At best a sigmoid passes back 0.39 of the gradient per layer, a ReLU all of it."
    )
    words = (_title, caption, "hidden layers")
    return over(("Sigmoid", "Tanh", "ReLU", "GELU"), sizes, one, words, settings, progress)


def _title(reach: dict[str, int]) -> str:
    sigmoid = f"up to {reach['Sigmoid']} hidden layers" if reach["Sigmoid"] else "at no depth"
    return f"Sigmoid learns {sigmoid}, ReLU up to {reach['ReLU']}"
