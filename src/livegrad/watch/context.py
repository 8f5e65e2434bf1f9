"""`with livegrad.watch(model, optimizer) as run:` around a training loop of one's own."""

import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from livegrad.errors import UsageError
from livegrad.probe.source import user_line
from livegrad.run.folder import RUN_FILE
from livegrad.run.reader import load
from livegrad.watch.session import Session, WatchOptions, start


class Watch:
    """A model being watched: `path` is its run folder, `report()` says what is known so far.

    Watching ends with the `with` block, or with `close()` where there is none (a notebook).
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._trouble: str | None = None
        session.on_message = self._hear

    @property
    def path(self) -> Path | None:
        """The run folder, once the first step has been taken."""
        return self._session.path

    def report(self) -> Any:
        """The report on the steps so far. Raises UsageError before the first step, and where watching failed
        before it.
        """
        if self.path is None and self._trouble is not None:
            raise UsageError(f"nothing to report: {self._trouble}")
        if self.path is None:
            raise UsageError(
                "nothing to report yet: no optimizer that trains this model has taken a step. "
                "Call optimizer.step() inside the `with livegrad.watch(...)` block first."
            )
        return load(self.path).report()

    def _hear(self, kind: str, document: dict[str, Any]) -> None:
        if kind == "warning":
            self._trouble = str(document["text"])
            file, line = user_line() or ("livegrad", 0)
            warnings.warn_explicit(f"livegrad: {self._trouble}", RuntimeWarning, file, line)

    def close(self) -> None:
        """Stop watching. May be called twice."""
        self._session.finish(None, None)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        text = None if kind is None else f"{kind.__name__}: {error}".splitlines()[0]
        self._session.examine(error)
        self._session.finish(None, text)

    def _repr_html_(self) -> str:
        if self.path is None:
            return "<p>livegrad: no step has been taken yet.</p>"
        return self.report()._repr_html_()


def watch(
    model: torch.nn.Module,
    *optimizers: torch.optim.Optimizer,
    path: str | Path | None = None,
    budget: float = 0.01,
    every: int | None = None,
) -> Watch:
    """Watch `model` while it trains, until the `with` block ends.

    Without `optimizers`, every one that holds parameters of the model is watched. path: the run folder
    (None: a new one under ./livegrad-runs). budget: share of wall time that recording may cost after the
    first steps. every: record each N steps whatever it costs. Raises UsageError if an argument is not what
    it should be.
    """
    if not isinstance(model, torch.nn.Module):
        raise UsageError(
            f"watch() needs a torch.nn.Module first, got {type(model).__name__}: "
            "livegrad.watch(model, optimizer)"
        )
    for optimizer in optimizers:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise UsageError(
                f"watch() takes optimizers after the model, got {type(optimizer).__name__}: "
                "livegrad.watch(model, optimizer)"
            )
    if not isinstance(budget, (int, float)) or not 0 < budget <= 1:
        raise UsageError(
            f"budget is a share of wall time between 0 and 1, got {budget!r}: for example budget=0.01"
        )
    if every is not None and every < 1:
        raise UsageError(f"every counts optimizer steps from 1 up, got {every!r}: for example every=10")
    if path is not None and (Path(path) / RUN_FILE).exists():
        raise UsageError(
            f"{str(path)!r} already holds a run and is not overwritten. "
            "Give another path, or remove that one first."
        )
    if path is not None and Path(path).exists() and not Path(path).is_dir():
        raise UsageError(f"{str(path)!r} is a file. path names the folder that the run is written to.")
    options = WatchOptions(None if path is None else Path(path), budget, every)
    return Watch(start(options, (model,), optimizers))
