"""What holds weight matrices in bounds just behind a step, each as closed form says.

shrink         |w| ← max(|w| − a, 0)                        the proximal step of L1: exact zeros
orthogonalize  W ← W − β W (WᵀW/s² − I)                     σ ← σ − β σ (σ²/s² − 1): towards s
SpectralLimit  W ← W min(1, c/σ_max)                        σ_max by power iteration
"""

import torch
from torch import Tensor

_FIRST_ITERATIONS = 50
# Beyond this share of 1/σ² the step could turn a singular value's sign.
_STABLE = 0.5


def shrink(weight: Tensor, amount: float) -> None:
    """Bring every entry nearer to zero by `amount`, and no further than zero."""
    w = weight.detach()
    w.copy_(torch.nn.functional.softshrink(w, amount))


def orthogonalize(weight: Tensor, strength: float, size: float) -> None:
    """Move all singular values of the matrix towards `size`; β is at most s²/(2 ‖WᵀW‖_F), which is stable."""
    w = weight.detach().flatten(1)
    tall = w.shape[0] >= w.shape[1]
    gram = w.T @ w if tall else w @ w.T
    beta = torch.clamp(_STABLE * size**2 / gram.norm(), max=strength)
    off = gram / size**2 - torch.eye(len(gram), dtype=w.dtype, device=w.device)
    change = beta * (w @ off if tall else off @ w)
    weight.detach().sub_(change.reshape(weight.shape))


class SpectralLimit:
    """Holds the largest singular value of one matrix, from one power iteration a step."""

    def __init__(self, weight: Tensor, generator: torch.Generator, limit: float | None = None) -> None:
        w = weight.detach().flatten(1)
        v = torch.randn(w.shape[1], generator=generator).to(w)
        self._v = v / v.norm()
        self.first = 0.0
        for _ in range(_FIRST_ITERATIONS):
            self.first = float(self._iterate(w))
        self.limit = self.first if limit is None else limit

    def __call__(self, weight: Tensor) -> None:
        """Scale the matrix down if σ_max is over the limit."""
        w = weight.detach()
        size = self._iterate(w.flatten(1))
        w.mul_(torch.clamp(self.limit / size.clamp_min(1e-30), max=1.0))

    def _iterate(self, w: Tensor) -> Tensor:
        u = w @ self._v
        u = u / u.norm().clamp_min(1e-30)
        back = w.T @ u
        size = back.norm()
        self._v = back / size.clamp_min(1e-30)
        return size
