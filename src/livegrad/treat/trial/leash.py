"""Start a command so that it does not outlive who started it: python leash.py PARENT COMMAND [ARGS]...

Run as a file, by itself, before anything of livegrad is loaded. On Linux the kernel is asked to kill the
process when its parent dies (prctl PR_SET_PDEATHSIG, kept through exec); elsewhere the command is run
all the same.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    try:
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return
    if os.getppid() != parent:  # it died before the kernel was asked
        os._exit(1)


if __name__ == "__main__":
    _die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
