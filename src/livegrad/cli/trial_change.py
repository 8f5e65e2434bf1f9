"""`livegrad treat --diff` and `--write`: the winner as a change of the user's source."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegrad.errors import LivegradError, UsageError
from livegrad.treat.trial.conclusion import winner_of
from livegrad.treat.trial.identity import hash_sources

if TYPE_CHECKING:
    from livegrad.treat.rewrite.propose import Rewriting
    from livegrad.treat.trial.state import Trial


def change_of(trial: Trial) -> tuple[Rewriting | None, str | None]:
    """The winner's change of the source, or why there is none; (None, None) without a winner."""
    winner = winner_of(trial)
    if winner is None:
        return None, None
    if hash_sources(trial.identity.program, Path(trial.identity.cwd)) != trial.identity.sources:
        return None, "the source has changed since the trial"
    try:
        from livegrad.treat.trial.change import rewriting_of

        return rewriting_of(trial, winner), None
    except LivegradError as error:
        return None, str(error)


def described(change: Rewriting | None, why: str | None) -> dict[str, Any] | None:
    """The change as the document holds it; without one, why."""
    if change is None:
        return None if why is None else {"instructions": [f"There is no diff: {why}"]}
    from livegrad.treat.trial.change import described as in_words

    return in_words(change)


def print_diff(change: Rewriting | None, why: str | None) -> None:
    """The diff alone on stdout, so that it can be piped; what cannot be in it on stderr."""
    if change is None:
        raise UsageError(why or "there is no diff: no remedy is better than doing nothing")
    sys.stdout.write(change.diff)
    sys.stdout.flush()
    for words in change.instructions:
        print(f"livegrad: by hand: {words}", file=sys.stderr)


def write_change(change: Rewriting | None, why: str | None, *, yes: bool) -> None:
    """Ask, unless that was answered already, and write the files. The diff has been shown."""
    if change is None:
        raise UsageError(why or "nothing is written: no remedy is better than doing nothing")
    if not change.diff:
        raise UsageError("nothing is written: all of it has to be done by hand, as said above")
    names = ", ".join(str(path.relative_to(change.root.resolve())) for path in change.files)
    if not yes and not _agreed(names):
        print("livegrad: nothing was written", file=sys.stderr)
        return
    change.write()
    print(f"livegrad: wrote {names}", file=sys.stderr)


def _agreed(names: str) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on: add --yes to write the diff, or --diff to print it")
    print(f"livegrad: write this to {names}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
