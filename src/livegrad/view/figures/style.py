"""What all figures share: labels that cannot carry markup, axes of powers of ten, marks for sick layers."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from livegrad.diagnose.naming import spoken
from livegrad.view.palette import token
from livegrad.view.text import clean, shorten

Figure = dict[str, Any]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_SIGNS = {"error": "✗", "warning": "▲", "info": "·"}


def label(name: object, width: int = 28) -> str:
    """Return a name as plotly shows it letter by letter: plotly would take `<b>` or `<a href>` for markup.

    A bare number becomes "layer 3": plotly would take it for a position.
    """
    text = clean(name)
    if not text.strip():
        return "(no name)"
    return escape(shorten(spoken(text), width), quote=False)


def unique(names: Iterable[str]) -> list[str]:
    """Return the names, repeated ones numbered: a plotly axis of categories shows equal names as one."""
    seen: dict[str, int] = {}
    told = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        told.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return told


def marked(names: Sequence[str], worst: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return unique axis labels, those of layers with a finding in bold behind the sign of its severity."""
    labels = unique(label(name, 26) for name in names)
    found = [worst.get(name) for name in names]
    return [
        text if finding is None else f"<b>{_SIGNS.get(finding['severity'], '·')} {text}</b>"
        for text, finding in zip(labels, found, strict=True)
    ]


def decades(values: np.ndarray) -> np.ndarray:
    """Return log10 of the values: -inf for exact zeros, NaN for NaN and for infinities."""
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(values)
    return np.where(np.isinf(values), np.nan, logs)


def power(log: float) -> str:
    """Return ten to the `log` as plotly shows it."""
    if abs(log) < 0.05:
        return "1"
    exponent = f"{log:.0f}" if abs(log) >= 9.5 else f"{log:.1f}"
    return f"10<sup>{exponent.replace('-', '−')}</sup>"


def numbers(values: np.ndarray, digits: int = 2) -> list[Any]:
    """Return finite values rounded, as nested lists; anything else as None, which plotly leaves blank."""
    rounded = np.round(np.asarray(values, dtype=np.float64), digits)
    table = rounded.astype(object)
    table[~np.isfinite(rounded)] = None
    return table.tolist()


def thinned(logs: np.ndarray, most: int) -> list[int]:
    """Return at most about `most` places of a curve: both ends, and of each stretch its lowest and its
    highest and the first and the last that has no logarithm, so that no spike is lost and a gap stays a gap.
    """
    if len(logs) <= most:
        return list(range(len(logs)))
    edges = np.linspace(0, len(logs), max(2, most // 4) + 1).round().astype(int)
    kept = {0, len(logs) - 1}
    for start, stop in pairwise(edges):
        part = logs[start:stop]
        known = np.flatnonzero(np.isfinite(part))
        if len(known):
            kept |= {int(start + known[np.argmin(part[known])]), int(start + known[np.argmax(part[known])])}
        odd = np.flatnonzero(~np.isfinite(part))
        if len(odd):
            kept |= {int(start + odd[0]), int(start + odd[-1])}
    return sorted(kept)


def log_axis(low: float, high: float, **more: Any) -> Figure:
    """Return a linear axis over decimal logarithms, its ticks written as powers of ten."""
    step = max(1, math.ceil((high - low) / 6))
    return axis(range=[low, high], tickprefix="10<sup>", ticksuffix="</sup>", dtick=step, tick0=0, **more)


def axis(**more: Any) -> Figure:
    """Return an axis in the report's style."""
    return {
        "gridcolor": token("grid"),
        "linecolor": token("line"),
        "zeroline": False,
        "tickfont": {"color": token("muted"), "size": 12},
        "automargin": True,
        "fixedrange": False,
    } | more


def title(text: str) -> Figure:
    """Return an axis title; the text is the report's own, never a name."""
    return {"text": text, "font": {"color": token("muted"), "size": 12}, "standoff": 8}


def layout(height: int, **more: Any) -> Figure:
    """Return a layout in the report's style, `height` in pixels."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 28, "b": 8, "autoexpand": True},
        "font": {"family": FONT, "color": token("ink"), "size": 12},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {
            "bgcolor": token("paper"),
            "bordercolor": token("line"),
            "font": {"color": token("ink"), "family": FONT},
            "align": "left",
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "traceorder": "normal",
            "font": {"color": token("ink")},
        },
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": token("faint"),
            "activecolor": token("ink"),
            "orientation": "h",
        },
        "dragmode": "zoom",
    } | more


def stretches(found: Sequence[str | None]) -> list[tuple[int, int, str]]:
    """Return (first, last, severity) of each run of neighbours with the same severity."""
    runs: list[tuple[int, int, str]] = []
    for i, severity in enumerate(found):
        if severity is None:
            continue
        if runs and runs[-1][1] == i - 1 and runs[-1][2] == severity:
            runs[-1] = (runs[-1][0], i, severity)
        else:
            runs.append((i, i, severity))
    return runs


def severities(names: Sequence[str], worst: Mapping[str, Mapping[str, Any]]) -> list[str | None]:
    """Return the severity of each layer's worst finding; None where there is none or it only informs."""
    found = [worst.get(name) for name in names]
    return [f["severity"] if f is not None and f["severity"] in ("error", "warning") else None for f in found]
