"""What a tensor holds: finite numbers alone, infinities, or NaN, and between which limits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Operand:
    """One operand of an operation. low, high: of its finite entries, None if it has none. nonfinite: how many
    of its entries are not finite, None where that could not be read.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    low: float | None = None
    high: float | None = None
    nonfinite: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "min": self.low,
            "max": self.high,
            "nonfinite": self.nonfinite,
        }


def tensors_within(value: Any, depth: int = 4) -> Iterator[Tensor]:
    """Every tensor in `value`: also in the fields of a dataclass or of an object like a distribution."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (str, bytes, int, float, bool, type(None), torch.nn.Module)) or not depth:
        return
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_within(item, depth - 1)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_within(item, depth - 1)
    else:
        for item in list(getattr(value, "__dict__", {}).values()):
            yield from tensors_within(item, depth - 1)


def entries(tensor: Tensor) -> Tensor | None:
    """The stored numbers of `tensor`, without its graph; None where they cannot be read."""
    if tensor.is_meta or tensor.is_nested or tensor.is_quantized:
        return None
    if tensor.layout is torch.sparse_coo:
        return tensor.detach()._values()
    return tensor.detach() if tensor.layout is torch.strided else tensor.detach().to_dense()


def flaw(tensor: Any) -> str:
    """Return "nan" if any entry is NaN, else "inf" if any is infinite, else ""."""
    if not isinstance(tensor, Tensor) or not (tensor.is_floating_point() or tensor.is_complex()):
        return ""
    values = entries(tensor)
    if values is None or not values.numel() or bool(torch.isfinite(values).all()):
        return ""
    return "nan" if bool(torch.isnan(values).any()) else "inf"


def has_positive_infinity(tensor: Tensor) -> bool:
    """True if an entry is +inf."""
    values = entries(tensor)
    return values is not None and not values.is_complex() and bool(torch.isposinf(values).any())


def describe(name: str, tensor: Tensor) -> Operand:
    """Read the limits of `tensor`; nothing is read of what is not a plain real tensor."""
    shape = () if tensor.is_nested else tuple(tensor.shape)
    dtype = str(tensor.dtype).removeprefix("torch.")
    values = entries(tensor)
    if values is None or values.is_complex() or not values.numel():
        return Operand(name, shape, dtype)
    if not values.is_floating_point():
        return Operand(name, shape, dtype, float(values.min()), float(values.max()), 0)
    finite = values[torch.isfinite(values)]
    count = int(values.numel() - finite.numel())
    if not finite.numel():
        return Operand(name, shape, dtype, None, None, count)
    return Operand(name, shape, dtype, float(finite.min()), float(finite.max()), count)
