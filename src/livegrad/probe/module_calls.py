"""Listening to the calls of modules, from before their hooks to after them, however they end."""

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol

import torch
from torch import nn

from livegrad.probe import function_mode

# Both stand between a module and the operations in it while a step is scanned.
_OWN_FILES = frozenset({__file__, function_mode.__file__})


class Listener(Protocol):
    """What hears of module calls. No method may raise."""

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Return whether `leave` is to be called."""
        ...

    def leave(self, module: nn.Module, output: Any, failed: bool) -> None: ...


class _Wrapper:
    """One wrapper around `Module.__call__`, there from its first listener to its last.

    Global module hooks would do for most models, but torch.compile warns of them, and a KeyboardInterrupt
    passes them by.
    """

    def __init__(self) -> None:
        self.listeners: tuple[Listener, ...] = ()
        self._original = nn.Module.__call__
        self._call = self._wrapped(self._original)
        nn.Module.__call__ = self._call

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            # torch.jit.trace runs a module twice and compares the graphs: a mode put on between would show.
            if not self.listeners or torch.compiler.is_compiling() or torch.jit.is_tracing():
                return original(module, *args, **kwargs)
            return call_heard_by(self.listeners, original, module, args, kwargs)

        return __call__

    def remove(self) -> None:
        # Somebody may have wrapped this in theirs; then it stays inside, and only passes calls on.
        if nn.Module.__call__ is self._call:
            nn.Module.__call__ = self._original


_current: _Wrapper | None = None


def call_heard_by(
    who: tuple[Listener, ...],
    original: Callable[..., Any],
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Call `original(module, *args, **kwargs)` and tell `who` of it, and whoever begins to listen as they are
    told that it begins.
    """
    curious = [listener for listener in who if listener.enter(module, args, kwargs)]
    if _current is not None and _current.listeners is not who:
        late = [listener for listener in _current.listeners if listener not in who]
        curious += [listener for listener in late if listener.enter(module, args, kwargs)]
    output, failed = None, True
    try:
        output = original(module, *args, **kwargs)
        failed = False
        return output
    except BaseException as error:
        hide_frames_of(_OWN_FILES, error.__traceback__)
        raise
    finally:
        for listener in reversed(curious):
            listener.leave(module, output, failed)


def hide_frames_of(files: Container[str], traceback: TracebackType | None) -> None:
    """Take the frames of `files` that lie below the first out of `traceback`: they say nothing of the
    error.
    """
    while traceback is not None and traceback.tb_next is not None:
        if traceback.tb_next.tb_frame.f_code.co_filename in files:
            traceback.tb_next = traceback.tb_next.tb_next
        else:
            traceback = traceback.tb_next


def wrappers() -> tuple[Callable[..., Any], ...]:
    """Return the functions of ours that a module's call passes through while anybody listens."""
    return (call_heard_by,) if _current is None else (nn.Module.__call__, call_heard_by)


def start_listening(listener: Listener) -> None:
    """Tell `listener` of every module call from now on."""
    global _current
    if _current is None:
        _current = _Wrapper()
    _current.listeners = (*_current.listeners, listener)


def stop_listening(listener: Listener) -> None:
    """Tell `listener` nothing more; torch is as it was when nobody listens."""
    global _current
    if _current is not None:
        _current.listeners = tuple(other for other in _current.listeners if other is not listener)
        if not _current.listeners:
            _current.remove()
            _current = None


@contextmanager
def unheard() -> Iterator[None]:
    """Inside, nobody hears of module calls but who begins to listen there."""
    global _current
    outer, _current = _current, None
    listeners = outer.listeners if outer is not None else ()
    if outer is not None:
        outer.listeners = ()
    try:
        yield
    finally:
        _current = outer
        if outer is not None:
            outer.listeners = listeners
