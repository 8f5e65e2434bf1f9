"""The gradient's norm over the steps, its robust band, and the steps that left it."""

from collections.abc import Sequence

import numpy as np

from livegrad.diagnose.number import short
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.loss import step_axis
from livegrad.view.figures.marks import edge_marks
from livegrad.view.figures.message import of_bands
from livegrad.view.figures.panels import Panel, stack
from livegrad.view.figures.style import Figure, decades, log_axis, numbers, thinned, title
from livegrad.view.norm_band import NormBand
from livegrad.view.palette import token

_MOST, _PANELS = 2000, 4


def spikes(bands: Sequence[NormBand]) -> Drawing:
    """Return the figure, a panel for each optimizer's gradient."""
    many = sum(len(band.spikes) for band in bands)
    found = {0: "No step is a spike.", 1: "One step is a spike."}.get(many, f"{many} steps are spikes.")
    caption = (
        "Norm of the whole gradient at each recorded step, unscaled and unclipped, on a logarithmic axis. "
        "Shaded: six robust deviations around the median of the 32 norms before, and at least a factor of "
        f"three; normal scatter leaves it once in 10⁹ steps. {found}"
    )
    panels = [_panel(band, i == 0, len(bands) > 1) for i, band in enumerate(bands[:_PANELS])]
    return Drawing(
        f"Gradient norm and its spikes: {of_bands(bands)}", caption, stack(panels, step_axis(bands[0].step))
    )


def _panel(band: NormBand, first: bool, several: bool) -> Panel:
    logs = decades(band.norm)
    drawn = [values[np.isfinite(values)] for values in (logs, band.low, band.high, decades(band.limit))]
    known = np.concatenate(drawn)
    low, high = (float(known.min()), float(known.max())) if known.size else (-1.0, 1.0)
    spare = 0.15 + 0.08 * (high - low)
    limits = (low - spare, high + spare)
    peaks = {spike.row for spike in band.spikes}
    rows = sorted({*thinned(logs, _MOST), *peaks})
    steps = band.step[rows].tolist()
    traces = [*_shade(band, rows, first), _line(steps, band, rows, logs, first)]
    if np.isfinite(band.limit).any():
        traces.append(_clip(steps, band, rows, first))
    traces += _peaks(band, first)
    words = [f"step {step}" for step in band.step.tolist()]
    traces += edge_marks(band.step, band.norm == 0, band.broken, limits, words=words, legend=first)
    name = f"gradient norm, optimizer {band.optimizer}" if several else "gradient norm"
    return Panel(traces, log_axis(*limits, title=title(name)), 240 if not several else 170)


def _shade(band: NormBand, rows: list[int], legend: bool) -> list[Figure]:
    """The band in stretches: a filled area must not reach over steps that have none."""
    known = np.isfinite(band.high[rows])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    traces: list[Figure] = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        part = rows[start:stop]
        steps = band.step[part].tolist()
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "fill": "toself",
                "name": "expected from the steps before",
                "legendgroup": "band",
                "showlegend": legend and not traces,
                "x": steps + steps[::-1],
                "y": numbers(np.concatenate([band.high[part], band.low[part][::-1]]), 3),
                "line": {"width": 0},
                "fillcolor": token("band"),
                "hoverinfo": "skip",
            }
        )
    return traces


def _line(steps: list[int], band: NormBand, rows: list[int], logs: np.ndarray, legend: bool) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(rows) <= 80 else "lines",
        "name": "gradient norm",
        "legendgroup": "norm",
        "showlegend": legend,
        "x": steps,
        "y": numbers(logs[rows], 4),
        "text": [short(float(value), 3) for value in band.norm[rows]],
        "line": {"color": token("series"), "width": 1.6},
        "marker": {"size": 4, "color": token("series")},
        "hovertemplate": "step %{x}<br>norm %{text}<extra></extra>",
    }


def _clip(steps: list[int], band: NormBand, rows: list[int], legend: bool) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "clipped over this",
        "legendgroup": "clip",
        "showlegend": legend,
        "x": steps,
        "y": numbers(decades(band.limit[rows]), 4),
        "line": {"color": token("ink"), "width": 1.4, "dash": "dash"},
        "hoverinfo": "skip",
    }


def _peaks(band: NormBand, legend: bool) -> list[Figure]:
    if not band.spikes:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "spike",
            "legendgroup": "spike",
            "showlegend": legend,
            "x": [spike.step for spike in band.spikes],
            "y": [round(float(np.log10(spike.norm)), 4) for spike in band.spikes],
            "text": [
                f"step {spike.step}: {short(spike.norm, 3)}, {short(spike.norm / spike.usual, 3)} times the "
                "usual"
                for spike in band.spikes
            ],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {
                "symbol": "diamond-open",
                "size": 13,
                "color": token("second"),
                "line": {"width": 2.5},
            },
        }
    ]
