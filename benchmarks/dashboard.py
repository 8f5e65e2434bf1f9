"""How the dashboard bears a large run that is being written: 1,000 layers x 100,000 recorded steps.

    python benchmarks/dashboard.py                      some 7 GB under --directory, removed afterwards
    python benchmarks/dashboard.py --steps 10000
    python benchmarks/dashboard.py --folder RUNS        serve what is there; nothing is written

Makes the run as the recorder would, starts `livegrad serve`, opens the run's page in a headless Chromium and
prints, from the beginning of the navigation: when its words could be read, when the figures in view were
drawn, when it was diagnosed; then the same for a second visit, and for each figure when it is scrolled to.
Then it goes on writing twenty steps a second, one of them a spike, and prints how far the page lags behind,
and the most memory that the server held.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from livegrad.run.schema import Layer, Subject, Tensor
from livegrad.run.writer import RunWriter, create_run_folder
from run_folder import make_row, make_scan

FIGURES = ("spine", "depth", "heatmap", "loss", "spikes", "turnover", "ledger")
IN_VIEW = """[...document.querySelectorAll(".figure")].filter((place) => {
    const box = place.getBoundingClientRect();
    return box.height && box.top < innerHeight;
}).every((place) => place.querySelector(".caption").innerText !== "")"""
# What a person sees: each change of the number of steps in the verdict's box, with the time it appeared.
WATCH = r"""() => {
    window.seen = [];
    const read = () => {
        const said = document.querySelector("#state")?.innerText.match(/([\d,]+) steps/);
        if (said) window.seen.push([Date.now() / 1000, parseInt(said[1].replaceAll(",", ""))]);
    };
    read();
    new MutationObserver(read).observe(document.querySelector("#state"), {
        subtree: true, childList: true, characterData: true });
}"""


class LiveRun:
    """A run of linear layers whose gradient fades towards the input, still being written."""

    def __init__(self, base: Path, layers: int) -> None:
        self.layers = layers
        self.path = create_run_folder(base, "benchmark")
        table = [
            Tensor(id=i, name=f"layers.{i}.weight", module=f"layers.{i}", shape=(100, 10), count=1000,
                   optimizer=0, subject=0)
            for i in range(layers)
        ]  # fmt: skip
        rows = [
            Layer(id=i, name=f"layers.{i}", depth=i, type="Linear", module=f"layers.{i}", tensors=(i,),
                  width=100, subject=0)
            for i in range(layers)
        ]  # fmt: skip
        subject = Subject(id=0, name="net", type="Net", parameters=1000 * layers)
        told = {
            "subjects": [subject],
            "tensors": table,
            "layers": rows,
            "mode": "watch",
            "script": "train.py",
        }
        self.writer = RunWriter(self.path, told)
        self.noise = np.random.default_rng(0).random(layers) * 10.0 ** np.linspace(-12, -2, layers)
        self.written: list[float] = []

    def step(self, factor: float = 1.0) -> None:
        """Write one more step."""
        number = len(self.written)
        if number in (0, 10, 100, 1000, 10_000, 50_000):
            self.writer.scan(make_scan(number, self.layers))
        self.writer.pulse(make_row(number, self.layers, self.noise * factor, sampled=number % 20 == 0))
        self.written.append(time.time())

    def renew(self) -> None:
        """Rewrite run.json, as the recorder does every few seconds."""
        self.writer.update(steps=len(self.written), seconds=0.01 * len(self.written), scan_count=6)


def until(page: Any, condition: str) -> None:
    """Wait for a condition; playwright's own way evaluates a string, which the page forbids."""
    while not page.evaluate(f"!!({condition})"):
        time.sleep(0.01)


def opened(page: Any, address: str) -> dict[str, float]:
    """Seconds from the beginning of the navigation."""
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    found = {}
    for name, condition in (
        ("words can be read after", "/[0-9] steps/.test(document.querySelector('#state')?.innerText || '')"),
        ("figures in view are drawn, or say what they wait for, after", IN_VIEW),
        ("it is diagnosed after", "!!document.querySelector('#verdict .facts')"),
    ):
        until(page, condition)
        found[name] = time.perf_counter() - began
    return found


def scrolled(page: Any, name: str) -> float:
    """Seconds until the figure is drawn after it was scrolled to."""
    page.evaluate(f"document.querySelector('#{name}-figure').scrollIntoView()")
    began = time.perf_counter()
    said = f"document.querySelector('#{name}-caption').innerText"
    until(page, f"{said} !== '' && !{said}.includes('still being read')")
    return time.perf_counter() - began


def lag(page: Any, run: LiveRun, seconds: float) -> list[float]:
    """For every step written meanwhile: seconds until the page showed it or a later one."""
    page.evaluate("scrollTo(0, 0)")
    page.evaluate(WATCH)
    first = len(run.written)
    done = threading.Event()

    def write() -> None:
        while not done.wait(0.05):
            run.step(100.0 if len(run.written) == first + 50 else 1.0)
            if len(run.written) % 100 == 0:
                run.renew()

    writer = threading.Thread(target=write)
    writer.start()
    page.wait_for_timeout(1000 * seconds)
    done.set()
    writer.join()
    page.wait_for_timeout(5000)
    seen = page.evaluate("window.seen")
    found = []
    for number in range(first, len(run.written)):
        shown = next((at for at, steps in seen if steps > number), None)
        found.append(float("inf") if shown is None else shown - run.written[number])
    return found


def memory(process: int) -> float:
    """The most that a process held, in MiB; NaN where the system does not say."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measure(folder: Path, run: LiveRun | None, browser_path: str, seconds: float) -> None:
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "livegrad", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server, sync_playwright() as player:
        assert server.stderr is not None
        home = server.stderr.readline().split("open ")[1].split()[0]
        browser = player.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        try:
            page.goto(home)
            began = time.perf_counter()
            page.wait_for_selector(".runs a", timeout=60_000)
            print(f"list of runs: {time.perf_counter() - began:.1f} s")
            address = page.locator(".runs a").first.evaluate("link => link.href")
            print(f"server before a run is opened: {memory(server.pid):.0f} MiB")
            for visit in ("first visit", "second visit"):
                for name, took in opened(page, address).items():
                    print(f"{visit}: {name} {took:.1f} s")
            for name in FIGURES:
                print(f"scrolled to {name}: {scrolled(page, name):.1f} s")
            if run is not None:
                found = lag(page, run, seconds)
                print(f"lag: median {statistics.median(found):.2f} s, largest {max(found):.2f} s")
            print(f"server at most: {memory(server.pid):.0f} MiB")
        finally:
            browser.close()
            server.terminate()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to go on writing")
    parser.add_argument("--folder", type=Path, help="serve this folder of runs instead")
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    asked = parser.parse_args()
    if asked.browser is None:
        print("dashboard: no Chromium found; name one: --browser PATH", file=sys.stderr)
        return 1
    if asked.folder is not None:
        measure(asked.folder, None, asked.browser, asked.seconds)
        return 0
    base = Path(tempfile.mkdtemp(prefix="livegrad-dashboard-", dir=asked.directory))
    try:
        began = time.perf_counter()
        run = LiveRun(base, asked.layers)
        for _ in range(asked.steps):
            run.step()
        run.renew()
        size = (run.path / "rank0.arrows").stat().st_size / 1e9
        print(
            f"{asked.layers:,} layers x {asked.steps:,} steps, {size:.1f} GB, written in "
            f"{time.perf_counter() - began:.0f} s"
        )
        measure(base, run, asked.browser, asked.seconds)
    finally:
        shutil.rmtree(base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
