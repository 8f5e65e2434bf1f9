"""Where modules were made: the user's line for each, noted while the model is being built."""

import contextlib
import functools
import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch.nn.modules import module as registry

from livegrad.probe.module_calls import hide_frames_of
from livegrad.probe.source import is_user_file, shown_path, user_line


class Origins:
    """Remembers (file, line) of each module that is registered in another one while `open`.

    A module of torch's own that holds parameters is known by the line that called its constructor, any
    other by the line that put it into its parent; all by the former where constructors are followed. Modules
    are held weakly.
    """

    def __init__(self) -> None:
        self._lines: dict[int, tuple[weakref.ref[Any], str, int]] = {}
        self._handles: list[Any] = []

    def open(self, constructors: bool = False) -> None:
        """Note modules from now on; constructors: also those that are put nowhere, and activations where
        they are made rather than where a Sequential takes them.
        """
        self._handles = [_Constructors(self._note_made)] if constructors else []
        self._handles += [
            registry.register_module_module_registration_hook(self._on_module),
            registry.register_module_parameter_registration_hook(self._on_parameter),
        ]

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def made_at(self, module: torch.nn.Module | None) -> str | None:
        """ "file:line" where `module` was made, or None."""
        found = self._lines.get(id(module))
        if found is None or found[0]() is not module:
            return None
        return f"{shown_path(found[1])}:{found[2]}"

    def _on_module(self, parent: torch.nn.Module, name: str, child: torch.nn.Module | None) -> None:
        if isinstance(child, torch.nn.Module):
            self._note(child)

    def _on_parameter(self, module: torch.nn.Module, name: str, parameter: Any) -> None:
        # A module of the user's own registers its parameters from inside its constructor: that line says
        # nothing.
        if type(module).__module__.startswith("torch."):
            self._note(module)

    def _note_made(self, module: torch.nn.Module) -> None:
        """Its constructor runs: what called that lies behind the frames of its own class and its bases, and
        of all who listen to it.
        """
        frame = sys._getframe(1)
        while frame is not None and (frame.f_code.co_filename == __file__ or _constructs(frame, module)):
            frame = frame.f_back
        while frame is not None and not is_user_file(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is not None:
            self._note(module, (frame.f_code.co_filename, frame.f_lineno))

    def _note(self, module: torch.nn.Module, at: tuple[str, int] | None = None) -> None:
        key = id(module)
        known = self._lines.get(key)
        if known is not None and known[0]() is module:
            return
        try:
            line = at or user_line(3)
            if line is not None:
                lines = self._lines
                lines[key] = (weakref.ref(module, lambda _: lines.pop(key, None)), *line)
        except Exception:  # a model must be built whatever happens here; the line is then unknown
            return


class _Constructors:
    """torch.nn.Module's constructor says of each module that it is being made."""

    def __init__(self, note: Callable[[torch.nn.Module], None]) -> None:
        self._before = before = torch.nn.Module.__init__

        @functools.wraps(before)
        def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
            with contextlib.suppress(Exception):  # a model must be built whatever happens here
                note(self)
            try:
                before(self, *args, **kwargs)
            except BaseException as error:
                hide_frames_of((__file__,), error.__traceback__)
                raise

        self._own = constructor
        torch.nn.Module.__init__ = constructor  # type: ignore[method-assign]

    def remove(self) -> None:
        """Put back what was there, unless somebody has put something else there since."""
        if torch.nn.Module.__init__ is self._own:
            torch.nn.Module.__init__ = self._before  # type: ignore[method-assign]


def _constructs(frame: FrameType, module: torch.nn.Module) -> bool:
    return frame.f_code.co_name == "__init__" and _first(frame) is module


def _first(frame: FrameType) -> Any:
    """The first argument of the function that runs."""
    names = frame.f_code.co_varnames
    return frame.f_locals.get(names[0]) if frame.f_code.co_argcount else None


def class_line(module: torch.nn.Module) -> str | None:
    """ "file:line" of the class of `module` when it is the user's own, else None."""
    kind = type(module)
    code = getattr(kind.__dict__.get("__init__") or kind.__dict__.get("forward"), "__code__", None)
    if code is None or kind.__module__.startswith("torch."):
        return None
    return f"{shown_path(code.co_filename)}:{code.co_firstlineno}"
