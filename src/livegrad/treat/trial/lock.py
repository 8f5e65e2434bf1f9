"""One process leads a trial: a lock on its folder, which leaves no file and ends with the process."""

import os
import sys
from pathlib import Path


def take(folder: Path) -> bool:
    """Take the folder's lock for the life of this process; False if another process has it.

    Where folders cannot be locked (Windows, some network file systems) everybody gets it.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    except OSError:
        os.close(descriptor)
        return True
    _held.append(descriptor)
    return True


# Kept open, for closing one gives the lock back.
_held: list[int] = []
