"""One watched model's part of the report: its spine at a glance, its figures, its table of layers."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from livegrad.diagnose.naming import span, spoken
from livegrad.diagnose.number import count, log10, percent, short
from livegrad.view.depth import Depth
from livegrad.view.facts import subject_text
from livegrad.view.figures.audibility_heatmap import audibility_heatmap
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.gradient_heatmap import gradient_heatmap
from livegrad.view.figures.profile import profile
from livegrad.view.figures.spikes import spikes
from livegrad.view.figures.spine_flow import spine_flow
from livegrad.view.figures.through_time import through_time
from livegrad.view.figures.training import training
from livegrad.view.figures.turnover import turnover
from livegrad.view.figures.waterfall import waterfall
from livegrad.view.flow import flow
from livegrad.view.fold import Row, fold, subject_layers, subjects, worst_findings
from livegrad.view.grid import audibility_grid, gradient_grid
from livegrad.view.ledger_table import subject_ledger
from livegrad.view.norm_band import norm_bands
from livegrad.view.progress import Progress
from livegrad.view.text import shorten
from livegrad.view.time_course import time_courses
from livegrad.view.turnovers import Turnovers

if TYPE_CHECKING:
    from livegrad.run.reader import Run

_CELLS, _ROWS = 60, 300
_HEALTHY_DECADES = 3.0
# A label's share of the strip's width.
_LABEL_SHARE = 0.1
# Columns of the table that are left out where no layer has anything to say in them.
_COLUMNS = (
    ("activation rms", "activation"),
    ("slope", "slope"),
    ("saturated", "saturated"),
    ("dead", "dead"),
    ("turnover, steps", "turnover"),
)


@dataclass(frozen=True)
class PageFigure:
    """A figure at its place on the page."""

    id: str
    drawing: Drawing


@dataclass(frozen=True)
class SubjectSection:
    """What the template shows of one model."""

    anchor: str
    title: str
    about: str
    spine: Sequence[Mapping[str, Any]]
    figures: Sequence[PageFigure]
    missing: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[tuple[str, str]]
    folded: str
    ledger: Mapping[str, Any] | None = None

    @property
    def has_turnover(self) -> bool:
        return any(key == "turnover" for _, key in self.columns)


def subject_sections(run: "Run", document: Mapping[str, Any]) -> list[SubjectSection]:
    """Return a section for each watched model, in the order in which they were found."""
    names = subjects(document)
    ids = _ids(run, names)
    return [_section(run, document, name, ids[i], i) for i, name in enumerate(names)]


def _ids(run: "Run", names: Sequence[str | None]) -> list[int]:
    """Return the run's number of each named model; by position where no name fits."""
    by_name = {subject.name: subject.id for subject in reversed(run.subjects)}
    places = [subject.id for subject in run.subjects]
    return [by_name.get(name or "", places[i] if i < len(places) else -1) for i, name in enumerate(names)]


def _section(
    run: "Run", document: Mapping[str, Any], name: str | None, number: int, place: int
) -> SubjectSection:
    layers = subject_layers(document, name)
    worst = worst_findings(document, name)
    rows = fold(layers, worst, _ROWS)
    anchor = f"model-{place + 1}"
    about = next((s for s in document["run"]["subjects"] if s["name"] == name), {})
    depth = Depth.of(run, number)
    figures, missing = _figures(run, document, name, number, anchor, depth)
    limits = _bar_limits(rows)
    table = [_table_row(row, limits) | {"anchor": f"{anchor}-row-{i}"} for i, row in enumerate(rows)]
    return SubjectSection(
        anchor,
        name or "model",
        subject_text(about),
        _spine(fold(layers, worst, _CELLS), _row_anchors(rows, anchor)),
        figures,
        missing,
        table,
        [column for column in _COLUMNS if any(row[column[1]] for row in table)],
        _folded(layers, rows),
        subject_ledger(document, name),
    )


def _folded(layers: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> str:
    if len(rows) == len(layers):
        return ""
    return f"{count(len(layers))} layers are folded into {len(rows)} rows of neighbours that behave alike."


# The spine at a glance


def _severity(row: Row) -> str:
    return str(row.finding["severity"]) if row.finding is not None else ""


def _row_anchors(rows: Sequence[Row], anchor: str) -> dict[str, str]:
    """Return the row of the table that each layer stands in."""
    return {str(layer["name"]): f"{anchor}-row-{i}" for i, row in enumerate(rows) for layer in row.layers}


def _spine(rows: Sequence[Row], anchors: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the strip's cells; each finding is named once, where it begins and where there is room."""
    total = sum(row.count for row in rows)
    cells: list[dict[str, Any]] = []
    named: set[str] = set()
    place, free_from = 0, 0.0
    for row in rows:
        code = str(row.finding["code"]) if row.finding is not None else ""
        begins = _severity(row) in ("error", "warning") and code not in named and place / total >= free_from
        if begins:
            named.add(code)
            free_from = place / total + _LABEL_SHARE
        cells.append(
            {
                "name": row_title(row),
                "count": row.count,
                "severity": _severity(row),
                "codes": code,
                "label": code if begins else "",
                "row": anchors[str(row.first["name"])],
            }
        )
        place += row.count
    return cells


def row_title(row: Row) -> str:
    """Return "act.3", or "act.3 … act.21 (19 layers)"; of numbers "layer 3", "layers 3 to 21 (19 layers)"."""
    first, last = (shorten(str(layer["name"]), 60) for layer in (row.first, row.last))
    if row.count == 1:
        return spoken(first)
    return f"{span(first, last)} ({count(row.count)} layers)"


# The table


def _bar_limits(rows: Sequence[Row]) -> tuple[float, float]:
    logs = [log for row in rows if (log := log10(row.middle("audibility_ratio"))) is not None]
    known = [log for log in logs if math.isfinite(log)]
    return min([-_HEALTHY_DECADES, *known]), max([_HEALTHY_DECADES, *known])


def _table_row(row: Row, limits: tuple[float, float]) -> dict[str, Any]:
    audible = row.middle("audibility_ratio")
    types = list(dict.fromkeys(str(layer["type"]) for layer in row.layers if layer["type"]))
    return {
        "severity": _severity(row),
        "code": row.finding["code"] if row.finding is not None else "",
        "name": row_title(row),
        "source": re.split(r"[/\\]", row.first["source"] or "")[-1] if row.count == 1 else "",
        "type": ", ".join(types[:3]) + (", …" if len(types) > 3 else ""),
        "gradient": short(row.middle("gradient_rms")),
        "audibility": short(audible),
        "bar": _bar(log10(audible), *limits),
        "activation": _known(row.middle("activation_rms"), short),
        "slope": _known(row.middle("activation_slope"), short),
        "saturated": _known(row.most("saturated"), percent),
        "dead": _known(row.most("dead"), percent),
        "turnover": _known(row.middle("turnover_steps"), short),
    }


def _known(value: float | None, show: Callable[[Any], str]) -> str:
    """Return a number; nothing where it is unknown or does not apply to this kind of layer."""
    return "" if value is None else show(value)


def _bar(log: float | None, low: float, high: float) -> dict[str, Any]:
    """Return a bar from the output's level to `log`, in percent of the cell."""
    zero = 100 * -low / (high - low)
    if log is None:
        return {"zero": round(zero, 1), "side": "", "left": 0, "width": 0}
    if math.isnan(log):
        return {"zero": round(zero, 1), "side": "nonfinite", "left": 0, "width": 100}
    end = 100 * (min(max(log, low), high) - low) / (high - low)
    left, right = min(zero, end), max(zero, end)
    side = "quiet" if log < 0 else "loud"
    return {"zero": round(zero, 1), "side": side, "left": round(left, 1), "width": round(right - left, 1)}


# The figures


def _figures(
    run: "Run", document: Mapping[str, Any], name: str | None, number: int, anchor: str, depth: Depth
) -> tuple[list[PageFigure], list[str]]:
    worst = worst_findings(document, name)
    findings = [finding for finding in document["findings"] if finding["subject"] in (name, None)]
    progress = Progress.of(run, number, _sick_tensors(run, number, worst))
    drawn = {
        "spine": _spine_drawing(document, name, worst),
        "profile": profile(depth, worst) if depth.scans and depth.layers else None,
        "ledger": _ledger_drawing(document, name),
        "gradient": _if(gradient_grid(run, number, depth), lambda grid: gradient_heatmap(grid, worst)),
        "audibility": _if(_several(depth), lambda grid: audibility_heatmap(grid, worst)),
        "time": _if(time_courses(run, number), through_time),
        "training": training(progress, findings) if progress.has_loss or progress.has_updates else None,
        "spikes": _if([b for b in norm_bands(run, number) if len(b.step) > 1], spikes),
        "turnover": _turnover_drawing(run, number, worst),
    }
    missing = []
    if drawn["profile"] is None:
        missing.append("No scan of this model was made, so there are no profiles over its depth.")
    if not progress.has_loss:
        missing.append("The loss was not seen, so there is no curve of it.")
    figures = [
        PageFigure(f"{anchor}-{key}", drawing) for key, drawing in drawn.items() if drawing is not None
    ]
    return figures, missing


def _if(value: Any, draw: Callable[[Any], Drawing]) -> Drawing | None:
    return draw(value) if value is not None and value != [] else None


def _several(depth: Depth) -> Any:
    return audibility_grid(depth) if len(depth.scans) > 1 else None


def _spine_drawing(
    document: Mapping[str, Any], name: str | None, worst: Mapping[str, Mapping[str, Any]]
) -> Drawing | None:
    found = flow(subject_layers(document, name), worst, _book(document, name))
    return spine_flow(found) if found is not None and len(found.nodes) > 1 else None


def _book(document: Mapping[str, Any], name: str | None) -> Mapping[str, Any] | None:
    books = document.get("ledger") or ()
    return next((book for book in books if book["subject"] == name and book["segments"]), None)


def _ledger_drawing(document: Mapping[str, Any], name: str | None) -> Drawing | None:
    book = _book(document, name)
    return waterfall(book) if book is not None and len(book["kinds"]) > 1 else None


def _turnover_drawing(run: "Run", number: int, worst: Mapping[str, Mapping[str, Any]]) -> Drawing | None:
    found = Turnovers.of(run, number)
    return turnover(found, worst) if len(found.middle) > 1 and not np.isnan(found.middle).all() else None


def _sick_tensors(run: "Run", number: int, worst: Mapping[str, Mapping[str, Any]]) -> set[int]:
    sick = {name for name, finding in worst.items() if finding["severity"] in ("error", "warning")}
    mine = [layer for layer in run.layers if layer.subject == number and layer.name in sick]
    return {tensor for layer in mine for tensor in layer.tensors}
