"""Invented runs: a net whose scans and pulses say exactly what a test gives them, written to disk as the
recorder writes them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from livegrad.run.reader import Run, load
from livegrad.run.rows import PulseRow, ScanRow
from livegrad.run.writer import RunWriter

FALLING = 2.3 * np.exp(-np.arange(60) / 15) + 0.01 * np.sin(np.arange(60))
STUCK = 2.303 + 0.003 * np.sin(1.7 * np.arange(60))
RISING = 0.5 * np.exp(np.arange(60) / 30) + 0.01 * np.sin(np.arange(60))

# What `train` sees of a tensor where it is not told otherwise: rms of the gradient (None: it got none),
# ‖ΔW‖/‖W‖, rms of the weights, shares of swallowed and of eps-dominated entries, counts of non-finite ones,
# the share of the gradient's entries that are zero (None: all of a gradient of zero).
# Each may be given as a number, a function of the step, or a mapping from the beginning of a tensor's name to
# either.
USUAL = {
    "gradient": 1e-3,
    "ratio": 1e-3,
    "weight": 1.0,
    "swallowed": 0.0,
    "eps": np.nan,
    "bad_gradient": 0,
    "bad_weight": 0,
    "zeros": None,
}
# What is the same for all tensors of a step, where `train` is not told otherwise: numbers or functions of the
# step.
USUAL_SCALARS = {"loss_scale": 1.0, "clip_factor": 1.0, "clip_limit": None}


class Net:
    """A watched model: blocks of Linear and activation, then a head; `scan` and `train` say what was seen."""

    def __init__(self, blocks=12, activation="ReLU", width=256, outputs=10, subject=0, name="model"):
        kinds = [kind for _ in range(blocks) for kind in ("Linear", activation)] + ["Linear"]
        names = [f"{part}.{i}" for i in range(blocks) for part in ("layers", "acts")] + ["head"]
        self.subject, self.name, self.tensors, self.layers = subject, name, [], []
        self.settings: dict[str, Any] = {"type": "SGD", "settings": {"lr": 0.1}}
        self.pulses: list[PulseRow] = []
        self.scans: list[ScanRow] = []
        self.pairings: list[dict[str, Any]] = []
        for depth, (kind, layer) in enumerate(zip(kinds, names, strict=True)):
            wide = outputs if layer == "head" else width
            owned = self._add_tensors(layer, wide, width, line=10 + depth) if kind == "Linear" else []
            self.add_layer(layer, kind, depth, width=wide, tensors=owned)

    def add_layer(self, name, type, depth, width=256, tensors=(), **more):
        made = {
            "source": f"net.py:{100 + depth}",
            "made": f"net.py:{10 + depth}",
            "operator": f"{type}Backward0",
        }
        entry = {"subject": self.subject, "name": name, "depth": depth, "type": type, "width": width}
        self.layers.append(
            {**entry, **made, "module": name, "tensors": list(tensors), "kind": "depth", **more}
        )
        return len(self.layers) - 1

    def _add_tensors(self, module, rows, columns, line):
        made = {"module": module, "module_type": "Linear", "source": f"net.py:{line}", "called": True}
        return [
            self.add_tensor(f"{module}.weight", (rows, columns), **made),
            self.add_tensor(f"{module}.bias", (rows,), **made),
        ]

    def add_tensor(self, name, shape, **more):
        entry = {"subject": self.subject, "name": name, "module": name.rpartition(".")[0] or None}
        sizes = {"shape": list(shape), "count": int(np.prod(shape)), "dtype": "torch.float32", "optimizer": 0}
        self.tensors.append({**entry, **sizes, "trainable": True, "called": True, "reached": True, **more})
        return len(self.tensors) - 1

    def change_tensors(self, beginning, **fields):
        for tensor in self.tensors:
            if tensor["name"].startswith(beginning):
                tensor.update(fields)

    @property
    def size(self):
        return len(self.layers)

    def ramp(self, decades):
        """Decades per layer that end at 0 at the output and begin at `decades`."""
        return np.linspace(decades, 0.0, self.size)

    def scan(self, *steps, decades=0.0, output=0.4, **columns):
        """See these decades of audibility relative to the output, which is at `output`."""
        relative = np.broadcast_to(np.asarray(decades, float), (self.size,))
        widths = np.array([layer["width"] for layer in self.layers])
        with np.errstate(over="ignore", under="ignore"):
            audible = output * 10.0**relative
        values = {
            "layer": np.arange(self.size, dtype=np.int32),
            "audibility": audible,
            "audibility_output": np.full(self.size, float(output)),
            "transport": relative,
            "gradient_rms": np.full(self.size, 1e-3),
            "activation_rms": np.full(self.size, 0.7),
            "activation_slope": np.full(self.size, np.nan),
            "saturated": np.full(self.size, np.nan),
            "dead": np.full(self.size, np.nan),
            "nonfinite": np.zeros(self.size, np.int64),
            "width": widths,
            "samples": np.full(self.size, 64),
            "null_sd": self.finite_width(),
            "residual": np.full(self.size, np.nan),
            "passed": np.full(self.size, np.nan),
            "activation_mean": np.full(self.size, np.nan),
            "similarity": np.full(self.size, np.nan),
            "effective_rank": np.full(self.size, np.nan),
            "token_similarity": np.full(self.size, np.nan),
            "constant_loss": np.full(self.size, np.nan),
            "task_loss": np.full(self.size, np.nan),
        }
        for name, value in columns.items():
            values[name] = np.array(np.broadcast_to(value, (self.size,)), values[name].dtype)
        self.scans += [ScanRow(step=step, subject=self.subject, **values) for step in steps]
        return self

    def finite_width(self):
        """Hanin & Nica (2020): s.d. of ln S is √β / 2 with β = 5 Σ 1/n over the weighted layers above."""
        inverse = [5.0 / layer["width"] if layer["tensors"] else 0.0 for layer in self.layers]
        return np.array([0.5 * np.sqrt(sum(inverse[i + 1 :])) for i in range(self.size)])

    def train(self, loss: Iterable[float | None] = FALLING, *, steps=None, rate=0.1, optimizer=0, **given):
        """See these losses; `given` says what differs from USUAL, per tensor."""
        assert given.keys() <= USUAL.keys() | USUAL_SCALARS.keys()
        loss = list(loss)
        own = [i for i, tensor in enumerate(self.tensors) if tensor["optimizer"] == optimizer]
        for step, value in zip(range(len(loss)) if steps is None else steps, loss, strict=True):
            seen = {name: [self._seen(name, given, i, step) for i in own] for name in USUAL}
            told = {name: given.get(name, usual) for name, usual in USUAL_SCALARS.items()}
            scalars = {name: each(step) if callable(each) else each for name, each in told.items()}
            row = self._pulse(step, value, own, seen, learning_rate=rate, optimizer=optimizer, **scalars)
            self.pulses.append(row)
        return self

    def _seen(self, statistic, given, tensor, step):
        value = given.get(statistic, USUAL[statistic])
        if isinstance(value, Mapping):
            name = self.tensors[tensor]["name"]
            table = {"": USUAL[statistic], **value}
            value = table[max((key for key in table if name.startswith(key)), key=len)]
        return value(step) if callable(value) else value

    def _pulse(self, step, loss, own, seen, **scalars):
        count = np.array([self.tensors[i]["count"] for i in own], float)
        got = np.array([g is not None for g in seen["gradient"]], bool)
        gradient = np.array([g or 0.0 for g in seen["gradient"]]) ** 2 * count
        weight = np.array(seen["weight"], float) ** 2 * count
        bad, broken = (np.array(seen[key], np.int64) for key in ("bad_gradient", "bad_weight"))
        return PulseRow(
            step=step,
            seconds=0.01 * step,
            subject=self.subject,
            loss=loss,
            tensor=np.array(own, np.int32),
            gradient_sum_squares=float(gradient.sum()),
            gradient_sum_squares_by_tensor=gradient,
            gradient_max=np.sqrt(gradient / count).astype(np.float32),
            gradient_zeros=np.array(
                [
                    (g == 0 if z is None else z) * n
                    for g, z, n in zip(gradient, seen["zeros"], count, strict=True)
                ]
            ).astype(np.int64),
            gradient_nonfinite=np.where(got, bad, -1),
            weight_sum_squares=weight,
            weight_max=np.array(seen["weight"], np.float32),
            weight_nonfinite=broken,
            nonfinite=int(bad.sum() + broken.sum()),
            update_sum_squares=weight * np.array(seen["ratio"], float) ** 2,
            update_swallowed=np.array(seen["swallowed"], np.float32),
            update_eps_dominated=np.array(seen["eps"], np.float32),
            **scalars,
        )


def write_run(path: Path, *nets: Net, **info) -> Run:
    """Write the nets as the subjects of one run, in a new folder, and open it."""
    path.mkdir(parents=True)
    tensors, layers, subjects = [], [], []
    shifts = []
    for net in nets:
        shifts.append((len(tensors), len(layers)))
        layers += [
            {**layer, "id": len(layers) + i, "tensors": [len(tensors) + t for t in layer["tensors"]]}
            for i, layer in enumerate(net.layers)
        ]
        tensors += [{**tensor, "id": len(tensors) + i} for i, tensor in enumerate(net.tensors)]
        subjects.append(
            {
                "id": net.subject,
                "name": net.name,
                "type": "Net",
                "optimizers": [net.settings],
                "parameters": 9,
                "pairings": net.pairings,
            }
        )
    pulses = [(row, shift) for net, shift in zip(nets, shifts, strict=True) for row in net.pulses]
    scans = [(row, shift) for net, shift in zip(nets, shifts, strict=True) for row in net.scans]
    steps = max((row.step + 1 for row, _ in pulses), default=0)
    told = {"steps": steps, "seconds": 0.01 * steps, "scan_count": len(scans), "mode": "watch"}
    writer = RunWriter(path, {"subjects": subjects, "tensors": tensors, "layers": layers, **told, **info})
    for row, shift in sorted(pulses, key=lambda pair: pair[0].step):
        writer.pulse(_shifted(row, "tensor", shift[0]))
    for row, shift in sorted(scans, key=lambda pair: pair[0].step):
        writer.scan(_shifted(row, "layer", shift[1]))
    writer.close(status="finished", exit_code=0)
    return load(path)


def _shifted(row, column, by):
    return replace(row, **{column: getattr(row, column) + np.int32(by)})
