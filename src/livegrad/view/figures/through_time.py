"""The gradient of recurrent layers, time step by time step."""

from collections.abc import Sequence

import numpy as np

from livegrad.diagnose.number import short
from livegrad.diagnose.time_reach import FLOOR_DECADES
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.marks import edge_marks
from livegrad.view.figures.message import of_courses
from livegrad.view.figures.panels import Panel, stack
from livegrad.view.figures.style import Figure, axis, decades, label, log_axis, numbers, title
from livegrad.view.palette import token
from livegrad.view.time_course import TimeCourse

# Colour, dash and marker tell recurrences apart, each alone.
_LOOKS = (
    ("series", "solid", "circle"),
    ("second", "dash", "square"),
    ("third", "dashdot", "diamond"),
    ("fourth", "longdash", "triangle-up"),
)


def through_time(found: Sequence[Sequence[TimeCourse]]) -> Drawing:
    """Return the figure: the gradient, and under it the audibility, of up to four recurrences."""
    drawn = found[: len(_LOOKS)]
    factors = ", ".join(
        f"{label(courses[-1].name, 30) or 'the recurrence'} {short(courses[-1].factor, 3)}"
        for courses in drawn
    )
    more = f" {len(found) - len(drawn)} more are left out." if len(found) > len(drawn) else ""
    measured = any(np.isfinite(c.gradient).any() or c.broken.any() for courses in drawn for c in courses)
    begin = (
        "Gradient of the loss at the state of each time step, and how well the output hears that step"
        if measured
        else "How well the output hears each time step (a fused recurrence does not show its gradient)"
    )
    caption = (
        f"{begin}, beside the latest ones. Under the dotted line, three decades down, it is not heard. The "
        f"latest scan is drawn bold, the first one thin. Factor of audibility per step back: {factors}.{more}"
    )
    panels = [
        _panel(
            drawn,
            "audibility / latest",
            [[c.audibility for c in courses] for courses in drawn],
            False,
            not measured,
        )
    ]
    if measured:
        gradients = [[decades(c.gradient) for c in courses] for courses in drawn]
        panels.insert(0, _panel(drawn, "gradient rms", gradients, True, True))
    times = np.concatenate([course.times for courses in drawn for course in courses])
    first, last = int(times.min()), int(times.max())
    spare = 0.02 * max(last - first, 1)
    across = axis(
        title=title("time step of the sequence: the earliest at the left"),
        range=[first - spare, last + spare],
        showgrid=False,
    )
    floor = {
        "type": "line",
        "xref": "paper",
        "yref": "y2" if measured else "y",
        "x0": 0,
        "x1": 1,
        "y0": -FLOOR_DECADES,
        "y1": -FLOOR_DECADES,
        "line": {"color": token("ink"), "width": 1, "dash": "dot"},
    }
    return Drawing(f"The gradient through time: {of_courses(drawn)}", caption, stack(panels, across, [floor]))


def _panel(
    drawn: Sequence[Sequence[TimeCourse]],
    words: str,
    values: list[list[np.ndarray]],
    of_gradient: bool,
    legend: bool,
) -> Panel:
    known = np.concatenate([logs[np.isfinite(logs)] for courses in values for logs in courses])
    low, high = (float(known.min()), float(known.max())) if known.size else (-1.0, 0.0)
    low = min(low, high - 3.0) if of_gradient else min(low, -FLOOR_DECADES - 0.5)
    spare = 0.3 + 0.04 * (high - low)
    limits = (low - spare, high + spare)
    traces: list[Figure] = []
    told: set[str] = set()
    for courses, logs, look in zip(drawn, values, _LOOKS, strict=False):
        for i, (course, line) in enumerate(zip(courses, logs, strict=True)):
            last = i == len(courses) - 1
            traces.append(_line(course, line, look, last, legend))
            zero = np.isneginf(line)
            broken = (
                course.broken
                if of_gradient
                else np.isposinf(line) | (course.broken & ~np.isfinite(line) & ~zero)
            )
            said = [f"step {course.step}, time step {time}" for time in course.times.tolist()]
            marks = edge_marks(course.times, zero, broken, limits, words=said)
            for mark in marks:
                mark["showlegend"] = legend and mark["name"] not in told
                told.add(mark["name"])
            traces += marks
    return Panel(traces, log_axis(*limits, title=title(words)))


def _line(
    course: TimeCourse, logs: np.ndarray, look: tuple[str, str, str], last: bool, legend: bool
) -> Figure:
    colour, dash, symbol = look
    name = f"{label(course.name, 30)}, step {course.step}"
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(logs) <= 120 and last else "lines",
        "name": name,
        "legendgroup": name,
        "showlegend": legend,
        "x": course.times.tolist(),
        "y": numbers(logs, 3),
        "line": {"color": token(colour), "width": 2.2 if last else 1.1, "dash": dash if last else "dot"},
        "marker": {"size": 5, "symbol": symbol, "color": token(colour)},
        "hovertemplate": f"time step %{{x}}<br>{name}: 10<sup>%{{y}}</sup><extra></extra>",
    }
