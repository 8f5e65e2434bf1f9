"""livegrad's words on a terminal: the report's screen, and the single lines said while a script runs."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.number import count, duration, from_json, percent, short
from livegrad.diagnose.report import severity_rank
from livegrad.view.evidence import facts, steps_text
from livegrad.view.fold import Row, subjects
from livegrad.view.ink import STYLES, Ink
from livegrad.view.interventions import interventions
from livegrad.view.layer_table import layer_table, legend, rows_of
from livegrad.view.ledger_table import bill_text

if TYPE_CHECKING:
    from rich.console import Console

_NARROW, _WIDE, _PROSE = 60, 200, 100
_PROOF = {True: " (confirmed: measured again without it)", False: " (not confirmed by measuring without it)"}


def make_console(stderr: bool = True) -> "Console":
    """Return a console for livegrad's own words.

    Colour only on a terminal that has it and where NO_COLOR is unset; 60 to 200 cells wide; nothing in a text
    is taken for markup.
    """
    from rich.console import Console

    plain = {"color_system": None} if os.environ.get("NO_COLOR") else {}
    stream = sys.stderr if stderr else sys.stdout
    console = Console(file=stream, markup=False, emoji=False, highlight=False, force_jupyter=False, **plain)  # pyright: ignore[reportArgumentType]
    console.width = min(max(console.width, _NARROW), _WIDE)
    return console


def render_report(document: Mapping[str, Any], console: "Console", report: Path | str | None = None) -> None:
    """Print the report's screen.

    Args:
        document: in the form of `Report.to_dict()`.
        console: where to; its width, colours and encoding are kept to.
        report: the HTML report, named at the end; by default report.html in the run's folder, if it is there.
    """
    Screen(document, console).print(report)


def attach_line(info: Mapping[str, Any]) -> str:
    """Return what is said when livegrad begins to watch: the model, its optimizer, where the run is written.

    Args:
        info: as run.json: `subjects` (each with `name`, `type`, `parameters`, `optimizers`) and `path`.
    """
    ink = Ink.of_stderr()
    watched = [_subject_text(subject, ink) for subject in info.get("subjects") or ()]
    line = f"livegrad: watching {' and '.join(watched) if watched else 'the training'}"
    return ink.text(f"{line} → {info['path']}" if info.get("path") else line)


def _subject_text(subject: Mapping[str, Any], ink: Ink) -> str:
    name = ink.text(subject.get("type") or subject.get("name") or "a model")
    details = []
    if (parameters := from_json(subject.get("parameters"))) is not None:
        details.append(f"{count(parameters)} parameters")
    details += [ink.text(optimizer.get("type")) for optimizer in subject.get("optimizers") or ()]
    return f"{name} ({', '.join(details)})" if details else name


def finding_line(finding: Mapping[str, Any]) -> str:
    """Return a finding in one line: "livegrad: error[LG101] vanishing-gradient at train.py:14: …"."""
    ink = Ink.of_stderr()
    place = f" at {ink.text(finding['source'])}" if finding.get("source") else ""
    return f"livegrad: {_title(finding, ink)}{place}: {ink.paragraph(finding.get('message'))}"


def _title(finding: Mapping[str, Any], ink: Ink) -> str:
    return ink.text(f"{finding.get('severity')}[{finding.get('code')}] {finding.get('name')}")


class Screen:
    """One printing of one document."""

    def __init__(self, document: Mapping[str, Any], console: "Console"):
        self.document = document
        self.console = console
        self.ink = Ink.of(console)
        self.run: Mapping[str, Any] = document.get("run") or {}
        self.width = min(max(console.width, _NARROW), _WIDE)

    def print(self, report: Path | str | None) -> None:
        self.blank()
        self._verdict()
        names = subjects(self.document)
        findings = sorted(self.document.get("findings") or (), key=lambda f: severity_rank(f.get("severity")))
        general = [finding for finding in findings if finding.get("subject") not in names]
        for finding in general:
            self._finding(finding)
        for name in names:
            mine = [finding for finding in findings if finding.get("subject") == name]
            self._subject(name, mine, titled=len(names) > 1)
        self.blank()
        self._footer(report)

    # Paragraphs

    def blank(self) -> None:
        self.console.print()

    def line(self, *parts: tuple[str, str] | str) -> None:
        """Print one line that is never wrapped: paths and commands are there to be copied."""
        from rich.text import Text

        text = Text(no_wrap=True, overflow="ignore")
        for part in parts:
            words, style = (part, "") if isinstance(part, str) else part
            text.append(words, STYLES.get(style, style))
        self.console.print(text, soft_wrap=True)

    def labelled(self, label: str, words: Any, indent: int = 2, gap: int = 7, style: str = "") -> None:
        """Print wrapped text behind a label, its further lines indented below its first."""
        from rich.text import Text

        hang = indent + gap
        wrapped = Text(self.ink.paragraph(words)).wrap(self.console, min(self.width, _PROSE) - hang)
        for i, part in enumerate(wrapped):
            head = f"{' ' * indent}{label:<{gap}}" if i == 0 else " " * hang
            self.line((head, "dim"), (part.plain.rstrip(), style))

    def headline(self, head: str, meaning: str, words: Any, style: str) -> None:
        """Print "head: words", wrapped, the head in the colour of its meaning."""
        from rich.text import Text

        text = Text(f"{head}: {self.ink.paragraph(words)}", style=STYLES.get(style, style))
        text.stylize(STYLES.get(meaning, ""), 0, len(head))
        for part in text.wrap(self.console, min(self.width, _PROSE)):
            part.rstrip()
            self.console.print(part, soft_wrap=True)

    # The screen from top to bottom

    def _verdict(self) -> None:
        verdict = str(self.document.get("verdict"))
        self.headline(f"livegrad: {self.ink.text(verdict)}", verdict, self.document.get("summary"), "")

    def _subject(self, name: str | None, findings: Sequence[Mapping[str, Any]], titled: bool) -> None:
        rows = rows_of(self.document, name)
        if titled:
            self.blank()
            dash = "─" if self.ink.unicode else "-"
            title = f"{dash * 2} {self.ink.short(name, 50)} "
            self.line((title + dash * (min(self.width, _PROSE) - len(title)), "name"))
        for finding in findings:
            self._finding(finding)
        if not findings and titled:
            self.blank()
            self.labelled("", "no findings", indent=2, gap=0)
        if rows and any(finding.get("severity") in ("error", "warning") for finding in findings):
            self.blank()
            for line in layer_table(rows, self.ink, min(self.width, 140)):
                self.console.print(line, soft_wrap=True)
            self.labelled("", legend(rows), indent=2, gap=0, style="dim")
        elif rows:
            self._healthy_layers(rows)

    def _finding(self, finding: Mapping[str, Any]) -> None:
        severity = str(finding.get("severity"))
        self.blank()
        title = f"{self.ink.text(severity)}[{self.ink.text(finding.get('code'))}]"
        self.headline(
            f"{title} {self.ink.text(finding.get('name'))}", severity, finding.get("message"), "name"
        )
        where = finding.get("source")
        layers = finding.get("layers_text")
        if where or layers:
            place, named = self.ink.text(where or ""), self.ink.short(layers or "", self.width - 6)
            together = len(place) + len(named) + 8 <= self.width
            if where:
                self.line(("  --> ", "dim"), (place, "name"), f"  {named}" if together else "")
            if named and not (where and together):
                self.line(("      " if where else "  --> ", "dim"), named)
        self._evidence(finding)
        cause = finding.get("cause") or {}
        for label, words in self._reasons(finding, cause):
            self.labelled(label, words)
            if label and cause.get("summary"):
                self._bill(cause.get("bill") or ())
        self._next(finding)

    def _evidence(self, finding: Mapping[str, Any]) -> None:
        shown = [(self.ink.text(label), self.ink.text(value)) for label, value in facts(finding, 4)]
        if (when := steps_text(finding)) is not None:
            shown.append(("seen", when))
        gap = max((len(label) for label, _ in shown), default=0) + 2
        for label, value in shown:
            self.line((f"      {label:<{gap}}", "dim"), self.ink.short(value, self.width - gap - 6))

    def _bill(self, bill: Sequence[Mapping[str, Any]]) -> None:
        for i, line in enumerate(bill_text(bill, self.width - 9)):
            self.line((f"{'':9}{self.ink.short(line, self.width - 9)}", "" if i else "dim"))

    def _reasons(self, finding: Mapping[str, Any], cause: Mapping[str, Any]) -> list[tuple[str, Any]]:
        summary, explanation = cause.get("summary"), finding.get("explanation")
        tried = cause.get("counterfactual")
        tested = "" if cause.get("confirmed") is None or tried else _PROOF[bool(cause["confirmed"])]
        reasons = []
        if summary:
            reasons.append(("why:", f"{str(summary).rstrip('.')}{tested}."))
        if tried:
            reasons.append(("", f"{tried[0].upper()}{tried[1:].rstrip('.')}."))
        if explanation and explanation != summary:
            reasons.append(("" if reasons else "why:", explanation))
        return reasons

    def _next(self, finding: Mapping[str, Any]) -> None:
        if finding.get("next"):
            self.labelled("next:", finding["next"])
        commands = [remedy.get("command") for remedy in finding.get("remedies") or ()]
        for command in list(dict.fromkeys(command for command in commands if command))[:3]:
            prompt = "$" if command.startswith("livegrad ") else ">>>"
            self.line((f"{'':9}{prompt} {self.ink.text(command)}", "command"))

    def _healthy_layers(self, rows: list[Row]) -> None:
        audible = _span([row.middle("audibility_ratio") for row in rows])
        turnover = _span([row.middle("turnover_steps") for row in rows])
        if audible:
            layers = sum(row.count for row in rows)
            words = (
                f"audibility {audible} of the output's over {count(layers)} layer{'s' if layers > 1 else ''}"
            )
            words += f"; the weights turn over in {turnover} steps" if turnover else ""
            self.blank()
            self.labelled("", words, indent=2, gap=0)

    def _footer(self, report: Path | str | None) -> None:
        run = self.run
        facts_of_run = [f"{count(run.get('steps'))} steps"]
        if run.get("recorded_steps") not in (None, run.get("steps")):
            facts_of_run[0] += f" ({count(run.get('recorded_steps'))} recorded)"
        if run.get("seconds") is not None:
            facts_of_run.append(duration(run["seconds"]))
        facts_of_run.append(f"{count(run.get('scans'))} scans")
        facts_of_run.append(self._overhead())
        self.labelled("", f"{' · '.join(facts_of_run)}", indent=2, gap=0, style="dim")
        for label, words in interventions(run):
            self.labelled(label, words, gap=14)
        for text in run.get("not_observed") or ():
            self.labelled("not observed:", text, gap=14, style="dim")
        codes = list(dict.fromkeys(str(f.get("code")) for f in self.document.get("findings") or ()))
        if codes:
            self.line((f"  {'more:':<14}", "dim"), self.ink.text(f"livegrad explain {' '.join(codes[:4])}"))
        for label, place in self._places(report):
            self.line((f"  {label:<14}", "dim"), self.ink.text(place))

    def _overhead(self) -> str:
        run = self.run
        if run.get("overhead") is None:
            return "cost of watching unknown"
        said = f"watching took {percent(run['overhead'])} of the time"
        if run.get("overhead_seconds") is not None:
            said += f" ({duration(run['overhead_seconds'])})"
        overhead, budget = from_json(run["overhead"]), from_json(run.get("budget"))
        if budget is not None and overhead is not None and overhead > budget:
            later = from_json(run.get("overhead_after_opening"))
            said += f", over the budget of {percent(budget)}"
            if later is not None and later <= budget:
                said += f"; {percent(later)} since step 100"
        return said

    def _places(self, report: Path | str | None) -> list[tuple[str, str]]:
        path = self.run.get("path")
        if report is None and path and (Path(path) / "report.html").is_file():
            report = Path(path) / "report.html"
        places = [("run:", str(path))] if path else []
        return [*places, ("report:", str(report))] if report else places


def _span(values: Sequence[float | None]) -> str:
    """Return "0.36 to 1.5", or one number where both ends read the same; nothing where nothing is known."""
    known = [value for value in values if value is not None and value == value]
    if not known:
        return ""
    low, high = short(min(known)), short(max(known))
    return low if low == high else f"{low} to {high}"
