"""Training one layer by itself, to keep what it is given.

denoising autoencoder   x ≈ Wᵀ φ(W x̃ + b) + c from x̃, of whose entries a share is set to zero; of inputs
                        within [0, 1] by their probability, σ(…); Vincent et al. 2010
RBM                     ΔW = η (⟨v hᵀ⟩ − ⟨v' h'ᵀ⟩) with one step of sampling in between (CD-1), binary hidden
                        units; momentum 0.5, later 0.9, weight cost 2e-4; Hinton 2002, 2012
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_START = 0.01
_MOMENTA = (0.5, 0.9)
_FIRST_SHARE = 1 / 6
_COST = 2e-4


@dataclass(frozen=True)
class Course:
    """How a layer is trained. noise: share of the entries that an autoencoder's input loses."""

    steps: int
    rate: float
    batch: int = 64
    noise: float = 0.3


def autoencode(
    weight: Tensor,
    bias: Tensor | None,
    function: Callable[[Tensor], Tensor],
    inputs: Tensor,
    course: Course,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return the weights (out, in) and bias of a denoising autoencoder that starts from these.

    inputs: samples × features. The decoder has the same weights. bias: None holds it at zero.
    """
    within = bool((inputs >= 0).all() and (inputs <= 1).all())
    mean = inputs.mean(0)
    offset = torch.logit(mean.clamp(1e-3, 1 - 1e-3)) if within else mean
    start = bias if bias is not None else weight.new_zeros(len(weight))
    w, b, c = (tensor.detach().clone().requires_grad_() for tensor in (weight, start, offset))
    optimizer = torch.optim.Adam([w, c] if bias is None else [w, c, b], lr=course.rate)
    with torch.enable_grad():
        for x in _batches(inputs, course, generator):
            kept = torch.rand(x.shape, generator=generator).to(x.device) >= course.noise
            back = F.linear(function(F.linear(x * kept, w, b)), w.t(), c)
            loss = F.binary_cross_entropy_with_logits(back, x) if within else F.mse_loss(back, x)
            (w.grad, b.grad, c.grad) = torch.autograd.grad(loss, (w, b, c))
            optimizer.step()
    return w.detach(), b.detach()


def contrast(
    weight: Tensor, biased: bool, inputs: Tensor, course: Course, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the weights (out, in) and hidden bias of an RBM of this shape; inputs within [0, 1].

    biased: False holds the bias at zero.
    """
    w = _START * torch.randn(weight.shape, generator=generator).to(weight)
    b = w.new_zeros(w.shape[0])
    c = torch.logit(inputs.mean(0).clamp(0.01, 0.99))
    moves = [torch.zeros_like(tensor) for tensor in (w, b, c)]
    for i, v in enumerate(_batches(inputs, course, generator)):
        momentum = _MOMENTA[0] if i < _FIRST_SHARE * course.steps else _MOMENTA[1]
        h = torch.sigmoid(F.linear(v, w, b))
        drawn = (torch.rand(h.shape, generator=generator).to(h.device) < h).to(h.dtype)
        dream = torch.sigmoid(F.linear(drawn, w.t(), c))
        again = torch.sigmoid(F.linear(dream, w, b))
        contrasts = (
            (h.t() @ v - again.t() @ dream) / len(v) - _COST * w,
            (h - again).mean(0) * biased,
            (v - dream).mean(0),
        )
        for tensor, move, change in zip((w, b, c), moves, contrasts, strict=True):
            move.mul_(momentum).add_(change, alpha=course.rate)
            tensor.add_(move)
    return w, b


def _batches(inputs: Tensor, course: Course, generator: torch.Generator) -> Iterator[Tensor]:
    size = min(course.batch, len(inputs))
    for _ in range(course.steps):
        yield inputs[torch.randint(0, len(inputs), (size,), generator=generator).to(inputs.device)]
