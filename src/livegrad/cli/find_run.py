"""Which run a verb is about: the one named, or the newest."""

from pathlib import Path

from livegrad.errors import RunError
from livegrad.run.folder import DEFAULT_BASE, RUN_FILE, newest_run


def find_run(path: Path | None) -> Path:
    """`path` itself if it is a run folder, else the newest run in it; None looks in ./livegrad-runs.

    Raises RunError that says what to do next where there is none.
    """
    if path is not None and ((path / RUN_FILE).exists() or not path.is_dir()):
        return path
    newest = newest_run(path)
    if newest is not None:
        return newest
    if path is not None:
        return path  # opening it says what it lacks
    raise RunError(
        f"there is no run under ./{DEFAULT_BASE}. Record one: livegrad run train.py (or name a folder)."
    )


def starting_run(path: Path | None) -> Path | None:
    """The folder that `livegrad run` made last, if its program has not taken a step yet."""
    base = Path(DEFAULT_BASE) if path is None else path
    newest = newest_run(path)
    waiting = [
        folder for folder in base.glob("2*-*-*") if folder.is_dir() and not (folder / RUN_FILE).exists()
    ]
    latest = max(waiting, default=None, key=lambda folder: folder.name)
    return latest if latest is not None and (newest is None or latest.name > newest.name) else None
