"""Errors that livegrad raises on purpose.

LivegradError            something to act on: it says what happened, where, and what to type next
├── UsageError           the command or call itself is wrong (exit code 2)
├── RunError             a run folder is missing, not a run, or unreadable
└── ScanError            a model cannot be scanned (no parameters, no differentiable output, …)
"""


class LivegradError(Exception):
    """Base of every error livegrad raises on purpose."""


class UsageError(LivegradError):
    """The command line or the call is wrong; nothing was started."""


class RunError(LivegradError):
    """A run folder cannot be read or written."""


class ScanError(LivegradError):
    """A model cannot be scanned; the message names what is missing."""
