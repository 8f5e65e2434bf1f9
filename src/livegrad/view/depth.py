"""One scan laid out along the depth: for each layer, from the input to the output, what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from livegrad.diagnose.number import from_json
from livegrad.view.fold import subject_layers

if TYPE_CHECKING:
    from livegrad.run.reader import Run
    from livegrad.run.scans import Scan
    from livegrad.run.schema import Layer

_TOLD = frozenset(
    {"transport", "gradient_rms", "activation_rms", "activation_slope", "saturated", "dead"}
)  # fmt: skip


@dataclass(frozen=True)
class Depth:
    """A subject's layers along its depth, and the scans that measured them.

    Attributes:
        layers: L layers, the one nearest the input first.
        scans: in the order in which they were made.
    """

    layers: "tuple[Layer, ...]"
    scans: "tuple[Scan, ...]"

    @classmethod
    def of(cls, run: "Run", subject: int) -> "Depth":
        scans = tuple(scan for scan in run.scans(subject) if len(scan))
        seen = {int(layer) for scan in scans for layer in scan.layer}
        mine = [layer for layer in run.layers if layer.subject == subject and layer.kind == "depth"]
        return cls(tuple(sorted((x for x in mine if x.id in seen), key=lambda layer: layer.depth)), scans)

    @classmethod
    def of_document(cls, document: Mapping[str, Any], subject: str | None) -> "Depth":
        """Return what a report alone tells: its one scan, of which a ratio stands in for the audibility."""
        from livegrad.run.scans import Scan
        from livegrad.run.schema import Layer

        rows = [row for row in subject_layers(document, subject) if row.get("kind") == "depth"]
        layers = tuple(Layer(id=i, name=row["name"], depth=i, type=row["type"]) for i, row in enumerate(rows))
        books = [book for book in document.get("ledger") or () if book["subject"] == subject]
        step = books[0]["step"] if books else max(int(document["run"]["steps"]) - 1, 0)
        unknown = np.full(len(rows), np.nan)
        known = {
            item.name: _numbers(rows, item.name) if item.name in _TOLD else unknown
            for item in fields(Scan)[3:]
        }
        known |= {"audibility": _numbers(rows, "audibility_ratio"), "audibility_output": np.ones(len(rows))}
        # What is unknown is null in a document; NaN there is a layer whose numbers were not finite.
        known["nonfinite"] = np.array([_is_broken(row) for row in rows], dtype=np.int64)
        return cls(layers, (Scan(step=step, subject=0, layer=np.arange(len(rows)), **known),) if rows else ())

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self.layers]

    def column(self, scan: "Scan", name: str) -> np.ndarray:
        """Return a scan's column (L,) in the order of `layers`; NaN where the scan has no such layer."""
        place = {int(layer): i for i, layer in enumerate(scan.layer)}
        values = np.asarray(getattr(scan, name), dtype=np.float64)
        return np.array([values[place[x.id]] if x.id in place else np.nan for x in self.layers])

    def audibility_ratio(self, scan: "Scan") -> np.ndarray:
        """Return audibility over the output's (L,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.column(scan, "audibility") / self.column(scan, "audibility_output")

    def nonfinite(self, scan: "Scan") -> np.ndarray:
        """Return which layers (L,) held a NaN or an infinity in the scanned step."""
        return np.nan_to_num(self.column(scan, "nonfinite")) > 0


def _numbers(rows: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    found = [from_json(row.get(key)) for row in rows]
    return np.array([np.nan if number is None else number for number in found], dtype=np.float64)


def _is_broken(row: Mapping[str, Any]) -> bool:
    told = [
        from_json(row.get(key)) for key in ("audibility_ratio", "gradient_rms", "transport", "activation_rms")
    ]
    return any(number is not None and (number != number or number == np.inf) for number in told)
