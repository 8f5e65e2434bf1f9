"""What an activation is given: the distribution of its arguments, measured, recorded or assumed."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from livegrad.diagnose.role import activation_of
from livegrad.theory.saturation import flat_regions, flat_share

if TYPE_CHECKING:
    from livegrad.run.reader import Run


@dataclass(frozen=True)
class Preactivations:
    """The arguments of one activation function.

    activation: its name in the catalogue. origin: where the distribution is from, in words. layers: of the
    network, whose arguments are taken together. edges (B + 1,), density (B,): a histogram, per unit of the
    argument; None for normal distributions, one for each of `parts`, (means, spreads). flat: share of the
    arguments where φ saturates. nonfinite: share of them that are NaN or infinite.
    """

    activation: str
    origin: str
    mean: float
    spread: float
    flat: float
    layers: tuple[str, ...] = ()
    edges: np.ndarray | None = None
    density: np.ndarray | None = None
    nonfinite: float = 0.0
    parts: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    def normal(self, x: np.ndarray) -> np.ndarray:
        """Return the density at `x` where it is one of normal distributions: the mean of theirs."""
        known = [(m, s) for m, s in zip(*self.parts, strict=True) if s > 0 and np.isfinite(s)]
        if not known:
            return np.zeros_like(x)
        return np.mean(
            [np.exp(-(((x - m) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi)) for m, s in known], axis=0
        )


def assumed(activation: str, spread: float = 1.0, mean: float = 0.0) -> Preactivations:
    """Return a normal distribution, as wide layers have it at their start."""
    origin = f"assumed N({mean:.3g}, {spread:.3g}²)"
    flat = flat_share(activation, mean, spread)
    return Preactivations(activation, origin, mean, spread, flat, parts=((mean,), (spread,)))


def measured(
    activation: str, values: np.ndarray, layers: tuple[str, ...] = (), bins: int = 80
) -> Preactivations:
    """Return the histogram of the arguments `values`, of any shape; non-finite ones are counted apart."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    known = flat[np.isfinite(flat)]
    lost = 1.0 - len(known) / max(len(flat), 1)
    if not len(known):
        return Preactivations(activation, "measured", np.nan, np.nan, np.nan, layers, nonfinite=lost)
    density, edges = np.histogram(known, bins=bins, density=True)
    inside = np.any(
        [(known > low) & (known < high) for low, high in flat_regions(activation) or [(1, 0)]], axis=0
    )
    return Preactivations(
        activation,
        f"measured, {len(flat):,} values",
        float(known.mean()),
        float(known.std()),
        float(inside.mean()),
        layers,
        edges,
        density,
        lost,
    )


def recorded(run: "Run", subject: int, most: int = 4) -> list[Preactivations]:
    """Return, for each activation function of a run's latest scan, the normal distributions that have the
    mean and the rms its arguments were recorded with, one a layer; the most frequent functions first.

    A scan keeps no histogram, so the form is assumed; the saturated share is the one that was measured, where
    there is one.
    """
    layers = {layer.id: layer for layer in run.layers if layer.subject == subject}
    scans = [scan for scan in run.scans(subject) if len(scan)]
    if not scans:
        return []
    scan = scans[-1]
    order = sorted(
        (i for i, key in enumerate(scan.layer) if int(key) in layers and layers[int(key)].kind == "depth"),
        key=lambda i: layers[int(scan.layer[i])].depth,
    )
    found: dict[str, list[tuple[int, int]]] = {}
    for below, row in pairwise(order):
        name = activation_of(layers[int(scan.layer[row])])
        if name is not None and np.isfinite(scan.activation_rms[below]):
            found.setdefault(name, []).append((below, row))
    most_first = sorted(found.items(), key=lambda item: -len(item[1]))[:most]
    return [_pooled(scan, layers, name, rows) for name, rows in most_first]


def _pooled(scan, layers, name: str, rows: list[tuple[int, int]]) -> Preactivations:
    given, own = [below for below, _ in rows], [row for _, row in rows]
    square, means = scan.activation_rms[given] ** 2, scan.activation_mean[given]
    means = np.where(np.isfinite(means), means, 0.0)
    spreads = np.sqrt(np.maximum(square - means**2, 0.0))
    shares = scan.saturated[own]
    shares = (
        shares
        if np.isfinite(shares).all()
        else [flat_share(name, m, s) for m, s in zip(means, spreads, strict=True)]
    )
    members = tuple(layers[int(scan.layer[row])].name for row in own)
    middle = int(np.argsort(spreads)[len(spreads) // 2])
    words = f"normal by assumption, of the mean and rms recorded at step {scan.step}"
    return Preactivations(
        name,
        words,
        float(means[middle]),
        float(spreads[middle]),
        float(np.mean(shares)),
        members,
        parts=(tuple(means.tolist()), tuple(spreads.tolist())),
    )
