"""What a figure is drawn from: a recorded run, the report on it, or both, and one model of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from livegrad.diagnose.report import Report, severity_rank
from livegrad.errors import LivegradError, UsageError
from livegrad.run.reader import Run, load
from livegrad.view.fold import subjects, worst_findings

if TYPE_CHECKING:
    from os import PathLike

_reports: "WeakKeyDictionary[Run, tuple[tuple[int, int, str], dict[str, Any]]]" = WeakKeyDictionary()


@dataclass(frozen=True)
class Source:
    """One model of one run.

    document: in the form of `Report.to_dict()`. name: the model's. known: the run's arrays, where they are at
    hand.
    """

    document: Mapping[str, Any]
    name: str | None
    known: Run | None

    @property
    def run(self) -> Run:
        """The run's arrays. Raises UsageError where only a report was given and its run is not there."""
        if self.known is None:
            raise UsageError(
                f"this figure needs the recorded arrays, and there is no run at "
                f"{self.document['run'].get('path')!r}. Give the run: livegrad.load(path)"
            )
        return self.known

    @property
    def number(self) -> int:
        """The model's id in the run."""
        named = [subject.id for subject in self.run.subjects if subject.name == self.name]
        place = subjects(self.document).index(self.name)
        ids = [subject.id for subject in self.run.subjects]
        return named[0] if named else ids[place] if place < len(ids) else -1

    @property
    def worst(self) -> dict[str, Mapping[str, Any]]:
        """The most severe finding of each layer, by the layer's name."""
        return worst_findings(self.document, self.name)

    @property
    def findings(self) -> list[Mapping[str, Any]]:
        """The findings on this model, the most severe first."""
        mine = [f for f in self.document["findings"] if f["subject"] in (self.name, None)]
        return sorted(mine, key=lambda finding: severity_rank(finding["severity"]))

    @property
    def title(self) -> str:
        """The script, and the model where there are several."""
        script = re.split(r"[/\\]", str(self.document["run"].get("script") or ""))[-1]
        several = len(subjects(self.document)) > 1
        return f"{script}: {self.name}".lstrip(": ") if several else script or str(self.name or "")


def source_of(
    given: "Run | Report | Mapping[str, Any] | str | PathLike[str] | Any", subject: str | int | None = None
) -> Source:
    """Return what a figure is drawn from.

    given: a Run, its path, a Report or its document, or what `livegrad.watch` returned. subject: name or id
    of one of several models; None for the one with the gravest finding, else the first. Raises UsageError
    where that is none of these, or there is no such model.
    """
    run, document = _opened(given)
    names = subjects(document)
    if not names:
        raise UsageError("nothing to draw: no model was trained in this run")
    return Source(document, _chosen(run, document, names, subject), run)


def _opened(given: Any) -> tuple[Run | None, Mapping[str, Any]]:
    if isinstance(given, Report):
        return _run_of(document := given.to_dict()), document
    if isinstance(given, Mapping):
        if "run" not in given or "findings" not in given:
            raise UsageError("the mapping is not the document of a report: give Report.to_dict()")
        return _run_of(given), given
    if not isinstance(given, Run) and hasattr(given, "report") and hasattr(given, "path"):
        given = given.path
        if given is None:
            raise UsageError("nothing to draw yet: no step has been taken")
    if not isinstance(given, Run) and (isinstance(given, str) or hasattr(given, "__fspath__")):
        given = load(Path(given))
    if not isinstance(given, Run):
        raise UsageError(
            f"cannot draw a {type(given).__name__}: give a run (livegrad.load(path)), its path or its report"
        )
    return given, _report(given)


def _report(run: Run) -> dict[str, Any]:
    """The run's report, drawn up once for as long as nothing is added to the run."""
    state = (len(run), len(run.scans()), run.status)
    known = _reports.get(run)
    if known is None or known[0] != state:
        known = _reports[run] = (state, run.report().to_dict())
    return known[1]


def _run_of(document: Mapping[str, Any]) -> Run | None:
    try:
        return load(document["run"]["path"])
    except (LivegradError, OSError, KeyError, TypeError):
        return None


def _chosen(
    run: Run | None, document: Mapping[str, Any], names: list[str | None], subject: str | int | None
) -> str | None:
    if subject is None:
        found = sorted(document["findings"], key=lambda finding: severity_rank(finding["severity"]))
        serious = [f["subject"] for f in found if f["severity"] != "info" and f["subject"] in names]
        return serious[0] if serious else names[0]
    by_id = {} if run is None else {s.id: s.name for s in run.subjects}
    wanted = by_id.get(subject, subject) if isinstance(subject, int) else subject
    if wanted not in names:
        raise UsageError(f"no model {subject!r} in this run; choose from {', '.join(map(repr, names))}")
    return wanted
