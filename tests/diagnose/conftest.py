"""The judge: invented runs in, findings out, every document held to its schema on the way."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.diagnose.invented_run import Net, write_run

from livegrad.diagnose.report import Report
from livegrad.run.reader import Run


class Judge:
    """Writes nets and diagnoses them; every document that passes through fulfils the schema."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def run(self, *nets: Net, **info) -> Run:
        self._count += 1
        return write_run(self._folder / f"run{self._count}", *nets, **info)

    def report(self, *nets: Net, **info) -> Report:
        report = self.run(*nets, **info).report()
        check_document(report)
        return report

    def codes(self, *nets: Net) -> dict[str, str]:
        """Code -> severity of everything found."""
        return {finding["code"]: finding["severity"] for finding in self.report(*nets).findings}

    def one(self, *nets: Net) -> dict[str, Any]:
        """The only finding."""
        (finding,) = self.report(*nets).findings
        return finding


def check_document(report: Report) -> None:
    """The document fulfils its schema, and its parts agree with each other."""
    document = report.to_dict()
    jsonschema.validate(document, Report.json_schema())
    worst = {f["severity"] for f in report.findings}
    expected = "unwell" if "error" in worst else "warning" if "warning" in worst else "healthy"
    assert report.verdict == expected
    for finding in report.findings:
        assert finding["first_step"] is None or finding["first_step"] <= finding["last_step"]
        texts = [finding["message"], finding["next"], finding["explanation"], finding["cause"]["summary"]]
        assert all(texts) and not any("nan" in text.split() for text in texts), texts
        assert finding["evidence"]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(tmp_path)
