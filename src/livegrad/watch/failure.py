"""livegrad may fail, training may not: an error of ours ends the watching and nothing else."""

import errno
import functools
import time
from collections.abc import Callable
from typing import Any

from livegrad.errors import LivegradError


def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run a session's method under its lock, charge its time, and turn an exception into a detach."""

    @functools.wraps(method)
    def run(self: Any, *args: Any) -> Any:
        if not self.active:
            return None
        begun = time.perf_counter()
        try:
            with self._recorder.lock:
                return method(self, *args)
        except Exception as error:
            self._fail(error)
            return None
        finally:
            self.cost += time.perf_counter() - begun

    return run


def describe(error: Exception) -> str:
    """What went wrong in one line, and for an error nobody foresaw where."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error}. Make room, or have the run written elsewhere: --out DIR (in Python: path=…)"
    if isinstance(error, LivegradError | OSError):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
    return f"{type(error).__name__}: {error}{place}"
