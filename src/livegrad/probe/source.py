"""Which line of the user's program is running: the innermost frame that is neither torch's nor livegrad's."""

import sys
from functools import cache
from pathlib import Path

_OWN_ROOT = str(Path(__file__).resolve().parents[1])
_SKIPPED_PACKAGES = ("torch", "livegrad", "functorch")


@cache
def _is_user_file(filename: str) -> bool:
    if filename.startswith(_OWN_ROOT) or filename.startswith("<frozen"):
        return False
    parts = Path(filename).parts
    for marker in ("site-packages", "dist-packages"):
        if marker in parts:
            package = parts[parts.index(marker) + 1 : parts.index(marker) + 2]
            return bool(package) and package[0] not in _SKIPPED_PACKAGES
    return "contextlib.py" != parts[-1] if parts else False


def shown_path(filename: str) -> str:
    """Return `filename` relative to the working directory when it lies inside, else unchanged."""
    try:
        return str(Path(filename).resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return filename


def user_line(depth: int = 1) -> tuple[str, int] | None:
    """Return (file, line) of the innermost user frame, starting `depth` frames above the caller; None if there is none."""
    frame = sys._getframe(depth)
    while frame is not None:
        if _is_user_file(frame.f_code.co_filename):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None
