"""Steps in a wider format than the weights are kept in, so that none is rounded away.

For the time of the step each weight and its gradient are taken wider (float32 for half precision, float64 for
float32), and the optimizer's state is in that format. What the narrow weight cannot hold afterwards is

    master       kept: a wide copy goes on from step to step
    kahan        kept in a second narrow tensor, and added before the next step
    stochastic   rounded up or down at random, so that it is right on average (bfloat16 only)

The model computes with the same narrow weights as before. (Zamirai et al. 2020; Micikevicius et al. 2018.)
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.float32: torch.float64}
# The low half of a float32 is what bfloat16 has not.
_DROPPED_BITS = 16


class WideSteps:
    """Widens the steps of one optimizer. kind: "master", "kahan" or "stochastic". narrow: dtypes to widen."""

    def __init__(self, kind: str, narrow: frozenset[torch.dtype], generator: torch.Generator) -> None:
        self._kind = kind
        self.narrow = narrow
        self._generator = generator
        self._kept: dict[Tensor, Tensor] = {}
        self._lent: list[tuple[Tensor, Tensor, Tensor]] = []

    def before(self, optimizer: Optimizer) -> None:
        """Lend the optimizer wide weights and gradients."""
        for p in {id(p): p for group in optimizer.param_groups for p in group["params"]}.values():
            gradient = p.grad
            if gradient is None or p.dtype not in self.narrow or gradient.is_sparse:
                continue
            wide = WIDER[p.dtype]
            state: dict[str, Any] = optimizer.state.get(p, {})
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == p.shape and value.dtype == p.dtype:
                    state[name] = value.to(wide)
            self._lent.append((p, p.data, gradient))
            p.grad = None
            p.data = self._widened(p, wide)
            p.grad = gradient.to(wide)

    def after(self) -> None:
        """Take them back, the result rounded into the narrow weights."""
        for p, narrow, gradient in self._lent:
            result = p.data
            p.grad = None
            p.data = narrow
            self._round(p, result)
            p.grad = gradient
        self._lent.clear()

    def end(self, optimizer: Optimizer) -> None:
        """Bring the optimizer's state back to the format of its weights."""
        for p, state in optimizer.state.items():
            for name, value in state.items():
                if not isinstance(value, Tensor) or p.dtype not in self.narrow:
                    continue
                if value.shape == p.shape and value.dtype == WIDER[p.dtype]:
                    state[name] = value.to(p.dtype)

    def _widened(self, p: Tensor, wide: torch.dtype) -> Tensor:
        value = p.detach().to(wide)
        kept = self._kept.get(p)
        if kept is None:
            return value
        if self._kind == "kahan":
            return value + kept.to(wide)
        # What the program has written into the weight since then goes before the copy.
        return torch.where(kept.to(p.dtype) == p.detach(), kept, value)

    def _round(self, p: Tensor, result: Tensor) -> None:
        if self._kind == "stochastic":
            p.data.copy_(stochastically_rounded(result, self._generator))
            return
        p.data.copy_(result)
        self._kept[p] = result if self._kind == "master" else (result - p.data.to(result.dtype)).to(p.dtype)


def stochastically_rounded(x: Tensor, generator: torch.Generator) -> Tensor:
    """Round float32 to bfloat16, up with the probability of how far x lies on the way up: E = x."""
    bits = x.contiguous().view(torch.int32)
    noise = torch.randint(0, 1 << _DROPPED_BITS, x.shape, generator=generator, dtype=torch.int32)
    raised = bits + noise.to(x.device)
    mask = -1 << _DROPPED_BITS
    rounded = (raised & mask).view(torch.float32)
    return torch.where(torch.isfinite(x), rounded, x).to(torch.bfloat16)
