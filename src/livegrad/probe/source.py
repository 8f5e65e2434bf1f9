"""Which line of the user's program is running: the innermost frame that is neither torch's, Python's nor
livegrad's.
"""

import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

_OWN_ROOT = str(Path(__file__).resolve().parents[1])
_STANDARD_LIBRARY = tuple({str(Path(sysconfig.get_paths()[name])) + "/" for name in ("stdlib", "platstdlib")})
_SKIPPED_PACKAGES = ("torch", "livegrad", "functorch")
# "<frozen …>" is Python's import system, "<eval_with_key>…" code that torch.fx generated.
_GENERATED = ("<frozen", "<eval_with_key")


@cache
def is_user_file(filename: str) -> bool:
    """True for code that is neither torch's, Python's nor livegrad's."""
    if filename.startswith((_OWN_ROOT, *_GENERATED)):
        return False
    parts = Path(filename).parts
    for marker in ("site-packages", "dist-packages"):
        if marker in parts:
            package = parts[parts.index(marker) + 1 : parts.index(marker) + 2]
            return bool(package) and package[0] not in _SKIPPED_PACKAGES
    return not filename.startswith(_STANDARD_LIBRARY)


@cache
def shown_path(filename: str) -> str:
    """Return `filename` relative to the working directory when it lies inside, else unchanged."""
    try:
        return str(Path(filename).resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return filename


def called_from(code: CodeType) -> tuple[str, int] | None:
    """Return (file, line) of the user's frame that the innermost call of `code` came from; None if it is not
    running.
    """
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = frame.f_back
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def user_line(depth: int = 1, stop: FrameType | None = None) -> tuple[str, int] | None:
    """Return (file, line) of the innermost user frame, starting `depth` frames above the caller and looking
    no further than `stop`; None if there is none.
    """
    frame = sys._getframe(depth)
    while frame is not None and frame is not stop:
        if is_user_file(frame.f_code.co_filename):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None
