"""One differentiable operation of a forward pass, as it was recorded when it ran."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from livegrad.probe.activation import ActivationState
from livegrad.probe.squares import Squares

# Calls that only rearrange, select or relabel entries: their gain is 1, so they make no layer of their own.
_REARRANGING_CALLS = frozenset({
    "view", "reshape", "flatten", "unflatten", "ravel", "transpose", "permute", "t", "adjoint",
    "squeeze", "unsqueeze", "contiguous", "clone", "to", "float", "double", "half", "bfloat16",
    "type", "cpu", "cuda", "detach_", "requires_grad_", "expand", "expand_as", "broadcast_to",
    "view_as", "reshape_as", "movedim", "moveaxis", "swapaxes", "swapdims", "type_as", "__get__",
    "chunk", "split", "split_with_sizes", "tensor_split", "unbind", "unfold", "narrow", "select",
    "__getitem__", "flip", "roll", "diagonal", "alias", "positive", "real", "imag", "view_as_real",
    "view_as_complex", "atleast_1d", "atleast_2d", "atleast_3d", "pixel_shuffle", "pixel_unshuffle",
    "index_select", "gather", "masked_select", "take", "take_along_dim",
})  # fmt: skip
_REARRANGING_OPERATORS = frozenset({
    "View", "UnsafeView", "ReshapeAlias", "Transpose", "T", "Permute", "Squeeze", "Unsqueeze",
    "Clone", "ToCopy", "Expand", "Split", "SplitWithSizes", "Unbind", "Slice", "Select",
    "AsStrided", "Alias", "BackwardHookFunction",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """The size of one output of an operation.

    number: which output. squares: float64 (B,), the sum of squares of each sample's activation; samples lie
    along dimension 0, and a tensor of fewer than two dimensions is one sample. entries: entries per sample.
    sample, tokens: some entries of some samples, and of some places of a sequence, see
    livegrad.probe.similarity.
    """

    number: int
    shape: tuple[int, ...]
    squares: Squares
    entries: int
    sample: torch.Tensor | None = None
    tokens: torch.Tensor | None = None


@dataclass(slots=True)
class Operation:
    """One differentiable operation of the forward pass.

    call: the name it was called by. module, line: innermost module and user's line that ran it. uses_data:
    False if only parameters and buffers went in. weighted: True if a parameter went in, trained or frozen.
    first: sequence number that the first autograd node of the call could have (a call may make several;
    `node` is the last). unseen: known by its result only, not by the call. values: its measured outputs.
    nonfinite: entries that are inf or NaN, of each.
    """

    node: Any
    call: str
    module: torch.nn.Module | None
    line: tuple[str, int] | None
    uses_data: bool
    first: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    weighted: bool = False
    rearranges: bool = False
    unseen: bool = False
    values: list[Value] = field(default_factory=list)
    nonfinite: list[Any] = field(default_factory=list)
    activation: ActivationState | None = None

    @property
    def channels(self) -> int:
        """Number of units: channels of an image tensor, features otherwise."""
        if len(self.shape) < 2:
            return 1
        return self.shape[1] if len(self.shape) in (4, 5) else self.shape[-1]

    @property
    def is_scalar(self) -> bool:
        return all(size == 1 for size in self.shape)


def operator_name(node: Any) -> str:
    """Return the autograd operation's plain name: SigmoidBackward0 → Sigmoid, AddmmBackward0 → Addmm."""
    return node.name().rsplit("::")[-1].rstrip("0123456789").removesuffix("Backward")


def is_rearranging(call: str) -> bool:
    """True if the call (or, where none was seen, the autograd operation) only moves entries about or picks
    some.
    """
    return call in _REARRANGING_CALLS or call in _REARRANGING_OPERATORS


def shape_of(tensor: torch.Tensor) -> tuple[int, ...]:
    """The shape of `tensor`; () for a nested one, which may have none."""
    return () if tensor.is_nested else tuple(tensor.shape)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor in `value`, looking into tuples, lists and dicts."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
