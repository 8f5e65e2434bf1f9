"""How a trial's progress gets on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from livegrad.treat.trial.arm import ArmRun
from livegrad.treat.trial.state import Trial
from livegrad.treat.trial.watching import Progress

if TYPE_CHECKING:
    from rich.live import Live

Tell = Callable[[Trial, Sequence[Progress]], None]
_REDRAW_SECONDS = 0.25


@contextmanager
def progress_on(*, quiet: bool) -> Iterator[Tell]:
    """Gives what a conductor tells its progress to: a block redrawn on a terminal, lines elsewhere."""
    if quiet or sys.stderr is None:
        yield lambda trial, running: None
        return
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.live import Live

    from livegrad.cli.own_console import own_console

    with Live(console=own_console(stderr=True), auto_refresh=False, transient=True) as live:
        yield Block(live)


class Block:
    """Redraws the terminal's block, now and then."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._drawn = 0.0
        self._began = time.monotonic()

    def __call__(self, trial: Trial, running: Sequence[Progress]) -> None:
        from livegrad.view.ink import Ink
        from livegrad.view.treatment_progress import progress_block

        now = time.monotonic()
        if now - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = now
        console = self._live.console
        state = _state(trial, running, now - self._began)
        with suppress(OSError, ValueError):
            self._live.update(progress_block(state, console.width, Ink.of(console)), refresh=True)


class Lines:
    """Prints a line for whatever was finished since the last call."""

    def __init__(self) -> None:
        self._said: set[tuple[str, int]] | None = None
        self._prescribed = False

    def __call__(self, trial: Trial, running: Sequence[Progress]) -> None:
        from livegrad.view.treatment_progress import finished_line, prescription_line

        if self._said is None:  # what a trial that goes on had before is no news
            self._said = set(trial.runs)
            self._prescribed = trial.prescription is not None
        for key, run in trial.runs.items():
            if key not in self._said:
                self._said.add(key)
                _print(finished_line(_run(run), trial.budget.seeds))
        if trial.prescription is not None and not self._prescribed:
            self._prescribed = True
            _print(prescription_line([arm.name for arm in trial.candidates], len(trial.untried)))


def _print(line: str) -> None:
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def _state(trial: Trial, running: Sequence[Progress], elapsed: float) -> dict[str, Any]:
    return {
        "script": trial.identity.target if trial.identity.kind != "code" else "-c",
        "steps": trial.steps,
        "seeds": trial.budget.seeds,
        "elapsed": elapsed,
        "arms": [
            {
                "name": arm.name,
                "stopped": trial.dropped.get(arm.name),
                "runs": [_run(run) for run in trial.of(arm.name).values()],
            }
            for arm in trial.arms
        ],
        "running": [asdict(one) for one in running],
    }


def _run(run: ArmRun) -> dict[str, Any]:
    codes = list(dict.fromkeys(finding["code"] for finding in run.findings))
    return {**asdict(run), "codes": codes}
