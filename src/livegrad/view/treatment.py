"""The screen of a treatment: what ails the script, what was tried beside doing nothing, and what wins."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.number import count, duration
from livegrad.view.console import Screen
from livegrad.view.treatment_table import Row, columns, is_refused, rows_of, width_of

if TYPE_CHECKING:
    from rich.console import Console

_MEANING = {
    "cured": "healthy", "healthy": "healthy", "improved": "healthy",
    "relieved": "warning", "undecided": "warning",
    "uncured": "unwell", "failed": "unwell",
}  # fmt: skip
HEADS = {
    "healthy": "healthy",
    "improved": "better",
    "cured": "cured",
    "relieved": "better, not cured",
    "undecided": "not proven",
    "uncured": "not cured",
    "failed": "cannot be treated",
}
_TAB = 4
# A longer name of a remedy has a line of its own.
_NAME = 20
_STYLES = {"winner": "healthy", "good": "", "control": "dim", "bad": "dim", "open": ""}


def render_treatment(
    document: Mapping[str, Any],
    console: "Console",
    page: Path | str | None = None,
    diff_lines: int | None = None,
) -> None:
    """Print a treatment's screen.

    Args:
        document: in the form of `TreatmentDocument.to_dict()`.
        console: where to; its width, colours and encoding are kept to.
        page: the HTML page, named at the end.
        diff_lines: a longer diff is not shown; None shows any.
    """
    screen = TreatmentScreen(document, console)
    screen.diff_lines = diff_lines
    screen.print(page)


class TreatmentScreen(Screen):
    """One printing of one treatment."""

    diff_lines: int | None = None

    def print(self, report: Path | str | None) -> None:
        document = self.document
        verdict = str(document["verdict"])
        self.blank()
        self.headline(f"livegrad: {HEADS[verdict]}", _MEANING[verdict], f"{document['summary']}.", "")
        self._ailment()
        rows = rows_of(document)
        if len(rows) > 1:
            self._table(rows)
        self._why()
        self._refused()
        self._advice()
        self._diff()
        self.blank()
        self._foot(report)

    def _ailment(self) -> None:
        control = self.document["control"]
        if control is None or not control["findings"]:
            return
        self.blank()
        for finding in control["findings"][:3]:
            title = f"{finding['severity']}[{finding['code']}] {finding['name']}"
            self.headline(title, str(finding["severity"]), finding["message"], "")
            if finding.get("cause"):
                self.labelled("why:", first_sentences(str(finding["cause"])))
        more = len(control["findings"]) - 3
        if more > 0:
            self.labelled("", f"and {count(more)} more: livegrad report {self._control_folder()}", gap=0)

    def _control_folder(self) -> str:
        folder = self.document["arms"][0]["runs"][0]["folder"]
        return shlex.quote(str(Path(self.document["path"]) / str(folder)))

    def _table(self, rows: Sequence[Row]) -> None:
        self.blank()
        table = columns(rows, self.width)
        widths = [width_of(column) for column in table]
        heads = "".join(f"{head:<{width}}  " for (head, _), width in zip(table, widths, strict=True)).rstrip()
        self.line((f"    {heads}", "dim"))
        good, bad = ("✓", "✗") if self.ink.unicode else ("+", "x")
        marks = {"winner": good, "bad": bad}
        for i, row in enumerate(rows):
            cells = [
                f"{self.ink.text(cell[i]):<{width}}" for (_, cell), width in zip(table, widths, strict=True)
            ]
            style = _STYLES[row.meaning]
            first = (
                f"  {marks.get(row.meaning, ' ')} {cells[0]}",
                "healthy" if style == "healthy" else style,
            )
            self.line(first, ("  " + "  ".join(cells[1:]).rstrip(), "" if style == "healthy" else style))
        for reason, names in reasons(self.document["arms"]).items():
            self.labelled("", f"{'; '.join(names)}: {reason}", indent=4, gap=0, style="dim")

    def _why(self) -> None:
        winner = self.document["winner"]
        if winner is None:
            return
        arm = next(arm for arm in self.document["arms"] if arm["name"] == winner["name"])
        if arm["reason"] or winner["larger"]:
            self.blank()
        if arm["reason"]:
            self.labelled("why it works:", arm["reason"], gap=14)
        if winner["larger"]:
            words = f"{winner['larger']} comes down further and changes more"
            self.labelled("also:", words, gap=14)

    def _refused(self) -> None:
        """What cannot work here; beside a cure only the first of it, the page has all."""
        pairs = refusals(self.document)
        if not pairs:
            return
        shown = pairs[: 3 if self.document["winner"] is not None else 8]
        self.blank()
        self.line(("  cannot work here", "name"))
        gap = max((len(name) for name, _ in shown if len(name) <= _NAME), default=4) + 2
        for name, reason in shown:
            if len(name) > _NAME:
                self.labelled("", name, indent=4, gap=0, style="dim")
                name = ""
            self.labelled(name, reason, indent=4, gap=gap, style="dim")
        if len(pairs) > len(shown):
            words = f"and {count(len(pairs) - len(shown))} more, in the report"
            self.labelled("", words, indent=4, gap=0, style="dim")

    def _advice(self) -> None:
        if self.document["verdict"] == "cured":
            return
        proposals = (self.document["prescription"] or {}).get("proposals", ())
        for proposal in proposals:
            if proposal.get("kind") == "advice":
                self.blank()
                self.labelled("advice:", proposal["reason"], gap=9)

    def _diff(self) -> None:
        document = self.document
        lines = str(document["diff"] or "").splitlines()
        if lines and (self.diff_lines is None or len(lines) <= self.diff_lines):
            self.blank()
            for line in lines:
                self.line((self.ink.text(line.expandtabs(_TAB)), diff_style(line)))
        elif lines:
            self.blank()
            changed = sum(line[:1] in ("+", "-") and line[:3] not in ("+++", "---") for line in lines)
            files = ", ".join(edit["file"] for edit in document["edits"])
            self.labelled("change:", f"{count(changed)} lines of {files} (--diff prints them)", gap=9)
        for words in document["instructions"]:
            self.blank()
            head, *code = str(words).splitlines()
            self.labelled("by hand:", head, gap=9)
            for line in code:  # code is there to be copied
                self.line(f"    {self.ink.text(line.expandtabs(_TAB))}")

    def _foot(self, page: Path | str | None) -> None:
        document, budget = self.document, self.document["budget"]
        runs = [run for arm in document["arms"] for run in arm["runs"]]
        seconds = sum(run["seconds"] or 0 for run in runs)
        words = [f"{count(budget['steps'])} steps" + (", the whole script" if budget["whole_script"] else "")]
        if len(document["arms"]) > 1:
            seeds = budget["seeds"]
            words += [f"{count(seeds)} seed{'s' if seeds > 1 else ''}", f"{count(len(runs))} runs"]
        words.append(f"{duration(seconds)} of work")
        self.labelled("", " · ".join(words), indent=2, gap=0, style="dim")
        for note in document["notes"]:
            self.labelled("", f"{note}.", indent=2, gap=0, style="dim")
        self._next()
        self.line(("  trial:  ", "dim"), self.ink.text(document["path"]))
        if page is not None:
            self.line(("  report: ", "dim"), self.ink.text(str(page)))

    def _next(self) -> None:
        """The commands that lead on; what they do behind them, or above where they are long."""
        label = "next:"
        for step in self.document["next"]:
            command = self.ink.text(shlex.join(shortened(step["command"])))
            does = str(step["does"])
            if len(command) + len(does) + 12 <= self.width:
                self.line((f"  {label:<8}", "dim"), (command, "command"), (f"  {does}", "dim"))
            else:
                self.line((f"  {label:<8}{does}:", "dim"))
                self.line("          ", (command, "command"))
            label = ""


def reasons(arms: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Why arms were stopped, or what was left out of them: reason -> their names."""
    found: dict[str, list[str]] = {}
    for arm in arms:
        said = arm["stopped"] or arm["left_out"]
        if said and not is_refused(arm):
            found.setdefault(str(said), []).append(str(arm["name"]))
    return found


def shortened(command: Sequence[str]) -> list[str]:
    """A command with what lies under the working directory written from there."""
    here = str(Path.cwd()) + os.sep
    return [word.removeprefix(here) if word.startswith(here) else word for word in command]


def refusals(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(remedies, why they cannot work here), of the prescription and of arms that were refused."""
    prescription = document["prescription"] or {}
    pairs = [(",".join(one["choices"]), str(one["reason"])) for one in prescription.get("refused", ())]
    pairs += [(arm["name"], str(arm["stopped"])) for arm in document["arms"] if is_refused(arm)]
    findings = [str(f["name"]) for f in (document["control"] or {}).get("findings", ())]
    known = findings[0] if len(findings) == 1 else None
    by_reason: dict[str, list[str]] = {}
    for name, reason in pairs:
        by_reason.setdefault(_bare(reason, name, known), []).append(name)
    return [(", ".join(dict.fromkeys(names)), reason) for reason, names in by_reason.items()]


def first_sentences(text: str, number: int = 2) -> str:
    """The first sentences of a text."""
    return ". ".join(text.rstrip(".").split(". ")[:number]) + "."


def _bare(reason: str, name: str, finding: str | None) -> str:
    """A refusal without the words that the screen has said already: the remedies, the only finding."""
    short = reason.removeprefix(f"{name} is not for this model: ")
    return short if finding is None else short.removeprefix(f"{finding}: ")


def diff_style(line: str) -> str:
    """The colour of a line of a unified diff."""
    if line.startswith(("+++", "---")):
        return "name"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
