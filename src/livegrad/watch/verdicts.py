"""Verdicts on a run while it goes on and at its end, and the causes of what they find, tried on a copy."""

from collections.abc import Callable
from typing import Any

from livegrad.watch.findings import Announcer, judged
from livegrad.watch.record import Record
from livegrad.watch.recorder import Recorder


class Verdicts:
    """say: hears the first error that is confirmed, once."""

    def __init__(self, recorder: Recorder, say: Callable[[dict[str, Any]], None]) -> None:
        self._recorder = recorder
        self._announcer = Announcer(say)
        self._scans = 1  # one scan alone confirms nothing

    def are_due(self, record: Record) -> bool:
        """Whether there are scans that no verdict has looked at."""
        return record.scan_count > self._scans

    def look(self, record: Record) -> None:
        """Have the run judged if a scan looks wrong, or if there is time for it."""
        recorder = self._recorder
        entries = len(recorder.table.tensors.entries) + len(recorder.scans.layers.entries)
        if self._announcer.affordable(recorder.scans.odd, entries):
            self._scans = record.scan_count
            with recorder.lock:
                found = self._announcer.ask(record.writer.path)
                # What does no harm can wait for the end.
                self._explain(record, [finding for finding in found if finding["severity"] != "info"])
        recorder.scans.odd = False

    def explain_all(self, record: Record) -> None:
        """At the end of a run: try the causes of all that is found, if a step to try them on was kept."""
        if self._recorder.scans.counterfactuals.kept.any and not self._announcer.failed:
            self._explain(record, judged(record.writer.path))

    def _explain(self, record: Record, findings: list[dict[str, Any]]) -> None:
        scans = self._recorder.scans
        tried = scans.counterfactuals
        if tried.try_causes(findings, self._recorder.table.subjects, scans.layers.entries):
            record.renew(counterfactuals=tried.entries)
