"""From sums of squares to the columns of a scan: audibility, transport and the state of each layer."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livegrad.probe.layers import LayerNode
from livegrad.probe.squares import Squares

GradientSquares = dict[int, dict[int, Squares]]
"""Position of a layer -> output number -> sum of squares per sample of the gradient that came there."""


def columns(
    layers: Sequence[LayerNode],
    out: int,
    probed: GradientSquares,
    passed: GradientSquares,
    nonfinite: dict[int, list[Any]],
) -> dict[str, np.ndarray]:
    """Return name -> array (L,), the columns of a run's scan stream without step, subject and layer.

    out: position of the output cut in `layers`. probed, passed: the gradients of a Gaussian probe at the
    output, and of the true loss. nonfinite: position of a layer -> non-finite entries of the latter.
    """
    operations = [layer.operation for layer in layers]
    host = _Host([*operations, *probed.values(), *passed.values(), *nonfinite.values()])
    samples = np.array([o.values[0].squares.shape[0] for o in operations])
    gradient = np.array([_total(host.arrays(passed.get(i))) for i in range(len(layers))])
    width, activation, heard = _sums(host, operations, probed)
    states = [o.activation for o in operations]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        audibility = np.sqrt(heard / max(1, samples[out]))
        return {
            "audibility": audibility,
            "audibility_output": np.full(len(layers), audibility[out]),
            "transport": 0.5 * np.log10(gradient / gradient[out]),
            "gradient_rms": np.sqrt(gradient / (samples * width)),
            "activation_rms": np.sqrt(activation / width),
            "activation_slope": np.array([np.nan if s is None else host.number(s.slope) for s in states]),
            "saturated": np.array([np.nan if s is None else host.number(s.saturated) for s in states]),
            "dead": np.array([np.nan if s is None else host.number(s.dead) for s in states]),
            "nonfinite": _counts(host, operations, nonfinite),
            "width": width.astype(np.int64),
            "samples": samples.astype(np.int64),
            "null_sd": null_sd(layers, out),
        }


def totals(found: Sequence[dict[int, Squares] | None]) -> np.ndarray:
    """Return the sum over outputs and samples of each, shape (len(found),); NaN where nothing was
    collected.
    """
    host = _Host([squares for squares in found if squares])
    return np.array([_total(host.arrays(squares)) for squares in found])


def _sums(
    host: "_Host", operations: Sequence[Any], probed: GradientSquares
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, per layer and summed over its outputs: entries per sample, mean ‖z‖², and Σ ‖Jᵀv‖²·‖z‖²/N (NaN
    if not probed).
    """
    count = len(operations)
    cells = [
        (i, v.number, host.array(v.squares), v.entries) for i, o in enumerate(operations) for v in o.values
    ]
    layer = np.array([i for i, _, _, _ in cells])
    entries = np.array([e for _, _, _, e in cells], dtype=np.float64)
    found = np.array([_heard(z, host.arrays(probed.get(i)).get(number)) for i, number, z, _ in cells])
    heard = np.bincount(layer, found / entries, count)
    heard[[i for i in range(count) if i not in probed]] = np.nan
    mean_squares = np.bincount(layer, [z.mean() for _, _, z, _ in cells], count)
    return np.bincount(layer, entries, count), mean_squares, heard


def _heard(z: np.ndarray, found: np.ndarray | None) -> float:
    """Σ ‖Jᵀv‖²·‖z‖² over samples; where their rows do not match (tokens against samples) z enters by its
    mean.
    """
    if found is None:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.dot(found, z)) if found.shape == z.shape else float(found.sum() * z.mean())


def _total(squares: dict[int, np.ndarray]) -> float:
    return float(sum(array.sum() for array in squares.values())) if squares else np.nan


def _counts(host: "_Host", operations: Sequence[Any], nonfinite: dict[int, list[Any]]) -> np.ndarray:
    found = (sum(map(host.number, (*o.nonfinite, *nonfinite.get(i, ())))) for i, o in enumerate(operations))
    return np.fromiter(found, np.float64, len(operations)).astype(np.int64)


def null_sd(layers: Sequence[LayerNode], out: int) -> np.ndarray:
    """Return the s.d. of ln (S_l / S_output) that finite width alone causes.

    √β/2 with β = 5 Σ 1/n over the weighted layers from l up to the output, exact for He-initialized ReLU
    networks and a bound for smoother ones (Hanin & Nica 2020), plus 2/n of the output's own width.
    """
    by_depth: dict[int, float] = {}
    for layer in layers:
        if layer.spec.kind == "depth" and layer.spec.tensors:
            by_depth[layer.spec.depth] = 5.0 / max(1, layer.operation.channels)
    top = layers[out].spec.depth
    from_top = np.zeros(top + 2)
    from_top[: top + 1] = 2.0 / max(1, layers[out].operation.channels)
    for depth in range(top - 1, -1, -1):
        from_top[depth] = from_top[depth + 1] + by_depth.get(depth, 0.0)
    # A branch is dominated by the cut whose depth it bears: what lies above it begins one further up.
    first = [min(layer.spec.depth + (layer.spec.kind != "depth"), top) for layer in layers]
    return np.array([0.5 * np.sqrt(from_top[f]) if i != out else 0.0 for i, f in enumerate(first)])


class _Host:
    """Brings many small tensors to the host in one transfer per device; arrays and numbers are there
    already.
    """

    def __init__(self, holders: Iterable[Any]) -> None:
        wanted = {id(part): part for holder in holders for part in _parts(holder) if isinstance(part, Tensor)}
        self._arrays: dict[int, np.ndarray] = {}
        by_device: dict[torch.device, list[Tensor]] = {}
        for part in wanted.values():
            by_device.setdefault(part.device, []).append(part)
        for device, parts in by_device.items():
            wide = torch.float32 if device.type == "mps" else torch.float64
            flat = torch.cat([part.reshape(-1).to(wide) for part in parts]).cpu().double().numpy()
            ends = np.cumsum([part.numel() for part in parts])[:-1]
            pieces = np.split(flat, ends)
            self._arrays.update((id(p), a.reshape(p.shape)) for p, a in zip(parts, pieces, strict=True))

    def array(self, value: Squares) -> np.ndarray:
        return self._arrays[id(value)] if isinstance(value, Tensor) else value

    def arrays(self, values: dict[int, Squares] | None) -> dict[int, np.ndarray]:
        return {number: self.array(value) for number, value in values.items()} if values else {}

    def number(self, value: Tensor | float | None) -> float:
        if value is None:
            return np.nan
        return float(self._arrays[id(value)]) if isinstance(value, Tensor) else float(value)


def _parts(holder: Any) -> Iterable[Any]:
    if isinstance(holder, dict):
        return holder.values()
    if isinstance(holder, list):
        return holder
    state = holder.activation
    kept = () if state is None else (state.slope, state.saturated, state.dead)
    return (*(value.squares for value in holder.values), *holder.nonfinite, *kept)
