"""The screen of a check: will it train, how deep could it go, what would each change do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.number import count, duration
from livegrad.diagnose.report import severity_rank
from livegrad.view.console import Screen
from livegrad.view.prognosis_section import VERDICT_WORDS, change_cells, time_words
from livegrad.view.text import shorten

if TYPE_CHECKING:
    from rich.console import Console

_MEANING = {"trains": "healthy", "doubtful": "warning", "will-not-train": "unwell"}
# What stands beside the words of a change: its mark and three columns of numbers.
_NUMBERS = 43
# A shallower network's table is the same for all that train.
_DEEP = 8


def render_prognosis(document: Mapping[str, Any], console: "Console", page: Path | str | None = None) -> None:
    """Print the prognosis of a report that has one.

    Args:
        document: in the form of `Report.to_dict()`, with `prognosis`.
        console: where to; its width, colours and encoding are kept to.
        page: the HTML report, named at the end.
    """
    PrognosisScreen(document, console).print(page)


class PrognosisScreen(Screen):
    """One printing of one prognosis."""

    def print(self, report: Path | str | None) -> None:
        prognosis = self.document["prognosis"]
        verdict = prognosis["verdict"]
        self.blank()
        words = f"livegrad: {VERDICT_WORDS[verdict]}"
        self.headline(words, _MEANING[verdict], prognosis["sentence"], "")
        subjects = prognosis["subjects"]
        findings = sorted(self.document["findings"], key=lambda f: severity_rank(f.get("severity")))
        for subject in subjects:
            self._one(subject, [f for f in findings if f["subject"] == subject["subject"]], len(subjects) > 1)
        self.blank()
        self._foot(report)

    def _one(self, subject: Mapping[str, Any], findings: Sequence[Mapping[str, Any]], titled: bool) -> None:
        if titled:
            self.blank()
            dash = "─" if self.ink.unicode else "-"
            title = f"{self.ink.short(subject['subject'], 50)}: {VERDICT_WORDS[subject['verdict']]}"
            self.line((f"{dash * 2} {title}", "name"))
        self._depth(subject)
        self._time(subject)
        if is_telling(subject):
            self.blank()
            for parts in what_if_lines(subject, self.width, self.ink.unicode):
                self.line(*parts)
        for finding in findings:
            if finding["severity"] != "info":
                self._finding(finding)
        self._remarks([finding for finding in findings if finding["severity"] == "info"])

    def _depth(self, subject: Mapping[str, Any]) -> None:
        if subject["depth"] is not None:
            self.blank()
            self.labelled("", subject["depth"]["sentence"], indent=2, gap=0)
        jacobian = subject.get("jacobian")
        if jacobian is not None:
            self.labelled("", jacobian["sentence"], indent=2, gap=0)

    def _time(self, subject: Mapping[str, Any]) -> None:
        for time in subject["time"]:
            self.labelled("", time_words(time), indent=2, gap=0)

    def _remarks(self, findings: Sequence[Mapping[str, Any]]) -> None:
        for finding in findings:
            self.blank()
            words = f"{finding['message']}; nothing in these steps says that it keeps the model from learning"
            self.labelled(f"{finding['code']}:", words, style="dim")

    def _foot(self, page: Path | str | None) -> None:
        run = self.run
        words = f"stopped after {count(run.get('steps'))} steps, each of them scanned"
        if run.get("seconds") is not None:
            words += f" · {duration(run['seconds'])}"
        self.labelled("", words, indent=2, gap=0, style="dim")
        for text in run.get("not_observed") or ():
            self.labelled("not observed:", text, gap=14, style="dim")
        if page is not None:
            self.line(("  report:       ", "dim"), self.ink.text(str(page)))


def is_telling(subject: Mapping[str, Any]) -> bool:
    """Whether the table of changes says something: a shallow network that trains would train with each."""
    changes = subject["what_if"]
    deep = bool(changes) and subject["design"]["layers"] >= _DEEP
    troubled = subject["verdict"] != "trains" or not all(change["trains"] for change in changes)
    return bool(changes) and (deep or troubled)


def what_if_lines(
    subject: Mapping[str, Any], width: int, unicode: bool = True
) -> list[list[tuple[str, str] | str]]:
    """Return the table of changes, one list of (text, style) per line."""
    changes = subject["what_if"]
    layers = subject["design"]["layers"]
    good, bad, dots = ("✓", "✗", "…") if unicode else ("+", "x", "..")
    texts = [change["text"] if unicode else change["text"].replace("√", "sqrt ") for change in changes]
    wide = min(max(len(text) for text in texts), width - _NUMBERS)
    head = f"  {'by closed form':<{wide + 4}}{'per layer':>9}  {f'over {layers}':>14}  {'reaches':>8}"
    lines: list[list[tuple[str, str] | str]] = [[(head, "dim")]]
    for change, text in zip(changes, texts, strict=True):
        mark = (good, "healthy") if change["trains"] else (bad, "error")
        factor, decades, reach = change_cells(change)
        numbers = f"{factor:>9}  {decades:>14}  {reach:>8}"
        style = "name" if change["kind"] == "none" else ""
        lines.append(["  ", mark, " ", (f"{shorten(text, wide, dots):<{wide + 2}}", style), numbers])
    return lines
