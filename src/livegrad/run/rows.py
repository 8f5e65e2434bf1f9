"""The rows a recorder hands to the writer: one optimizer step (a pulse), one scan."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PulseRow:
    """The record of one optimizer step: scalars, and arrays with one value per entry of `tensor`, shape (T,).

    Names, types and units are those of PULSE_COLUMNS. An update array left at None means: not sampled this
    step.
    """

    step: int
    seconds: float
    tensor: np.ndarray
    gradient_sum_squares_by_tensor: np.ndarray
    gradient_max: np.ndarray
    gradient_zeros: np.ndarray
    gradient_nonfinite: np.ndarray
    weight_sum_squares: np.ndarray
    weight_max: np.ndarray
    weight_nonfinite: np.ndarray
    gradient_sum_squares: float
    nonfinite: int
    subject: int = 0
    optimizer: int = 0
    loss: float | None = None
    learning_rate: float = float("nan")
    loss_scale: float = 1.0
    clip_factor: float = 1.0
    clip_limit: float | None = None
    cost: float = 0.0
    update_sum_squares: np.ndarray | None = None
    update_swallowed: np.ndarray | None = None
    update_eps_dominated: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class ScanRow:
    """One scan of one subject: arrays of shape (L,), one per layer; names and units are SCAN_COLUMNS'."""

    step: int
    layer: np.ndarray
    audibility: np.ndarray
    audibility_output: np.ndarray
    transport: np.ndarray
    gradient_rms: np.ndarray
    activation_rms: np.ndarray
    activation_slope: np.ndarray
    saturated: np.ndarray
    dead: np.ndarray
    nonfinite: np.ndarray
    width: np.ndarray
    samples: np.ndarray
    null_sd: np.ndarray
    residual: np.ndarray | None = None
    passed: np.ndarray | None = None
    activation_mean: np.ndarray | None = None
    similarity: np.ndarray | None = None
    effective_rank: np.ndarray | None = None
    constant_loss: np.ndarray | None = None
    task_loss: np.ndarray | None = None
    token_similarity: np.ndarray | None = None
    subject: int = 0
