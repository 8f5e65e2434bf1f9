"""The gradient's norm over the steps, with the band within which each norm is expected from those before
it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from livegrad.diagnose.norm_history import norm_history
from livegrad.diagnose.rules.gradient_spike import FACTOR, HISTORY, ROBUST_Z, TEACHING, Spike, spikes

if TYPE_CHECKING:
    from livegrad.run.reader import Run

_FACTOR = float(np.log10(FACTOR))


@dataclass(frozen=True)
class NormBand:
    """One optimizer's recorded steps, arrays of shape (S,).

    norm: of its whole gradient, unscaled and unclipped. usual, high, low: median of the 32 norms before each
    and the limits of the band around it, decimal logarithms, NaN where too few came before. limit: largest
    norm that clipping allows, NaN without clipping. spikes: the norms over the band that came down again.
    broken: where the norm is NaN or infinite.
    """

    optimizer: int
    step: np.ndarray
    norm: np.ndarray
    usual: np.ndarray
    low: np.ndarray
    high: np.ndarray
    limit: np.ndarray
    spikes: tuple[Spike, ...]

    @property
    def broken(self) -> np.ndarray:
        return ~np.isfinite(self.norm)


def norm_bands(run: "Run", subject: int) -> list[NormBand]:
    """Return the band of each optimizer of one model, as the rule on gradient spikes draws it."""
    table = run.scalars(subject)
    return [
        _band(int(number), table["step"][rows], table["gradient_norm"][rows], table["clip_limit"][rows])
        for number in np.unique(table["optimizer"])
        for rows in [np.flatnonzero(table["optimizer"] == number)]
    ]


def _band(optimizer: int, step: np.ndarray, norm: np.ndarray, limit: np.ndarray) -> NormBand:
    usual, low, high = (np.full(len(step), np.nan) for _ in range(3))
    good = np.flatnonzero(np.isfinite(norm) & (norm > 0))
    logs = np.log10(norm[good])
    middle, scatter = norm_history(logs, HISTORY, TEACHING)
    reach = np.fmax(_FACTOR, ROBUST_Z * scatter)
    usual[good], low[good], high[good] = middle, middle - reach, middle + reach
    return NormBand(optimizer, step, norm, usual, low, high, limit, tuple(spikes(step, norm)))
