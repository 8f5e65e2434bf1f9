"""One scan laid out along the depth: for each layer, from the input to the output, what was measured."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from livegrad.run.reader import Run
    from livegrad.run.scans import Scan
    from livegrad.run.schema import Layer


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
