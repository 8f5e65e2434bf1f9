"""Activations tailored to a depth: φ̂(x) = γ (φ(αx + β) + δ), whose maps stay gentle through L plain layers.

Smooth φ (Zhang et al. 2022, TAT): α, β, γ, δ solve, at weights of gain 1 and no biases,

    E φ̂² = 1             the length q* = 1 is kept,
    E φ̂ φ̂' z = 1         and kept to first order (χ_q = 1),
    E φ̂'² = 1            the gradient is kept (χ₁ = 1),
    E φ̂''² = τ/L          two inputs come together only as fast as L layers can bear, τ = 0.3.

Rectifiers (TReLU): φ̂(x) = √(2/(1 + a²)) (max(x, 0) + a min(x, 0)), with the slope a at which two inputs
without anything in common are alike by η = 0.9 after L layers. See also Martens et al. 2021.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import acos, exp, log, pi, sqrt

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livegrad.theory.activation import Activation, named
from livegrad.theory.gaussian import expect

RECTIFIERS = ("ReLU", "LeakyReLU", "PReLU")
# Bases whose second derivative exists everywhere, and how torch computes them.
SMOOTH = {
    "Tanh": torch.tanh,
    "Sigmoid": torch.sigmoid,
    "Softplus": F.softplus,
    "GELU": F.gelu,
    "SiLU": F.silu,
}
_CURVATURE, _LIKENESS = 0.3, 0.9
_STEP = 1e-4


@dataclass(frozen=True)
class Shape:
    """α, β, γ, δ of φ̂(x) = γ (φ(αx + β) + δ), base: the catalogue's name of φ. For a rectifier slope is a and
    γ = √(2/(1 + a²)).
    """

    base: str
    alpha: float
    beta: float
    gamma: float
    delta: float
    slope: float | None = None

    @property
    def activation(self) -> Activation:
        """φ̂ as the theory takes it."""
        a, b, c, d, leak = self.alpha, self.beta, self.gamma, self.delta, self.slope
        if leak is not None:
            return Activation(
                "tailored",
                lambda x: c * np.where(x > 0, x, leak * x),
                (0.0,),
                derivative=lambda x: c * np.where(x > 0, 1.0, leak),
            )
        phi = named(self.base)
        return Activation(
            "tailored",
            lambda x: c * (phi.function(a * x + b) + d),
            derivative=lambda x: c * a * phi.slope(a * x + b),
        )


class Tailored(nn.Module):
    """φ̂ as a module."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        shape = self.shape
        if shape.slope is not None:
            return shape.gamma * F.leaky_relu(x, shape.slope)
        return shape.gamma * (SMOOTH[shape.base](shape.alpha * x + shape.beta) + shape.delta)

    def extra_repr(self) -> str:
        s = self.shape
        if s.slope is not None:
            return f"{s.gamma:.4g}·LeakyReLU({s.slope:.4g})"
        return f"{s.gamma:.4g}·({s.base}({s.alpha:.4g}·x {s.beta:+.4g}) {s.delta:+.4g})"


@lru_cache(maxsize=128)
def tailor(base: str, depth: int) -> Shape:
    """Return the activation tailored from `base` to `depth` layers.

    Raises ValueError for a base that is neither smooth nor a rectifier, or where no solution is found.
    """
    if base in RECTIFIERS:
        slope = _leak(depth)
        return Shape("LeakyReLU", 1.0, 0.0, sqrt(2 / (1 + slope**2)), 0.0, slope)
    if base not in SMOOTH:
        raise ValueError(f"{base} is neither smooth nor a rectifier: {', '.join((*SMOOTH, *RECTIFIERS))} are")
    target = _CURVATURE / depth
    for alpha in (0.5, 0.25, 1.0, 0.1, 0.05):
        for beta in (0.5, 1.0, 0.2, -0.5, 1.5, -1.0, 0.1, 2.0):
            found = _newton(base, log(alpha), beta, target)
            if found is not None:
                return found
    raise ValueError(f"no tailored {base} was found for {depth} layers")


def _residuals(base: str, at: np.ndarray, target: float) -> tuple[np.ndarray, Shape]:
    """What is left of two of the four conditions when γ and δ meet the others; at: ln α, β."""
    phi, alpha, beta = named(base), exp(float(at[0])), float(at[1])

    def f(x: np.ndarray) -> np.ndarray:
        return phi.function(alpha * x + beta)

    def slope(x: np.ndarray) -> np.ndarray:
        return alpha * phi.slope(alpha * x + beta)

    def bend(x: np.ndarray) -> np.ndarray:
        return (slope(x + _STEP) - slope(x - _STEP)) / (2 * _STEP)

    gamma = expect(lambda x: slope(x) ** 2) ** -0.5
    turned = gamma**2 * expect(lambda x: f(x) * slope(x) * x)
    shift = (1 - turned) / (gamma * expect(lambda x: slope(x) * x))
    square = gamma**2 * expect(lambda x: f(x) ** 2) + 2 * shift * gamma * expect(f) + shift**2
    curvature = gamma**2 * expect(lambda x: bend(x) ** 2)
    left = np.array([square - 1, curvature / target - 1])
    return left, Shape(base, alpha, beta, gamma, shift / gamma)


def _newton(base: str, log_alpha: float, beta: float, target: float) -> Shape | None:
    at = np.array([log_alpha, beta])
    left, shape = _residuals(base, at, target)
    for _ in range(60):
        if np.abs(left).max() < 1e-9:
            return shape
        columns = [
            (_residuals(base, at + h, target)[0] - left) / 1e-6
            for h in (np.array([1e-6, 0]), np.array([0, 1e-6]))
        ]
        try:
            step = np.linalg.solve(np.stack(columns, axis=1), -left)
        except np.linalg.LinAlgError:
            return None
        size = 1.0 / max(1.0, float(np.abs(step).max()) / 0.5)
        for _ in range(12):
            trial = at + size * step
            if np.all(np.abs(trial) < 8):
                new, new_shape = _residuals(base, trial, target)
                if np.isfinite(new).all() and np.abs(new).sum() < np.abs(left).sum():
                    at, left, shape = trial, new, new_shape
                    break
            size /= 2
        else:
            return None
    return None


def _leak(depth: int) -> float:
    """The slope a at which the correlation map of the leaky rectifier, `depth` times from 0, gives η."""

    def alike(slope: float) -> float:
        c, bend = 0.0, (1 - slope) ** 2 / (pi * (1 + slope**2))
        for _ in range(depth):
            c = min(1.0, c + bend * (sqrt(max(0.0, 1 - c * c)) - c * acos(c)))
        return c

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if alike(middle) > _LIKENESS else (low, middle)
    return low if alike(0.0) > _LIKENESS else 0.0
