"""Where a normalization can stand: the layers next to hidden activations."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from livegrad.theory.activation import CATALOGUE
from livegrad.treat.anatomy import Part
from livegrad.treat.body import Body
from livegrad.treat.shapes import shapes_of

CHILD = "norm"
"""The name of the normalization that is put into a layer."""
_CONVOLUTIONS: dict[type[nn.Module], int] = {
    nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3,
    nn.ConvTranspose1d: 1, nn.ConvTranspose2d: 2, nn.ConvTranspose3d: 3,
}  # fmt: skip

_Shapes = Mapping[str, tuple[torch.Size, torch.Size]]


@dataclass(frozen=True)
class Place:
    """A layer to normalize. units: channels or features. dims: spatial, 0 for features last. axes: of the
    tensor, samples first. samples: of the batch, None if unknown.
    """

    part: Part
    layer: nn.Module
    units: int
    dims: int
    axes: int
    samples: int | None

    @property
    def name(self) -> str:
        return self.part.module or ""


def places_of(body: Body, position: str) -> list[Place]:
    """The layers that give what hidden activations take (`position` "before"), or take what those give
    ("after").
    """
    parts = body.anatomy.parts
    uses = Counter(part.module for part in parts)
    gates = {(s.kind, s.source) for s in body.sites if s.gate} if body.args is not None else set()
    chosen: list[Part] = []
    for i, part in enumerate(parts):
        beside = part.activation in CATALOGUE if position == "before" else part.before in CATALOGUE
        free = part.normalization is None and uses[part.module] == 1 and part.kind != "time"
        if position == "before":
            # What follows the last layer is the model's own output link.
            free = free and i < len(parts) - 1 and (part.activation, part.activation_source) not in gates
        if beside and free and part.module is not None:
            chosen.append(part)
    modules = dict(body.model.named_modules())
    shapes = shapes_of(body, [part.module for part in chosen if part.module is not None])
    found = (_place(part, modules, shapes, position == "after") for part in chosen)
    return [place for place in found if place is not None]


def _place(part: Part, modules: Mapping[str, nn.Module], shapes: _Shapes, of_input: bool) -> Place | None:
    layer = modules.get(part.module or "")
    if layer is None or CHILD in layer._modules:
        return None
    dims = next((n for kind, n in _CONVOLUTIONS.items() if isinstance(layer, kind)), 0)
    if not dims and not isinstance(layer, nn.Linear):
        return _own_place(part, layer, modules, shapes, of_input)
    names = ("in_channels", "out_channels") if dims else ("in_features", "out_features")
    shape = shapes[part.module or ""][0 if of_input else 1] if part.module in shapes else None
    axes = len(shape) if shape is not None else dims + 2
    return Place(part, layer, getattr(layer, names[not of_input]), dims, axes, shape[0] if shape else None)


def _own_place(
    part: Part, layer: nn.Module, modules: Mapping[str, nn.Module], shapes: _Shapes, of_input: bool
) -> Place | None:
    """That of a module of the program's own, whose shapes alone tell its features or channels."""
    if part.own is None or not part.own.whole or part.module is None or part.module not in shapes:
        return None
    shape = shapes[part.module][0 if of_input else 1]
    dims = modules[""].get_parameter(part.own.weight).dim() - 2
    return Place(part, layer, shape[1 if dims else -1], dims, len(shape), shape[0])
