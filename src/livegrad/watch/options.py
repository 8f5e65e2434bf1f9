"""How a program is to be watched."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WatchOptions:
    """How to watch.

    path: the run folder (None: a new one under ./livegrad-runs). budget: share of wall time that recording
    may cost. every: a pulse each N steps whatever it costs. command, mode, script: what run.json says of
    the program. every_scan: record and scan each step, whatever it costs.
    """

    path: Path | None = None
    budget: float = 0.01
    every: int | None = None
    command: tuple[str, ...] = ()
    mode: str = "watch"
    script: str | None = None
    quiet: bool = False
    every_scan: bool = False
