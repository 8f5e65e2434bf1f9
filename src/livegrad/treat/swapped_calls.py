"""A module whose forward pass calls other functions than its source says, at chosen lines.

The swap is an attribute `forward` of the module itself. It survives copy.deepcopy and pickling, is no hook (a
copy made for a measurement keeps it), adds nothing to the state dict, and is taken off by `detach`. Under
torch.compile the module runs as it is, outside the compiled graph.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from livegrad.probe.source import is_user_file


@dataclass(frozen=True)
class Line:
    """A line of the user's program. file: last part of its path. function: qualified name."""

    file: str
    function: str
    number: int


@dataclass(frozen=True)
class Swap:
    """function takes the place of a call. occurrences: which calls of the line in one forward pass (0 is the
    first), None for all.
    """

    function: Callable[[Tensor], Tensor]
    occurrences: frozenset[int] | None = None


class Rewired:
    """What stands in the place of a module's forward method. inner: what stood there before, None for the
    class's own.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.inner: Any = module.__dict__.get("forward")

    def attach(self) -> None:
        """Put it in place."""
        self.module.__dict__["forward"] = self

    def detach(self) -> None:
        """Put back what was there, also from under others that were put on top since."""
        top = self.module.__dict__.get("forward")
        if top is not self:
            while isinstance(top, Rewired) and top.inner is not self:
                top = top.inner
            if isinstance(top, Rewired):
                top.inner = self.inner
        elif self.inner is None:
            del self.module.__dict__["forward"]
        else:
            self.module.__dict__["forward"] = self.inner

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the forward pass that was there before."""
        if self.inner is not None:
            return self.inner(*args, **kwargs)
        return type(self.module).forward(self.module, *args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(*args, **kwargs)


class SwappedCalls(Rewired):
    """swaps: (line, name of the function) -> what runs instead."""

    def __init__(self, module: nn.Module, swaps: Mapping[tuple[Line, str], Swap]) -> None:
        super().__init__(module)
        self.swaps = dict(swaps)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            # The compiler is imported by now.
            apart: Any = torch.compiler.disable(_run_swapped)
            return apart(self, args, kwargs)
        return _run_swapped(self, args, kwargs)


def _run_swapped(rewired: SwappedCalls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with _Swapping(rewired.swaps):
        return rewired.run(*args, **kwargs)


class _Swapping(TorchFunctionMode):
    def __init__(self, swaps: Mapping[tuple[Line, str], Swap]) -> None:
        super().__init__()
        self._swaps = swaps
        self._names = {name for _, name in swaps}
        self._seen: Counter[tuple[Line, str]] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        called = getattr(func, "__name__", "")
        name = called.strip("_")
        if name not in self._names:
            return func(*args, **(kwargs or {}))
        line, _ = user_frame()
        swap = None if line is None else self._swaps.get((line, name))
        if line is None or swap is None:
            return func(*args, **(kwargs or {}))
        occurrence = self._seen[(line, name)]
        self._seen[(line, name)] += 1
        if swap.occurrences is not None and occurrence not in swap.occurrences:
            return func(*args, **(kwargs or {}))
        x = args[0] if args else (kwargs or {})["input"]
        if called.endswith("_") or (kwargs or {}).get("inplace") is True:
            return x.copy_(swap.function(x.clone()))
        return swap.function(x)


def user_frame() -> tuple[Line | None, tuple[str, int] | None]:
    """The line of the user's program that runs, and its (path, number)."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if is_user_file(code.co_filename):
            line = Line(Path(code.co_filename).name, code.co_qualname, frame.f_lineno)
            return line, (code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None, None
