"""The ledger as the JSON document holds it."""

from collections.abc import Iterable
from typing import Any

from livegrad.diagnose.ledger import Branch, Entry, Ledger, Line, latest_ledger
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.role import line_of
from livegrad.diagnose.time_ledger import TimeBill, time_bills


def ledgers(patients: Iterable[Patient]) -> list[dict[str, Any]]:
    """Return the ledger of each subject's latest scan that measured any."""
    found = ((patient, latest_ledger(patient)) for patient in patients)
    return [ledger_row(patient, book) for patient, book in found if book is not None and book.segments]


def ledger_row(patient: Patient, book: Ledger) -> dict[str, Any]:
    """Return one ledger: its views by kind of operation, by module and by segment, each adding up to the
    total, and what its recurrences do over time.
    """
    return {
        "subject": patient.subject.name,
        "step": book.step,
        "measured": book.measured,
        "total_decades": book.total,
        "kinds": bill_rows(patient, book),
        "modules": [bill_row(patient, item) for item in book.modules],
        "segments": [_entry(patient, entry) for entry in book.segments],
        "recurrences": [_recurrence(patient, bill) for bill in _bills(patient, book)],
    }


def _bills(patient: Patient, book: Ledger) -> Iterable[TimeBill]:
    return time_bills(patient, next(scan for scan in patient.scans if scan.step == book.step))


def _recurrence(patient: Patient, bill: TimeBill) -> dict[str, Any]:
    return {
        "name": bill.name,
        "steps": bill.steps,
        "steps_opened": bill.opened,
        "total_decades": bill.total,
        "step": _entry(patient, bill.step),
    }


def bill_rows(patient: Patient, book: Ledger) -> list[dict[str, Any]]:
    """Return the ledger's lines by kind of operation, the greatest loss first."""
    return [bill_row(patient, item, book.needed(item)) for item in book.kinds]


def bill_row(patient: Patient, item: Line, needed: float | None = None) -> dict[str, Any]:
    """Return one line. needed: what weights ought to pass on for their activation, where that is known."""
    return {
        "label": item.label,
        "count": item.count,
        "decades": item.decades,
        "expected_decades": item.expected,
        "best_decades": item.best,
        "factor": item.factor,
        "needed_factor": needed,
        "source": line_of(item.example, patient.tensors),
    }


def _entry(patient: Patient, entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.layer.name,
        "type": entry.layer.type,
        "source": line_of(entry.layer, patient.tensors),
        "decades": entry.decades,
        "expected_decades": entry.expected,
        "best_decades": entry.best,
        "paths": [_branch(patient, branch) for branch in entry.paths],
    }


def _branch(patient: Patient, branch: Branch) -> dict[str, Any]:
    return {
        "number": branch.number,
        "kind": branch.kind,
        "decades": branch.decades,
        "layers": list(branch.members),
        "entries": [_entry(patient, entry) for entry in branch.entries],
    }
