"""What `livegrad live` shows: where the training is, how its loss went, its layers, what was found so far."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.number import count, duration, percent, short
from livegrad.diagnose.report import severity_rank
from livegrad.view.bar import sparkline
from livegrad.view.fold import subjects
from livegrad.view.ink import STYLES, Ink
from livegrad.view.layer_table import layer_table, rows_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from livegrad.run.reader import Run

_FINDINGS = 5
_AROUND = 14


def live_screen(run: "Run", document: Mapping[str, Any], console: "Console") -> "RenderableType":
    """Return the screen, no higher than the console."""
    from rich.console import Group

    ink = Ink.of(console)
    width = min(console.width, 140)
    names = subjects(document)
    findings = sorted(document["findings"], key=lambda f: severity_rank(f["severity"]))
    lines = [_line((_first(run, ink), "name")), _line(), *_losses(run, ink, width), _line()]
    room = max(4, (console.height - _AROUND - min(len(findings), _FINDINGS)) // max(len(names), 1))
    for name in names:
        rows = rows_of(document, name, limit=room)
        if len(names) > 1:
            lines.append(_line((ink.short(name or "model", width), "name")))
        lines += layer_table(rows[: 2 * room], ink, width) if rows else [_line(("  no scan yet", "dim"))]
    lines += [_line(), *_found(findings, ink, width)]
    lines += [_line(), _line(("Ctrl-C leaves; the training goes on", "dim"))]
    return Group(*lines)


def status_line(run: "Run", ink: Ink) -> str:
    """Return where the run is in one line: "step 1,240  loss 2.301  gradient norm 0.012  41 s"."""
    table = run.scalars()
    parts = [f"livegrad: step {count(run.info.steps or _last(table['step']) or 0)}"]
    known = table["loss"][table["loss_known"].astype(bool)]
    if len(known):
        parts.append(f"loss {short(float(known[-1]), 4)}")
    if len(table["gradient_norm"]):
        parts.append(f"gradient norm {short(float(table['gradient_norm'][-1]))}")
    if len(table["seconds"]):
        parts.append(duration(float(table["seconds"][-1])))
    return ink.text("  ".join(parts))


def _last(values: Any) -> float | None:
    return float(values[-1]) if len(values) else None


def _first(run: "Run", ink: Ink) -> str:
    words = {
        "running": "running" if run.is_live else "no longer written: it was killed",
        "detached": "unwatched",
    }
    status = words.get(run.status, run.status)
    script = re.split(r"[/\\]", run.info.script or "training")[-1]
    parts = [
        script,
        status,
        f"step {count(run.info.steps)}",
        duration(run.info.seconds),
    ]
    if run.overhead == run.overhead:
        parts.append(f"watching takes {percent(run.overhead)} of the time")
    return ink.text("livegrad: " + " · ".join(parts))


def _losses(run: "Run", ink: Ink, width: int) -> "list[Text]":
    lines = []
    for subject in run.subjects:
        table = run.scalars(subject.id)
        known = table["loss_known"].astype(bool)
        if not known.any():
            continue
        loss = table["loss"][known]
        name = f"{ink.short(subject.name, 16)} " if len(run.subjects) > 1 else ""
        drawn = sparkline(loss.tolist(), max(10, min(width - 50, 60)), ink.unicode)
        rate = _last(table["learning_rate"])
        tail = f"   learning rate {short(rate)}" if rate is not None and rate == rate else ""
        lines.append(_line(f"  {name}loss {short(float(loss[-1]), 4):<8}", (drawn, "command"), (tail, "dim")))
    return lines or [_line(("  the loss was not seen yet", "dim"))]


def _found(findings: list[Mapping[str, Any]], ink: Ink, width: int) -> "list[Text]":
    if not findings:
        return [_line("  nothing found so far")]
    lines = []
    for finding in findings[:_FINDINGS]:
        head = ink.text(f"  {finding['severity']}[{finding['code']}] {finding['name']}")
        words = ink.short(" ".join(str(finding["message"]).split()), max(20, width - len(head) - 2))
        lines.append(_line((head, str(finding["severity"])), f": {words}"))
    if len(findings) > _FINDINGS:
        lines.append(_line((f"  and {len(findings) - _FINDINGS} more", "dim")))
    return lines


def _line(*parts: tuple[str, str] | str) -> "Text":
    from rich.text import Text

    line = Text(no_wrap=True, overflow="crop")
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        line.append(words, STYLES.get(style, style))
    return line
