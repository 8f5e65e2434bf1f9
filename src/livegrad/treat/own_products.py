"""Products with parameters that a program writes itself, x @ W + b or F.linear(x, W), as layers."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from torch import nn

from livegrad.probe.layers import LayerSpec

PRODUCTS = frozenset({"matmul", "mm", "addmm", "linear"})


@dataclass(frozen=True)
class OwnProduct:
    """weight: dotted name of its matrix. bias: of what is added to it, if that belongs to the same module.
    by_columns: the matrix stands as inputs × outputs.
    """

    weight: str
    bias: str | None
    by_columns: bool


@dataclass(frozen=True)
class OwnProducts:
    """Among the operations of a forward pass. own: place -> the product. sums: places where only its bias is
    added.
    """

    own: Mapping[int, OwnProduct]
    sums: Set[int]


def own_products(
    specs: Sequence[LayerSpec],
    shapes: Sequence[tuple[int, ...]],
    parameters: Sequence[tuple[str, nn.Parameter]],
) -> OwnProducts:
    """Find them on the spine. shapes: of what each operation gives. parameters: by the ids that `specs` have.

    Each product has one matrix, and at most one vector, of as many entries as it has outputs; that may be
    added in the operation behind it.
    """
    found: dict[int, OwnProduct] = {}
    sums: set[int] = set()
    for place, (spec, shape) in enumerate(zip(specs, shapes, strict=True)):
        own = [parameters[i] for i in spec.tensors]
        matrices = [(name, p) for name, p in own if p.dim() == 2 and shape[-1:] and shape[-1] in p.shape]
        if spec.type not in PRODUCTS or spec.kind != "depth" or len(matrices) != 1:
            continue
        name, matrix = matrices[0]
        added = [name for name, p in own if p.numel() == shape[-1] and p.dim() < 2]
        following = specs[place + 1] if place + 1 < len(specs) else None
        if not added and following is not None and following.operator == "Add":
            behind = [parameters[i] for i in following.tensors]
            added = [name for name, p in behind if p.numel() == shape[-1]]
            if len(added) == len(behind) == 1:
                sums.add(place + 1)
        bias = added[0] if len(added) == 1 and _owner(added[0]) == _owner(name) else None
        rows, columns = matrix.shape
        by_columns = spec.type != "linear" if rows == columns else shape[-1] == columns
        found[place] = OwnProduct(name, bias, by_columns)
    return OwnProducts(found, sums)


def _owner(name: str) -> str:
    return name.rpartition(".")[0]
