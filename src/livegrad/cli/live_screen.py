"""The screen of `livegrad live`: a line on how far the run is, and below it the report as it stands."""

from __future__ import annotations

import math
import time
from io import StringIO
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.number import count, duration, short
from livegrad.view.bar import sparkline
from livegrad.view.console import render_report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from livegrad.run.reader import Run

# A diagnosis may take at most this share of the time between two looks.
_SHARE = 0.2


def follow_on_screen(run: Run, console: Console, interval: float) -> None:
    """Redraw the terminal until the run ends or the user interrupts."""
    from rich.live import Live

    with Live(console=console, screen=True, auto_refresh=False) as screen:
        while True:
            began = time.monotonic()
            screen.update(look(run, console), refresh=True)
            if not run.is_live:
                return
            time.sleep(max(interval, (time.monotonic() - began) * (1 / _SHARE - 1)))
            run.refresh()


def look(run: Run, console: Console) -> Text:
    """What the screen shows now, cut to the terminal's height."""
    from rich.text import Text

    page = _sheet(console)
    with page.capture() as captured:
        render_report(run.report().to_dict(), page)
    head = Text(status_line(run, console), style="bold", no_wrap=True, overflow="ellipsis")
    body = Text.from_ansi(captured.get(), no_wrap=True, overflow="ellipsis")
    lines = body.split("\n", allow_blank=True)
    room = max(console.height - 2, 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], Text("… the rest is in `livegrad report`", style="dim")]
    return Text("\n").join([head, *lines])


def _sheet(console: Console) -> Console:
    """A console of the same width and colours; what is printed on a live one comes with the live display."""
    from rich.console import Console

    colours: Any = console.color_system
    return Console(
        file=StringIO(), force_terminal=True, color_system=colours, width=console.width,
        markup=False, emoji=False, highlight=False, legacy_windows=False,
    )  # fmt: skip


def status_line(run: Run, console: Console | None = None) -> str:
    """`running · step 1,200 · 45 steps/s · loss 0.31 ▇▅▃▂▁ · 24 s`."""
    scalars = run.scalars()
    info = run.info
    state = "killed" if run.status == "running" and not run.is_live else run.status
    parts = [state, f"step {count(max(info.steps, int(scalars['step'][-1]) + 1 if len(run) else 0))}"]
    seconds = float(scalars["seconds"][-1]) if len(run) else info.seconds
    if len(run) > 1 and seconds > 0:
        parts.append(f"{short(float(scalars['step'][-1]) / seconds)} steps/s")
    known = scalars["loss"][scalars["loss_known"]].tolist() if len(run) else []
    if len(known):
        unicode = console is None or console.encoding.lower().startswith("utf")
        parts.append(f"loss {short(known[-1])} {sparkline(known, 30, unicode)}")
    if math.isfinite(seconds):
        parts.append(duration(seconds))
    return (" · " if console is None or console.encoding.lower().startswith("utf") else " - ").join(parts)
