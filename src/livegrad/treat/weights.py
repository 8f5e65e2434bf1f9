"""The weight tensors of standard layers: how many inputs and outputs a unit has, and drawing them anew."""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from livegrad.treat.anatomy import Part
from livegrad.treat.own_products import OwnProduct
from livegrad.treat.remedy import Change

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_PROJECTION = nn.modules.linear.NonDynamicallyQuantizableLinear


@dataclass(frozen=True)
class Weight:
    """A weight tensor seen as a linear map, and its bias.

    fan_in: inputs of one output unit, fan_out: outputs one input unit reaches, both times the kernel's size.
    name: dotted name of the parameter's module, of attention that of its output projection, of a product that
    the program writes itself that of the matrix. by_columns: such a matrix stands as inputs × outputs.
    """

    part: Part
    module: nn.Module
    weight: Tensor
    bias: Tensor | None
    fan_in: int
    fan_out: int
    by_columns: bool = False

    @property
    def name(self) -> str:
        if self.part.own is not None:
            return self.part.own.weight
        name = self.part.module or self.part.name
        return f"{name}.out_proj" if isinstance(self.module, _PROJECTION) else name

    def where(self, tensor: str) -> str:
        """The dotted name of its "weight" or its "bias"."""
        own = self.part.own
        found = None if own is None else own.weight if tensor == "weight" else own.bias
        return f"{self.name}.{tensor}" if found is None else found

    @property
    def attribute(self) -> str:
        """What the module of a weight calls it; of a list of them with the place in it."""
        owner, _, name = self.where("weight").rpartition(".")
        several = owner.rpartition(".")[2]
        return f"{several}[{name}]" if isinstance(self.module, nn.ParameterList) else name

    @property
    def is_convolution(self) -> bool:
        """Whether it is a module's, or kernels that the program hands to a convolution itself."""
        return isinstance(self.module, _CONVOLUTIONS) or (self.part.own is not None and self.weight.dim() > 2)

    @property
    def groups(self) -> int:
        own = self.part.own
        return getattr(self.module, "groups", 1) if own is None else own.groups


def weights_of(model: nn.Module, parts: tuple[Part, ...], computed: bool = False) -> Iterator[Weight]:
    """Yield the weights of linear layers and convolutions among `parts`, each tensor once, in their order.

    Matrices that the program multiplies with itself are among them. Layers of other kinds (recurrent cells,
    attention with packed projections) are passed over: what their axes mean is not known from the tensor. So
    are weights that are computed from parameters (weight norm, spectral norm) and cannot be written to, and
    frozen ones, which are to stay as they are, unless `computed`.
    """
    seen: set[int] = set()
    modules = dict(model.named_modules())
    for part in parts:
        module = modules.get(part.module) if part.module is not None else None
        if isinstance(module, nn.MultiheadAttention):
            module = module.out_proj
        fans = _fans(module)
        if part.own is not None and fans is None:
            own = _own(model, part, part.own, seen)
            if own is not None:
                yield own
            continue
        if module is None or fans is None:
            continue
        weight = module.weight
        if not isinstance(weight, Tensor) or not weight.is_floating_point() or id(weight) in seen:
            continue
        if not (computed or (isinstance(weight, nn.Parameter) and weight.requires_grad)):
            continue
        seen.add(id(weight))
        bias = getattr(module, "bias", None)
        yield Weight(part, module, weight, bias if isinstance(bias, Tensor) else None, *fans)


def _own(model: nn.Module, part: Part, own: OwnProduct, seen: set[int]) -> Weight | None:
    """The matrix of a product that the program writes itself; None where it is frozen or was seen before."""
    weight = model.get_parameter(own.weight)
    if id(weight) in seen or not weight.requires_grad or not weight.is_floating_point():
        return None
    seen.add(id(weight))
    bias = None if own.bias is None else model.get_parameter(own.bias)
    owner = model.get_submodule(own.weight.rpartition(".")[0])
    outputs, fan_in = flat(weight)
    fan_in, fan_out = (outputs, fan_in) if own.by_columns else (fan_in, outputs * weight[0, 0].numel())
    return Weight(part, owner, weight, bias, fan_in, fan_out, own.by_columns)


def median_gain(model: nn.Module, parts: tuple[Part, ...]) -> float:
    """σ_w = √(fan-in · mean W²) as the weights are now, the median over the layers; 1 without any."""
    found = [
        math.sqrt(w.fan_in * float(w.weight.detach().double().square().mean()))
        for w in weights_of(model, parts, computed=True)
    ]
    return statistics.median(found) if found else 1.0


def _fans(module: nn.Module | None) -> tuple[int, int] | None:
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if isinstance(module, _CONVOLUTIONS):
        kernel = math.prod(module.kernel_size)
        return module.in_channels // module.groups * kernel, module.out_channels // module.groups * kernel
    if isinstance(module, TRANSPOSED):
        # Each output place sees kernel/stride of the kernel's places.
        places = math.prod(module.kernel_size) / math.prod(module.stride)
        fan_in = module.in_channels // module.groups * places
        return max(1, round(fan_in)), max(1, round(module.out_channels // module.groups * places))
    return None


def rewritten(tensor: Tensor, new: Tensor, where: str, what: str, source: str | None) -> Change:
    """Write `new` into `tensor` in place (optimizers keep holding it) and return the change."""
    old = tensor.detach().clone()
    with torch.no_grad():
        tensor.copy_(new)

    def undo() -> None:
        with torch.no_grad():
            tensor.copy_(old)

    return Change(where, what, undo, source)


def flat(weight: Tensor) -> tuple[int, int]:
    """The shape of a weight as a matrix: output units × everything that feeds one."""
    return weight.shape[0], weight[0].numel()
