"""What a recurrent layer passes back through time, per step, at its initialization.

The same matrix acts at every step, so its powers matter and not independent draws. Linearized where the
state rests (small inputs), one step is x I + y W/σ_w on the way back, W a matrix with independent entries of
gain σ_w:

    layer                keep x       mix y
    RNN, tanh            0            σ_w √(E φ'(√q z)²)      q = σ_w² E φ(√q z)² + input variance
    LSTM                 σ(b_f)       σ_w σ(b_i) σ(b_o)
    GRU                  σ(b_z)       σ_w (1 − σ(b_z)) σ(b_r)

    ‖(x I + y W/σ_w)^T v‖² ≈ Σ_k C(T, k)² x^{2(T−k)} y^{2k}        (E ‖W^k v‖² = σ_w^{2k} in a wide layer)

whose T-th root grows to x + y, the edge of the spectrum. With gates of many speeds (chrono initialization,
Tallec & Ollivier 2018: b_f = ln u, u ~ U(1, T − 1)) the slowest units carry the gradient: factor^{2T} = E
f^{2T}.
"""

from math import exp, lgamma, log, sqrt

import numpy as np

from livegrad.theory.activation import Activation, moments
from livegrad.theory.length_map import limit_length

# Weights of torch's recurrent layers are drawn from U(±1/√hidden): hidden · Var W = 1/3.
TORCH_GAIN = sqrt(1 / 3)


def gated_factor(keep: float, mix: float, steps: int) -> float:
    """Return the factor per step on ‖gradient‖ over `steps` steps of x I + y W/σ_w, x = `keep`, y = `mix`."""
    if keep <= 0 or mix <= 0:
        return max(keep, mix, 0.0)
    k = np.arange(steps + 1)
    choose = np.array([lgamma(steps + 1) - lgamma(i + 1) - lgamma(steps - i + 1) for i in k])
    terms = 2 * (choose + (steps - k) * log(keep) + k * log(mix))
    return float(exp((terms.max() + np.log(np.sum(np.exp(terms - terms.max())))) / (2 * steps)))


def plain_factor(
    activation: str | Activation = "Tanh",
    weight_gain: float = TORCH_GAIN,
    input_variance: float = 0.0,
    steps: int | None = None,
) -> float:
    """Return σ_w √(E φ'(√q z)²) per step of a plain recurrent layer.

    weight_gain: σ_w of the recurrent matrix, 1 for an orthogonal one. input_variance: what input weights and
    biases add to a pre-activation at each step, d · Var W_ih · E x² + Var b. steps: the geometric mean over
    so many steps from a zero state; None for where the state has settled. In a layer of finite width H the
    spectral edge lies higher, by a few percent at H = 128.
    """
    if steps is None:
        length = limit_length(activation, weight_gain**2, input_variance, start=max(input_variance, 1e-6))
        return weight_gain * sqrt(moments(activation, max(length, 1e-12))[2])
    length, logarithm = 0.0, 0.0
    for _ in range(steps):
        length = weight_gain**2 * moments(activation, length)[1] + input_variance
        logarithm += log(weight_gain**2 * moments(activation, max(length, 1e-12))[2]) / 2
    return exp(logarithm / steps)


def lstm_factor(
    steps: int, forget_bias: float = 0.0, weight_gain: float = TORCH_GAIN, input_bias: float = 0.0
) -> float:
    """Return the factor per step of an LSTM at rest: keep σ(b_f), mix σ_w σ(b_i)/2.

    forget_bias: of the sum of both of torch's bias vectors.
    """
    return gated_factor(_sigmoid(forget_bias), weight_gain * _sigmoid(input_bias) / 2, steps)


def gru_factor(steps: int, update_bias: float = 0.0, weight_gain: float = TORCH_GAIN) -> float:
    """Return the factor per step of a GRU at rest: keep σ(b_z), mix σ_w (1 − σ(b_z))/2.

    update_bias: of the gate that keeps the old state, as in torch.
    """
    keep = _sigmoid(update_bias)
    return gated_factor(keep, weight_gain * (1 - keep) / 2, steps)


def chrono_factor(steps: int, longest: int | None = None) -> float:
    """Return (E f^{2T})^{1/2T}, f = u/(1+u), u ~ U(1, longest − 1): gates initialized for spans up to
    `longest`.

    longest: T itself if not given. The mixing through the recurrent weights is left out: the units that carry
    the gradient are nearly closed to it.
    """
    top = (steps if longest is None else longest) - 1
    if top <= 1:
        raise ValueError(f"chrono initialization needs spans of more than 2 steps, not {top + 1}")
    u = 1 + (np.arange(20_000) + 0.5) / 20_000 * (top - 1)
    return float(np.mean((u / (1 + u)) ** (2 * steps)) ** (1 / (2 * steps)))


def identity_rectifier_factor(steps: int) -> float:
    """Return the factor per step of an IRNN (identity matrix, ReLU) fed with inputs symmetric around zero.

    A unit passes the gradient on unless it touched zero: its state is a random walk, which stays positive
    over T steps with probability C(2T, T)/4^T ≈ 1/√(πT) whatever the steps' distribution (Sparre Andersen
    1954).
    """
    stays = lgamma(2 * steps + 1) - 2 * lgamma(steps + 1) - 2 * steps * log(2)
    return exp(stays / (2 * steps))


def reach(factor: float, decades: float = 3.0) -> float:
    """Return over how many steps the gradient falls by so many decades; ∞ if it does not fall."""
    return decades / -np.log10(factor) if 0 < factor < 1 else (0.0 if factor <= 0 else float("inf"))


def _sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))
