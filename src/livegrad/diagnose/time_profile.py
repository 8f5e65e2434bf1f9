"""One scan along time: what the output still hears of each step of an unrolled or fused recurrence."""

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from livegrad.run.scans import Scan
from livegrad.run.schema import Layer

_STEP = re.compile(r"^(?P<base>.*?)(?:#(?P<number>\d+)|\[t=(?P<time>\d+)\])$")


@dataclass(frozen=True)
class TimeProfile:
    """One recurrence over its time steps, earliest first.

    times: number of each step (T,); a long sequence is read at fewer places. relative: log10 audibility (T,)
    over that of the loudest of the last tenth of the steps. growth: decades by which what it computes is
    larger in the last tenth than in the first, NaN where that is not measured.
    """

    step: int
    name: str
    layers: tuple[Layer, ...]
    times: np.ndarray
    relative: np.ndarray
    growth: float

    @property
    def length(self) -> int:
        """Time steps from the first to the last that was read."""
        return int(self.times[-1] - self.times[0]) + 1

    @property
    def per_step_decades(self) -> float:
        """Decades of audibility per time step, from the latest to the earliest that is not exactly silent."""
        finite = np.flatnonzero(np.isfinite(self.relative))
        if len(finite) < 2:
            return float("nan")
        first, last = finite[0], finite[-1]
        return float((self.relative[first] - self.relative[last]) / (self.times[last] - self.times[first]))


def time_profiles(scan: Scan, layers: dict[int, Layer], fewest: int = 8) -> list[TimeProfile]:
    """Return the profile of every recurrence of at least `fewest` steps in `scan`."""
    groups: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, key in enumerate(scan.layer):
        layer = layers[int(key)]
        match = _STEP.match(layer.name)
        if layer.kind == "time" and match:
            groups[match["base"]].append((int(match["number"] or match["time"]), row))
    found = []
    for name, entries in groups.items():
        entries.sort()
        times, rows = np.array([time for time, _ in entries]), [row for _, row in entries]
        with np.errstate(divide="ignore", invalid="ignore"):
            audibility = np.log10(scan.audibility[rows])
        late = audibility[-max(1, len(rows) // 10) :]
        if len(rows) < fewest or not np.isfinite(late).any():
            continue
        relative = audibility - np.max(late[np.isfinite(late)])
        members = tuple(layers[int(scan.layer[r])] for r in rows)
        growth = _growth(scan.activation_rms[rows])
        found.append(TimeProfile(scan.step, name, members, times, relative, growth))
    return found


def _growth(sizes: np.ndarray) -> float:
    """Decades from the median of the first tenth of `sizes` (T,) to that of the last."""
    tenth = max(1, len(sizes) // 10)
    first, last = np.median(sizes[:tenth]), np.median(sizes[-tenth:])
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log10(last / first))
