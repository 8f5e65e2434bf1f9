"""Runs made by hand: rows with chosen numbers, folders that hold them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livegrad.run.rows import PulseRow, ScanRow
from livegrad.run.schema import Tensor
from livegrad.run.writer import RunWriter


def _pulse(step: int = 0, tensors: Sequence[int] = (0, 1, 2), **changed: Any) -> PulseRow:
    count = len(tensors)
    squares = np.arange(1.0, count + 1.0) * (step + 1)
    values: dict[str, Any] = {
        "step": step,
        "seconds": step * 0.5,
        "loss": 1.0 / (step + 1),
        "learning_rate": 0.1,
        "tensor": np.array(tensors, np.int32),
        "gradient_sum_squares": float(squares.sum()),
        "nonfinite": 0,
        "gradient_sum_squares_by_tensor": squares,
        "gradient_max": np.sqrt(squares).astype(np.float32),
        "gradient_zeros": np.zeros(count, np.int64),
        "gradient_nonfinite": np.zeros(count, np.int64),
        "weight_sum_squares": np.full(count, 4.0),
        "weight_max": np.ones(count, np.float32),
        "weight_nonfinite": np.zeros(count, np.int64),
    }
    return PulseRow(**{**values, **changed})


def _scan(step: int = 0, layers: int = 3, subject: int = 0, **changed: Any) -> ScanRow:
    ramp = np.linspace(0.1, 1.0, layers)
    floats = ("audibility", "audibility_output", "transport", "gradient_rms", "activation_rms")
    floats += ("activation_slope", "saturated", "dead", "null_sd")
    values: dict[str, Any] = dict.fromkeys(floats, ramp)
    values |= {name: np.full(layers, 7, np.int64) for name in ("nonfinite", "width", "samples")}
    return ScanRow(step=step, subject=subject, layer=np.arange(layers), **{**values, **changed})


def _write(path: Path, rows: Sequence[PulseRow] = (), scans: Sequence[ScanRow] = (), **info: Any) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    tensors = [Tensor(id=i, name=f"layers.{i}.weight", count=4) for i in range(3)]
    writer = RunWriter(path, {"tensors": tensors})
    for row in rows:
        writer.pulse(row)
    for scan in scans:
        writer.scan(scan)
    writer.close(**{"status": "finished", **info})
    return path


@pytest.fixture
def pulse() -> Callable[..., PulseRow]:
    """A pulse of three tensors: squares (1, 2, 3) x (step + 1), weights of norm 2."""
    return _pulse


@pytest.fixture
def scan() -> Callable[..., ScanRow]:
    """A scan of three layers, every statistic a ramp from 0.1 to 1."""
    return _scan


@pytest.fixture
def write() -> Callable[..., Path]:
    """Writes a finished run of three tensors of 4 entries, "layers.<id>.weight", and returns its folder."""
    return _write
