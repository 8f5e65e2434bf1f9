"""The activation catalogue: each function, its slope and kinks, and what theory says of a deep stack of it.

    gain g = (E φ(z)²)^-½            the weight gain that keeps the activation's size, z ~ N(0, 1)
    backward factor = g (E φ'(z)²)^½  what each layer of a wide stack then passes back of the gradient
(Glorot & Bengio 2010; He et al. 2015; Klambauer et al. 2017; Poole et al. 2016.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import erf, pi, sqrt

import numpy as np

from livegrad.theory.gaussian import expect
from livegrad.theory.kinks import find_kinks, steep_edges
from livegrad.theory.kinks import slope as numeric_slope

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Activation:
    """An activation φ, the arguments at which φ, φ' or φ'' jumps, whether it is flat at both ends, and φ'
    where it is known in closed form.
    """

    name: str
    function: Function
    kinks: tuple[float, ...] = ()
    saturates: bool = False
    derivative: Function | None = None

    def slope(self, x: np.ndarray) -> np.ndarray:
        """Return φ'(x), same shape as x: in closed form where known, else by differences within 1e-10 that
        do not reach over a kink.
        """
        if self.derivative is not None:
            return self.derivative(np.asarray(x, dtype=float))
        return numeric_slope(self.function, np.asarray(x, dtype=float), self.kinks)


def activation_of(function: Function, name: str = "custom", derivative: Function | None = None) -> Activation:
    """Return the Activation of any vectorised elementwise function, its kinks found by `find_kinks`, with
    further panel edges where it is steep.

    function, derivative: float64 array to float64 array of the same shape. A torch callable is to be wrapped
    by the caller: lambda x: f(torch.from_numpy(x)).numpy(). Raises ValueError if the function is not
    elementwise, or not finite on |x| ≤ 8.
    """
    x = np.linspace(-8, 8, 257)
    values = np.asarray(function(x.copy()), dtype=float)
    if values.shape != x.shape or not np.isfinite(values).all():
        raise ValueError(f"{name} is not a finite elementwise function on [-8, 8]: it cannot be integrated")
    if not np.allclose(np.asarray(function(x[::-1].copy()))[::-1], values, rtol=1e-6, atol=1e-9):
        raise ValueError(f"{name} is not elementwise: its values depend on their neighbours or on chance")
    kinks = find_kinks(function)
    kinks = tuple(sorted({*kinks, *steep_edges(function, kinks)}))
    found = Activation(name, function, kinks, derivative=derivative)
    ends = np.abs(found.slope(np.array([-24.0, -16.0, 16.0, 24.0])))
    largest = float(np.max(np.abs(found.slope(x + 1e-3))))
    return Activation(name, function, kinks, bool(np.all(ends < 0.005 * largest)), derivative)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def _elu_slope(x: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(x, 0.0))


def _gelu_slope(x: np.ndarray) -> np.ndarray:
    return _normal_cdf(x) + x * np.exp(-x * x / 2) / sqrt(2 * pi)


def _silu_slope(x: np.ndarray) -> np.ndarray:
    s = _sigmoid(x)
    return s * (1 + x * (1 - s))


def _mish_slope(x: np.ndarray) -> np.ndarray:
    t = np.tanh(_softplus(x))
    return t + x * _sigmoid(x) * (1 - t * t)


def _hardswish_slope(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, x / 3 + 0.5, 1.0 * (x >= 3))


def _between(low: float, high: float, slope: float = 1.0) -> Function:
    return lambda x: slope * ((x > low) & (x < high))


_erf = np.vectorize(erf, otypes=[float])


def _normal_cdf(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + _erf(x / sqrt(2.0)))


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _selu(x: np.ndarray) -> np.ndarray:
    return _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0.0)))


def _selu_slope(x: np.ndarray) -> np.ndarray:
    return _SELU_SCALE * np.where(x > 0, 1.0, _SELU_ALPHA * np.exp(np.minimum(x, 0.0)))


def _leaky(leak: float, name: str) -> Activation:
    return Activation(
        name, lambda x: np.where(x > 0, x, leak * x), (0.0,), derivative=lambda x: np.where(x > 0, 1.0, leak)
    )


# Not an activation of the catalogue, but what a stack of layers without one has between them.
IDENTITY = Activation("Identity", lambda x: np.asarray(x, dtype=float), derivative=np.ones_like)

CATALOGUE: dict[str, Activation] = {
    a.name: a
    for a in (
        Activation("ReLU", lambda x: np.maximum(x, 0.0), (0.0,), derivative=lambda x: 1.0 * (x > 0)),
        Activation("ReLU6", lambda x: np.clip(x, 0.0, 6.0), (0.0, 6.0), True, _between(0.0, 6.0)),
        _leaky(0.01, "LeakyReLU"),
        _leaky(0.25, "PReLU"),
        Activation("ELU", _elu, (0.0,), derivative=_elu_slope),
        Activation("CELU", _elu, (0.0,), derivative=_elu_slope),
        Activation("SELU", _selu, (0.0,), derivative=_selu_slope),
        Activation("GELU", lambda x: x * _normal_cdf(x), derivative=_gelu_slope),
        Activation("SiLU", lambda x: x * _sigmoid(x), derivative=_silu_slope),
        Activation("Mish", lambda x: x * np.tanh(_softplus(x)), derivative=_mish_slope),
        Activation("Tanh", np.tanh, (), True, lambda x: 1 - np.tanh(x) ** 2),
        Activation("Hardtanh", lambda x: np.clip(x, -1.0, 1.0), (-1.0, 1.0), True, _between(-1.0, 1.0)),
        Activation(
            "Hardswish", lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0, (-3.0, 3.0), False, _hardswish_slope
        ),
        Activation("Softplus", _softplus, derivative=_sigmoid),
        Activation("Sigmoid", _sigmoid, (), True, lambda x: _sigmoid(x) * _sigmoid(-x)),
        Activation(
            "Hardsigmoid",
            lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
            (-3.0, 3.0),
            True,
            _between(-3.0, 3.0, 1 / 6),
        ),
        Activation("LogSigmoid", lambda x: -_softplus(-x), derivative=lambda x: _sigmoid(-x)),
        Activation(
            "Softsign", lambda x: x / (1 + np.abs(x)), (0.0,), True, lambda x: (1 + np.abs(x)) ** -2.0
        ),
        Activation("Tanhshrink", lambda x: x - np.tanh(x), derivative=lambda x: np.tanh(x) ** 2),
        Activation(
            "Softshrink",
            lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0.0),
            (-0.5, 0.5),
            derivative=lambda x: 1.0 * (np.abs(x) > 0.5),
        ),
    )
}


def named(activation: str | Activation) -> Activation:
    """Return the catalogue's activation of that name, or the Activation given; KeyError if not listed."""
    return CATALOGUE[activation] if isinstance(activation, str) else activation


@lru_cache(maxsize=4096)
def moments(activation: str | Activation, length: float = 1.0) -> tuple[float, float, float]:
    """Return (E φ, E φ², E φ'²) at x = √q z, z ~ N(0, 1): pre-activations of mean square q = `length`."""
    phi, scale = named(activation), float(np.sqrt(length))
    return (
        expect(phi.function, phi.kinks, scale),
        expect(lambda x: phi.function(x) ** 2, phi.kinks, scale),
        expect(lambda x: phi.slope(x) ** 2, phi.kinks, scale),
    )


def gain(activation: str | Activation) -> float:
    """Return (E φ²)^-½ of an activation or of the catalogue's of that name; KeyError if it is not listed."""
    return moments(activation)[1] ** -0.5


def backward_factor(activation: str | Activation) -> float:
    """Return (E φ'² / E φ²)^½: what a wide layer at the activation's own gain passes back of the gradient."""
    _, square, slope_square = moments(activation)
    return (slope_square / square) ** 0.5


def normalized_backward_factor(activation: str | Activation) -> float:
    """Return (E φ'² / Var φ)^½: the same under BatchNorm or centring; never under 1, by the Gaussian Poincaré
    inequality.
    """
    mean, square, slope_square = moments(activation)
    return (slope_square / (square - mean**2)) ** 0.5
