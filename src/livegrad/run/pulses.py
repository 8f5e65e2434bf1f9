"""Pulses as arrays: thinned rows, with norms, rms values and turnover derived from the stored sums."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from livegrad.run.pulse_table import LISTS, PulseTable


@dataclass(frozen=True)
class Pulses:
    """Recorded steps as arrays over rows (S) and tensors (T), most of them derived when first asked for.

    A row covers only the tensors of its own optimizer: `recorded` says which. Elsewhere floats are NaN and
    counts -1. `has_gradient` is False where a tensor was recorded but got no gradient (its gradient numbers
    are then NaN, its `gradient_nonfinite` -1). Gradients are unscaled and unclipped; after clipping = times
    `clip_factor`. `loss` is NaN both for a NaN loss and an unknown one; `loss_known` tells them apart.
    `count` (T,) is the tensors' entries, NaN where run.json does not know them; `stored` holds the list
    columns of the stream as (S, T).
    """

    step: np.ndarray
    subject: np.ndarray
    optimizer: np.ndarray
    seconds: np.ndarray
    loss: np.ndarray
    loss_known: np.ndarray
    learning_rate: np.ndarray
    loss_scale: np.ndarray
    clip_factor: np.ndarray
    clip_limit: np.ndarray
    nonfinite: np.ndarray
    tensor: np.ndarray
    count: np.ndarray
    recorded: np.ndarray
    stored: Mapping[str, np.ndarray] = field(repr=False)

    def __len__(self) -> int:
        return len(self.step)

    @cached_property
    def has_gradient(self) -> np.ndarray:
        """Whether the tensor got a gradient, zero or not."""
        return self.stored["gradient_nonfinite"] >= 0

    @cached_property
    def gradient_rms(self) -> np.ndarray:
        """sqrt(sum of squares / count)."""
        return derive("gradient_rms", self.stored, self.count)

    @cached_property
    def gradient_norm(self) -> np.ndarray:
        """sqrt(sum of squares)."""
        return derive("gradient_norm", self.stored, self.count)

    @cached_property
    def gradient_max(self) -> np.ndarray:
        """Largest absolute entry."""
        return derive("gradient_max", self.stored, self.count)

    @cached_property
    def gradient_zeros_share(self) -> np.ndarray:
        """Share of entries that are exactly 0."""
        return derive("gradient_zeros_share", self.stored, self.count)

    @property
    def gradient_nonfinite(self) -> np.ndarray:
        """NaN or Inf entries; -1 = no gradient."""
        return self.stored["gradient_nonfinite"]

    @cached_property
    def weight_rms(self) -> np.ndarray:
        """sqrt(sum of squares / count); NaN = not read this step."""
        return derive("weight_rms", self.stored, self.count)

    @cached_property
    def weight_norm(self) -> np.ndarray:
        """sqrt(sum of squares); NaN = not read this step."""
        return derive("weight_norm", self.stored, self.count)

    @property
    def weight_max(self) -> np.ndarray:
        """Largest absolute entry."""
        return self.stored["weight_max"]

    @property
    def weight_nonfinite(self) -> np.ndarray:
        """NaN or Inf entries; -1 = not read this step."""
        return self.stored["weight_nonfinite"]

    @cached_property
    def update_norm(self) -> np.ndarray:
        """Norm of the applied update; NaN = not sampled this step."""
        return derive("update_norm", self.stored, self.count)

    @cached_property
    def turnover(self) -> np.ndarray:
        """‖W‖ / ‖ΔW‖: how many steps of this size renew the weights; inf where the update is exactly 0."""
        return derive("turnover", self.stored, self.count)

    @property
    def swallowed(self) -> np.ndarray:
        """Share of entries with w + Δ == w; NaN = unknown."""
        return self.stored["update_swallowed"]

    @property
    def eps_dominated(self) -> np.ndarray:
        """Share of entries with √v below Adam's eps; NaN = unknown."""
        return self.stored["update_eps_dominated"]


TENSOR_STATISTICS = (
    "gradient_rms",
    "gradient_norm",
    "gradient_max",
    "gradient_zeros_share",
    "gradient_nonfinite",
    "weight_rms",
    "weight_norm",
    "weight_max",
    "weight_nonfinite",
    "update_norm",
    "turnover",
    "swallowed",
    "eps_dominated",
)
"""The statistics of Pulses that have one value per row and tensor."""

_SCALARS = (
    "step",
    "subject",
    "optimizer",
    "seconds",
    "loss",
    "loss_known",
    "learning_rate",
    "loss_scale",
    "clip_factor",
    "clip_limit",
    "nonfinite",
)

SOURCES = {
    "gradient_rms": ("gradient_sum_squares_by_tensor", "gradient_nonfinite"),
    "gradient_norm": ("gradient_sum_squares_by_tensor", "gradient_nonfinite"),
    "gradient_max": ("gradient_max", "gradient_nonfinite"),
    "gradient_zeros_share": ("gradient_zeros", "gradient_nonfinite"),
    "gradient_nonfinite": ("gradient_nonfinite",),
    "weight_rms": ("weight_sum_squares",),
    "weight_norm": ("weight_sum_squares",),
    "weight_max": ("weight_max",),
    "weight_nonfinite": ("weight_nonfinite",),
    "update_norm": ("update_sum_squares",),
    "turnover": ("weight_sum_squares", "update_sum_squares"),
    "swallowed": ("update_swallowed",),
    "eps_dominated": ("update_eps_dominated",),
}
"""The stored columns each statistic is derived from."""

_FORMULAS: dict[str, Callable[..., np.ndarray]] = {
    "gradient_rms": lambda squares, _, count: np.sqrt(squares / count),
    "gradient_norm": lambda squares, *_: np.sqrt(squares),
    "gradient_max": lambda largest, *_: largest,
    "gradient_zeros_share": lambda zeros, _, count: zeros / count,
    "gradient_nonfinite": lambda number, _: number,
    "weight_rms": lambda squares, count: np.sqrt(squares / count),
    "weight_norm": lambda squares, _: np.sqrt(squares),
    "weight_max": lambda largest, _: largest,
    "weight_nonfinite": lambda number, _: number,
    "update_norm": lambda squares, _: np.sqrt(squares),
    "turnover": lambda weight, update, _: np.sqrt(weight / update),
    "swallowed": lambda share, _: share,
    "eps_dominated": lambda share, _: share,
}


def derive(statistic: str, stored: Mapping[str, np.ndarray], count: np.ndarray | float) -> np.ndarray:
    """One of TENSOR_STATISTICS from its SOURCES, each (S, T) or (S,), and the entries `count`, (T,) or one.

    Every consumer of a series and of the pulses goes through here, so both give the same number.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        values = _FORMULAS[statistic](*(stored[name] for name in SOURCES[statistic]), count)
    if statistic.startswith("gradient") and statistic != "gradient_nonfinite":
        return np.where(stored["gradient_nonfinite"] >= 0, values, np.nan)
    return values


def read_pulses(table: PulseTable, rows: np.ndarray, counts: dict[int, int]) -> Pulses:
    """The rows with these numbers, in this order. `counts` maps tensor id to its number of entries."""
    ids, recorded, stored = _gather(table, rows)
    return Pulses(
        **{name: table.scalars[name][rows] for name in _SCALARS},
        tensor=ids,
        count=np.array([counts.get(int(i)) or np.nan for i in ids]),
        recorded=recorded,
        stored=stored,
    )


def _gather(table: PulseTable, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Tensor ids (T,), which row holds which (S, T), and each list column as (S, T)."""
    id_lists = table.id_lists(rows)
    ids = np.unique(np.concatenate([*id_lists, np.empty(0, np.int32)])).astype(np.int64)
    recorded = np.zeros((len(rows), len(ids)), bool)
    stored = {
        column.name: np.full(recorded.shape, column.missing, column.dtype.newbyteorder("="))
        for column in LISTS
        if column.name != "tensor"
    }
    for number, row in enumerate(table.rows(rows)):
        place = np.searchsorted(ids, row["tensor"])
        recorded[number, place] = True
        for name, target in stored.items():
            target[number, place] = row[name]
    return ids, recorded, stored
