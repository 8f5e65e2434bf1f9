"""The rows of a fused recurrent layer in a scan: one per time step, and what a step does by operation.

A lane is one layer in one direction; its steps are numbered as it runs through them, so that the step 0 of a
reverse lane is the sequence's last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from livegrad.probe.layers import LayerSpec
from livegrad.probe.recurrence.layer import OUTPUTS, Way
from livegrad.probe.recurrence.stack import Lane

# Longer sequences have rows for so many of their steps, evenly spread.
MOST_STEPS = 128


@dataclass(frozen=True)
class Heard:
    """What came back through a recurrent module. probe, truth: number of either gradient, None if it did not
    pass. output: sum of squares of the true gradient at the model's output, for the same samples.
    """

    lanes: list[Lane]
    probe: int
    truth: int | None
    output: float


@dataclass(frozen=True)
class TimeRow:
    """A row and the values it has; every other column is NaN there."""

    spec: LayerSpec
    values: dict[str, float]


def time_rows(
    heard: Heard, module: torch.nn.RNNBase, name: str, made: str | None, depth: int
) -> list[TimeRow]:
    """Return the rows of every lane of `module`, earliest step first, each followed by those of its mean
    step.
    """
    found: list[TimeRow] = []
    for lane in heard.lanes:
        base = name if len(heard.lanes) == 1 else f"{name}.{lane.suffix}"
        rows = _Rows(lane, heard, _Spec(base, depth, type(module).__name__, name, made))
        found += rows.of_steps()
        found += rows.of_mean_step()
    return found


@dataclass(frozen=True)
class _Spec:
    """What the rows of one lane have in common."""

    base: str
    depth: int
    type: str
    module: str
    made: str | None

    def row(
        self, suffix: str, kind: str, type_: str | None = None, width: int = 0, top: str | None = None,
        path: int = 0,
    ) -> LayerSpec:  # fmt: skip
        type_ = type_ or self.type
        return LayerSpec(
            name=f"{self.base}{suffix}", depth=self.depth, type=type_, operator=type_, module=self.module,
            source=None, made=self.made, tensors=(), kind=kind, width=width, segment=top, path=path,
        )  # fmt: skip


class _Rows:
    def __init__(self, lane: Lane, heard: Heard, spec: _Spec) -> None:
        self._lane, self._heard, self._spec = lane, heard, spec
        run = lane.unrolled
        edges = np.unique(np.linspace(0, len(run.heard), min(len(run.heard), MOST_STEPS) + 1).astype(int))
        self._times = edges[1:] - 1
        self._states = [run.hidden[1:]] + ([] if run.cells is None else [run.cells[1:]])
        self._said = [run.heard] + ([] if run.cells_heard is None else [run.cells_heard])

    def of_steps(self) -> list[TimeRow]:
        """S at the state of each step, and the true gradient there."""
        at = self._times.tolist()
        sizes = _per_sample([state[at] for state in self._states])
        said = _per_sample([gradient[at, self._heard.probe] for gradient in self._said])
        entries = sum(state.shape[-1] for state in self._states)
        # Steps at which nothing of a sample is read say nothing of its state.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            audibility = np.sqrt((said * sizes / entries).mean(1))
            rms = np.sqrt(sizes.mean(1) / entries)
            transport = np.log10(self._norms(at) / np.sqrt(self._heard.output))
        found = []
        for k, time in enumerate(at):
            values = {
                "audibility": audibility[k], "activation_rms": rms[k], "transport": transport[k],
                "width": entries, "samples": sizes.shape[1],
            }  # fmt: skip
            found.append(TimeRow(self._spec.row(f"[t={time}]", "time", width=entries), values))
        return found

    def _norms(self, at: Sequence[int]) -> np.ndarray:
        """‖δ‖ of the state after each step of `at`, true loss."""
        if self._heard.truth is None:
            return np.full(len(at), np.nan)
        which = self._heard.truth
        return np.sqrt(_per_sample([said[list(at), which] for said in self._said]).sum(1))

    def of_mean_step(self) -> list[TimeRow]:
        """What a step back does to the true gradient: the geometric mean over the steps, by operation."""
        steps = [int(time) for time in self._times if time > 0]
        if not steps or self._heard.truth is None:
            return [self._head(np.nan, 0)]
        tops, bottoms = self._norms(steps), self._norms([time - 1 for time in steps])
        ways = self._lane.unrolled.ways(steps, self._heard.truth)
        read = self._lane.read[[time - 1 for time in steps], self._heard.truth]
        others = np.sqrt(_per_sample([read]).sum(1))
        found = [norm for way in ways for norm in (stage.norms for stage in way.stages)]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log10(np.array([bottoms, others, *found]) / tops)
        whole = np.isfinite(logs[[0, *range(2, len(logs))]]).all(0)
        if not whole.any():
            return [self._head(np.nan, 0)]
        means = logs[:, whole].mean(1)
        rows = [self._head(float(means[0]), int(whole.sum())), *self._parts(ways, means[2:])]
        if np.isfinite(means[1]):
            name, top = "[step] outputs", rows[0].spec.name
            spec = self._spec.row(name, "step", OUTPUTS, top=top, path=len(ways) + 1)
            rows.append(TimeRow(spec, {"transport": means[1], "passed": means[1]}))
        return rows

    def _head(self, per_step: float, opened: int) -> TimeRow:
        """The mean step itself, `opened` of them looked at, what all steps come to, and S at the loudest
        state if no step heard of it by the next.
        """
        last = len(self._lane.read) - 1
        first, final = self._norms([0, last])
        states, said = self._lane.unrolled.hidden[1:], self._lane.read[:, self._heard.probe]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            total = float(np.log10(first / final))
            alone = (_per_sample([said]) * _per_sample([states]) / states.shape[-1]).mean(1).max() ** 0.5
        values = {"transport": total, "passed": per_step, "width": last, "samples": opened}
        return TimeRow(self._spec.row("[step]", "step"), values | {"audibility": float(alone)})

    def _parts(self, ways: Sequence[Way], means: np.ndarray) -> list[TimeRow]:
        """The operations along each path; `transport` is what is left behind one, of what the state said."""
        rows: list[TimeRow] = []
        left = iter(means)
        for number, way in enumerate(ways, 1):
            before = 0.0
            for k, stage in enumerate(way.stages):
                top, name = f"{self._spec.base}[step]", f"[step] {way.name} {k}"
                spec = self._spec.row(name, "step", stage.type, top=top, path=number)
                here, given = float(next(left)), stage.given or (np.nan, np.nan)
                values = {
                    "transport": here, "passed": here - before,
                    "activation_mean": given[0], "activation_rms": given[1],
                }  # fmt: skip
                rows.append(TimeRow(spec, values))
                before = here
        return rows


def _per_sample(tensors: Sequence[Tensor]) -> np.ndarray:
    """Σ over the last dimension and over tensors of squares, (K, n)."""
    found = sum(tensor.double().square().sum(-1) for tensor in tensors)
    assert isinstance(found, Tensor)
    return found.cpu().numpy()


def with_time_rows(columns: dict[str, np.ndarray], rows: list[TimeRow]) -> dict[str, np.ndarray]:
    """Return the columns of a scan, shape (L,), with the time rows appended."""
    if not rows:
        return columns
    heard = float(columns["audibility_output"][0])
    added = {}
    for name, values in columns.items():
        missing = np.nan if values.dtype.kind == "f" else 0
        given = {"audibility_output": heard} if name == "audibility_output" else {}
        added[name] = np.array(
            [row.values.get(name, given.get(name, missing)) for row in rows], dtype=values.dtype
        )
    return {name: np.concatenate([values, added[name]]) for name, values in columns.items()}
