"""Notes that a user pins to a step of a run, kept in the run's folder as lines of JSON."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from livegrad.errors import UsageError

FILE = "notes.jsonl"
LONGEST = 2000
_MOST = 1000
_LARGEST = 8 << 20


@dataclass(frozen=True)
class Note:
    """step: the optimizer step it is pinned to. text: the user's words. created: seconds since the epoch."""

    step: int
    text: str
    created: float


def read_notes(run: Path) -> list[Note]:
    """Return the notes of a run by step; a line that is no note is passed over, a link is not followed."""
    path = run / FILE
    try:
        if path.is_symlink() or not path.is_file():
            return []
        with path.open("rb") as file:
            lines = file.read(_LARGEST).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    notes = []
    for line in lines[:_MOST]:
        try:
            found = json.loads(line)
            notes.append(Note(int(found["step"]), str(found["text"])[:LONGEST], float(found["created"])))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            continue
    return sorted(notes, key=lambda note: (note.step, note.created))


def can_write(run: Path) -> bool:
    """Whether notes can be kept with this run: its folder may be on a share that is read only."""
    path = run / FILE
    return os.access(path if path.is_file() else run, os.W_OK) and not path.is_symlink()


def add_note(run: Path, step: int, text: str) -> Note:
    """Pin a note to a step. Raises UsageError where there are no words, or the folder cannot be written."""
    words = text.strip()
    if not words:
        raise UsageError("a note needs some words")
    if len(words) > LONGEST:
        raise UsageError(f"a note holds {LONGEST} characters, this one has {len(words)}")
    if step < 0:
        raise UsageError("a note is pinned to a step from 0 on")
    note = Note(step, words, time.time())
    path = run / FILE
    if path.is_symlink():
        raise UsageError(f"{FILE} of this run is a link; notes are not written through it")
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(note), ensure_ascii=False) + "\n")
    except OSError as error:
        raise UsageError(f"the note could not be kept: {error.strerror}") from error
    return note


def remove_note(run: Path, created: float) -> None:
    """Take away the note made at `created`; nothing happens where there is none.

    Raises UsageError where the folder cannot be written.
    """
    kept = [note for note in read_notes(run) if note.created != created]
    path = run / FILE
    fresh = path.with_name(f".{FILE}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(note), ensure_ascii=False) + "\n" for note in kept)
        fresh.replace(path)
    except OSError as error:
        raise UsageError(f"the note could not be taken away: {error.strerror}") from error
