"""The `livegrad` command: its verbs, its errors and its exit codes."""

import sys
from collections.abc import Callable
from typing import NoReturn

# isort: off
from livegrad.cli import at_start as _at_start  # noqa: F401  (first: it notes what was loaded before livegrad)

# isort: on
import click

from livegrad import __version__
from livegrad.cli.exit_code import OUR_FAILURE, USAGE, FindingsExit
from livegrad.cli.lazy_group import LazyGroup
from livegrad.errors import LivegradError, RunError, UsageError

EPILOG = """\b
Examples:
  livegrad run train.py --epochs 3     watch a training script, unmodified
  livegrad check train.py              will it train? stops it after its first steps
  livegrad treat train.py              what cures it, proven beside doing nothing
  livegrad report                      the newest run under ./livegrad-runs once more
  livegrad live                        follow a run while it trains
"""


@click.group(
    cls=LazyGroup,
    verbs=(
        "run",
        "check",
        "treat",
        "report",
        "live",
        "compare",
        "explain",
        "lab",
        "guide",
        "serve",
        "doctor",
    ),
    unlisted=("prescribe",),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def livegrad() -> None:
    """Show where a network's gradients vanish or explode, say why, and cure it."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process.

    A verb may return a function. It is called after click has let go, so that nothing of click is on the
    stack of the program that `livegrad run` runs, nor catches that program's exceptions.
    """
    after = _parse(arguments)
    if after is not None:
        after()
    sys.exit(0)


def _parse(arguments: list[str] | None) -> Callable[[], None] | None:
    try:
        result = livegrad.main(arguments, prog_name="livegrad", standalone_mode=False)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        _explain_usage(error)
        sys.exit(USAGE if isinstance(error, click.UsageError) else OUR_FAILURE)
    except FindingsExit as stop:
        sys.exit(stop.code)
    except LivegradError as error:
        print(f"livegrad: error: {error}", file=sys.stderr)
        sys.exit(USAGE if isinstance(error, UsageError | RunError) else OUR_FAILURE)
    except BrokenPipeError:
        _leave_closed_pipe()
    except OSError as error:
        print(f"livegrad: error: {_in_words(error)}", file=sys.stderr)
        _forget_output()
        sys.exit(OUR_FAILURE)
    if isinstance(result, int):  # how click returns an exit, that of --help among them
        sys.exit(result)
    return result


def _explain_usage(error: click.ClickException) -> None:
    context = getattr(error, "ctx", None)
    print(f"livegrad: error: {error.format_message()}", file=sys.stderr)
    if context is not None:
        print(f"Try '{context.command_path} --help'.", file=sys.stderr)


def _in_words(error: OSError) -> str:
    """What the system refused. Verbs name their own files; without a name a full disk is the output's."""
    import errno

    reason = error.strerror or str(error)
    if error.filename:
        return f"{reason}: {str(error.filename)!r}. Mend that and give the same command again."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the output could not be written: {reason}. Send it elsewhere."
    return f"{reason}. Mend that and give the same command again."


def _leave_closed_pipe() -> NoReturn:
    """The reader of our output has gone (`livegrad report | head`): that is no failure."""
    _forget_output()
    sys.exit(0)


def _forget_output() -> None:
    """What is still buffered must not fail again when python closes the stream."""
    import contextlib
    import os

    with contextlib.suppress(ValueError):  # a stream without a file of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
