"""What a cause is replaced by. Each takes the place of one call and leaves its output's shape and dtype as it
is.

    passed(x)     y → x · rms y / rms x        the operation passes everything on, at the size it gave
    identity(x)   y → x                        the operation does nothing
    unit(x)       φ(x) → φ(x / rms x)          its inputs have unit size, where they were larger
    centred(x)    φ(x) → φ(x − mean x)         the mean over the batch, unit by unit, is off its inputs
    gained(x)     Wx + b → c·Wx + b            so that rms cWx = gain · rms x
    SmallBranch   s + f → s + f / √L           the branches of L joins add up to the size of one
    SkipOnly      s + f → s · rms (s + f) / rms s

All factors are numbers taken from the batch and are not differentiated.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_MATRIX_PRODUCTS = frozenset({"matmul", "__matmul__", "__rmatmul__", "mm", "bmm"})
_WITH_BIAS = frozenset({
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "bilinear",
})  # fmt: skip
_MULTIPLIES = frozenset({"mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply"})
_CLAMPS = frozenset({"clamp", "clip", "hardtanh"})
_SUMS = frozenset({"add", "add_", "__add__", "__radd__", "__iadd__"})
_ADDED = frozenset({"addmm", "baddbmm", "addbmm"})


class CannotRemove(Exception):
    """The call is of a kind that has no simple opposite; the message says why."""


def passed(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Pass the input on at the size of the output."""
    x = _first_input(func, args, kwargs)
    y, out, in_place = _outcome(func, args, kwargs, x)
    return _in_its_place(y, x, x * _ratio(_rms(out), _rms(x)), in_place)


def at_the_size_of(output: Any, x: Tensor) -> Tensor:
    """x · rms output / rms x. Raises CannotRemove where the two differ in shape or are no plain numbers."""
    if not isinstance(output, Tensor) or output.shape != x.shape or not x.is_floating_point():
        raise CannotRemove("it changes the shape of its input, so nothing can stand in its place")
    return (x * _ratio(_rms(output), _rms(x))).to(output.dtype)


def identity(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Pass the input on as it is."""
    x = _first_input(func, args, kwargs)
    y, _, in_place = _outcome(func, args, kwargs, x)
    return _in_its_place(y, x, x * 1.0, in_place)


def unit(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Bring inputs larger than one to unit size; of a clamp, larger than its bounds to those."""
    x = _first_input(func, args, kwargs)
    size, wanted = _rms(x), _bound(func, args, kwargs)
    return _with_input(
        func, args, kwargs, x, x * _ratio(wanted * torch.ones_like(size), size.clamp(min=wanted))
    )


def centred(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Take the mean of each unit over the batch (and over places) off the inputs."""
    x = _first_input(func, args, kwargs)
    places = [d for d in range(x.ndim) if d != (1 if x.ndim in (4, 5) else x.ndim - 1)]
    mean = x.detach().mean(places, keepdim=True) if places else torch.zeros_like(x)
    return _with_input(func, args, kwargs, x, x - mean)


def gained(gain: float) -> Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]:
    """Scale a weighted operation so that it multiplies the rms of its input by `gain`, its bias left as it
    is.
    """

    def scaled(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        parts = _product(func, args, kwargs)
        if parts is None:
            return func(*args, **kwargs)
        x, product, bias = parts
        y = product * _ratio(gain * _rms(x), _rms(product))
        return y if bias is None else y + bias

    return scaled


class _Join:
    """A join of two paths, of which the one that was made earlier is the skip."""

    def __init__(self) -> None:
        self._made: Mapping[Any, int] = {}

    def bind(self, made: Mapping[Any, int]) -> None:
        """made: autograd node -> number of the call it came from, as it grows."""
        self._made = made

    def __call__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = getattr(func, "__name__", "")
        paths = [t for t in args[:2] if isinstance(t, Tensor)]
        if name not in _SUMS or kwargs or len(paths) < 2 or paths[0].shape != paths[1].shape:
            raise CannotRemove(f"{name} is no sum of two paths of one shape")
        skip, branch = sorted(paths, key=lambda t: -1 if t.grad_fn is None else self._made.get(t.grad_fn, -1))
        value = self._joined(skip, branch)
        return args[0].copy_(value) if name in ("add_", "__iadd__") else value

    def _joined(self, skip: Tensor, branch: Tensor) -> Tensor:
        raise NotImplementedError


class SmallBranch(_Join):
    """Scale the branch by 1/√L."""

    def __init__(self, joins: int) -> None:
        super().__init__()
        self._factor = joins**-0.5

    def _joined(self, skip: Tensor, branch: Tensor) -> Tensor:
        return skip + branch * self._factor


class SkipOnly(_Join):
    """Pass the skip on at the size of the sum."""

    def _joined(self, skip: Tensor, branch: Tensor) -> Tensor:
        return skip * _ratio(_rms(skip + branch), _rms(skip))


def _product(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Tensor, Tensor, Tensor | None] | None:
    """The input, the product with the weights alone, and the bias in the output's shape; None without
    weights.
    """
    name = getattr(func, "__name__", "")
    if name in _WITH_BIAS:
        at = 3 if name == "bilinear" else 2
        bias = args[at] if len(args) > at else kwargs.get("bias")
        without = (*args[:at], None, *args[at + 1 :]) if len(args) > at else args
        product = func(*without, **({**kwargs, "bias": None} if "bias" in kwargs else kwargs))
        x = args[0] if args else kwargs["input"]
        return x, product, None if bias is None else _spread(bias, product, name)
    if name in _MATRIX_PRODUCTS:
        x = _activation_of(args[:2])
        return None if x is None else (x, func(*args, **kwargs), None)
    if name in _ADDED and not kwargs:
        product = args[1] @ args[2]
        x = _activation_of(args[1:3])
        return None if x is None else (x, product, args[0])
    raise CannotRemove(f"the weights of {name} cannot be told from its input")


def _activation_of(operands: Sequence[Any]) -> Tensor | None:
    """The operand that the other, a parameter, weights; None where the other is fixed (an adjacency)."""
    for tensor, other in (operands, operands[::-1]):
        if _is_parameter(other) and not _is_parameter(tensor):
            return tensor
    if any(tensor.layout is not torch.strided or not tensor.requires_grad for tensor in operands):
        return None
    return operands[0]


def _is_parameter(tensor: Tensor) -> bool:
    return isinstance(tensor if tensor._base is None else tensor._base, torch.nn.Parameter)


def _spread(bias: Tensor, like: Tensor, name: str) -> Tensor:
    if not name.startswith("conv"):
        return bias
    spatial = int(name.rstrip("d")[-1])
    return bias.reshape(-1, *([1] * spatial))


def _bound(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """The larger of the bounds of a clamp; 1 for any other operation."""
    if getattr(func, "__name__", "").strip("_") not in _CLAMPS:
        return 1.0
    given = (*args[1:3], *(kwargs.get(name) for name in ("min", "max", "min_val", "max_val")))
    bounds = [abs(float(value)) for value in given if isinstance(value, int | float) and value]
    return max(bounds, default=1.0)


def _first_input(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    x = _gated(func, args) if not kwargs else None
    x = _tensor(args, kwargs) if x is None else x
    if not x.is_floating_point():
        raise CannotRemove(f"{getattr(func, '__name__', 'the operation')} takes no real numbers")
    return x


def _gated(func: Callable[..., Any], args: tuple[Any, ...]) -> Tensor | None:
    """Of a product of two values the one that the other gates; None unless just one of them is a gate, all of
    whose entries lie between 0 and 1.
    """
    factors = [t for t in args[:2] if isinstance(t, Tensor)]
    if getattr(func, "__name__", "") not in _MULTIPLIES or len(factors) < 2:
        return None
    if factors[0].shape != factors[1].shape or not all(t.requires_grad for t in factors):
        return None
    inside = [bool(((t >= 0) & (t <= 1)).all()) for t in factors]
    return None if inside[0] == inside[1] else factors[inside.index(False)]


def _tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    # A scaling may be written 0.1 * x, and `input` given by name.
    tensors = [t for t in (*args, *kwargs.values()) if isinstance(t, Tensor)]
    if not tensors:
        raise CannotRemove("the operation takes no tensor")
    return max(tensors[:2], key=lambda t: (t.numel(), t.requires_grad))


def _outcome(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor
) -> tuple[Any, Tensor, bool]:
    """What the call gives, outside the graph: all of it, the tensor in it, and whether it wrote into x."""
    stand_in = x.detach().clone()
    with torch.no_grad():
        y = func(*_swapped(args, x, stand_in), **_swapped(kwargs, x, stand_in))
    out = y if isinstance(y, Tensor) else next((t for t in y or () if isinstance(t, Tensor)), None)
    if out is None or out.shape != x.shape:
        name = getattr(func, "__name__", "it")
        raise CannotRemove(f"{name} changes the shape of its input, so nothing can stand in its place")
    return y, out, out is stand_in


def _in_its_place(y: Any, x: Tensor, value: Tensor, in_place: bool) -> Any:
    """`value` in the place of the output y."""
    if isinstance(y, tuple):
        return type(y)((value, *y[1:]))
    if in_place:
        return x.copy_(value)
    return value if value.dtype == y.dtype else value.to(y.dtype)


def _swapped(values: Any, x: Tensor, other: Tensor) -> Any:
    if isinstance(values, dict):
        return {key: other if value is x else value for key, value in values.items()}
    return tuple(other if value is x else value for value in values)


def _with_input(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor, changed: Tensor
) -> Any:
    y = func(*_swapped(args, x, changed), **_swapped(kwargs, x, changed))
    # In place it wrote into `changed`.
    return x.copy_(y) if y is changed else y


def _rms(x: Tensor) -> Tensor:
    x = x.detach()
    return x.double().square().mean().sqrt() if x.device.type != "mps" else x.square().mean().sqrt()


def _ratio(above: Tensor, below: Tensor) -> float:
    found = float(above) / max(float(below), 1e-300)
    if not 0 < found < float("inf"):
        raise CannotRemove("its input or output is zero or not finite")
    return found


__all__ = [
    "CannotRemove",
    "SkipOnly",
    "SmallBranch",
    "at_the_size_of",
    "centred",
    "gained",
    "identity",
    "passed",
    "unit",
]
