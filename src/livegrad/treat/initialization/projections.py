"""Queries, keys and values of torch's own attention, whose weights lie beside those of its output."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from livegrad.treat.body import Body
from livegrad.treat.draw import Draw, Drawn, redrawn
from livegrad.treat.weights import Weight

# torch gives them a gain of 0.7 packed and of 1 apart. So far off one they stay as they are.
_FAR = 2.0


def draw_projections(body: Body, weights: Sequence[Weight], generator: torch.Generator) -> list[Drawn]:
    """Draw those anew that start at over twice or under half the gain of one: too large they make scores so
    far apart that attention looks at one place, too small they hand nothing on.
    """
    changes: list[Drawn] = []
    for weight in weights:
        name = weight.part.module or ""
        module = body.model.get_submodule(name)
        if not isinstance(module, nn.MultiheadAttention) or weight.module is not module.out_proj:
            continue
        far = [(key, tensor) for key, tensor in _projections(module) if _is_far(tensor)]
        for key, tensor in far:
            draw = Draw("normal", tensor.shape[1] ** -0.5)
            what = f"weights: normal, σ = {draw.amount:.3g} (gain 1)"
            changes.append(redrawn(tensor, draw, generator, _joined(name, key), what, weight.part.made))
        if far and module.in_proj_bias is not None:
            none, where = Draw("constant", 0.0), _joined(name, "in_proj_bias")
            changes.append(
                redrawn(module.in_proj_bias, none, generator, where, "bias: zero", weight.part.made)
            )
    return changes


def _joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _projections(module: nn.MultiheadAttention) -> Iterator[tuple[str, Tensor]]:
    for key in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
        tensor = getattr(module, key, None)
        if isinstance(tensor, nn.Parameter) and tensor.requires_grad:
            yield key, tensor


def _is_far(tensor: Tensor) -> bool:
    """Whether the gain σ√fan-in of any of its matrices is; three are packed one upon the other."""
    rows, inputs = tensor.shape
    parts = tensor.detach().double().chunk(3 if rows == 3 * inputs else 1)
    gains = [math.sqrt(float(part.square().mean()) * inputs) for part in parts]
    return any(not 1 / _FAR <= gain <= _FAR for gain in gains)
