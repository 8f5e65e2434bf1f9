"""How long the HTML report takes to open: 1,000 layers × 10,000 steps, in a headless Chromium.

    python benchmarks/report_page.py [--layers 1000] [--steps 10000] [--keep FILE]

Writes a synthetic run as the recorder would have written it, draws up its report, opens the page several
times and prints, from the browser's own clocks: when its words could be read (DOMContentLoaded), when the
first figure and when the last one was drawn, all since navigation began, and the processor time that the
page's main thread used. The processor time says the same on a busy machine.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from livegrad.run.reader import Run, load
from livegrad.run.rows import PulseRow, ScanRow
from livegrad.run.writer import RunWriter
from livegrad.view.html import write_report

SCANS = 12


def write_run(folder: Path, layers: int, steps: int, recorded: int) -> Run:
    """A run of linear layers and sigmoids whose gradient fades towards the input."""
    kinds = ["Linear" if i % 2 == 0 else "Sigmoid" for i in range(layers)]
    weighted = [i for i, kind in enumerate(kinds) if kind == "Linear"]
    place = {layer: number for number, layer in enumerate(weighted)}
    writer = RunWriter(folder, _info(kinds, place, steps))
    rng = np.random.default_rng(0)
    level = 10.0 ** np.linspace(-12, -2, layers)
    for step in np.unique(np.linspace(0, steps - 1, recorded).astype(int)).tolist():
        writer.pulse(_pulse(step, level[weighted] * np.exp(0.2 * rng.normal(size=len(weighted)))))
    for step in np.linspace(0, steps - 1, SCANS).astype(int).tolist():
        writer.scan(_scan(step, level * np.exp(0.1 * rng.normal(size=layers))))
    writer.close(status="finished", exit_code=0)
    return load(folder)


def _info(kinds: list[str], place: dict[int, int], steps: int) -> dict[str, Any]:
    return {
        "command": ["train.py"],
        "mode": "script",
        "script": "train.py",
        "steps": steps,
        "seconds": 0.01 * steps,
        "scan_count": SCANS,
        "subjects": [{"id": 0, "name": "model", "type": "MLP", "parameters": 64 * len(place)}],
        "tensors": [
            {
                "id": number,
                "subject": 0,
                "name": f"block.{layer}.weight",
                "module": f"block.{layer}",
                "count": 64,
                "shape": [8, 8],
                "module_type": "Linear",
            }
            for layer, number in place.items()
        ],
        "layers": [
            {
                "id": i,
                "subject": 0,
                "name": f"block.{i}",
                "depth": i,
                "type": kind,
                "width": 64,
                "tensors": [place[i]] if i in place else [],
                "source": "train.py:14",
            }
            for i, kind in enumerate(kinds)
        ],
    }


def _pulse(step: int, gradient: np.ndarray) -> PulseRow:
    count = len(gradient)
    square = gradient**2 * 64.0
    return PulseRow(
        step=step,
        seconds=0.01 * step,
        tensor=np.arange(count, dtype=np.int32),
        gradient_sum_squares_by_tensor=square,
        gradient_max=gradient.astype(np.float32),
        gradient_zeros=np.zeros(count, np.int64),
        gradient_nonfinite=np.zeros(count, np.int64),
        weight_sum_squares=np.full(count, 64.0),
        weight_max=np.ones(count, np.float32),
        weight_nonfinite=np.zeros(count, np.int64),
        gradient_sum_squares=float(square.sum()),
        nonfinite=0,
        loss=2.3 + 0.2 * float(np.exp(-step / 900)),
        learning_rate=1e-3,
        update_sum_squares=square * 1e-6,
    )


def _scan(step: int, level: np.ndarray) -> ScanRow:
    count = len(level)
    unknown = np.full(count, np.nan)
    return ScanRow(
        step=step,
        layer=np.arange(count, dtype=np.int32),
        audibility=level * 100,
        audibility_output=np.ones(count),
        transport=np.log10(level / level[-1]),
        gradient_rms=level,
        activation_rms=np.full(count, 0.5),
        activation_slope=unknown,
        saturated=unknown,
        dead=unknown,
        nonfinite=np.zeros(count, np.int64),
        width=np.full(count, 64),
        samples=np.full(count, 128),
        null_sd=np.full(count, 0.1),
    )


def opened(page_file: Path, browser_path: str, times: int) -> list[dict[str, float]]:
    """Milliseconds of each opening, in a fresh page each."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for _ in range(times):
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto(page_file.as_uri())
            page.wait_for_selector("html[data-figures=drawn]", timeout=120_000)
            timing = page.evaluate(
                "() => ({words: performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd,"
                " first: performance.getEntriesByName('livegrad-first')[0].startTime,"
                " all: performance.getEntriesByName('livegrad-drawn')[0].startTime})"
            )
            metrics = {
                item["name"]: item["value"] for item in session.send("Performance.getMetrics")["metrics"]
            }
            found.append({**timing, "processor": 1000 * metrics["TaskDuration"]})
            page.close()
        browser.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--recorded", type=int, default=2000, help="steps that were recorded")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="write the page here too")
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    asked = parser.parse_args()
    if asked.browser is None:
        print("report_page: no Chromium found; name one: --browser PATH", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        (Path(folder) / "run").mkdir()
        run = write_run(Path(folder) / "run", asked.layers, asked.steps, asked.recorded)
        written = time.perf_counter()
        document = run.report().to_dict()
        judged = time.perf_counter()
        page = asked.keep or Path(folder) / "report.html"
        write_report(run, document, page)
        drawn = time.perf_counter()
        print(f"{asked.layers} layers, {asked.steps} steps, {len(run)} recorded")
        print(
            f"diagnosis {judged - written:.1f} s, page {drawn - judged:.1f} s (recording took "
            f"{written - begin:.1f} s)"
        )
        print(f"page: {page.stat().st_size / 1e6:.1f} MB")
        found = opened(page, asked.browser, asked.times)
    for key, words in (
        ("words", "words can be read after"),
        ("first", "first figure drawn after"),
        ("all", "all figures after"),
        ("processor", "processor time"),
    ):
        values = [each[key] for each in found]
        print(f"{words}: {statistics.median(values):.0f} ms (best {min(values):.0f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
