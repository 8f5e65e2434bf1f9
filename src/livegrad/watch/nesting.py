"""Optimizer steps inside optimizer steps, and gradients that only exist inside a closure."""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch

_STEP_FILE = inspect.getfile(torch.optim.Optimizer)


def running_steps() -> int:
    """How many `Optimizer.step` calls are on this thread's stack, the one whose hook is running included."""
    frame: Any = sys._getframe(1)
    count = 0
    while frame is not None:
        code = frame.f_code
        count += code.co_name == "wrapper" and code.co_filename == _STEP_FILE
        frame = frame.f_back
    return count


def in_compiled_function() -> bool:
    """Whether a function made by torch.compile is on this thread's stack, running eagerly for now."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "compile_wrapper" and code.co_filename.endswith("eval_frame.py"):
            return True
        frame = frame.f_back
    return False


def with_first_call(closure: Callable[..., Any], after: Callable[[], None]) -> Callable[..., Any]:
    """`closure`, with `after()` run once, when its first call has returned."""
    pending = [after]

    @functools.wraps(closure)
    def watched(*args: Any, **kwargs: Any) -> Any:
        result = closure(*args, **kwargs)
        if pending:
            pending.pop()()
        return result

    return watched
