"""The values inside an autograd graph that is still whole: read from what its nodes saved, or computed once
more from that.

An autograd node's saved attributes carry the names of its operator's arguments, so `DivBackward0` with
`_saved_self` and `_saved_other` can be run again as `aten::div(self, other)`.
"""

import re
from typing import Any

import torch
from torch import Tensor

from livegrad.probe.operation import operator_name, tensors_in

_OPERATORS = {
    "NllLoss": "nll_loss_forward", "NllLoss2D": "nll_loss2d_forward", "LogSoftmax": "_log_softmax",
    "Softmax": "_softmax", "ToCopy": "_to_copy", "Log1P": "log1p", "Expm1": "expm1",
}  # fmt: skip
_SUMS = frozenset({"Add", "Sub", "Rsub", "Where"})
_RESULTS = ("result", "output")
# Tensor arguments that are never differentiated, in the way of matching arguments to the graph's edges.
_UNDIFFERENTIATED = frozenset({"condition", "mask", "indices", "index", "target", "pos_weight", "weight"})


def saved(node: Any, name: str) -> Any:
    """What `node` saved under `name`; None where it saved nothing, or has let go of it."""
    try:
        value = getattr(node, f"_saved_{name}")
    except (AttributeError, RuntimeError):
        return None
    return _signed(value)


def _signed(value: Any) -> Any:
    """Negative dimensions are saved as unsigned numbers."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2**63:
        return value - 2**64
    if isinstance(value, tuple | list):
        return type(value)(_signed(item) for item in value)
    return value


def schemas(node: Any) -> list[Any]:
    """The overloads of the ATen operator that `node` is the derivative of, likeliest first."""
    name = operator_name(node)
    snake = _OPERATORS.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for candidate in (snake, f"_{snake}"):
        packet = getattr(torch.ops.aten, candidate, None)
        if packet is not None:
            return [getattr(packet, o) for o in packet.overloads() if "out" not in o and "names" not in o]
    return []


def differentiated(schema: Any, node: Any) -> list[str]:
    """The names of the tensor arguments that the edges of `node` belong to, in order."""
    names = [a.name for a in schema.arguments if "Tensor" in str(a.type)]
    wanted = len(node.next_functions)
    if len(names) > wanted:
        kept = [name for name in names if name not in _UNDIFFERENTIATED]
        names = kept if len(kept) >= wanted else names
    return names[:wanted]


def saved_operands(node: Any) -> dict[str, Tensor]:
    """Every tensor operand that `node` saved, by the name of its argument."""
    found: dict[str, Tensor] = {}
    for attribute in dir(node):
        name = attribute.removeprefix("_saved_")
        if name == attribute or name.startswith(_RESULTS):
            continue
        value = saved(node, name)
        tensors = list(tensors_in(value))
        for i, tensor in enumerate(tensors):
            found[name if len(tensors) == 1 else f"{name}[{i}]"] = tensor.detach()
    return found


def saved_result(node: Any) -> Tensor | None:
    """The first output of `node`'s operation, if it saved it."""
    for name in _RESULTS:
        value = saved(node, name)
        if isinstance(value, Tensor):
            return value.detach()
    return None


def computed(node: Any, children: list[Tensor | None]) -> list[Tensor]:
    """Run the operation of `node` once more and return its outputs; `children` are its differentiable
    operands as far as known.

    Nothing is returned where an argument is unknown or nothing fits the shape that the graph remembers. A
    constant that was added and not saved counts as zero.
    """
    shape = _output_shape(node)
    for overload in schemas(node):
        arguments = _arguments(overload._schema, node, children)
        if arguments is None:
            continue
        try:
            with torch.no_grad():
                result = overload(**arguments)
        except Exception:
            continue
        tensors = list(tensors_in(result))
        if tensors and (shape is None or tuple(tensors[0].shape) == shape):
            return tensors
    return []


def _output_shape(node: Any) -> tuple[int, ...] | None:
    try:
        return tuple(node._input_metadata[0].shape)
    except (AttributeError, IndexError, TypeError):
        return None


def _arguments(schema: Any, node: Any, children: list[Tensor | None]) -> dict[str, Any] | None:
    edges = dict(zip(differentiated(schema, node), children, strict=False))
    if any("List[Tensor]" in str(argument.type) for argument in schema.arguments):
        if any(child is None for child in children):
            return None
        edges = {"tensors": children}
    known = {"half_to_float": False, "size": _output_shape(node), "alpha": 1}
    found: dict[str, Any] = {}
    for argument in schema.arguments:
        value = saved(node, argument.name)
        value = edges.get(argument.name) if value is None else value
        value = known.get(argument.name) if value is None else value
        if value is None and argument.name in edges and operator_name(node) in _SUMS:
            value = torch.zeros(())
        if value is None:
            if not argument.has_default_value() and "Optional" not in str(argument.type):
                return None
            value = argument.default_value if argument.has_default_value() else None
        found[argument.name] = value
    return found
