"""What the model was given: one row of a scan for each floating-point tensor among its inputs."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livegrad.probe.layers import LayerSpec
from livegrad.probe.similarity import likeness, take_sample
from livegrad.probe.source import shown_path, user_line
from livegrad.probe.squares import is_measurable, measure_rows

MOST_INPUTS = 8


@dataclass(frozen=True)
class InputRow:
    """One input: its row's name and place, and what was measured of it.

    constant: share of the sampled entries that are the same for every sample of the batch.
    """

    spec: LayerSpec
    activation_rms: float
    nonfinite: int
    samples: int
    constant: float
    sample: Tensor | None


def measure_inputs(root: torch.nn.Module, args: Any, kwargs: Mapping[str, Any], batch: int) -> list[InputRow]:
    """Measure the floating-point inputs of a call of `root` that is just beginning; nothing of them is kept
    but a small sample.
    """
    found: list[InputRow] = []
    line = user_line()
    where = None if line is None else f"{shown_path(line[0])}:{line[1]}"
    named = list(_named(root, args, kwargs))
    for name, tensor in named:
        if len(found) < MOST_INPUTS and tensor.ndim > 1 and is_measurable(tensor):
            title = "input" if len(named) == 1 else f"input.{name}"
            found.append(_measure(title, tensor, batch, where))
    return found


def _measure(title: str, tensor: Tensor, batch: int, where: str | None) -> InputRow:
    squares, nonfinite = measure_rows(tensor, batch)
    count = squares.shape[0]
    width = tensor.numel() // count
    sample = take_sample(tensor)
    constant = float("nan")
    if sample is not None:
        constant = float((sample == sample[:1]).all(0).double().mean())
    spec = LayerSpec(
        name=title, depth=0, type="input", operator="input", module=None, source=where, made=None, tensors=(),
        kind="input", width=width, dtype=str(tensor.dtype).removeprefix("torch."),
    )  # fmt: skip
    rms = float((squares.mean() / width) ** 0.5)
    return InputRow(spec, rms, int(nonfinite), count, constant, sample)


def _named(root: torch.nn.Module, args: Any, kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    names = [name for name in _parameters(root) if name not in kwargs]
    for i, value in enumerate(args):
        yield from _leaves(names[i] if i < len(names) else str(i), value)
    for name, value in kwargs.items():
        yield from _leaves(name, value)


def _parameters(root: torch.nn.Module) -> list[str]:
    try:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return [p.name for p in inspect.signature(root.forward).parameters.values() if p.kind in kinds]
    except (TypeError, ValueError):
        return []


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value[:MOST_INPUTS]):
            yield from _leaves(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in list(value.items())[:MOST_INPUTS]:
            yield from _leaves(f"{name}.{key}", item)


def with_input_rows(columns: dict[str, np.ndarray], rows: list[InputRow]) -> dict[str, np.ndarray]:
    """Return the columns of a scan, shape (L,), with a row for each input appended; the rest is NaN there.

    `dead` is the share of entries that are the same for every sample.
    """
    if not rows:
        return columns
    known: dict[str, Any] = {
        "activation_rms": [row.activation_rms for row in rows],
        "nonfinite": [row.nonfinite for row in rows],
        "width": [row.spec.width for row in rows],
        "samples": [row.samples for row in rows],
        "dead": [row.constant for row in rows],
        **likeness([row.sample for row in rows]),
    }
    added = {}
    for name, values in columns.items():
        missing = np.nan if values.dtype.kind == "f" else 0
        added[name] = np.array(known.get(name, [missing] * len(rows)), dtype=values.dtype)
    return {name: np.concatenate([values, added[name]]) for name, values in columns.items()}
