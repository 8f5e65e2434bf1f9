"""Whether a model's forward pass does more than compute: prints, writes, keeps something outside the model.

Read from the bytecode of its forward functions and of the functions of the program that these call. Not a
proof: what is reached through an attribute is not followed. Tensors and modules are guarded while the copy
runs.
"""

import collections.abc
import dis
import random
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from torch import nn

from livegrad.probe.source import is_user_file, shown_path

_ACTS = frozenset({"print", "open", "input", "exec", "eval", "breakpoint", "setattr"})
_METHODS = frozenset({
    "write", "writelines", "add_scalar", "add_histogram", "add_image", "log_metrics", "log_metric",
    "log_dict",
    "backward", "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "barrier", "isend",
    "irecv", "register_hook", "savefig", "put", "put_nowait", "set_postfix", "manual_seed", "seed",
})  # fmt: skip
_GROWS = frozenset({
    "append", "appendleft", "extend", "update", "add", "pop", "popleft", "clear", "insert",
    "setdefault", "remove",
})  # fmt: skip
_SPEAKS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
_SPEAKERS = frozenset({"log", "logger", "logging", "LOG", "LOGGER", "_logger", "_log", "wandb"})
_STORES = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_CONSUMED = (np.random.Generator, np.random.RandomState, random.Random, collections.abc.Iterator)
_DEEPEST = 6
_LIBRARIES = frozenset({"torch", "np", "numpy", "F", "math", "nn", "self"})


def forward_effect(root: nn.Module) -> str | None:
    """Return what the forward pass of `root` may do beside computing ("print at model.py:12"), or None."""
    for kind in {type(module) for module in root.modules()}:
        forward = getattr(kind, "forward", None)
        found = _effect_of(forward, 0) if isinstance(forward, FunctionType) else None
        if found is not None:
            return found
    own = (m.__dict__["forward"] for m in root.modules() if "forward" in m.__dict__)
    for forward in own:
        function = getattr(forward, "__func__", forward)
        found = _effect_of(function, 0) if isinstance(function, FunctionType) else None
        if found is not None:
            return found
    return None


@cache
def _effect_of(function: FunctionType, depth: int) -> str | None:
    code = function.__code__
    if depth > _DEEPEST or not is_user_file(code.co_filename):
        return None
    for inner in _with_inner(code):
        found = _effect_in(inner)
        if found is not None:
            return found
    for name, value in _outside_values(function):
        if isinstance(value, _CONSUMED):
            return f"drawing from {name!r}, which lives outside,"
        if isinstance(value, FunctionType) and value is not function:
            found = _effect_of(value, depth + 1)
            if found is not None:
                return found
    return None


def _outside_values(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The global and the enclosing variables that a function reads, with their present values."""
    for code in _with_inner(function.__code__):
        for name in _globals_used(code):
            yield name, function.__globals__.get(name)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not bound yet
            yield name, cell.cell_contents


def _globals_used(code: CodeType) -> Iterator[str]:
    loads = (i for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    return (str(load.argval) for load in loads)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


def _effect_in(code: CodeType) -> str | None:
    line = code.co_firstlineno
    before: dis.Instruction | None = None
    for instruction in dis.get_instructions(code):
        start = instruction.starts_line
        if sys.version_info >= (3, 13):
            line = instruction.line_number or line
        elif isinstance(start, int):
            line = start
        what = _effect(instruction, before, code)
        if what is not None:
            return f"{what} at {shown_path(code.co_filename)}:{line}"
        if instruction.opname not in ("PUSH_NULL", "CACHE", "PRECALL"):
            before = instruction
    return None


def _effect(now: dis.Instruction, before: dis.Instruction | None, code: CodeType) -> str | None:
    name: Any = now.argval if isinstance(now.argval, str) else ""
    if now.opname in _STORES or (now.opname == "STORE_DEREF" and name in code.co_freevars):
        return f"a new value for {name!r}, which lives outside,"
    if now.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME")) and name in _ACTS:
        return f"{name}()"
    outside = before is not None and _is_outside(before, code)
    if now.opname == "STORE_ATTR" and outside:
        return f"a new {name!r} of something outside"
    if not now.opname.startswith(("LOAD_ATTR", "LOAD_METHOD")):
        return None
    owner = str(before.argval) if before is not None else ""
    if name in _METHODS and owner not in ("torch", "np"):
        return f".{name}()"
    if outside and ((name in _GROWS and owner not in _LIBRARIES) or (name in _SPEAKS and owner in _SPEAKERS)):
        return f"{owner}.{name}()"
    return None


def _is_outside(load: dis.Instruction, code: CodeType) -> bool:
    if load.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME")):
        return True
    return load.opname == "LOAD_DEREF" and load.argval in code.co_freevars
