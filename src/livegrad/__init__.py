"""livegrad shows where a network's gradients vanish or explode, says why, and cures it.

    with livegrad.watch(model, optimizer) as run: ...   watch a training loop
    livegrad.check(model, inputs)                       will it train? asked before training
    livegrad.prescribe(model, optimizer, inputs=batch)  what can cure it, the best first
    livegrad.treat(model, "init", optimizer)            cure it in place
    livegrad.load(path)                                 open a recorded run
    livegrad.plot.spine(run)                            figures of it

The names below are loaded on first use, so that `import livegrad` imports neither torch nor a view library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from livegrad import plot
    from livegrad.diagnose.report import Report
    from livegrad.errors import LivegradError
    from livegrad.run.reader import Run, load
    from livegrad.treat.prescribe_model import prescribe
    from livegrad.treat.prescription.proposal import Prescription
    from livegrad.treat.treatment import Treatment, treat
    from livegrad.watch.check_model import check
    from livegrad.watch.context import watch

_HOMES = {
    "check": "livegrad.watch.check_model",
    "load": "livegrad.run.reader",
    "Run": "livegrad.run.reader",
    "Report": "livegrad.diagnose.report",
    "LivegradError": "livegrad.errors",
    "Treatment": "livegrad.treat.treatment",
    "Prescription": "livegrad.treat.prescription.proposal",
    "prescribe": "livegrad.treat.prescribe_model",
}

__all__ = [
    "LivegradError", "Prescription", "Report", "Run", "Treatment", "__version__", "check", "load", "plot",
    "prescribe", "treat", "watch",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("plot", "treat", "watch"):
        return import_module(f"livegrad.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'livegrad' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
