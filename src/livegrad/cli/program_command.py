"""A click command whose line ends in somebody else's program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from livegrad.watch.program import Program


class ProgramCommand(click.Command):
    """Everything after SCRIPT, `-m MODULE` or `-c CODE` belongs to the program, even if it looks like our
    option.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.allow_interspersed_args = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._end_own_options(args))

    def _end_own_options(self, args: list[str]) -> list[str]:
        """Insert `--` behind `-m MODULE` or `-c CODE`; click itself stops at a script."""
        i = 0
        while i < len(args) and args[i].startswith("-") and args[i] not in ("-", "--"):
            width = 1 + self._takes_value(args[i])
            if args[i][:2] in ("-m", "-c") and i + width <= len(args):
                return [*args[: i + width], "--", *args[i + width :]]
            i += width
        return args

    def _takes_value(self, arg: str) -> bool:
        """Whether the next argument is this option's value."""
        if not arg.startswith("--") and len(arg) > 2:  # -mMODULE
            return False
        options = [param for param in self.params if isinstance(param, click.Option)]
        return any(arg in option.opts and not (option.is_flag or option.count) for option in options)


def program_of(verb: str, module: str | None, code: str | None, arguments: tuple[str, ...]) -> Program:
    """Return the program that a command line names; click.UsageError where there is none."""
    from livegrad.watch.program import Program

    if module is not None:
        return Program("module", module, arguments)
    if code is not None:
        return Program("code", code, arguments)
    if not arguments:
        raise click.UsageError(f"Nothing to run. Name a script: livegrad {verb} train.py")
    script, *rest = arguments
    if script != "-" and not Path(script).exists():
        raise click.UsageError(f"There is no script {script!r} here ({Path.cwd()}).")
    return Program("script", script, tuple(rest))
