"""Folding of many layers into few readable rows: neighbours that behave alike become one row."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from livegrad.diagnose.number import from_json, log10
from livegrad.diagnose.report import severity_rank

_TOLERANCES = (0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, math.inf)


@dataclass(frozen=True)
class Row:
    """Neighbouring layers shown as one.

    Attributes:
        layers: the document's layers, input first.
        finding: the worst finding that names one of them, or None.
    """

    layers: tuple[Mapping[str, Any], ...]
    finding: Mapping[str, Any] | None

    @property
    def count(self) -> int:
        return len(self.layers)

    @property
    def first(self) -> Mapping[str, Any]:
        return self.layers[0]

    @property
    def last(self) -> Mapping[str, Any]:
        return self.layers[-1]

    def middle(self, key: str) -> float | None:
        """Return the median of a number over the row's layers; NaN if any is NaN, None if all are unknown."""
        known = [number for layer in self.layers if (number := from_json(layer.get(key))) is not None]
        if any(math.isnan(number) for number in known):
            return math.nan
        return median(known) if known else None

    def most(self, key: str) -> float | None:
        """Return the largest of a number over the row's layers, None if all are unknown or NaN."""
        known = [from_json(layer.get(key)) for layer in self.layers]
        return max(
            (number for number in known if number is not None and not math.isnan(number)), default=None
        )


def subject_layers(document: Mapping[str, Any], subject: str | None) -> list[Mapping[str, Any]]:
    """Return one subject's layers: along the depth first, then through time, then branches."""
    kinds = ("depth", "time", "branch")
    layers = [layer for layer in document.get("layers", ()) if layer.get("subject") == subject]
    return sorted(layers, key=lambda layer: (_position(layer.get("kind"), kinds), layer.get("depth") or 0))


def _position(kind: Any, kinds: Sequence[str]) -> int:
    return kinds.index(kind) if kind in kinds else len(kinds)


def subjects(document: Mapping[str, Any]) -> list[str | None]:
    """Return the names of the watched models, in the order in which they were found."""
    named = [subject.get("name") for subject in document.get("run", {}).get("subjects", ())]
    seen = [layer.get("subject") for layer in document.get("layers", ())]
    return list(dict.fromkeys([*named, *seen]))


def worst_findings(document: Mapping[str, Any], subject: str | None) -> dict[str, Mapping[str, Any]]:
    """Return, for each layer that a finding is about, the most severe one.

    Findings name layers that have weights. A layer without any, an activation say, that lies between two
    layers of the same finding belongs to it too.
    """
    worst: dict[str, Mapping[str, Any]] = {}
    for finding in sorted(document.get("findings", ()), key=lambda f: severity_rank(f.get("severity"))):
        if finding.get("subject") in (subject, None):
            for name in finding.get("layers", ()):
                worst.setdefault(name, finding)
    return worst | _between(subject_layers(document, subject), worst)


def _between(
    layers: Sequence[Mapping[str, Any]], worst: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    before: Mapping[str, Any] | None = None
    waiting: list[str] = []
    for layer in layers:
        name = str(layer.get("name", ""))
        finding = worst.get(name)
        if finding is None and not layer.get("tensors"):
            waiting.append(name)
            continue
        if finding is not None and before is finding:
            found |= dict.fromkeys(waiting, finding)
        before, waiting = finding, []
    return found


def fold(
    layers: Sequence[Mapping[str, Any]], worst: Mapping[str, Mapping[str, Any]], limit: int = 16
) -> list[Row]:
    """Return at most about `limit` rows: neighbours are joined while they are alike.

    Layers are alike when the same finding names them, they lie on the same axis, and gradient and audibility
    lie within a number of decades that grows until the rows fit. Few layers are never folded.
    """
    if len(layers) <= limit:
        return [Row((layer,), worst.get(layer.get("name", ""))) for layer in layers]
    rows: list[Row] = []
    for tolerance in _TOLERANCES:
        rows = _join(layers, worst, tolerance)
        if len(rows) <= limit:
            return rows
    return rows if len(rows) <= 2 * limit else _chunks(layers, worst, limit)


def _join(
    layers: Sequence[Mapping[str, Any]], worst: Mapping[str, Mapping[str, Any]], tolerance: float
) -> list[Row]:
    rows: list[Row] = []
    group: list[Mapping[str, Any]] = []
    spans: list[list[float]] = []
    key: tuple[Any, ...] = ()
    for layer in layers:
        finding = worst.get(layer.get("name", ""))
        values = [log10(from_json(layer.get(name))) for name in ("gradient_rms", "audibility_ratio")]
        new_key = (finding and finding.get("code"), layer.get("kind"), *map(_class, values))
        finite = [value if value is not None and math.isfinite(value) else 0.0 for value in values]
        wider = [[min(span[0], v), max(span[1], v)] for span, v in zip(spans, finite, strict=False)]
        if group and new_key == key and all(high - low <= tolerance for low, high in wider):
            group.append(layer)
            spans = wider
            continue
        if group:
            rows.append(Row(tuple(group), worst.get(group[0].get("name", ""))))
        group, key, spans = [layer], new_key, [[value, value] for value in finite]
    return [*rows, Row(tuple(group), worst.get(group[0].get("name", "")))] if group else rows


def _class(log: float | None) -> str:
    if log is None:
        return "unknown"
    return "nan" if math.isnan(log) else "finite" if math.isfinite(log) else f"{log}"


def _chunks(
    layers: Sequence[Mapping[str, Any]], worst: Mapping[str, Mapping[str, Any]], limit: int
) -> list[Row]:
    edges = [len(layers) * i // limit for i in range(limit + 1)]
    rows = []
    for start, end in pairwise(edges):
        part = tuple(layers[start:end])
        found = [worst[name] for layer in part if (name := layer.get("name", "")) in worst]
        rows.append(Row(part, min(found, key=lambda f: severity_rank(f.get("severity")), default=None)))
    return rows
