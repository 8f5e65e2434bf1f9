"""The result of a diagnosis: one frozen JSON document that every view shares."""

from copy import deepcopy
from typing import Any, ClassVar

from livegrad.diagnose.document import Document

SEVERITIES = ("error", "warning", "info")


class Report(Document):
    """What livegrad concluded about a run, as one JSON document.

    Numbers that JSON cannot hold are kept as the strings "NaN", "Infinity" and "-Infinity"; unknown numbers
    are None. The document's form is `Report.json_schema()`.

    Args:
        document: a mapping in the form of the schema. It is copied; array scalars become Python numbers.

    Raises:
        TypeError: the document holds a value that has no place in JSON.
    """

    __slots__ = ()
    schema_file: ClassVar[str] = "report.schema.json"

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Report is read-only; change a copy: report.to_dict()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Report is read-only; change a copy: report.to_dict()")

    @property
    def verdict(self) -> str:
        """ "healthy", "warning" or "unwell"."""
        return self._document["verdict"]

    @property
    def summary(self) -> str:
        """The verdict in one sentence."""
        return self._document["summary"]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What is wrong or worth knowing, the most severe first."""
        findings = deepcopy(self._document["findings"])
        return sorted(findings, key=lambda finding: severity_rank(finding.get("severity")))

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The layers along each model's depth, from its input to its output."""
        return deepcopy(self._document["layers"])

    @property
    def run(self) -> dict[str, Any]:
        """What was run, for how long, at what cost, and what was and was not observed."""
        return deepcopy(self._document["run"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Report) and self._document == other._document

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self):
        return Report, (self._document,)

    def __repr__(self) -> str:
        found = ", ".join(str(finding.get("code")) for finding in self.findings) or "no findings"
        return f"<Report: {self.verdict}, {found}>"

    def _repr_html_(self) -> str:
        from livegrad.diagnose.notebook import render

        return render(self._document)


def severity_rank(severity: Any) -> int:
    """Return 0 for "error", 1 for "warning", 2 for "info", 3 for anything else."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
