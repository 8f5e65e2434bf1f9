"""Extreme singular values of a linear map of which only products are known.

Golub–Kahan bidiagonalization with full reorthogonalization: Jᵀ U_k = V_k B_kᵀ and J V_k = U_k B_k + β u e_kᵀ,
B_k lower bidiagonal. A singular triplet (s, p, q) of B_k gives one of J up to the residual ‖J V q − s U p‖ =
β|q_k|: J has a singular value within that of s. After min(m, n) steps β is 0 and nothing is left out. (Golub
& Kahan 1965; Golub & Van Loan, Matrix Computations, 10.4.)
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_STEPS = 96

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Extremes:
    """Largest and smallest of the min(m, n) singular values of a map from n to m numbers.

    largest_error, smallest_error: J has a singular value at most so far away. complete: every distinct
    singular value was found, so that these are the extremes; otherwise the smallest is an upper bound.
    """

    inputs: int
    outputs: int
    largest: float
    smallest: float
    largest_error: float
    smallest_error: float
    complete: bool


def extremes(
    jvp: Product, vjp: Product, inputs: int, outputs: int, *, precision: float = 1e-15, seed: int = 0,
    most: int = MOST_STEPS,
) -> Extremes:  # fmt: skip
    """Return the extreme singular values of J.

    jvp: v (n,) ↦ J v (m,); vjp: u (m,) ↦ Jᵀ u (n,), float64. precision: relative error of the products; what
    is under it counts as zero. The start is random, so that every distinct singular value takes part.
    """
    values, error, complete = ritz_values(
        jvp, vjp, inputs, outputs, precision=precision, seed=seed, most=most
    )
    return Extremes(
        inputs,
        outputs,
        float(values[0]),
        float(values[-1]),
        float(error[0]),
        float(error[-1]),
        complete=complete,
    )


def ritz_values(
    jvp: Product, vjp: Product, inputs: int, outputs: int, *, precision: float = 1e-15, seed: int = 0,
    most: int = MOST_STEPS,
) -> tuple[Tensor, Tensor, bool]:  # fmt: skip
    """Return the singular values of B_k, descending (k,), how far from each J has one (k,), and whether every
    distinct singular value was found. The ends of the spectrum are found first. Arguments as for `extremes`.
    """
    forward, back = (jvp, vjp) if outputs <= inputs else (vjp, jvp)
    rank = min(inputs, outputs)
    start = torch.randn(rank, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    alphas, betas = _bidiagonalize(forward, back, start / start.norm(), min(most, rank), precision)
    small = torch.diag(torch.tensor(alphas, dtype=torch.float64))
    small += torch.diag(torch.tensor(betas[:-1], dtype=torch.float64), -1)
    _, values, right = torch.linalg.svd(small)
    return values, betas[-1] * right[:, -1].abs(), len(alphas) == rank or betas[-1] == 0.0


def _bidiagonalize(
    forward: Product, back: Product, u: Tensor, steps: int, precision: float
) -> tuple[list[float], list[float]]:
    """The diagonal α_1 … α_k of B and what lies beside it, β_2 … β_{k+1}; the last is 0 where it ended."""
    us, vs = [u], []
    alphas: list[float] = []
    betas: list[float] = []
    scale = 0.0
    for _ in range(steps):
        product = back(us[-1])
        scale = max(scale, float(product.norm()))
        v = _orthogonal(product, vs)
        alphas.append(float(v.norm()))
        if alphas[-1] <= 10 * precision * scale:
            # A left null vector: J has a singular value that is zero, as far as can be told.
            return [*alphas[:-1], 0.0], [*betas, 0.0]
        vs.append(v / alphas[-1])
        u = _orthogonal(forward(vs[-1]), us)
        betas.append(float(u.norm()))
        if betas[-1] <= 10 * precision * scale or len(us) == len(us[0]):
            return alphas, [*betas[:-1], 0.0]
        us.append(u / betas[-1])
    return alphas, betas


def _orthogonal(vector: Tensor, basis: list[Tensor]) -> Tensor:
    """Twice is enough (Parlett, The Symmetric Eigenvalue Problem, 6.9)."""
    if basis:
        matrix = torch.stack(basis)
        for _ in range(2):
            vector = vector - matrix.T @ (matrix @ vector)
    return vector
