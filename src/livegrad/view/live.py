"""Follows a run from a second shell: redrawn in place on a terminal, a line now and then anywhere else."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegrad.view.console import finding_line, render_report
from livegrad.view.ink import Ink
from livegrad.view.live_screen import live_screen, status_line

if TYPE_CHECKING:
    from rich.console import Console

    from livegrad.run.reader import Run

_POLL, _LINE_EVERY = 1.0, 5.0
# Diagnosing takes at most this share of the time, for the training may run on the same machine.
_SHARE = 0.1


def follow(
    run_path: Path | str,
    console: "Console",
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Show a run while it is written, until it ends; then print its report.

    Ctrl-C leaves at once and cleanly; it does not touch the training.

    Args:
        run_path: the run's folder.
        console: where to; where it is not a terminal, a line is printed every few seconds if there is news.
        sleep: waits between two looks, in seconds.
        clock: tells the time, in seconds.

    Raises:
        RunError: there is no run there, or it went away.
    """
    from livegrad.run.reader import load

    followed = Followed(load(run_path), clock)
    try:
        if console.is_terminal and not console.is_dumb_terminal:
            _redraw(followed, console, sleep)
        else:
            _print_lines(followed, console, sleep, clock)
    except KeyboardInterrupt:
        console.print(Ink.of(console).text("livegrad: stopped looking; the training goes on"), style="dim")
        return
    render_report(followed.document(fresh=True), console)


class Followed:
    """A run being written, and the latest diagnosis of it."""

    def __init__(self, run: "Run", clock: Callable[[], float]):
        self.run = run
        self._clock = clock
        self._document: dict[str, Any] | None = None
        self._next_diagnosis = 0.0
        self._stale = True

    def refresh(self) -> bool:
        """Read what is new; True where there was anything."""
        changed = self.run.refresh()
        self._stale = self._stale or changed
        return changed

    def document(self, fresh: bool = False) -> dict[str, Any]:
        """Return the diagnosis, made anew if the run has grown and it is time, or it must be `fresh`."""
        began = self._clock()
        if self._document is None or (self._stale and (fresh or began >= self._next_diagnosis)):
            self._document = self.run.report().to_dict()
            self._stale = False
            ended = self._clock()
            self._next_diagnosis = ended + (ended - began) / _SHARE
        return self._document


def _redraw(followed: Followed, console: "Console", sleep: Callable[[float], None]) -> None:
    from rich.live import Live

    with Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
        while True:
            # Asked first, so that what is written between the question and the reading is not missed.
            alive = followed.run.is_live
            followed.refresh()
            live.update(live_screen(followed.run, followed.document(), console), refresh=True)
            if not alive:
                return
            sleep(_POLL)


def _print_lines(
    followed: Followed, console: "Console", sleep: Callable[[float], None], clock: Callable[[], float]
) -> None:
    ink = Ink.of(console)
    told: set[tuple[Any, ...]] = set()
    due, news = clock(), True
    while True:
        alive = followed.run.is_live
        news = followed.refresh() or news
        if news and (clock() >= due or not alive):
            _print(console, status_line(followed.run, ink))
            due, news = clock() + _LINE_EVERY, False
            for finding in followed.document()["findings"]:
                key = (finding["code"], finding["subject"])
                if finding["severity"] != "info" and key not in told:
                    told.add(key)
                    _print(console, ink.text(finding_line(finding)))
        if not alive:
            return
        sleep(_POLL)


def _print(console: "Console", line: str) -> None:
    # soft_wrap: a line in a log file is one line.
    console.print(line, soft_wrap=True, markup=False, highlight=False, emoji=False)
