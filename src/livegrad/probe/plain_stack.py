"""Whether a model is a plain stack, weights and one activation in turn, for which theory knows the
spectrum.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from livegrad.theory.activation import CATALOGUE

# A matrix is orthogonal up to its size if WᵀW is a multiple of the identity to this.
_ORTHOGONAL = 1e-3


@dataclass(frozen=True)
class PlainStack:
    """Square linear layers of one width, each followed by the same activation (the last may have none).

    gains: √(fan-in · Var W) of each, input side first. lengths: mean square of each one's pre-activations at
    the given input. last_linear: no activation follows the last layer.
    """

    activation: str
    gains: tuple[float, ...]
    lengths: tuple[float, ...]
    orthogonal: bool
    last_linear: bool


def plain_stack(model: nn.Module, inputs: Tensor) -> PlainStack | None:
    """Return what theory needs of an nn.Sequential that is such a stack at this input; None for other
    models.
    """
    if not isinstance(model, nn.Sequential) or any(isinstance(part, nn.Sequential) for part in model):
        return None
    parts = [part for part in model if not isinstance(part, nn.Identity | nn.Flatten)]
    linear, acting = parts[0::2], parts[1::2]
    weighted = [part for part in linear if isinstance(part, nn.Linear)]
    if not linear or len(weighted) < len(linear):
        return None
    names = {type(part).__name__ for part in acting}
    widths = {size for part in weighted for size in (part.in_features, part.out_features)}
    if len(widths) != 1 or len(names) != 1 or not names <= CATALOGUE.keys() or not _has_defaults(acting):
        return None
    gains, lengths, h = [], [], inputs
    with torch.no_grad():
        for i, layer in enumerate(weighted):
            h = layer(h)
            lengths.append(float(h.double().square().mean()))
            gains.append(float(layer.weight.double().square().mean().sqrt() * layer.in_features**0.5))
            h = acting[i](h) if i < len(acting) else h
        orthogonal = all(_is_orthogonal(part.weight) for part in weighted)
    return PlainStack(names.pop(), tuple(gains), tuple(lengths), orthogonal, len(acting) < len(linear))


def _has_defaults(acting: list[nn.Module]) -> bool:
    """The catalogue knows each activation with its standard arguments only."""
    made = type(acting[0])
    try:
        return all(part.extra_repr().replace("inplace=True", "") == made().extra_repr() for part in acting)
    except TypeError:
        return False


def _is_orthogonal(weight: Tensor) -> bool:
    square = weight.double().T @ weight.double()
    scale = float(square.diagonal().mean())
    return scale > 0 and float((square / scale - torch.eye(len(square))).abs().max()) < _ORTHOGONAL
