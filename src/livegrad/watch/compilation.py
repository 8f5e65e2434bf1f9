"""Staying out of torch.compile's way: our frames are neither compiled nor inlined into the user's graphs."""

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import torch

is_compiling = torch.compiler.is_compiling
"""True while Dynamo traces the code that asks; then that code must do nothing of ours, for the graph would do
it too."""


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether calling `module` runs code made by torch.compile."""
    inplace = getattr(module, "_compiled_call_impl", None) is not None
    return inplace or type(module).__name__ == "OptimizedModule"


def has_compiled() -> bool:
    """Whether torch.compile has compiled anything in this process."""
    counters = getattr(sys.modules.get("torch._dynamo.utils"), "counters", {})
    return bool(counters.get("frames"))


def is_capturing() -> bool:
    """Whether a CUDA graph is being captured: what we queued now would be replayed with it ever after."""
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()


def unseen(function: Callable[..., Any], nested: bool = False) -> Callable[..., Any]:
    """Have Dynamo run `function` as it is, and with `nested` all it calls.

    torch._dynamo takes a second to import, so this talks to the part of it that is always there; a torch
    without that part compiles a few frames of ours, which is slow and harmless.
    """
    code = getattr(function, "__code__", None)
    if code is not None:
        _skip(code, nested)
    return function


def _skip(code: Any, nested: bool) -> None:
    try:
        frames = getattr(torch._C, "_dynamo").eval_frame  # noqa: B009  # unknown to type checkers
        skip, default = frames._FrameAction.SKIP, frames._FrameAction.DEFAULT
        frames.set_code_exec_strategy(code, frames._FrameExecStrategy(skip, skip if nested else default))
    except AttributeError:
        older = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
        getattr(older, "skip_code", lambda code: None)(code)


def unseen_methods(*names: str) -> Callable[[type], type]:
    """Class decorator: these methods, and all they call, are run by Dynamo as they are."""

    def mark(kind: type) -> type:
        for name in names:
            method = vars(kind)[name]
            unseen(method, nested=True)
            inner = getattr(method, "__wrapped__", None)
            if inner is not None:
                unseen(inner, nested=True)
        return kind

    return mark


class EagerStance:
    """Has compiled code run eagerly while module calls are watched.

    Otherwise the wrapper around `Module.__call__` would be inlined into the user's graphs, which would be
    compiled again when it is gone; and a compiled model has no layers to scan.
    """

    def __init__(self) -> None:
        self._ours: Any = None

    def take(self) -> None:
        """From now on, if anything can have been compiled. Taking it twice is taking it once."""
        if self._ours is None and "torch._dynamo" in sys.modules:
            with contextlib.suppress(RuntimeError):  # raised inside a compiled function
                self._ours = torch.compiler.set_stance("force_eager")

    def leave(self) -> None:
        """Restore the stance of before, unless the program has taken another one since."""
        ours, self._ours = self._ours, None
        if ours is not None and _present_stance() in (None, "force_eager"):
            ours.__exit__(None, None, None)


def _present_stance() -> str | None:
    frames = sys.modules.get("torch._dynamo.eval_frame")
    return getattr(getattr(frames, "_stance", None), "stance", None)
