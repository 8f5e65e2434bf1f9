"""The terminal's table of layers: one row per layer or fold of layers, from the input down to the output."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.naming import is_number
from livegrad.diagnose.number import count, log10, percent, short
from livegrad.view.bar import bar, decade_range, diverging_bar
from livegrad.view.fold import Row, fold, subject_layers, worst_findings
from livegrad.view.ink import STYLES, Ink

if TYPE_CHECKING:
    from rich.text import Text

_NUMBER = 8
_GAP = "  "
# A healthy model's layers stay this many decades around the output's audibility; the axis always shows them.
_HEALTHY_DECADES = 3.0
# Gradients that differ by less look alike.
_GRADIENT_DECADES = 6.0


@dataclass(frozen=True)
class Widths:
    """Columns in cells; 0 leaves a column out."""

    layer: int
    gradient_bar: int
    audibility_bar: int
    turnover: int
    notes: int


@dataclass(frozen=True)
class Scale:
    """What the bars of one table range over, in decades."""

    gradient_low: float
    gradient_high: float
    audibility_low: float
    audibility_high: float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Scale":
        gradient = decade_range([row.middle("gradient_rms") for row in rows]) or (0.0, 0.0)
        audible = decade_range([row.middle("audibility_ratio") for row in rows]) or (0.0, 0.0)
        return cls(
            min(gradient[0], gradient[1] - _GRADIENT_DECADES),
            gradient[1],
            min(audible[0], -_HEALTHY_DECADES),
            max(audible[1], _HEALTHY_DECADES),
        )

    def gradient_share(self, value: float | None) -> float | None:
        """Return how far along a bar a gradient lies; the smallest one still shows."""
        log = log10(value)
        if log is None or math.isnan(log):
            return None
        margin = 0.03 * (self.gradient_high - self.gradient_low)
        return (log - self.gradient_low + margin) / (self.gradient_high - self.gradient_low + margin)


def rows_of(document: Mapping[str, Any], subject: str | None, limit: int = 16) -> list[Row]:
    """Return a subject's folded layers, input first."""
    return fold(subject_layers(document, subject), worst_findings(document, subject), limit)


def row_name(row: Row, ink: Ink, width: int) -> str:
    """Return "act.3", or "act.3 … act.21 (19)" for a fold; "act.3 … (19)" where that is too wide.
    A number alone is told with its type: "3 (Tanh)".
    """
    first, last = ink.text(row.first.get("name")), ink.text(row.last.get("name"))
    if row.count == 1:
        typed = f"{first} ({ink.text(row.first.get('type'))})" if is_number(first) else first
        return ink.short(typed, width)
    between, number = (" … " if ink.unicode else " .. "), f" ({count(row.count)})"
    full = f"{first}{between}{last}{number}"
    if len(full) <= width:
        return full
    rest = between.rstrip() + number
    return ink.short(first, width - len(rest)) + rest


def notes(row: Row, named: bool) -> str:
    """Return what stands out in a row: its finding if `named`, saturated and dead shares, its axis."""
    said = [str(row.finding.get("code"))] if named and row.finding is not None else []
    if (saturated := row.most("saturated")) is not None and saturated >= 0.2:
        said.append(f"{percent(saturated)} saturated")
    if (dead := row.most("dead")) is not None and dead >= 0.1:
        said.append(f"{percent(dead)} dead")
    if (kind := row.first.get("kind")) in ("time", "branch"):
        said.append("through time" if kind == "time" else "branch")
    return ", ".join(said)


def layer_table(rows: Sequence[Row], ink: Ink, width: int) -> "list[Text]":
    """Return the table's lines, its header first, none wider than `width`.

    Where there is no room for notes they stand under their rows.
    """
    codes = {row.finding.get("code") for row in rows if row.finding is not None}
    said = [ink.text(notes(row, named=len(codes) > 1)) for row in rows]
    longest_name = max((len(row_name(row, ink, 44)) for row in rows), default=0)
    widths = share_out(width, longest_name, max(map(len, said), default=0), _has_turnover(rows))
    if not widths.notes:
        said = [ink.text(notes(row, named=False)) for row in rows]
    scale = Scale.of(rows)
    lines = [_header(widths, any(said))]
    for row, note in zip(rows, said, strict=True):
        line = _line(row, ink, widths, scale)
        if note and widths.notes:
            line.append(_GAP + ink.short(note, widths.notes))
        line.rstrip()
        lines.append(line)
        if note and not widths.notes:
            lines.append(_text(f"    {ink.short(note, width - 4)}", "dim"))
    return lines


def legend(rows: Sequence[Row]) -> str:
    """Return what the columns mean, in one sentence."""
    said = "gradient: rms at the layer · audibility: effect on the output, 1 is the output's own"
    if not _has_turnover(rows):
        return said
    return f"{said} · turnover: steps until the weights have moved by their own size"


def _has_turnover(rows: Sequence[Row]) -> bool:
    return any(row.middle("turnover_steps") is not None for row in rows)


def share_out(width: int, longest_name: int, longest_note: int, has_turnover: bool = True) -> Widths:
    """Return how a screen of `width` cells is shared out among the columns."""
    turnover = _NUMBER if has_turnover else 0
    gradient_bar = 0 if width < 92 else 8 if width < 110 else 12
    audibility_bar = 9 if width < 72 else 13 if width < 110 else 21
    fixed = 2 + 2 * (len(_GAP) + _NUMBER) + 1 + audibility_bar + (1 + gradient_bar if gradient_bar else 0)
    spare = width - fixed - (len(_GAP) + turnover if turnover else 0)
    wanted = min(longest_note, 24) + len(_GAP) if longest_note else 0
    room_for_notes = wanted if spare - wanted >= min(longest_name, 28) else 0
    layer = min(max(longest_name, 8), 44, max(spare - room_for_notes, 8))
    notes = min(spare - layer - len(_GAP), 60) if room_for_notes else 0
    return Widths(layer, gradient_bar, audibility_bar, turnover, notes)


def _header(widths: Widths, noted: bool) -> "Text":
    gradient = _NUMBER + (1 + widths.gradient_bar if widths.gradient_bar else 0)
    audible = _NUMBER + 1 + widths.audibility_bar
    title = f"  {'layer':<{widths.layer}}{_GAP}{'gradient':<{gradient}}{_GAP}{'audibility':<{audible}}"
    title += f"{_GAP}{'turnover':>{widths.turnover}}" if widths.turnover else ""
    title += f"{_GAP}notes" if noted and widths.notes else ""
    return _text(title.rstrip(), "dim")


def _line(row: Row, ink: Ink, widths: Widths, scale: Scale) -> "Text":
    severity = str(row.finding.get("severity")) if row.finding is not None else ""
    style = STYLES.get(severity, "")
    gradient, audible = row.middle("gradient_rms"), row.middle("audibility_ratio")
    line = _text(f"{ink.marks.get(severity, ' ')} ", style)
    line.append(_fit(row_name(row, ink, widths.layer), widths.layer) + _GAP, style)
    line.append(f"{ink.text(short(gradient)):<{_NUMBER}}")
    if widths.gradient_bar:
        line.append(" " + bar(scale.gradient_share(gradient), widths.gradient_bar, ink.unicode), "dim")
    line.append(f"{_GAP}{ink.text(short(audible)):<{_NUMBER}} ")
    low, high = scale.audibility_low, scale.audibility_high
    drawn = diverging_bar(log10(audible), low, high, widths.audibility_bar, ink.unicode)
    line.append(drawn, style.removeprefix("bold ") or "dim")
    if widths.turnover:
        turnover = row.middle("turnover_steps")
        shown = short(turnover) if turnover is not None else ""
        line.append(f"{_GAP}{ink.text(shown):>{widths.turnover}}")
    return line


def _fit(text: str, width: int) -> str:
    from rich.cells import set_cell_size

    return set_cell_size(text, width)


def _text(text: str, style: str = "") -> "Text":
    from rich.text import Text

    line = Text(no_wrap=True, overflow="ignore")
    line.append(text, style)
    return line
