"""One number for every kind and size of network, over several seeds: medians with their range."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from livegrad.lab.experiment import Progress, Settings
from livegrad.view.figures.marks import BROKEN
from livegrad.view.figures.style import numbers
from livegrad.view.guide_site.figures.drawing import line
from livegrad.view.palette import token

One = Callable[[str, int, int], float]
"""(kind, size, seed) -> what is measured; NaN or infinity where the training broke off."""


@dataclass(frozen=True)
class Repeats:
    """values: (kinds, sizes, seeds); what broke off counts as infinitely large."""

    kinds: Sequence[str]
    sizes: Sequence[int]
    values: np.ndarray

    @property
    def median(self) -> np.ndarray:
        """(kinds, sizes)."""
        return np.median(self.values, axis=-1)

    @property
    def highest(self) -> float:
        """The largest finite value; 1 where there is none."""
        known = self.values[np.isfinite(self.values)]
        return float(known.max()) if known.size else 1.0

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """Kind, size, median, lowest and highest of each."""
        low, high = self.values.min(-1), self.values.max(-1)
        return [
            (kind, size, *(round(float(v), 4) for v in (self.median[i, j], low[i, j], high[i, j])))
            for i, kind in enumerate(self.kinds)
            for j, size in enumerate(self.sizes)
        ]

    def largest(self, good: np.ndarray) -> dict[str, int]:
        """Return each kind's largest size up to which all are `good` (kinds, sizes); 0 for none."""
        reach = [int(np.argmin([*row, False])) for row in good]
        return {kind: self.sizes[n - 1] if n else 0 for kind, n in zip(self.kinds, reach, strict=True)}

    def traces(self, top: float) -> list[dict[str, Any]]:
        """Return a line of medians for each kind, bars from the lowest to the highest seed, crosses at `top`
        for what broke off.
        """
        found = []
        for number, kind in enumerate(self.kinds):
            middle = self.median[number]
            known = np.where(np.isfinite(middle), middle, np.nan)
            high = np.where(np.isfinite(self.values[number]), self.values[number], top).max(-1)
            bars = {
                "type": "data", "symmetric": False, "array": numbers(np.maximum(high - known, 0), 5),
                "arrayminus": numbers(known - np.minimum(self.values[number].min(-1), known), 5),
                "thickness": 1.2, "width": 4,
            }  # fmt: skip
            found.append(
                line(self.sizes, known, kind, number, error_y=bars)
                | {"mode": "lines+markers", "marker": {"size": 8, "symbol": SYMBOLS[number % len(SYMBOLS)]}}
            )
            lost = [size for size, value in zip(self.sizes, middle, strict=True) if not np.isfinite(value)]
            if lost:
                mark = {"symbol": "x", "size": 10, "color": token("nonfinite")}
                found.append({"type": "scatter", "mode": "markers", "x": lost, "y": [top] * len(lost),
                              "name": f"{kind}: {BROKEN}", "marker": mark})  # fmt: skip
        return found


SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "pentagon")


def repeated(
    kinds: Sequence[str],
    sizes: Sequence[int],
    one: One,
    settings: Settings,
    seeds: int,
    progress: Progress,
    words: str,
) -> Repeats:
    """Measure every kind at every size with each seed. words: what a size is ("hidden layers")."""
    draws = settings.draws(seeds)
    values = np.zeros((len(kinds), len(sizes), len(draws)))
    for done, (i, j, k) in enumerate(product(*map(range, values.shape))):
        kind, size, seed = kinds[i], sizes[j], draws[k]
        progress(done / values.size, f"{kind}, {size} {words}, seed {seed}")
        value = one(kind, size, seed)
        values[i, j, k] = value if np.isfinite(value) else np.inf
    return Repeats(kinds, sizes, values)
