"""The bill of a ledger as a small table: what each kind of operation does to the gradient, and what theory
expects.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from livegrad.diagnose.naming import is_number, spoken
from livegrad.diagnose.number import count, from_json, short

HEADINGS = ("", "decades", "expected", "at best", "each passes on", "needs")
MOST_LINES = 6
_WORTH_A_ROW = 0.05


def decades(value: Any) -> str:
    """Return decades with their sign: "−14.2"; nothing where they are unknown."""
    number = from_json(value)
    if number is None:
        return ""
    return (
        f"{number:+.1f}".replace("+0.0", "0.0").replace("-0.0", "0.0") if abs(number) < 1e6 else short(value)
    )


def bill_lines(
    bill: Sequence[Mapping[str, Any]], most: int = MOST_LINES, total: Any = None
) -> list[tuple[str, ...]]:
    """Return the cells of the largest lines of a bill, of what the others come to, and of their sum.

    Columns that hold nothing are left in: `used_columns` says which do.
    """
    ordered = sorted(bill, key=lambda item: -abs(from_json(item["decades"]) or 0.0))
    shown, rest = ordered[:most], ordered[most:]
    shown.sort(key=lambda item: from_json(item["decades"]) or 0.0)
    lines = [_cells(item) for item in shown]
    if rest:
        left = sum(from_json(item["decades"]) or 0.0 for item in rest)
        many = sum(item["count"] or 0 for item in rest)
        lines.append((f"{count(many)} others", decades(left), "", "", "", ""))
    if len(lines) > 1:
        whole = sum(from_json(item["decades"]) or 0.0 for item in bill) if total is None else total
        lines.append(("together", decades(whole), "", "", "", ""))
    return lines


def _cells(item: Mapping[str, Any]) -> tuple[str, ...]:
    # At best next to nothing is lost: true of most activations, and worth no column.
    best = from_json(item["best_decades"])
    return (
        f"{count(item['count'])} {'in ' if is_number(item['label']) else ''}{spoken(item['label'])}",
        decades(item["decades"]),
        decades(item["expected_decades"]),
        decades(best) if best is not None and best < -0.05 else "",
        short(item["factor"], 3),
        short(item["needed_factor"], 3) if item.get("needed_factor") is not None else "",
    )


def used_columns(lines: Sequence[Sequence[str]]) -> list[int]:
    """Return the numbers of the columns in which any line says something."""
    return [i for i in range(len(HEADINGS)) if any(line[i] for line in lines)]


def bill_text(bill: Sequence[Mapping[str, Any]], width: int = 100, most: int = MOST_LINES) -> list[str]:
    """Return the bill as aligned lines of text, headings first; [] where it has fewer than two lines.

    Columns that do not fit into `width` are left out, the last ones first.
    """
    lines = bill_lines(bill, most)
    if len(lines) < 2:
        return []
    columns = used_columns(lines)
    while len(columns) > 2 and len(_aligned(lines, columns)[0]) > width:
        columns.pop()
    return _aligned(lines, columns)


def _aligned(lines: Sequence[Sequence[str]], columns: Sequence[int]) -> list[str]:
    table = [[row[i] for i in columns] for row in (HEADINGS, *lines)]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            f"{cell:>{width}}" if i else f"{cell:<{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def bill_table(bill: Sequence[Mapping[str, Any]], most: int = MOST_LINES) -> dict[str, Any]:
    """Return headings and cells of a bill without its empty columns; empty where it has fewer than two
    lines.
    """
    lines = bill_lines(bill, most)
    columns = used_columns(lines) if len(lines) > 1 else []
    return {
        "headings": [HEADINGS[i] for i in columns],
        "lines": [[line[i] for i in columns] for line in lines if columns],
    }


def subject_ledger(document: Mapping[str, Any], name: str | None) -> dict[str, Any] | None:
    """Return what the report shows of one model's ledger, or None where there is none."""
    found = next((book for book in document.get("ledger") or () if book["subject"] == name), None)
    if found is None or not found["segments"]:
        return None
    return {
        "step": count(found["step"]),
        "measured": found["measured"],
        "total": decades(found["total_decades"]),
        "kinds": bill_table(found["kinds"], 12),
        "modules": bill_table(found["modules"], 24),
        "tree": [*tree_rows(found["segments"]), *recurrence_rows(found.get("recurrences", ()))],
        "opened": bool(found.get("recurrences", ())) or any(entry["paths"] for entry in found["segments"]),
    }


def tree_rows(segments: Sequence[Mapping[str, Any]], most: int = 400) -> list[dict[str, Any]]:
    """Return the opened ledger as rows with an indentation: segments from the output down, their paths, and
    what lies along them. `level` is how far a row is indented.
    """
    rows: list[dict[str, Any]] = []
    for entry in segments:
        if len(rows) >= most:
            break
        _add_entry(rows, entry, 0)
    return rows


def recurrence_rows(recurrences: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the bills of recurrences as indented rows: all time steps, the mean one, the paths inside it."""
    rows: list[dict[str, Any]] = []
    for bill in recurrences:
        whole = {"decades": bill["total_decades"]}
        rows.append(_tree_row(f"{bill['name']}, {count(bill['steps'])} time steps", "time", whole, 0))
        rows.append(_tree_row("each step, in the mean", "", bill["step"], 1))
        for path in bill["step"]["paths"]:
            rows.append(_tree_row(" · ".join(path["layers"]), "", path, 2))
            if len(path["entries"]) > 2:
                rows += [_tree_row(entry["type"], "", entry, 3) for entry in path["entries"][1:]]
    return rows


def _add_entry(rows: list[dict[str, Any]], entry: Mapping[str, Any], level: int) -> None:
    rows.append(_tree_row(entry["name"], entry["type"] or "", entry, level))
    for branch in entry["paths"]:
        named = {"identity": "skip", "tangle": "paths that cannot be taken apart"}
        title = named.get(branch["kind"], "branch")
        rows.append(_tree_row(title, "", branch, level + 1))
        if branch["kind"] == "chain":
            first = next(iter(branch["entries"]), None)
            if first is not None and abs(from_json(first["decades"]) or 0.0) > _WORTH_A_ROW:
                rows.append(_tree_row("what comes into it", "", first, level + 2))
            for step in branch["entries"][1:]:
                _add_entry(rows, step, level + 2)


def _tree_row(name: str, kind: str, item: Mapping[str, Any], level: int) -> dict[str, Any]:
    number = from_json(item["decades"])
    return {
        "name": name,
        "title": spoken(name),
        "type": kind,
        "decades": "all" if number is not None and abs(number) == float("inf") else decades(item["decades"]),
        "expected": decades(item.get("expected_decades")),
        "level": level,
        "is_path": not kind,
    }
