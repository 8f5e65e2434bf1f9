"""The calls of a forward pass on a copy, numbered in order, so that chosen ones can be replaced in a second
run.

Module calls, functional calls, operators and tensor methods all come by here, because a TorchFunctionMode
hands them over. What would write into anything that is not the copy's own is stopped.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from livegrad.probe.module_calls import start_listening, stop_listening
from livegrad.probe.operation import tensors_in

Removal = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""replaced(func, args, kwargs) -> output: what runs in the place of a call."""

_PRODUCTS = frozenset({"linear", "matmul", "__matmul__", "mm"})
_WRITES = frozenset(
    {"__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__iand__", "__ior__"}
)


@runtime_checkable
class Bound(Protocol):
    """A removal that has to know which call made a tensor."""

    def bind(self, made: Mapping[Any, int]) -> None:
        """made: autograd node -> number of its call, as it grows."""
        ...


class LeavesCopy(Exception):
    """The forward pass reaches out of the copy; the message says how."""


class WentElsewhere(Exception):
    """The second run did not make the calls of the first, so the ones to replace cannot be told."""


class Calls(TorchFunctionMode):
    """Numbers the calls of a forward pass of `model`, and runs `removals` in the place of some.

    names[k]: function of call k. made: autograd node -> number of the call it came from, in the run that this
    mode is on for. products: id of a matrix -> calls that multiply something with a history by it. expected:
    names of a run before, to check that call k is the same one.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        removals: Mapping[int, Removal] | None = None,
        expected: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.names: list[str] = []
        self.made: dict[Any, int] = {}
        self.replaced = 0
        self.products: dict[int, list[int]] = {}
        self._removals = dict(removals or {})
        for removal in self._removals.values():
            if isinstance(removal, Bound):
                removal.bind(self.made)
        self._expected = expected
        self._modules = {id(module) for module in model.modules()}
        own = (*model.parameters(), *model.buffers(), *tensors_in(inputs), *_attributes(model))
        self._storages = {_storage(tensor) for tensor in own}
        self._generators: dict[int, tuple[torch.Generator, Tensor]] = {}
        self._thread = threading.get_ident()
        self._inside = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if self._inside:
            self._guard(name, args, kwargs or {})
            return func(*args, **(kwargs or {}))
        return self._call(func, args, kwargs or {}, name)

    def _call(self, func: Any, args: Any, kwargs: dict[str, Any], name: str) -> Any:
        number = len(self.names)
        self.names.append(name)
        self._guard(name, args, kwargs)
        removal = self._removals.get(number)
        if removal is None:
            output = func(*args, **kwargs)
        else:
            if self._expected is not None and self._expected[number : number + 1] != [name]:
                raise WentElsewhere("without the cause the forward pass takes another way")
            self.replaced += 1
            output = removal(func, args, kwargs)
        if name in _PRODUCTS:
            self._note_product(args, number)
        if output.__class__ is Tensor:
            self._note(output, number)
        elif isinstance(output, (tuple, list, dict)):
            for tensor in tensors_in(output):
                self._note(tensor, number)
        elif name in _WRITES and args:
            self._note(args[0], number)
        return output

    def _note(self, tensor: Tensor, number: int) -> None:
        with torch._C.DisableTorchFunction():
            self._storages.add(_storage(tensor))
            if tensor.grad_fn is not None:
                self.made.setdefault(tensor.grad_fn, number)

    def _note_product(self, args: tuple[Any, ...], number: int) -> None:
        with torch._C.DisableTorchFunction():
            tensors = [t for t in args[:2] if isinstance(t, Tensor)]
            for tensor in tensors:
                base = tensor._base if tensor._base is not None else tensor
                square = isinstance(base, nn.Parameter) and base.ndim == 2 and base.shape[0] == base.shape[1]
                if square and any(other is not tensor and other.grad_fn is not None for other in tensors):
                    self.products.setdefault(id(base), []).append(number)

    def _guard(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.Generator) and id(value) not in self._generators:
                self._generators[id(value)] = (value, value.get_state())
        in_place = name in _WRITES or (name.endswith("_") and not name.endswith("__"))
        targets = [kwargs["out"]] if kwargs.get("out") is not None else []
        targets += [args[0]] if in_place and args else []
        with torch._C.DisableTorchFunction():
            for tensor in tensors_in(targets):
                if _storage(tensor) not in self._storages:
                    raise LeavesCopy(
                        f"the forward pass writes ({name}) into a tensor that is not the model's"
                    )

    # As a listener to module calls: see livegrad.probe.module_calls.

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Stop a call that reaches a module outside the copy, which would change the true model."""
        if id(module) not in self._modules:
            held = (*module.parameters(), *module.buffers())
            if held or module._forward_hooks or module._forward_pre_hooks:
                raise LeavesCopy(
                    f"the forward pass calls a {type(module).__name__} that the copy does not hold"
                )
        return False

    def leave(self, module: nn.Module, output: Any, failed: bool) -> None:
        """Never called: `enter` asks for nothing more."""

    def __enter__(self) -> "Calls":
        start_listening(self)
        self._wrap_functions()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.autograd.Function.apply = self._apply
        stop_listening(self)
        for generator, state in self._generators.values():
            generator.set_state(state)

    def _wrap_functions(self) -> None:
        """Have custom autograd functions come by too, which no function mode sees."""
        self._apply = apply = vars(torch.autograd.Function)["apply"]

        def numbered(cls: Any, *args: Any, **kwargs: Any) -> Any:
            plain = apply.__get__(None, cls)
            if self._inside or threading.get_ident() != self._thread:
                return plain(*args, **kwargs)
            self._inside = True
            try:
                if len(self.names) not in self._removals:
                    return self._call(plain, args, kwargs, cls.__name__)
                with torch._C.DisableTorchFunction():
                    return self._call(plain, args, kwargs, cls.__name__)
            finally:
                self._inside = False

        torch.autograd.Function.apply = classmethod(numbered)  # pyright: ignore[reportAttributeAccessIssue]


def _attributes(model: nn.Module) -> list[Tensor]:
    return [t for module in model.modules() for value in module.__dict__.values() for t in tensors_in(value)]


def _storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        return id(tensor)
