"""Run folders made by hand, and the command line called in this process."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from livegrad.cli.main import main
from livegrad.run.rows import PulseRow, ScanRow
from livegrad.run.schema import Layer, Subject, Tensor
from livegrad.run.writer import RunWriter

DEPTH = 24


def _write_run(path: Path, decades_per_layer: float, **closing: object) -> Path:
    """A run of 40 steps of a chain of layers; each hears `decades_per_layer` less than the one behind it."""
    path.mkdir(parents=True)
    layers = [
        Layer(id=i, name=f"layers.{i}", depth=i, type="Linear", operator="AddmmBackward0",
              module=f"layers.{i}", source="train.py:14", tensors=(i,), width=64)
        for i in range(DEPTH)
    ]  # fmt: skip
    tensors = [
        Tensor(id=i, name=f"layers.{i}.weight", module=f"layers.{i}", module_type="Linear", shape=(64, 64),
               dtype="float32", device="cpu", optimizer=0, group=0, count=4096, called=True, reached=True)
        for i in range(DEPTH)
    ]  # fmt: skip
    optimizer = {"type": "SGD", "settings": {"lr": 0.1, "momentum": 0.0}}
    subject = Subject(id=0, name="net", type="Net", optimizers=(optimizer,), parameters=DEPTH * 4096)  # type: ignore[arg-type]
    info = {
        "subjects": [subject],
        "tensors": tensors,
        "layers": layers,
        "script": "train.py",
        "mode": "script",
    }
    writer = RunWriter(path, info)
    audible = 10.0 ** (-decades_per_layer * np.arange(DEPTH)[::-1])
    for step in range(40):
        writer.pulse(_pulse(step, audible))
    for step in (0, 10, 39):
        writer.scan(_scan(step, audible))
    writer.close(
        **{"status": "finished", "exit_code": 0, "steps": 40, "seconds": 20.0, "scan_count": 3, **closing}
    )
    return path


def _pulse(step: int, audible: np.ndarray) -> PulseRow:
    squares = (1e-2 * audible) ** 2
    return PulseRow(
        step=step,
        seconds=step * 0.5,
        loss=2.3,
        learning_rate=0.1,
        tensor=np.arange(DEPTH, dtype=np.int32),
        gradient_sum_squares=float(squares.sum()),
        nonfinite=0,
        gradient_sum_squares_by_tensor=squares,
        gradient_max=np.sqrt(squares).astype(np.float32),
        gradient_zeros=np.zeros(DEPTH, np.int64),
        gradient_nonfinite=np.zeros(DEPTH, np.int64),
        weight_sum_squares=np.full(DEPTH, 4.0),
        weight_max=np.ones(DEPTH, np.float32),
        weight_nonfinite=np.zeros(DEPTH, np.int64),
        update_sum_squares=0.01 * squares,
        update_swallowed=np.zeros(DEPTH, np.float32),
        update_eps_dominated=np.full(DEPTH, np.nan, np.float32),
    )


def _scan(step: int, audible: np.ndarray) -> ScanRow:
    nan = np.full(DEPTH, np.nan)
    return ScanRow(
        step=step,
        layer=np.arange(DEPTH),
        audibility=audible,
        audibility_output=np.ones(DEPTH),
        transport=np.log10(audible),
        gradient_rms=1e-3 * audible,
        activation_rms=np.full(DEPTH, 0.5),
        activation_slope=nan,
        saturated=nan,
        dead=nan,
        nonfinite=np.zeros(DEPTH, np.int64),
        width=np.full(DEPTH, 64),
        samples=np.full(DEPTH, 32),
        null_sd=np.full(DEPTH, 0.2),
    )


@pytest.fixture
def sick_run(tmp_path) -> Path:
    """A run whose first layers hear 1e-23 of the output."""
    return _write_run(tmp_path / "livegrad-runs" / "20260102-120000-sick", 1.0)


@pytest.fixture
def healthy_run(tmp_path) -> Path:
    """An older run, in which every layer hears the same."""
    return _write_run(tmp_path / "livegrad-runs" / "20260101-120000-healthy", 0.0)


@pytest.fixture
def write_run() -> Callable[..., Path]:
    return _write_run


@pytest.fixture
def call(capsys, monkeypatch, tmp_path) -> Callable[..., tuple[object, str, str]]:
    """Call `livegrad ARGUMENTS…` in tmp_path; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> tuple[object, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run
