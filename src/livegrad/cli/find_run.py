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
    if newest is None:
        place = f"in {str(path)!r}" if path is not None else f"under ./{DEFAULT_BASE}"
        raise RunError(f"there is no run {place}. Record one: livegrad run train.py (or name a run folder).")
    return newest
