"""The screen of `livegrad compare`."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from livegrad.view.comparison import render_comparison

CONTROLS = {chr(i) for i in [*range(32), *range(127, 160)]} - {"\n"}


def change(name, depth, kind, audible, turnover, reasons=()):
    return {
        "subject": "model",
        "name": name,
        "kind": "depth",
        "type": "Linear",
        "depth": depth,
        "change": kind,
        "reasons": list(reasons),
        "audibility": list(audible),
        "gradient_rms": [1e-12, 3e-3],
        "turnover_steps": list(turnover),
        "saturated": [None, None],
        "dead": [None, None],
    }


def finding(state, code, name, severity, layers):
    text = [f"{part[0]} … {part[-1]} ({len(part)} layers)" if part else None for part in layers]
    return {
        "state": state,
        "code": code,
        "name": name,
        "subject": "model",
        "severity": severity,
        "layers": layers,
        "layers_text": text,
        "message": "the signal is lost",
        "source": "train.py:27",
    }


def run(verdict, **more):
    return {
        "path": "livegrad-runs/20260101-120000-train",
        "id": "20260101-120000-train",
        "script": "train.py",
        "status": "finished",
        "steps": 400,
        "recorded_steps": 400,
        "scans": 4,
        "seconds": 8.0,
        "overhead": 0.0082,
        "seconds_per_step": 0.02,
        "verdict": verdict,
        "summary": "…",
        "loss_first": 2.4,
        "loss_last": 2.3,
        "loss_best": 2.29,
    } | more


@pytest.fixture
def comparison():
    early = [f"layers.{i}" for i in range(8)]
    nearer = ["12.0 decades nearer to the output", "starved before, moving now"]
    changes = [change(name, i, "better", (1e-12, 0.9), (3e9, 600), nearer) for i, name in enumerate(early)]
    changes.append(
        change(
            "layers.8",
            8,
            "mixed",
            (1e-4, 0.5),
            (300, 900),
            ["3.7 decades nearer to the output", "95% dead now"],
        )
    )
    changes.append(change("layers.9", 9, "worse", (0.7, "Infinity"), (300, None), ["not finite any more"]))
    changes.append(change("head", 10, "alike", (1.0, 1.0), (400, 500)))
    return {
        "schema": 1,
        "livegrad": "0.1.0",
        "health": "mixed",
        "summary": "B is better in part and worse in part: LG101 vanishing-gradient is gone and LG202 "
        "dead-units is new; 8 layers better, 1 layer worse; loss lower at step 399 (2.3 and 0.412).",
        "runs": [run("unwell"), run("warning", id="20260101-130000-train", steps=1200, status="running")],
        "settings": [{"name": "optimizer", "values": ["SGD", "Adam"]}],
        "findings": [
            finding("new", "LG202", "dead-units", [None, "warning"], [[], ["layers.8"]]),
            finding("still", "LG401", "starved-layer", ["error", "warning"], [early[:4], early[:1]]),
            finding("gone", "LG101", "vanishing-gradient", ["error", None], [early, []]),
        ],
        "loss": [
            {
                "subject": "model",
                "steps": 399,
                "first": [2.4, 2.6],
                "last": [2.3, 0.412],
                "best": [2.29, 0.4],
                "at": [
                    {"step": 0, "loss": [2.4, 2.6]},
                    {"step": 200, "loss": [2.31, 0.9]},
                    {"step": 399, "loss": [2.3, 0.412]},
                ],
                "verdict": "lower",
            }
        ],
        "layers": {
            "scans": [{"subject": "model", "step": [100, 100]}],
            "counts": {"better": 8, "worse": 1, "mixed": 1, "alike": 1, "unknown": 0},
            "changes": changes,
            "only": [
                {"subject": "model", "run": "A", "layers": [f"sigmoid#{i}" for i in range(1, 25)]},
                {"subject": "model", "run": "B", "layers": ["relu#1"]},
            ],
        },
        "notes": [
            "One run of each: without more seeds a small difference means nothing.",
            "B is still training.",
        ],
    }


def screen(document, width=80, encoding="utf-8"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, force_terminal=False, color_system=None, _environ={})
    render_comparison(document, console)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_screen(comparison, snapshot, width):
    snapshot(f"comparison-{width}.txt", screen(comparison, width))


def test_the_screen_in_ascii(comparison, snapshot):
    text = screen(comparison, 80, "ascii")
    assert text.isascii()
    snapshot("comparison-80-ascii.txt", text)


@pytest.mark.parametrize("width", [60, 61, 72, 91, 92, 100, 140])
def test_no_line_is_wider_than_the_screen(comparison, width):
    for line in screen(comparison, width).splitlines():
        assert cell_len(line) <= width, line


def test_hostile_names_cannot_command_the_terminal(comparison, hostile_text):
    comparison["findings"][0]["code"] += hostile_text
    comparison["settings"][0]["values"] = [hostile_text, None]
    comparison["layers"]["changes"][0]["name"] = hostile_text
    comparison["layers"]["only"][1]["layers"] = [hostile_text]
    comparison["runs"][0]["id"] = hostile_text
    comparison["loss"].append({**comparison["loss"][0], "subject": hostile_text})
    for encoding in ("utf-8", "ascii"):
        assert not CONTROLS & set(screen(comparison, 100, encoding))


def test_two_runs_with_nothing_in_common_make_a_short_screen(comparison):
    nothing = {
        "scans": [],
        "counts": dict.fromkeys(comparison["layers"]["counts"], 0),
        "changes": [],
        "only": [],
    }
    text = screen(comparison | {"findings": [], "loss": [], "layers": nothing, "settings": []})
    assert len(text.splitlines()) < 16


def test_hundreds_of_scattered_changes_fold_into_a_screen(comparison):
    comparison["layers"]["changes"] = [
        change(f"block.{i}", i, ("better", "worse", "alike")[i % 3], (1e-6, 1.0), (10, 10), ["nearer"])
        for i in range(300)
    ]
    comparison["layers"]["counts"] |= {"better": 100, "worse": 100, "mixed": 0}
    text = screen(comparison)
    assert len(text.splitlines()) < 80
    assert "188 more" in text
