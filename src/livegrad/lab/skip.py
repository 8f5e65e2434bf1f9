"""Plain against residual networks on digits, deeper and deeper."""

import torch

from livegrad.lab.accuracy import over
from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import Plain
from livegrad.lab.training import trained
from livegrad.theory.initialization import initialization


def run(settings: Settings, progress: Progress) -> Result:
    """Train ReLU networks as PyTorch draws them, plain and with a way around each layer, scaled by 1/√L."""
    steps = settings.of(300, 60)
    sigma = initialization("torch default", 64, 64, "ReLU").weight_gain
    scales = {
        "plain": lambda depth: None,
        "residual": lambda depth: 1.0,
        "residual, 1/√L": lambda depth: depth**-0.5,
    }

    def one(kind: str, depth: int, generator: torch.Generator) -> float:
        model = Plain(depth, 64, "ReLU", sigma, shortcut=scales[kind](depth), generator=generator)
        return trained(model, steps, generator)[0]

    sizes = (4, 16, 48) if settings.quick else (2, 4, 8, 16, 32, 64, 128)
    caption = (
        f"ReLU networks, 64 wide, weights as PyTorch draws them (σ_w = 0.577), Adam 1e-3, {steps} steps "
        "on 1,437 digits. Plain, each layer passes back 0.41 of the gradient; the identity passes all."
    )
    words = (_title, caption, "hidden layers")
    return over(tuple(scales), sizes, one, words, settings, progress)


def _title(reach: dict[str, int]) -> str:
    return (
        f"Plain networks learn up to {reach['plain']} layers, residual ones up to {reach['residual, 1/√L']}"
    )
