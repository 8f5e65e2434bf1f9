"""`livegrad treat --diff` and `--write`: the winner as a change of the user's source."""

from __future__ import annotations

import shlex
import sys
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.number import count, duration
from livegrad.errors import LivegradError, UsageError
from livegrad.treat.rewrite.write import write_files
from livegrad.treat.trial.conclusion import is_promising, winner_of
from livegrad.treat.trial.identity import hash_sources
from livegrad.treat.trial.process import OUTPUT
from livegrad.treat.trial.proof import FOLDER, prove

if TYPE_CHECKING:
    from livegrad.treat.rewrite.propose import Rewriting
    from livegrad.treat.trial.engine import Engine
    from livegrad.treat.trial.state import Trial

# Where the trial keeps the files as they were before they were written.
BEFORE = "before"


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


def without_winner(trial: Trial) -> str:
    """Why there is no change where no arm has won, and what to do where one looks better."""
    if not is_promising(trial):
        return "no remedy is better than doing nothing"
    seeds = trial.budget.seeds
    proof = "one seed proves nothing" if seeds == 1 else f"{seeds} seeds do not prove it"
    return f"a remedy looks better, but {proof}. Add seeds: --seeds {max(3, seeds + 2)}"


def described(change: Rewriting | None, why: str | None) -> dict[str, Any] | None:
    """The change as the document holds it; without one, why."""
    if change is None:
        return None if why is None else {"instructions": [f"There is no diff: {why}"]}
    from livegrad.treat.trial.change import described as in_words

    return in_words(change)


def print_diff(trial: Trial, change: Rewriting | None, why: str | None) -> None:
    """The diff alone on stdout, so that it can be piped; what cannot be in it on stderr."""
    if change is None:
        raise UsageError(why or f"there is no diff: {without_winner(trial)}")
    sys.stdout.flush()
    sys.stdout.buffer.write(change.raw_diff)
    sys.stdout.buffer.flush()
    for words in change.instructions:
        print(f"livegrad: by hand: {words}", file=sys.stderr)


def write_change(trial: Trial, change: Rewriting | None, why: str | None, *, yes: bool) -> bool:
    """Ask, unless that was answered already, and write the files; the diff has been shown. Returns whether
    they were written. What they were before is kept in the trial's folder.
    """
    if change is None:
        raise UsageError(why or f"nothing is written: {without_winner(trial)}")
    if not change.diff:
        raise UsageError("nothing is written: all of it has to be done by hand, as said above")
    names = ", ".join(map(str, _names(change)))
    if not yes and not _agreed(names):
        _say("nothing was written")
        return False
    for path, name in zip(change.files, _names(change), strict=True):
        kept = trial.folder / BEFORE / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(change.before[path])
    change.write()
    _say(f"wrote {names}; as it was: {_from_here(trial.folder / BEFORE)}")
    return True


def prove_change(trial: Trial, change: Rewriting, engine: Engine) -> bool:
    """Run the changed program beside the trial and say what came of it. One that fails is put back as it was.
    Returns whether it gives what the trial gave.
    """
    winner = winner_of(trial)
    assert winner is not None
    run = trial.runs.get((winner, 0))
    if run is None:
        return True
    about = f", about {duration(run.seconds)}" if run.seconds >= 1 else ""
    _say(f"running the changed program for {count(run.steps)} steps{about} (Ctrl-C leaves it unproven)")
    try:
        with chdir(trial.identity.cwd):
            proof = prove(trial, winner, engine)
    except KeyboardInterrupt:
        _say("interrupted; the change is written, and not proven")
        return True
    if proof is None:
        return True
    if proof.holds:
        _say(f"proven: {proof.words}")
        return True
    if proof.outcome == "failed":
        write_files(change.files, change.before)
        output = _from_here(trial.folder / FOLDER / OUTPUT)
        _say(f"error: {proof.words}. The files are as they were. What it printed: {output}")
        return False
    commands = (
        shlex.join(["cp", str(_from_here(trial.folder / BEFORE / name)), str(_from_here(path))])
        for path, name in zip(change.files, _names(change), strict=True)
    )
    _say(f"warning: {proof.words}. To put it back: {' && '.join(commands)}")
    return False


def _names(change: Rewriting) -> list[Path]:
    return [path.relative_to(change.root.resolve()) for path in change.files]


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _say(words: str) -> None:
    print(f"livegrad: {words}", file=sys.stderr, flush=True)


def _agreed(names: str) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on: add --yes to write the diff, or --diff to print it")
    print(f"livegrad: write this to {names}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
