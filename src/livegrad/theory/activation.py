"""The activation catalogue: each function, its kinks, and what theory says of a deep stack of it.

    gain g = (E φ(z)²)^-½            the weight gain that keeps the activation's size, z ~ N(0, 1)
    backward factor = g (E φ'(z)²)^½  what each layer of a wide stack then passes back of the gradient
(Glorot & Bengio 2010; He et al. 2015; Klambauer et al. 2017; Poole et al. 2016.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import erf, sqrt

import numpy as np

from livegrad.theory.gaussian import expect

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Activation:
    """An activation φ, the arguments at which φ or φ' jumps, and whether it is flat at both ends."""

    name: str
    function: Function
    kinks: tuple[float, ...] = ()
    saturates: bool = False

    def slope(self, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
        """Return φ'(x) by central difference; exact enough (1e-9) away from kinks, which carry no mass."""
        return (self.function(x + step) - self.function(x - step)) / (2 * step)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


_erf = np.vectorize(erf, otypes=[float])
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

CATALOGUE: dict[str, Activation] = {
    a.name: a
    for a in (
        Activation("ReLU", lambda x: np.maximum(x, 0.0), (0.0,)),
        Activation("LeakyReLU", lambda x: np.where(x > 0, x, 0.01 * x), (0.0,)),
        Activation("ELU", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))), (0.0,)),
        Activation(
            "SELU",
            lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0.0))),
            (0.0,),
        ),
        Activation("GELU", lambda x: 0.5 * x * (1.0 + _erf(x / sqrt(2.0)))),
        Activation("SiLU", lambda x: x * _sigmoid(x)),
        Activation("Mish", lambda x: x * np.tanh(_softplus(x))),
        Activation("Tanh", np.tanh, saturates=True),
        Activation("Hardtanh", lambda x: np.clip(x, -1.0, 1.0), (-1.0, 1.0), saturates=True),
        Activation("Hardswish", lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0, (-3.0, 3.0)),
        Activation("Softplus", _softplus),
        Activation("Sigmoid", _sigmoid, saturates=True),
        Activation("Hardsigmoid", lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0), (-3.0, 3.0), saturates=True),
    )
}


@cache
def gain(name: str) -> float:
    """Return (E φ²)^-½ of the catalogue's activation `name`; KeyError if it is not listed."""
    activation = CATALOGUE[name]
    return expect(lambda x: activation.function(x) ** 2, activation.kinks) ** -0.5


@cache
def backward_factor(name: str) -> float:
    """Return (E φ'² / E φ²)^½: what a wide layer at the activation's own gain passes back of the gradient."""
    activation = CATALOGUE[name]
    return gain(name) * expect(lambda x: activation.slope(x) ** 2, activation.kinks) ** 0.5


@cache
def normalized_backward_factor(name: str) -> float:
    """Return (E φ'² / Var φ)^½: the same under BatchNorm or centring; never under 1, by the Gaussian Poincaré
    inequality.
    """
    activation = CATALOGUE[name]
    mean = expect(activation.function, activation.kinks)
    square = expect(lambda x: activation.function(x) ** 2, activation.kinks)
    return (expect(lambda x: activation.slope(x) ** 2, activation.kinks) / (square - mean**2)) ** 0.5
