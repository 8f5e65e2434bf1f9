"""The consoles that the verbs print on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rich.console import Console


def own_console(*, stderr: bool) -> Console:
    """livegrad's console on one of the standard streams; a reader that has gone raises BrokenPipeError.

    rich would end the process with 1 and turn stdout into a dead end, which is not for us to do in a process
    that is the user's program.
    """
    from livegrad.view.console import make_console

    console = make_console(stderr=stderr)
    console.on_broken_pipe = _raise
    return console


def _raise() -> NoReturn:
    raise BrokenPipeError
