"""Products with parameters that a program writes itself, x @ W + b, F.linear(x, W) or F.conv2d(x, W), as
layers.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from livegrad.probe.layers import LayerNode, LayerSpec
from livegrad.probe.operation import is_rearranging, operator_name

_CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d"})
PRODUCTS = frozenset({"matmul", "mm", "addmm", "linear"}) | _CONVOLUTIONS
# What autograd calls them.
_NODES = frozenset({"Mm", "Addmm", "Bmm", "Mv", "Addmv", "Linear", "MkldnnLinear", "Convolution"})
# Of operations that are no loop over time.
_KINDS = frozenset({"depth", "branch"})
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class OwnProduct:
    """weight: dotted name of its matrix, or of a convolution's kernels. bias: of what is added to it, if that
    belongs to the same module. by_columns: the matrix stands as inputs × outputs. whole: what it gives is
    what its module gives. groups: of a convolution.
    """

    weight: str
    bias: str | None
    by_columns: bool
    whole: bool = False
    groups: int = 1


@dataclass(frozen=True)
class OwnProducts:
    """Among the operations of a forward pass. own: place -> the product. sums: places where only its bias is
    added.
    """

    own: Mapping[int, OwnProduct]
    sums: Set[int]


def own_products(
    layers: Sequence[LayerNode],
    modules: Mapping[str, nn.Module],
    parameters: Sequence[tuple[str, nn.Parameter]],
) -> OwnProducts:
    """Find them on the spine and in residual branches. layers: in order of execution. modules: by dotted
    name. parameters: by the ids that the layers' specs have.

    Each product has one matrix, as the parameter is (one that is computed first, W · scale, cannot be drawn
    as if it stood there itself), and at most one vector, of as many entries as it has outputs; that may be
    added in the operation behind it. The product may be all that a module of the program's own does.
    """
    found: dict[int, OwnProduct] = {}
    sums: set[int] = set()
    for place, layer in enumerate(layers):
        spec, call, shape = layer.spec, layer.operation.call.strip("_"), layer.operation.shape
        if call not in PRODUCTS or spec.kind not in _KINDS or _of_torch(spec, modules):
            continue
        own = [parameters[i] for i in spec.tensors]
        matrices = [(name, p) for name, p in own if _outputs(call, p, shape)]
        if len(matrices) != 1 or not any(p is matrices[0][1] for p in _multiplied(layer.node)):
            continue
        name, matrix = matrices[0]
        outputs = _outputs(call, matrix, shape)
        added = [name for name, p in own if p.numel() == outputs and p.dim() < 2]
        following = layers[place + 1].spec if place + 1 < len(layers) else None
        if not added and following is not None and following.operator == "Add":
            behind = [parameters[i] for i in following.tensors]
            added = [name for name, p in behind if p.numel() == outputs]
            if len(added) == len(behind) == 1:
                sums.add(place + 1)
        bias = added[0] if len(added) == 1 and _owner(added[0]) == _owner(name) else None
        last = following if following is not None and place + 1 in sums else spec
        whole = last.module == spec.module and _is_whole(last, modules)
        groups = getattr(layer.node, "_saved_groups", 1)
        found[place] = OwnProduct(name, bias, _by_columns(call, matrix, outputs), whole, groups)
    return OwnProducts(found, sums)


def _of_torch(spec: LayerSpec, modules: Mapping[str, nn.Module]) -> bool:
    """True where it is what a module of torch.nn, or one derived from its layers, does as a whole."""
    module = modules.get(spec.module or "")
    of_torch = type(module).__module__.startswith("torch.nn.") or isinstance(module, _LAYERS)
    return of_torch and _is_whole(spec, modules)


def _is_whole(spec: LayerSpec, modules: Mapping[str, nn.Module]) -> bool:
    """True of the operation that ends what a module does."""
    return spec.module is not None and spec.type == type(modules.get(spec.module)).__name__


def _outputs(call: str, parameter: Tensor, shape: tuple[int, ...]) -> int:
    """How many output units the call has if this is its matrix; 0 where it cannot be."""
    if call not in _CONVOLUTIONS:
        return shape[-1] if parameter.dim() == 2 and shape[-1:] and shape[-1] in parameter.shape else 0
    places = int(call[-2])
    fits = parameter.dim() == places + 2 and len(shape) > places
    return shape[-places - 1] if fits and shape[-places - 1] == parameter.shape[0] else 0


def _by_columns(call: str, matrix: Tensor, outputs: int) -> bool:
    if call in _CONVOLUTIONS:
        return False
    rows, columns = matrix.shape
    return call != "linear" if rows == columns else outputs == columns


def _multiplied(node: Any, products: int = 1) -> Iterator[Tensor]:
    """The parameters that go into the product at this node as they are, but for their shape and format."""
    name = operator_name(node)
    if hasattr(node, "variable"):
        yield node.variable
    elif is_rearranging(name) or (name in _NODES and products):
        for before, _ in node.next_functions:
            if before is not None:
                yield from _multiplied(before, products - (name in _NODES))


def _owner(name: str) -> str:
    """The module that holds the parameter, or the list of parameters that it is in."""
    owner, _, last = name.rpartition(".")
    return owner.rpartition(".")[0] if last.isdecimal() else owner
