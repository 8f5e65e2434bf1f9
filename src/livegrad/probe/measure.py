"""From sums of squares to the columns of a scan: audibility, transport and the state of each layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livegrad.probe.layers import LayerNode

_INTEGERS = ("nonfinite", "width", "samples")
Squares = dict[int, dict[int, Tensor]]


def columns(
    layers: Sequence[LayerNode], out: int, probed: Squares, passed: Squares, nonfinite: dict[int, list[Any]]
) -> dict[str, np.ndarray]:
    """Return name -> array (L,), the columns of a run's scan stream without step, subject and layer.

    out: position of the output cut in `layers`. probed, passed: position of a layer -> output number -> sum
    of squares per sample of the gradient of a Gaussian probe at the output, and of the true loss. nonfinite:
    non-finite entries of the latter.
    """
    host = _Host()
    for i, layer in enumerate(layers):
        host.want(layer.operation.values, probed.get(i), passed.get(i), nonfinite.get(i), layer.operation)
    host.fetch()
    samples = max(1, sum(host.array(v.squares).size for v in layers[out].operation.values[:1]))
    rows = [
        _row(host, layer, probed.get(i), passed.get(i), nonfinite.get(i, []), samples)
        for i, layer in enumerate(layers)
    ]
    found = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
    found["audibility_output"] = np.full(len(rows), found["audibility"][out])
    with np.errstate(divide="ignore", invalid="ignore"):
        found["transport"] = 0.5 * np.log10(found["transport"] / found["transport"][out])
    found["null_sd"] = null_sd(layers, out)
    return {name: v.astype(np.int64) if name in _INTEGERS else v for name, v in found.items()}


def _row(
    host: "_Host",
    layer: LayerNode,
    probed: dict[int, Tensor] | None,
    passed: dict[int, Tensor] | None,
    nonfinite: list[Any],
    samples: int,
) -> dict[str, float]:
    operation = layer.operation
    values = [(value.number, host.array(value.squares), value.entries) for value in operation.values]
    rows, entries = values[0][1].size, sum(e for _, _, e in values)
    gradient = np.nan if passed is None else sum(float(host.array(g).sum()) for g in passed.values())
    activation = sum(float(squares.mean()) for _, squares, _ in values)
    state = operation.activation
    return {
        "audibility": np.nan
        if probed is None
        else _audibility({n: host.array(g) for n, g in probed.items()}, values, samples),
        "transport": gradient,
        "gradient_rms": float(np.sqrt(gradient / (rows * entries))),
        "activation_rms": float(np.sqrt(activation / entries)),
        "activation_slope": np.nan if state is None else host.number(state.slope),
        "saturated": np.nan if state is None or state.saturated is None else host.number(state.saturated),
        "dead": np.nan if state is None or state.dead is None else host.number(state.dead),
        "nonfinite": sum(host.number(count) for count in (*operation.nonfinite, *nonfinite)),
        "width": float(entries),
        "samples": float(rows),
    }


def _audibility(
    probed: dict[int, np.ndarray], values: list[tuple[int, np.ndarray, int]], samples: int
) -> float:
    """S_l from ‖Jᵀv‖² and ‖z‖² per row; where their rows do not match (tokens against samples) z enters by
    its mean.
    """
    total = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for number, squares, entries in values:
            found = probed.get(number)
            if found is not None:
                paired = found * squares if found.shape == squares.shape else found * squares.mean()
                total += float(paired.sum()) / entries
        return float(np.sqrt(total / samples))


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
    """Brings many small tensors to the host in one transfer per device."""

    def __init__(self) -> None:
        self._wanted: dict[int, Tensor] = {}
        self._arrays: dict[int, np.ndarray] = {}

    def want(self, values: Any, probed: Any, passed: Any, nonfinite: Any, operation: Any) -> None:
        state = operation.activation
        parts = [value.squares for value in values]
        parts += [
            *(probed or {}).values(),
            *(passed or {}).values(),
            *(nonfinite or []),
            *operation.nonfinite,
        ]
        parts += [] if state is None else [state.slope, state.saturated, state.dead]
        for part in parts:
            if isinstance(part, Tensor):
                self._wanted[id(part)] = part

    def fetch(self) -> None:
        by_device: dict[torch.device, list[Tensor]] = {}
        for part in self._wanted.values():
            by_device.setdefault(part.device, []).append(part)
        for device, parts in by_device.items():
            if device.type == "cpu":
                self._arrays.update((id(p), p.double().numpy()) for p in parts)
                continue
            wide = torch.float32 if device.type == "mps" else torch.float64
            flat = torch.cat([p.reshape(-1).to(wide) for p in parts]).cpu().double().numpy()
            ends = np.cumsum([p.numel() for p in parts])[:-1]
            self._arrays.update(
                (id(p), a.reshape(p.shape)) for p, a in zip(parts, np.split(flat, ends), strict=True)
            )

    def array(self, tensor: Tensor) -> np.ndarray:
        return self._arrays[id(tensor)]

    def number(self, value: Tensor | int | float) -> float:
        return float(self._arrays[id(value)]) if isinstance(value, Tensor) else float(value)
