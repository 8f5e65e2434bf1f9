"""What a stack of transformer blocks does to the size of its stream and of its gradient, at initialization.

A block is two residual branches on a stream x of T tokens, of mean square q and correlation ρ between tokens:

    attention      W_o Σ_j a_ij W_v u_j,  a = softmax of logits of variance s² = σ_q² σ_k² (1 − ρ)
    feed-forward   W₂ φ(W₁ u)

u is the stream, normalized before each branch ("pre") or normalized after each sum ("post"). A token attends
to 1/p others, p = e^{s²}/T (at most 1), so in a wide block

    attention, forward    v = σ_v² σ_o² (ρ + (1 − ρ) p),    between tokens σ_v² σ_o² (ρ + (1 − ρ)/T)
    attention, backward   G → σ_v² σ_o² (p (1 + 2 σ_q² σ_k² (1 − ρ)²) G + (1 − 1/T) Γ)
                          Γ → σ_v² σ_o² (G/T + (1 − 1/T) Γ)
    feed-forward          forward and backward as `propagation` has it, token by token; between tokens by the
                          correlation map

with G the mean square of a token's gradient and Γ the mean product of two tokens'; 2 σ_q² σ_k² (1 − ρ)² is
what comes back through queries and keys. The formulas are for unmasked attention; under a causal mask 1/T
and its kin become means over places. No dropout; every token has a gradient of its own at the output. (Xiong
et al. 2020; Noci et al. 2022; the token sums are worked out in docs/theory.md.)
"""

from dataclasses import dataclass
from functools import cache
from math import exp, log10, sqrt

import numpy as np

from livegrad.theory.activation import Activation, moments
from livegrad.theory.correlation_map import covariance, slope_covariance

_PLACEMENTS = ("pre", "post")


@dataclass(frozen=True)
class TransformerBlock:
    """One block. Gains are σ = √(fan-in · Var W) of each matrix; the defaults are those of torch's own
    TransformerEncoderLayer (d_ff = 4 d): Xavier everywhere but in the output projection.

    placement: "pre" or "post" normalization. scale: of both branches (1/√(2·depth) keeps the stream bounded).
    causal: each token attends to itself and those before it; sums over tokens are then means over places.
    """

    tokens: int
    activation: str | Activation = "ReLU"
    placement: str = "pre"
    scale: float = 1.0
    causal: bool = False
    query_gain: float = sqrt(1 / 2)
    key_gain: float = sqrt(1 / 2)
    value_gain: float = sqrt(1 / 2)
    output_gain: float = sqrt(1 / 3)
    first_gain: float = sqrt(2 / 5)
    second_gain: float = sqrt(8 / 5)

    def __post_init__(self) -> None:
        if self.placement not in _PLACEMENTS:
            raise ValueError(f'a block is normalized "pre" or "post", not {self.placement!r}')
        if self.tokens < 1:
            raise ValueError(f"a sequence has at least one token, not {self.tokens}")

    def propagate(self, depth: int, correlation: float = 0.0, length: float = 1.0) -> "StreamPropagation":
        """Follow `depth` blocks from tokens of mean square `length` and the given mutual correlation."""
        q, shared = length, length * correlation
        lengths, correlations, chain = [q], [correlation], []
        for _ in range(depth):
            for branch in (self._attention, self._feed_forward):
                v, between, matrix = branch(shared / q)
                # Pre: the branch sees x/√q, and so does its gradient on the way back.
                matrix = matrix / (q if self.placement == "pre" else 1.0)
                q, shared = q + self.scale**2 * v, shared + self.scale**2 * between
                matrix = np.eye(2) + self.scale**2 * matrix
                if self.placement == "post":
                    matrix, q, shared = matrix / q, 1.0, shared / q
                chain.append(matrix)
            lengths.append(q)
            correlations.append(shared / q)
        sizes = _backward(chain)
        factors = np.sqrt(sizes[:-1] / sizes[1:])
        return StreamPropagation(self, factors, np.array(lengths), np.array(correlations))

    def _attention(self, correlation: float) -> tuple[float, float, np.ndarray]:
        apart, weights = 1 - correlation, (self.value_gain * self.output_gain) ** 2
        logits = (self.query_gain * self.key_gain) ** 2
        seen = _attended(self.tokens, self.causal)
        share = float(np.mean(np.minimum(1.0, exp(logits * apart) * seen.own)))
        own, between = correlation + apart * share, correlation + apart * seen.between
        back = np.array([[share * (1 + 2 * logits * apart**2), seen.gathered], [seen.split, seen.mixed]])
        return weights * own, weights * between, weights * back

    def _feed_forward(self, correlation: float) -> tuple[float, float, np.ndarray]:
        length, c = self.first_gain**2, min(1.0, correlation)
        _, square, slope_square = moments(self.activation, length)
        alike = covariance(self.activation, c, length)
        slopes = slope_covariance(self.activation, c, length)
        weights = self.second_gain**2
        back = weights * length * np.diag([slope_square, slopes])
        return weights * square, weights * alike, back


@dataclass(frozen=True)
class StreamPropagation:
    """A stack of blocks, input side first. factors: (depth,), ‖gradient below‖/‖gradient above‖ of each
    block; lengths, correlations: (depth + 1,), of the stream between the blocks.
    """

    block: TransformerBlock
    factors: np.ndarray
    lengths: np.ndarray
    correlations: np.ndarray

    @property
    def decades(self) -> float:
        """log10 of the gradient's norm at the input over that at the output."""
        return float(np.sum(np.log10(self.factors)))

    @property
    def forward_decades(self) -> float:
        """log10 of the stream's root mean square at the output over that at the input."""
        return log10(self.lengths[-1] / self.lengths[0]) / 2

    @property
    def audibility_decades(self) -> float:
        """`decades` less `forward_decades`: free of the scale."""
        return self.decades - self.forward_decades


@dataclass(frozen=True)
class _Attended:
    """Sums of uniform attention weights a_ij = 1/n_i. own: (T,), Σ_j a_ij². between: mean over i ≠ k of
    Σ_j a_ij a_kj. gathered: mean over j of Σ_{i≠k} a_ij a_kj. split: mean over j ≠ l of Σ_i a_ij a_il. mixed:
    the same of Σ_{i≠k} a_ij a_kl.
    """

    own: np.ndarray
    between: float
    gathered: float
    split: float
    mixed: float


@cache
def _attended(tokens: int, causal: bool) -> _Attended:
    keys = np.arange(1.0, tokens + 1) if causal else np.full(tokens, float(tokens))
    # Σ_i a_ij: every later token attends to j; all do where nothing is masked.
    columns = np.cumsum((1 / keys)[::-1])[::-1] if causal else np.ones(tokens)
    pairs = max(1.0, tokens * (tokens - 1.0))
    both = 2 * float(np.sum((keys - 1) / keys)) if causal else tokens - 1.0
    alone = float(np.sum(1 - 1 / keys))
    gathered = float(np.sum(columns**2) - np.sum(1 / keys)) / tokens
    mixed = (tokens**2 - float(np.sum(columns**2)) - alone) / pairs
    return _Attended(1 / keys, both / pairs, gathered, alone / pairs, mixed)


def _backward(chain: list[np.ndarray]) -> np.ndarray:
    """Mean square gradient at each block's border, input side first, from (G, Γ) = (1, 0) at the output."""
    state, sizes = np.array([1.0, 0.0]), [1.0]
    for number, matrix in enumerate(reversed(chain), start=1):
        state = matrix @ state
        if number % 2 == 0:
            sizes.append(float(state[0]))
    return np.array(sizes[::-1])
