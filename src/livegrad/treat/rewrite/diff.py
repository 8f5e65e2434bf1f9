"""Unified diffs of texts whose line endings are kept."""

from collections.abc import Sequence
from difflib import unified_diff as lines_of_diff
from pathlib import Path

_NO_NEWLINE = "\\ No newline at end of file\n"


def unified_diff(texts: Sequence[tuple[Path, str, str]]) -> str:
    """One diff of (path, before, after), as git and patch take it."""
    return "".join(_one(path.as_posix(), before, after) for path, before, after in texts)


def _one(path: str, before: str, after: str) -> str:
    lines = lines_of_diff(_lines(before), _lines(after), f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}" for line in lines)


def _lines(text: str) -> list[str]:
    """Lines with their endings; a form feed ends none, as it does for str.splitlines."""
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
