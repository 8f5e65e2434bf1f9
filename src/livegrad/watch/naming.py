"""What the user calls a model: the variable it is bound to, found in the frames that are running."""

import dis
import inspect
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any

import torch

_WRAPPED = ("module", "_orig_mod", "_fsdp_wrapped_module")
_WRAPPERS = frozenset(
    {"DataParallel", "DistributedDataParallel", "OptimizedModule", "FullyShardedDataParallel"}
)
_QUIET_NAMES = frozenset({"self", "_", "module", "m", "cls", "root", "mod"})
_FRAMES = 30
_FILLING = ("PRECALL", "PUSH_NULL", "CACHE")


def unwrap(module: torch.nn.Module) -> torch.nn.Module:
    """The user's own model under DataParallel, DistributedDataParallel, FSDP and torch.compile."""
    while type(module).__name__ in _WRAPPERS:
        children = module.__dict__.get("_modules", {})
        inner = next((children[name] for name in _WRAPPED if children.get(name) is not None), None)
        if inner is None:
            break
        module = inner
    return module


def plain_name(name: str) -> str:
    """A parameter's or module's name without the parts that wrappers put into it."""
    return ".".join(part for part in name.split(".") if part not in ("_orig_mod", "_fsdp_wrapped_module"))


def bindings() -> Iterator[tuple[str, Any]]:
    """(name, value) of variables in sight: __main__'s globals, then the running frames', outermost first."""
    main = sys.modules.get("__main__")
    yield from list(vars(main).items()) if main is not None else ()
    for frame in reversed(list(_user_frames())):
        local = _locals(frame)
        yield from local.items()
        holder = local.get("self")
        if holder is not None and not isinstance(holder, torch.nn.Module):
            yield from list(getattr(holder, "__dict__", {}).items())
        if frame.f_globals is not getattr(main, "__dict__", None):
            yield from list(frame.f_globals.items())


def _locals(frame: FrameType) -> dict[str, Any]:
    """A copy of a frame's variables that leaves no trace on the frame.

    Before Python 3.13 reading `f_locals` of a function refreshes a dict that the frame keeps: it would hold
    on to the variables' present values, and it is the very dict that an earlier `locals()` gave the user.
    So a function that could have asked for it is not looked into, and for the others the dict is emptied
    again.
    """
    if sys.version_info >= (3, 13) or not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return dict(frame.f_locals)
    if _may_keep_locals(frame.f_code):
        return {}
    kept = frame.f_locals
    local = dict(kept)
    kept.clear()
    return local


def _may_keep_locals(code: CodeType) -> bool:
    """Whether `code` calls locals(), vars() or exec(), or reads a frame's f_locals."""
    if "f_locals" in code.co_names:
        return True
    if not {"locals", "vars", "exec"}.intersection(code.co_names):
        return False
    instructions = [i for i in dis.get_instructions(code) if i.opname not in _FILLING]
    for load, call in pairwise(instructions):
        named = load.argval if load.opname in ("LOAD_GLOBAL", "LOAD_NAME") else None
        without_arguments = call.opname.startswith("CALL") and not call.arg
        if named in ("locals", "exec") or (named == "vars" and without_arguments):
            return True
    return False


def _user_frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    seen = 0
    while frame is not None and seen < _FRAMES:
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(("torch.", "livegrad.")):
            seen += 1
            yield frame
        frame = frame.f_back


def find_modules(wanted: Callable[[torch.nn.Module], bool]) -> list[tuple[str, torch.nn.Module]]:
    """Modules in sight for which `wanted` is true, each with the name it is bound to; unwrapped, without
    repeats.
    """
    found: dict[int, tuple[str, torch.nn.Module]] = {}
    rejected: set[int] = set()
    for name, value in bindings():
        if isinstance(type(value), type) and issubclass(type(value), torch.nn.Module):
            module = unwrap(value)
            if id(module) in rejected:
                continue
            if not wanted(module):
                rejected.add(id(module))
            elif id(module) not in found or found[id(module)][0] in _QUIET_NAMES:
                found[id(module)] = (name, module)
    return list(found.values())


def variable_name(module: torch.nn.Module) -> str | None:
    """The user's variable bound to `module`, or None."""
    names = [name for name, _ in find_modules(lambda candidate: candidate is module)]
    return next((name for name in names if name not in _QUIET_NAMES and not name.startswith("__")), None)
