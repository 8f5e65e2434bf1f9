"""Two runs side by side on a terminal."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import PurePath
from statistics import median
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.naming import spoken
from livegrad.diagnose.number import count, duration, from_json, percent, short
from livegrad.view.ink import STYLES, Ink

if TYPE_CHECKING:
    from rich.console import Console

_PROSE = 100
_MARKS = {"better": "+", "worse": "-", "mixed": "~"}
_STYLE = {"better": "healthy", "worse": "error", "mixed": "warning", "same": "name"}
_SHOWN = ("worse", "mixed", "better")
_MOST_ROWS = 12


def render_comparison(document: Mapping[str, Any], console: "Console") -> None:
    """Print a comparison's screen.

    Args:
        document: in the form of `Comparison.to_dict()`.
        console: where to; its width, colours and encoding are kept to.
    """
    _Sheet(document, console).print()


class _Sheet:
    """One printing of one comparison."""

    def __init__(self, document: Mapping[str, Any], console: "Console"):
        self.document = document
        self.console = console
        self.ink = Ink.of(console)
        self.width = min(console.width, _PROSE)
        self.arrow = " → " if self.ink.unicode else " -> "

    def print(self) -> None:
        health = str(self.document["health"])
        self.prose("livegrad: ", self.document["summary"], _STYLE[health])
        self._runs()
        self._findings()
        self._losses()
        self._layers()
        self.line()
        for note in self.document["notes"]:
            self.prose("  ", note, "dim")

    # Lines

    def line(self, *parts: tuple[str, str] | str) -> None:
        from rich.text import Text

        text = Text(no_wrap=True, overflow="ignore")
        for part in parts:
            words, style = (part, "") if isinstance(part, str) else part
            text.append(words, STYLES.get(style, style))
        text.rstrip()
        self.console.print(text, soft_wrap=True)

    def prose(self, head: str, words: Any, style: str = "") -> None:
        """Print wrapped text, its further lines indented as far as its first."""
        from rich.text import Text

        indent = len(head) if not head.strip() else 0
        text = Text(f"{head.lstrip()}{self.ink.paragraph(words)}", style=STYLES.get(style, style))
        for part in text.wrap(self.console, self.width - indent):
            part.rstrip()
            self.console.print(Text(" " * indent).append_text(part), soft_wrap=True)

    def title(self, words: str) -> None:
        self.line()
        self.line((words, "name"))

    def table(self, rows: Sequence[tuple[str, str, str]], label: int = 0) -> None:
        """Print rows of a label and two columns, A and B."""
        label = max(label, *(len(row[0]) for row in rows)) + 2
        column = max(8, min(max(len(row[1]) for row in rows), (self.width - label - 4) // 2))
        for name, before, after in rows:
            room = self.width - label - column - 4
            left, right = self.ink.short(before, column), self.ink.short(after, room)
            self.line((f"  {name:<{label}}", "dim"), f"{left:<{column}}  ", right)

    # Sections

    def _runs(self) -> None:
        a, b = self.document["runs"]
        rows = [
            ("", "A", "B"),
            ("run", str(a["id"]), str(b["id"])),
            ("verdict", str(a["verdict"]), str(b["verdict"])),
            ("steps", self._steps(a), self._steps(b)),
            ("time per step", duration(a["seconds_per_step"]), duration(b["seconds_per_step"])),
            ("watching", percent(a["overhead"]), percent(b["overhead"])),
        ]
        for setting in self.document["settings"]:
            before, after = setting["values"]
            name = setting["name"]
            rows.append((name, _setting(name, before), _setting(name, after)))
        self.line()
        self.table(rows)

    @staticmethod
    def _steps(run: Mapping[str, Any]) -> str:
        return f"{count(run['steps'])}{'' if run['status'] == 'finished' else ', ' + str(run['status'])}"

    def _findings(self) -> None:
        findings = self.document["findings"]
        if not findings:
            return
        self.title("Findings")
        for finding in findings:
            state = finding["state"]
            was, now = finding["severity"]
            severity = now or was
            changed = f" (was {was})" if state == "still" and was != now else ""
            style = {"new": str(severity), "gone": "healthy", "still": "dim"}[state]
            self.line(
                (f"  {state:<6}", style),
                (
                    f"{severity}[{self.ink.text(finding['code'])}] {self.ink.text(finding['name'])}{changed}",
                    "name",
                ),
            )
            where = finding["layers_text"][1] if state != "gone" else finding["layers_text"][0]
            if state == "still" and finding["layers"][0] != finding["layers"][1]:
                sizes = [count(len(layers)) for layers in finding["layers"]]
                where = f"{where}; layers {sizes[0]}{self.arrow}{sizes[1]}"
            if where:
                self.line(" " * 8, (self.ink.short(where, self.width - 8), "dim"))

    def _losses(self) -> None:
        losses = self.document["loss"]
        for loss in losses:
            of = f" of {self.ink.text(loss['subject'])}" if len(losses) > 1 else ""
            self.title(
                f"Loss{of}, up to step {count(loss['steps'])}, where both were recorded: {_verdict(loss)}"
            )
            levels = [(count(row["step"]), row["loss"]) for row in loss["at"]] + [("best", loss["best"])]
            rows = [(name, short(before, 3), short(after, 3)) for name, (before, after) in levels]
            self.table([("step", "A", "B"), *rows], label=len("time per step"))

    def _layers(self) -> None:
        layers = self.document["layers"]
        if not layers["scans"]:
            return
        counts = layers["counts"]
        said = [f"{count(counts[kind])} {kind}" for kind in (*_SHOWN, "alike", "unknown") if counts[kind]]
        at = {tuple(scan["step"]) for scan in layers["scans"]}
        steps = next(iter(at)) if len(at) == 1 else None
        when = f" at step {count(steps[0])}" if steps and steps[0] == steps[1] else ""
        self.title(f"Layers{when}: {', '.join(said) or 'none in both'}")
        rows = self._rows(layers["changes"])
        if rows:
            self._layer_table(rows)
        for only in layers["only"]:
            names = only["layers"]
            shown = ", ".join(names[:6]) + (f" and {count(len(names) - 6)} more" if len(names) > 6 else "")
            self.prose("  ", f"only in {only['run']}: {shown}", "dim")

    @staticmethod
    def _rows(changes: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
        """Neighbours that changed alike, as one row; the longest stretches where there are too many."""
        ordered = sorted(enumerate(changes), key=lambda pair: (pair[1]["kind"] != "depth", pair[0]))
        groups = [
            [change for _, change in group]
            for key, group in groupby(
                ordered, key=lambda pair: (pair[1]["subject"], pair[1]["change"], _sign(pair[1]))
            )
            if key[1] in _SHOWN
        ]
        if len(groups) > _MOST_ROWS:
            largest = sorted(groups, key=len, reverse=True)[:_MOST_ROWS]
            groups = [group for group in groups if group in largest]
        return groups

    def _layer_table(self, rows: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        pair = 19
        columns = ["audibility", "turnover", "gradient"] if self.width >= 92 else ["audibility", "turnover"]
        if not any(_middle(row, "turnover_steps", i) is not None for row in rows for i in (0, 1)):
            columns.remove("turnover")
        name = max(
            10, min(max(len(self._name(row, 60)) for row in rows), self.width - 4 - len(columns) * (pair + 2))
        )
        heads = "".join(f"  {head + ' A' + self.arrow + 'B':<{pair}}" for head in columns)
        self.line((f"    {'layer':<{name}}{heads}", "dim"))
        keys = {"audibility": "audibility", "turnover": "turnover_steps", "gradient": "gradient_rms"}
        for row in rows:
            kind = str(row[0]["change"])
            cells = "".join(f"  {self._pair(row, keys[head]):<{pair}}" for head in columns)
            self.line(
                (f"  {_MARKS[kind]} {self._name(row, name):<{name}}", _STYLE[kind].removeprefix("name")),
                cells,
            )
            self.prose("    ", f"{kind}: {_reasons(row)}", "dim")
        hidden = sum(self.document["layers"]["counts"][kind] for kind in _SHOWN) - sum(map(len, rows))
        if hidden:
            self.line((f"    and {count(hidden)} more, in shorter stretches", "dim"))

    def _name(self, row: Sequence[Mapping[str, Any]], width: int) -> str:
        first, last = (self.ink.text(row[i]["name"]) for i in (0, -1))
        if len(row) == 1:
            return self.ink.short(spoken(first), width)
        between = " … " if self.ink.unicode else " .. "
        full = f"{first}{between}{last} ({len(row)})"
        return full if len(full) <= width else self.ink.short(f"{first} ({len(row)})", width)

    def _pair(self, row: Sequence[Mapping[str, Any]], key: str) -> str:
        values = [_middle(row, key, i) for i in (0, 1)]
        return (
            "" if values == [None, None] else self.ink.text(self.arrow.join(short(value) for value in values))
        )


def _setting(name: str, value: Any) -> str:
    """Return a setting as it is shown: of a program's path only the file."""
    if value is None:
        return "–"
    if name not in ("script", "command"):
        return str(value)
    program, space, rest = str(value).partition(" ")
    return PurePath(program).name + space + rest


def _verdict(loss: Mapping[str, Any]) -> str:
    words = {
        "lower": "lower in B",
        "higher": "higher in B",
        "alike": "about the same",
        "unknown": "not comparable",
    }
    return words[loss["verdict"]]


def _reasons(row: Sequence[Mapping[str, Any]]) -> str:
    """Why, without the numbers, which stand in the row above; each reason once."""
    said = [reason for change in row for reason in change["reasons"]]
    return "; ".join(dict.fromkeys(re.sub(r"^[\d.]+ decades ", "", reason) for reason in said))


def _sign(change: Mapping[str, Any]) -> str:
    """What changed, apart from numbers: rows are joined where it is the same."""
    return " ".join(reason.split(" ")[-1] for reason in change["reasons"])


def _middle(row: Sequence[Mapping[str, Any]], key: str, index: int) -> float | None:
    known = [number for change in row if (number := from_json(change[key][index])) is not None]
    return median(known) if known else None
