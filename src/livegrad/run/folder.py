"""Where run folders live and how they are named."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from livegrad.errors import UsageError

DEFAULT_BASE = "livegrad-runs"
RUN_FILE = "run.json"

_NAME_LIMIT = 60
_STAMP = re.compile(r"^\d{8}-\d{6}")
_NUMBER = re.compile(r"-(\d{1,4})$")


def rank_file(rank: int) -> str:
    """The JSON file of a rank: run.json for rank 0, rank1.json and so on for the others."""
    return RUN_FILE if rank == 0 else f"rank{rank}.json"


def pulse_file(rank: int) -> str:
    """The pulse stream of a rank."""
    return f"rank{rank}.arrows"


def scan_file(rank: int) -> str:
    """The scan stream of a rank."""
    return f"rank{rank}.scans.arrows"


def loss_file(rank: int) -> str:
    """The loss history of a rank."""
    return f"rank{rank}.losses.arrows"


def create_run_folder(
    base: Path | str | None, name: str, form: Callable[[str, str], str] = "{}-{}".format
) -> Path:
    """Make a new folder `<base>/<YYYYmmdd-HHMMSS>-<name>[-2…]` and return it.

    `base` None is ./livegrad-runs. `name` is usually the stem of the script; what a file name should not
    hold is replaced by "-". form: (stamp, name) -> what it is called instead. Raises UsageError where the
    folder cannot be made.
    """
    parent = Path(DEFAULT_BASE if base is None else base).expanduser().absolute()
    stem = form(time.strftime("%Y%m%d-%H%M%S"), _safe(name))
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return _make_unique(parent, stem)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot make a run folder in {str(parent)!r}: {reason}. "
            "Name a directory you can write to, for example: --out /tmp/livegrad-runs (in Python: path=…)."
        ) from error


def _make_unique(parent: Path, stem: str) -> Path:
    number = 1
    while True:
        path = parent / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def _safe(name: str) -> str:
    """`name` as part of a file name: word characters, dots and dashes, at most 60 bytes."""
    text = re.sub(r"[^\w.-]+", "-", name.encode("utf-8", "replace").decode()).strip(".-")
    return text.encode()[:_NAME_LIMIT].decode("utf-8", "ignore") or "run"


def find_runs(base: Path | str | None = None) -> list[Path]:
    """The run folders directly under `base` (None: ./livegrad-runs), oldest first; [] if there are none."""
    parent = Path(DEFAULT_BASE if base is None else base).expanduser()
    try:
        found = [path.parent for path in parent.glob(f"*/{RUN_FILE}")]
        return sorted(found, key=_age)
    except OSError:
        return []


def newest_run(base: Path | str | None = None) -> Path | None:
    """The run folder under `base` that was started last, or None."""
    runs = find_runs(base)
    return runs[-1] if runs else None


def _age(path: Path) -> tuple[str, int]:
    """Sort key: the stamp in the name, else that of the folder's last change; then the number behind it."""
    stamp, number = _STAMP.match(path.name), _NUMBER.search(path.name)
    start = stamp.group() if stamp else time.strftime("%Y%m%d-%H%M%S", time.localtime(path.stat().st_mtime))
    return start, int(number.group(1)) if number else 1
