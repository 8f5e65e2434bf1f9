"""The spine as a flow: how much of the gradient passes each layer on its way from the output to the input."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from livegrad.diagnose.number import from_json, log10
from livegrad.view.fold import Row, fold

# What can pass a layer. "unknown": not measured there.
STATES = ("finite", "zero", "broken", "unknown")
_MOST = 44


@dataclass(frozen=True)
class Path:
    """One of several ways side by side through a layer's operation. decades: what comes down it, against the
    output's; -inf where nothing does. kind: "identity", "chain" or "tangle".
    """

    kind: str
    decades: float
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """One layer, or neighbours folded into one, and what passes it.

    decades: log10 of the gradient's norm at it over that at the output; NaN unless `state` is "finite". low,
    high: the same over the layers of a fold. paths: the ways below it, where there are several.
    """

    row: Row
    state: str
    decades: float
    low: float
    high: float
    paths: tuple[Path, ...] = ()

    @property
    def severity(self) -> str:
        """Of the worst finding that names it, "error" or "warning"; "" for less and for none."""
        severity = str(self.row.finding["severity"]) if self.row.finding is not None else ""
        return severity if severity in ("error", "warning") else ""


@dataclass(frozen=True)
class Flow:
    """Nodes from the input to the output. measured: "gradient", or "audibility" where that is all that is
    known.
    """

    nodes: tuple[Node, ...]
    measured: str

    @property
    def limits(self) -> tuple[float, float]:
        """The decades of the thinnest and of the widest ribbon, at least three apart."""
        known = [end for node in self.nodes if node.state == "finite" for end in (node.low, node.high)]
        if not known:
            return -3.0, 0.0
        return min(min(known), max(known) - 3.0), max(known)


def flow(
    layers: Sequence[Mapping[str, Any]],
    worst: Mapping[str, Mapping[str, Any]],
    book: Mapping[str, Any] | None = None,
) -> Flow | None:
    """Return the flow of one model's layers; None where none lies along a depth.

    layers: rows of a report's document. worst: the worst finding of each. book: the document's ledger, for
    the paths inside of blocks.
    """
    along = sorted((row for row in layers if row.get("kind") == "depth"), key=lambda row: row["depth"])
    if not along:
        return None
    passed = sum(_is_number(from_json(row.get("transport"))) for row in along) > 1
    measured = "gradient" if passed else "audibility"
    opened = _opened(book) if book is not None and measured == "gradient" else {}
    nodes = tuple(_node(row, measured, opened) for row in fold(along, worst, _MOST))
    return Flow(nodes, measured)


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _value(layer: Mapping[str, Any], measured: str) -> float | None:
    """A layer's decades; None where unknown, NaN where its numbers were not finite."""
    if measured == "gradient":
        value = from_json(layer.get("transport"))
    else:
        value = log10(from_json(layer.get("audibility_ratio")))
    return math.nan if value == math.inf else value


def _node(row: Row, measured: str, opened: Mapping[str, tuple[Path, ...]]) -> Node:
    values = [_value(layer, measured) for layer in row.layers]
    broken = any(value is not None and math.isnan(value) for value in values)
    finite = sorted(value for value in values if value is not None and math.isfinite(value))
    if broken or not finite:
        zero = any(value == -math.inf for value in values)
        return Node(row, "broken" if broken else "zero" if zero else "unknown", math.nan, math.nan, math.nan)
    if any(value == -math.inf for value in values):
        return Node(row, "zero", math.nan, finite[0], finite[-1])
    middle = finite[len(finite) // 2]
    name = str(row.first["name"])
    return Node(row, "finite", middle, finite[0], finite[-1], opened.get(name, ()) if row.count == 1 else ())


def _opened(book: Mapping[str, Any]) -> dict[str, tuple[Path, ...]]:
    """Of each layer whose step is opened, the ways below it."""
    at = 0.0
    found: dict[str, tuple[Path, ...]] = {}
    for entry in book["segments"]:
        paths = tuple(
            Path(path["kind"], at + _or_nothing(path["decades"]), tuple(map(str, path["layers"])))
            for path in entry["paths"]
        )
        if len(paths) > 1:
            found[str(entry["name"])] = paths
        at += from_json(entry["decades"]) or 0.0
    return found


def _or_nothing(value: Any) -> float:
    number = from_json(value)
    return -math.inf if number is None or math.isnan(number) else number
