"""Pulses as arrays: thinned rows, with norms, rms values and turnover derived from the stored sums."""

from dataclasses import dataclass

import numpy as np

from livegrad.run.pulse_table import LISTS, PulseTable

_NAN = float("nan")


@dataclass(frozen=True)
class Pulses:
    """Recorded steps as arrays over rows (S) and tensors (T).

    A row covers only the tensors of its own optimizer: `recorded` says which. Elsewhere floats are NaN and
    counts -1. `has_gradient` is False where a tensor was recorded but got no gradient (its gradient numbers
    are then NaN, its `gradient_nonfinite` -1). Gradients are unscaled and unclipped; after clipping = times
    `clip_factor`.

    rms = sqrt(sum of squares / count), NaN where the count is not known. `turnover` = |W| / |dW| in steps:
    how many steps of this size renew the weights; inf where the update is exactly 0, NaN where it was not
    sampled. `loss` is NaN both for a NaN loss and an unknown one; `loss_known` tells them apart.
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
    recorded: np.ndarray
    has_gradient: np.ndarray
    gradient_rms: np.ndarray
    gradient_norm: np.ndarray
    gradient_max: np.ndarray
    gradient_zeros_share: np.ndarray
    gradient_nonfinite: np.ndarray
    weight_rms: np.ndarray
    weight_norm: np.ndarray
    weight_max: np.ndarray
    weight_nonfinite: np.ndarray
    update_norm: np.ndarray
    turnover: np.ndarray
    swallowed: np.ndarray
    eps_dominated: np.ndarray

    def __len__(self) -> int:
        return len(self.step)


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


def derive(statistic: str, stored: dict[str, np.ndarray], count: np.ndarray | float) -> np.ndarray:
    """One of TENSOR_STATISTICS from stored columns, each (S, T) or (S,); `count`: entries, (T,) or one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(_derive(statistic, stored, count))


def _derive(statistic: str, stored: dict[str, np.ndarray], count: np.ndarray | float) -> np.ndarray:
    if statistic.endswith("_nonfinite"):
        return stored[statistic]
    if statistic in ("swallowed", "eps_dominated"):
        return stored[f"update_{statistic}"]
    if statistic == "turnover":
        return np.sqrt(stored["weight_sum_squares"] / stored["update_sum_squares"])
    if statistic.startswith("gradient"):
        return np.where(stored["gradient_nonfinite"] >= 0, _gradient(statistic, stored, count), _NAN)
    if statistic == "weight_max":
        return stored["weight_max"]
    kind, form = statistic.split("_")
    squares = stored[f"{kind}_sum_squares"]
    return np.sqrt(squares / count if form == "rms" else squares)


def _gradient(statistic: str, stored: dict[str, np.ndarray], count: np.ndarray | float) -> np.ndarray:
    if statistic == "gradient_max":
        return stored["gradient_max"]
    if statistic == "gradient_zeros_share":
        return stored["gradient_zeros"] / count
    squares = stored["gradient_sum_squares_by_tensor"]
    return np.sqrt(squares / count if statistic == "gradient_rms" else squares)


def read_pulses(table: PulseTable, rows: np.ndarray, counts: dict[int, int]) -> Pulses:
    """The rows with these numbers, in this order. `counts` maps tensor id to its number of entries."""
    ids, recorded, stored = _gather(table, rows)
    count = np.array([counts.get(int(i)) or _NAN for i in ids])
    scalars = {
        name: table.scalars[name][rows]
        for name in (
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
    }
    return Pulses(
        **scalars,
        tensor=ids,
        recorded=recorded,
        has_gradient=stored["gradient_nonfinite"] >= 0,
        **{statistic: derive(statistic, stored, count) for statistic in TENSOR_STATISTICS},
    )


def _gather(table: PulseTable, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Tensor ids (T,), which row holds which (S, T), and each list column as (S, T)."""
    lists = table.rows(rows)
    ids = np.array(
        sorted({int(i) for key in {item["tensor"].tobytes() for item in lists} for i in _ids(key)})
    )
    ids = ids.astype(np.int64)
    recorded = np.zeros((len(rows), len(ids)), bool)
    stored = {
        column.name: np.full(recorded.shape, column.missing, column.dtype.newbyteorder("="))
        for column in LISTS
        if column.name != "tensor"
    }
    places: dict[bytes, np.ndarray | slice] = {}
    for number, item in enumerate(lists):
        key = item["tensor"].tobytes()
        if key not in places:
            places[key] = np.searchsorted(ids, item["tensor"])
        place = places[key]
        recorded[number, place] = True
        for name, target in stored.items():
            target[number, place] = item[name]
    return ids, recorded, stored


def _ids(key: bytes) -> np.ndarray:
    return np.frombuffer(key, "<i4")
