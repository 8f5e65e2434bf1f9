"""What a program that has ended left behind that is not finite: tensors in the frames of its traceback and
among the variables of its main module.
"""

import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from torch import Tensor

from livegrad.probe.forensics.operand import flaw

_WORDS = ("nan", "inf", "finite")
_MOST_VALUES = 2000


def speaks_of_nan(error: str) -> bool:
    """Whether an error message is about a number that is not finite."""
    words = "".join(c if c.isalnum() else " " for c in error.lower()).split()
    return any(word in _WORDS or word in ("nonfinite", "isnan", "isfinite", "infinite") for word in words)


def broken_tensors(trace: TracebackType | None) -> list[Tensor]:
    """Tensors with a graph that hold a NaN, and losses that are not finite; of the innermost frame of the
    traceback first. (An infinity may be a mask.)
    """
    found: dict[int, Tensor] = {}
    for value in _values(trace):
        if isinstance(value, Tensor) and value.grad_fn is not None:
            made = flaw(value)
            if made == "nan" or (made and value.numel() == 1):
                found[id(value)] = value
    return list(found.values())


def _values(trace: TracebackType | None) -> Iterator[Any]:
    frames = []
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    left = _MOST_VALUES
    for frame in reversed(frames):
        for value in list(frame.f_locals.values())[:left]:
            left -= 1
            yield value
    main = sys.modules.get("__main__")
    yield from list(vars(main).values())[:_MOST_VALUES] if main is not None else ()
