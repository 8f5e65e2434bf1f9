"""Hand-made documents and synthetic runs: the views only display, so what they show may be invented."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livegrad.run.reader import load
from livegrad.run.rows import PulseRow, ScanRow
from livegrad.run.writer import RunWriter

SNAPSHOTS = Path(__file__).parent / "snapshots"


def make_layer(subject, name, depth, kind="Linear", audible=1.0, gradient=1e-3, **more):
    layer = {
        "subject": subject,
        "id": depth,
        "name": name,
        "depth": depth,
        "type": kind,
        "kind": "depth",
        "source": "train.py:27",
        "audibility": 0.4 * audible if isinstance(audible, float) else audible,
        "audibility_ratio": audible,
        "transport": None,
        "activation_rms": 0.5,
        "gradient_rms": gradient,
        "activation_slope": 0.22 if kind == "Sigmoid" else None,
        "saturated": 0.02 if kind == "Sigmoid" else None,
        "dead": None,
        "turnover_steps": 900.0 / max(audible, 1e-30)
        if kind == "Linear" and isinstance(audible, float)
        else None,
        "tensors": [f"{name}.weight"] if kind == "Linear" else [],
    }
    return layer | more


def make_line(label, operations, decades, expected, best, needed=None, source="train.py:27"):
    return {
        "label": label,
        "count": operations,
        "decades": decades,
        "expected_decades": expected,
        "best_decades": best,
        "factor": 10 ** (decades / operations),
        "needed_factor": needed,
        "source": source,
    }


def make_finding(code, name, severity, subject, layers, message, **more):
    finding = {
        "code": code,
        "name": name,
        "severity": severity,
        "subject": subject,
        "layers": layers,
        "layers_text": f"{layers[0]} … {layers[-1]} ({len(layers)} layers)" if layers else None,
        "source": "train.py:27",
        "message": message,
        "cause": None,
        "evidence": {},
        "explanation": "",
        "first_step": 0,
        "last_step": 399,
        "remedies": [],
        "next": "",
    }
    return finding | more


def make_document(verdict, summary, findings, layers, subjects, **run):
    return {
        "schema": 1,
        "livegrad": "0.1.0",
        "verdict": verdict,
        "summary": summary,
        "findings": findings,
        "layers": layers,
        "run": {
            "path": "livegrad-runs/20260101-120000-train",
            "id": "20260101-120000-train",
            "script": "train.py",
            "command": ["train.py", "--depth", "24"],
            "status": "finished",
            "exit_code": 0,
            "steps": 1400,
            "recorded_steps": 1400,
            "scans": 6,
            "seconds": 41.2,
            "overhead": 0.0082,
            "overhead_seconds": 0.338,
            "budget": 0.01,
            "every": None,
            "rank": 0,
            "world_size": 1,
            "python": "3.11.9",
            "torch": "2.13.0",
            "device": "cpu",
            "subjects": [
                {"name": name, "type": kind, "optimizer": "Adam", "learning_rate": 1e-3, "parameters": 104522}
                for name, kind in subjects
            ],
            "loss_first": 2.41,
            "loss_last": 2.301,
            "loss_best": 2.297,
            "observed": ["gradients, weights and updates of every parameter"],
            "not_observed": ["the second moments of the optimizer: it keeps them elsewhere"],
        }
        | run,
    }


def _deep_net(blocks, decades_per_block):
    layers = []
    for i in range(blocks):
        audible = 10 ** (decades_per_block * (blocks - i))
        layers.append(make_layer("model", f"layers.{i}", 2 * i, "Linear", audible, 4e-3 * audible))
        layers.append(
            make_layer("model", f"sigmoid.{i}", 2 * i + 1, "Sigmoid", 1.9 * audible, 6e-3 * audible)
        )
    return [*layers, make_layer("model", "head", 2 * blocks, "Linear", 1.0, 4e-3)]


@pytest.fixture
def vanishing():
    layers = _deep_net(24, -0.59)
    layers[1]["saturated"] = 0.31
    sick = [layer["name"] for layer in layers[:40]]
    finding = make_finding(
        "LG101",
        "vanishing-gradient",
        "error",
        "model",
        sick,
        "The gradient shrinks by 0.59 decades per block: layers.0 … sigmoid.19 hear nothing of the loss.",
        cause={
            "summary": "Sigmoid ×24 loses 14.2 decades",
            "operator": "Sigmoid",
            "decades": -14.2,
            "confirmed": True,
            "kind": "activation-slope",
            "layers": ["sigmoid.0", "sigmoid.1"],
            "source": "train.py:27",
            "bill": [
                make_line("Sigmoid", 24, -14.2, -13.9, -14.4),
                make_line("Linear", 24, -6.1, -6.0, None, 1.846),
                make_line("LayerNorm", 2, 0.4, None, None),
            ],
        },
        evidence={
            "audibility_first": 1.0e-14,
            "slope_decades_per_layer": -0.295,
            "turnover_median_steps": 3.1e9,
            "saturated_share": 0.31,
            "a_fifth_fact_left_to_the_full_report": 1.0,
        },
        explanation="A sigmoid's slope is at most 1/4, so every layer divides the gradient by four or more.",
        remedies=[
            {
                "name": "relu",
                "predicted": {"backward_gain_per_layer": 1.0},
                "command": "livegrad explain LG101",
            }
        ],
        next="Replace the sigmoids by ReLU with He initialisation, or put BatchNorm before each of them.",
    )
    summary = "the loss does not reach 40 of the 49 layers of model; they are not being trained."
    return make_document("unwell", summary, [finding], layers, [("model", "DeepMLP")])


@pytest.fixture
def healthy():
    summary = "every layer hears the loss and moves."
    layers = _deep_net(24, -0.01)
    return make_document("healthy", summary, [], layers, [("model", "DeepMLP")], not_observed=[])


@pytest.fixture
def adversarial():
    """Two models in one script: a generator whose gradient explodes, and a healthy discriminator."""
    generator = [
        make_layer("generator", f"up.{i}", i, "Linear", 10.0 ** (2 * (5 - i)), 10.0 ** (1 - i))
        for i in range(6)
    ]
    generator[0] |= {"gradient_rms": "NaN", "audibility_ratio": "Infinity"}
    discriminator = [make_layer("discriminator", f"down.{i}", i, "Linear", 0.5 + 0.1 * i) for i in range(6)]
    findings = [
        make_finding(
            "LG201",
            "dead-units",
            "warning",
            "generator",
            ["up.4"],
            "62 % of the units of up.4 are silent on the whole batch.",
            layers_text="up.4",
            evidence={"dead_share": 0.62},
            next="Lower the learning rate.",
        ),
        make_finding(
            "LG102",
            "exploding-gradient",
            "error",
            "generator",
            ["up.0", "up.1", "up.2"],
            "The gradient grows by 2 decades per layer.",
            source=None,
            evidence={"audibility_first": "Infinity", "nonfinite_count": 128},
            explanation="The weights' gain is above one in every layer.",
            next="Scale the initialisation down, or clip.",
        ),
    ]
    generator[4]["dead"] = 0.62
    summary = "the gradient of generator explodes; discriminator is well."
    subjects = [("generator", "Generator"), ("discriminator", "Discriminator")]
    layers = generator + discriminator
    return make_document(
        "unwell", summary, findings, layers, subjects, overhead=0.031, status="failed", exit_code=1
    )


HOSTILE = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>[bold red]&amp;\u202etxt\r\n::error::\u2028\ud800"


@pytest.fixture
def hostile(vanishing):
    """A document whose every name tries to command the terminal, the browser or a workflow."""

    def infect(value):
        if isinstance(value, dict):
            return {key: infect(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [infect(entry) for entry in value]
        return f"{value}{HOSTILE}" if isinstance(value, str) and value not in kept else value

    kept = {"unwell", "error", "LG101", "vanishing-gradient", "depth", "finished", "train.py:27"}
    infected = infect(vanishing)
    infected["findings"][0]["source"] = f"{HOSTILE}.py:27"
    return infected


@pytest.fixture
def hostile_text():
    return HOSTILE


@pytest.fixture
def snapshot():
    """Return a check of a text against tests/view/snapshots/NAME; LIVEGRAD_SNAPSHOTS=write rewrites it."""

    def check(name, text):
        path = SNAPSHOTS / name
        if os.environ.get("LIVEGRAD_SNAPSHOTS") == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), (
            f"no snapshot {name}; look at the screen, then write it: LIVEGRAD_SNAPSHOTS=write"
        )
        assert text == path.read_text(encoding="utf-8")

    return check


# Synthetic runs, written as the recorder writes them.


def _pulse(step, tensors, gradients, loss, **more):
    count = len(tensors)
    squares = np.asarray(gradients, dtype=np.float64) ** 2 * 64.0
    values = {
        "step": step,
        "seconds": 0.01 * step,
        "tensor": np.asarray(tensors, np.int32),
        "gradient_sum_squares_by_tensor": squares,
        "gradient_max": np.sqrt(squares).astype(np.float32),
        "gradient_zeros": np.zeros(count, np.int64),
        "gradient_nonfinite": np.zeros(count, np.int64),
        "weight_sum_squares": np.full(count, 64.0),
        "weight_max": np.ones(count, np.float32),
        "weight_nonfinite": np.zeros(count, np.int64),
        "update_sum_squares": squares * 1e-6,
        "gradient_sum_squares": float(squares.sum()),
        "nonfinite": 0,
        "loss": loss,
        "learning_rate": 1e-3,
    }
    return PulseRow(**values | more)


def _scan(step, layers, audible, gradients, **more):
    count = len(layers)
    values = {
        "step": step,
        "layer": np.asarray(layers, np.int32),
        "audibility": 0.4 * np.asarray(audible, np.float64),
        "audibility_output": np.full(count, 0.4),
        "transport": np.log10(np.maximum(audible, 1e-300)),
        "gradient_rms": np.asarray(gradients, np.float64),
        "activation_rms": np.full(count, 0.5),
        "activation_slope": np.full(count, np.nan),
        "saturated": np.full(count, np.nan),
        "dead": np.full(count, np.nan),
        "nonfinite": np.zeros(count, np.int64),
        "width": np.full(count, 64),
        "samples": np.full(count, 128),
        "null_sd": np.full(count, 0.1),
    }
    return ScanRow(**values | more)


def make_rows(document, steps=60, scan_steps=(0, 10, 40), subject=0, spoil=None):
    """Return what a recorder would write of one model whose layers are those of a document."""
    layers = document["layers"]
    weighted = [i for i, layer in enumerate(layers) if layer["tensors"]]
    names = [layers[i]["name"] for i in weighted]
    told = document["run"]
    info = {
        "command": told["command"],
        "mode": "script",
        "script": told["script"],
        "steps": steps,
        "seconds": 0.01 * steps,
        "subjects": [{"id": subject, "name": told["subjects"][0]["name"], "type": "MLP", "parameters": 9}],
        "tensors": [
            {
                "id": i,
                "subject": subject,
                "name": f"{name}.weight",
                "module": name,
                "count": 64,
                "shape": [8, 8],
            }
            for i, name in enumerate(names)
        ],
        "layers": [
            {
                "id": i,
                "subject": subject,
                "name": layer["name"],
                "depth": i,
                "type": layer["type"],
                "tensors": [weighted.index(i)] if i in weighted else [],
                "width": 64,
            }
            for i, layer in enumerate(layers)
        ],
    }
    gradients = np.array([float(layers[i]["gradient_rms"]) for i in weighted])
    audible = np.array([float(layer["audibility_ratio"]) for layer in layers])
    pulses = [
        _pulse(
            step, range(len(weighted)), gradients * (1 + 0.1 * np.sin(step)), 2.3 + 0.2 * np.exp(-step / 9)
        )
        for step in range(steps)
    ]
    return {
        "info": info,
        "pulses": [spoil(row) for row in pulses] if spoil else pulses,
        "scans": [_scan(step, range(len(layers)), audible, audible * 4e-3) for step in scan_steps],
    }


def write_run(path, document, **how):
    """Write a run of one model whose layers are those of a document."""
    rows = make_rows(document, **how)
    path.mkdir()
    writer = RunWriter(path, rows["info"])
    for row in rows["pulses"]:
        writer.pulse(row)
    for scan in rows["scans"]:
        writer.scan(scan)
    writer.close(status="finished", exit_code=0)
    return load(path)


@pytest.fixture
def synthetic_rows():
    return make_rows


@pytest.fixture
def write_synthetic_run():
    return write_run


@pytest.fixture
def sick_run(tmp_path, vanishing):
    """A run of the vanishing net: (run, document)."""
    return write_run(tmp_path / "sick", vanishing), vanishing


@pytest.fixture
def healthy_run(tmp_path, healthy):
    return write_run(tmp_path / "healthy", healthy), healthy


@pytest.fixture
def broken_run(tmp_path, vanishing):
    """A run whose gradients turn to zero, then to NaN, and whose loss is lost at the end: (run, document)."""

    def spoil(row):
        squares = row.gradient_sum_squares_by_tensor.copy()
        nonfinite = row.gradient_nonfinite.copy()
        if row.step >= 20:
            squares[:4] = 0.0
        if row.step >= 40:
            squares[-3:], nonfinite[-3:] = np.nan, 7
        nonfinite[8] = -1
        return replace(
            row,
            gradient_sum_squares_by_tensor=squares,
            gradient_nonfinite=nonfinite,
            nonfinite=int(np.maximum(nonfinite, 0).sum()),
            loss=np.nan if row.step >= 45 else row.loss,
        )

    return write_run(tmp_path / "broken", vanishing, spoil=spoil), vanishing
