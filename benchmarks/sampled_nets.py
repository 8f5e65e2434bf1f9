"""Networks drawn at random, and what each does to a gradient: the measured side of benchmarks/theory.py."""

import math

import numpy as np
import torch
from torch import Tensor

from livegrad.theory.propagation import Design
from livegrad.theory.transformer import TransformerBlock

FUNCTIONS = {
    "ReLU": torch.relu,
    "Tanh": torch.tanh,
    "Sigmoid": torch.sigmoid,
    "SELU": torch.selu,
    "GELU": torch.nn.functional.gelu,
    "SiLU": torch.nn.functional.silu,
    "Softplus": torch.nn.functional.softplus,
}


def normalize(z: Tensor, kind: str) -> Tensor:
    """z of shape (batch, width), normalized as torch would in training, without γ and β."""
    if kind == "batch":
        return torch.nn.functional.batch_norm(z, None, None, training=True, eps=1e-12)
    if kind == "layer":
        return torch.nn.functional.layer_norm(z, z.shape[-1:], eps=1e-12)
    return z / z.square().mean(-1, keepdim=True).sqrt() if kind == "rms" else z


def layer(design: Design, z: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """One layer (or residual block of one layer) of the design, from pre-activations to pre-activations."""
    before, after = design.normalization, "none"
    if design.position == "after":
        before, after = after, before
    h = normalize(FUNCTIONS[str(design.activation)](normalize(z, before)), after)
    branch = torch.nn.functional.linear(h, weight, bias)
    return branch if design.residual is None else z + design.residual.scale * branch


def decay(design: Design, depth: int, width: int, batch: int, seeds: int, length: float = 1.0) -> np.ndarray:
    """ln of the gradient's factor per layer, (seeds,), the geometric mean from output to input."""
    found = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        first = (torch.randn(batch, width) * math.sqrt(length)).requires_grad_()
        z: Tensor = first
        deviation = math.sqrt(design.weight_variance / width)
        for _ in range(depth):
            weight = torch.randn(width, width) * deviation
            bias = torch.randn(width) * math.sqrt(design.bias_variance) if design.bias_variance else None
            z = layer(design, z, weight, bias)
        v = torch.randn_like(z)
        (gradient,) = torch.autograd.grad(z, first, v)
        found.append(float((gradient.double().norm() / v.double().norm()).log()) / depth)
    return np.array(found)


def log_squares(width: int, depth: int, trials: int) -> np.ndarray:
    """ln ‖Jᵀv‖² of He-initialized ReLU networks, unit v and one input each, (trials,)."""
    torch.manual_seed(0)
    z = torch.randn(trials, width, 1)
    chain = []
    for _ in range(depth):
        weight = torch.randn(trials, width, width) * math.sqrt(2 / width)
        chain.append((weight, z > 0))
        z = weight @ torch.relu(z)
    v = torch.randn(trials, width, 1, dtype=torch.float64)
    v = v / v.norm(dim=1, keepdim=True)
    for weight, active in reversed(chain):
        v = (weight.double().transpose(1, 2) @ v) * active
    return v.square().sum((1, 2)).log().numpy()


def blocks(design: TransformerBlock, depth: int, width: int, seed: int) -> tuple[float, float]:
    """Decades of the gradient through torch's own blocks, and the correlation between output tokens."""
    torch.manual_seed(seed)
    name, first = str(design.activation).lower(), design.placement == "pre"
    stack = [
        torch.nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, name, batch_first=True, norm_first=first)
        for _ in range(depth)
    ]
    for one in stack:
        for linear in (one.linear1, one.linear2):
            torch.nn.init.xavier_uniform_(linear.weight)
            torch.nn.init.zeros_(linear.bias)
    x = torch.randn(4, design.tokens, width, requires_grad=True)
    out: Tensor = x
    for one in stack:
        out = one(out)
    v = torch.randn_like(out)
    (gradient,) = torch.autograd.grad(out, x, v)
    unit = torch.nn.functional.normalize(out.detach(), dim=-1)
    alike = (unit @ unit.transpose(1, 2)).mean(0)
    pairs = design.tokens * (design.tokens - 1)
    return math.log10(float(gradient.norm() / v.norm())), float(alike.sum() - alike.trace()) / pairs
