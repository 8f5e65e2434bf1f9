"""Layer by step grids: what the report's heatmaps show, thinned to what an eye and a browser can take in."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from livegrad.view.depth import Depth

if TYPE_CHECKING:
    from livegrad.run.extremes import Extremes
    from livegrad.run.reader import Run

_ROWS, _COLUMNS, _CELLS = 120, 400, 4_000_000


@dataclass(frozen=True)
class Grid:
    """Values of R rows, input first, at C steps.

    Attributes:
        rows: the names of the layers that each row stands for.
        steps: (C,), ascending.
        logs: (R, C) decimal logarithms; -inf where the value is exactly 0, NaN where it is unknown.
        nonfinite: (R, C), where a NaN or an infinity was met.
        low, high: (R, C), the range of what a cell stands for; None where each is one layer at one step.
        stride: recorded steps, or scans, that one column stands for.
    """

    rows: tuple[tuple[str, ...], ...]
    steps: np.ndarray
    logs: np.ndarray
    nonfinite: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    stride: int = 1

    @property
    def folded(self) -> int:
        """The most layers that one row stands for."""
        return max(map(len, self.rows), default=0)

    def fold(self, limit: int = _ROWS, centre: float | None = None) -> "Grid":
        """Return the grid with at most `limit` rows. Of neighbours put together the one farthest from
        `centre` is shown (None: the grid's median), so that no layer out of line is averaged away.
        """
        if len(self.rows) <= limit:
            return self
        known = self.logs[np.isfinite(self.logs)]
        middle = centre if centre is not None else float(np.median(known)) if known.size else 0.0
        edges = [len(self.rows) * i // limit for i in range(limit + 1)]
        parts = [slice(a, b) for a, b in pairwise(edges)]
        rows = tuple(tuple(name for row in self.rows[part] for name in row) for part in parts)
        least, most = (self.logs if ends is None else ends for ends in (self.low, self.high))
        low = np.array([_lowest(least[part]) for part in parts])
        high = np.array([_highest(most[part]) for part in parts])
        logs = np.where(middle - low > high - middle, low, high)
        broken = np.array([self.nonfinite[part].any(axis=0) for part in parts])
        return Grid(rows, self.steps, logs, broken, low, high, self.stride)


def _lowest(logs: np.ndarray) -> np.ndarray:
    """Return the least over rows of what is known; NaN where nothing is."""
    return np.fmin.reduce(logs, axis=0)


def _highest(logs: np.ndarray) -> np.ndarray:
    return np.fmax.reduce(logs, axis=0)


def pulse_limit(tensors: int) -> int:
    """Return how many recorded steps to read at most, so that a wide model's report still opens quickly."""
    return int(min(_COLUMNS, max(20, _CELLS // max(tensors, 1))))


def stretches_of(run: "Run", subject: int, seconds: float | None = None) -> "Extremes":
    """Return the extremes of a model's tensors over as many stretches of steps as a figure shows.

    seconds: read on for about so long; `unread` of the result says how many rows are left.
    """
    tensors = sum(tensor.subject == subject for tensor in run.tensors)
    return run.extremes(subject, pulse_limit(tensors), seconds)


def gradient_grid(run: "Run", subject: int, depth: Depth, seconds: float | None = None) -> Grid | None:
    """Return the rms of the gradient of each layer's weights at recorded steps, or None where there is none.

    A layer's value is sqrt(sum of squares / number of entries) over those of its tensors that got a gradient.
    Where there are more steps than columns, a column shows of its stretch the value farthest from the layer's
    usual one, so that no layer's spike is thinned away. Tensors on no layer follow after the layers, by
    module. seconds: as for `stretches_of`.
    """
    found = stretches_of(run, subject, seconds)
    if not len(found.steps) or not len(found.tensor):
        return None
    ends, broken = _held(found)
    place = {int(tensor): i for i, tensor in enumerate(found.tensor)}
    count = {tensor.id: max(tensor.count, 1) for tensor in run.tensors if tensor.subject == subject}
    rows, low, high, nonfinite = [], [], [], []
    for name, ids in _groups(run, subject, depth).items():
        columns = [place[i] for i in ids if i in place]
        if columns:
            rows.append((name,))
            counts = np.array([count.get(i, 1) for i in ids if i in place], dtype=np.float64)
            low.append(_rms_log(ends[0][:, columns], counts))
            high.append(low[-1] if found.stride == 1 else _rms_log(ends[1][:, columns], counts))
            nonfinite.append(broken[:, columns].any(axis=1))
    if not rows:
        return None
    least, most_of, bad = np.array(low), np.array(high), np.array(nonfinite)
    if found.stride == 1:
        return Grid(tuple(rows), found.steps, least, bad).fold()
    shown = _farthest(least, most_of)
    return Grid(tuple(rows), found.steps, shown, bad, least, most_of, found.stride).fold()


def _held(found: "Extremes") -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return the smallest, largest and broken gradients (B, T).

    Several optimizers write rows of their own. Where one was not recorded in a stretch, its last stands in.
    """
    last = np.where(found.recorded, np.arange(len(found.steps))[:, None], 0)
    last = np.maximum.accumulate(last, axis=0)
    low, high, broken = (
        np.take_along_axis(values, last, axis=0) for values in (found.low, found.high, found.broken)
    )
    return (low, high), broken


def _farthest(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return of each range (R, C) the end that lies farther from the row's usual value."""
    known = np.isfinite(low) & np.isfinite(high)
    middle = np.array(
        [np.median((a[k] + b[k]) / 2) if k.any() else 0.0 for a, b, k in zip(low, high, known, strict=True)]
    )[:, None]
    return np.where(middle - low > high - middle, low, high)


def _groups(run: "Run", subject: int, depth: Depth) -> dict[str, list[int]]:
    known = {layer.id for layer in depth.layers}
    owners = [
        x for x in run.layers if x.subject == subject and x.tensors and (x.id in known or x.kind != "depth")
    ]
    # What lies inside a block has the depth of the operation that ends it.
    owners.sort(key=lambda layer: (layer.depth, layer.kind == "depth"))
    groups: dict[str, list[int]] = {}
    for layer in owners:
        groups.setdefault(layer.name, []).extend(layer.tensors)
    placed = {i for ids in groups.values() for i in ids}
    for tensor in run.tensors:
        if tensor.subject == subject and tensor.id not in placed:
            groups.setdefault(tensor.module or tensor.name, []).append(tensor.id)
    return groups


def _rms_log(norm: np.ndarray, counts: np.ndarray) -> np.ndarray:
    known = np.isfinite(norm)
    # Scaled by the largest norm, so that squares of tiny gradients do not become zero.
    top = np.max(np.where(known, norm, 0.0), axis=1)
    scaled = np.where(known, norm, 0.0) / np.where(top > 0, top, 1.0)[:, None]
    entries = (known * counts).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(top) + 0.5 * np.log10((scaled**2).sum(axis=1) / entries)
    return np.where(entries > 0, np.where(top > 0, logs, -np.inf), np.nan)


def audibility_grid(depth: Depth) -> Grid | None:
    """Return each layer's audibility over the output's at every scan, or None without a scan."""
    if not depth.scans or not depth.layers:
        return None
    ratio = np.array([depth.audibility_ratio(scan) for scan in depth.scans]).T
    broken = np.array([depth.nonfinite(scan) for scan in depth.scans]).T | np.isinf(ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(np.isinf(ratio), np.nan, np.log10(ratio))
    return _over_scans(depth, depth.names, logs, broken)


def gain_grid(depth: Depth) -> Grid | None:
    """Return what each layer passes back of the gradient's norm at every scan, the ratio of the transports
    below and above it; None without a scan of two layers. The row of a layer is named after it; the first has
    none, for there is nothing below.
    """
    if not depth.scans or len(depth.layers) < 2:
        return None
    transport = np.array([depth.column(scan, "transport") for scan in depth.scans]).T
    with np.errstate(invalid="ignore"):
        logs = transport[:-1] - transport[1:]
    broken = np.array([depth.nonfinite(scan) for scan in depth.scans]).T[1:]
    return _over_scans(depth, depth.names[1:], np.where(np.isposinf(logs), np.nan, logs), broken)


def _over_scans(depth: Depth, names: list[str], logs: np.ndarray, broken: np.ndarray) -> Grid:
    """Return the grid of (L, scans). Of more scans than columns a column shows of several, for each layer,
    the one farthest from 10⁰, and the range.
    """
    steps = np.array([scan.step for scan in depth.scans])
    rows = tuple((name,) for name in names)
    stride = -(-len(steps) // _COLUMNS)
    if stride == 1:
        return Grid(rows, steps, logs, broken).fold(centre=0.0)
    starts = np.arange(0, len(steps), stride)
    low, high = (ufunc.reduceat(logs, starts, axis=1) for ufunc in (np.fmin, np.fmax))
    bad = np.logical_or.reduceat(broken, starts, axis=1)
    shown = np.where(-low > high, low, high)
    return Grid(rows, steps[starts], shown, bad, low, high, stride).fold(centre=0.0)
