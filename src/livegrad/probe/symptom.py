"""One symptom in two scans of the same batch, so that they can be compared: decades over depth or time, or
shares.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from livegrad.probe.scan import ScanResult

VANISHING = ("LG101", "LG102")
THROUGH_TIME = ("LG102", "LG104")
# A course over depth counts as it is relative to the output from here on; below, in the output's own unit.
_CLEAR_DECADES = 1.5
_TIME = re.compile(r"^(?P<base>.*?)(?:#(?P<number>\d+)|\[t=(?P<time>\d+)\])$")


@dataclass(frozen=True)
class Symptom:
    """measure: "decades" (audibility of the worst layer over the output's), "output_decades" (of the output
    in its own unit), "growth_decades" (of activations until they overflow), "time_decades" (earliest over
    latest steps), "saturated_share", "dead_share". first, second: in the two scans.
    """

    measure: str
    first: float
    second: float


def symptom(code: str, layers: Collection[str], first: ScanResult, second: ScanResult) -> Symptom | None:
    """Measure what finding `code` is about in both scans; `layers` are the finding's. None if one cannot
    tell.
    """
    if code in THROUGH_TIME:
        return _through_time(code, layers, first, second)
    if code == "LG201":
        return _share("saturated", layers, first, second)
    if code == "LG202":
        return _share("dead", layers, first, second)
    return _over_depth(code, first, second)


def _over_depth(code: str, first: ScanResult, second: ScanResult) -> Symptom | None:
    sign = -1.0 if code in VANISHING else 1.0
    one, other = _relative(first), _relative(second)
    both = [name for name in one if name in other and not np.isnan(one[name])]
    if both:
        worst = max(both, key=lambda name: sign * one[name])
        if sign * one[worst] > _CLEAR_DECADES and not np.isnan(other[worst]):
            return Symptom("decades", one[worst], other[worst])
        outputs = [_of_output(result) for result in (first, second)]
        if None not in outputs:
            return Symptom("output_decades", *outputs)  # pyright: ignore[reportArgumentType]
        return None if np.isnan(other[worst]) else Symptom("decades", one[worst], other[worst])
    grown = [_growth(result) for result in (first, second)]
    return Symptom("growth_decades", *grown) if code == "LG103" and np.isfinite(grown).all() else None


def _relative(result: ScanResult) -> dict[str, float]:
    """Name of each spine layer -> log10 of its audibility over the output's; −inf where nothing is heard."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.log10(result.columns["audibility"] / result.columns["audibility_output"])
    return {spec.name: float(decades[i]) for i, spec in enumerate(result.layers) if spec.kind == "depth"}


def _of_output(result: ScanResult) -> float | None:
    """log10 of the output's audibility per entry in its own unit; None where the unit is not known."""
    top = [i for i, spec in enumerate(result.layers) if spec.kind == "depth"][-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log10(result.columns["audibility_output"][top]) - 0.5 * np.log10(
            max(1, result.layers[top].width)
        )
    return float(found) if result.unit is not None and np.isfinite(found) else None


def _growth(result: ScanResult) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = [
            float(np.log10(result.columns["activation_rms"][i]))
            for i, spec in enumerate(result.layers)
            if spec.kind == "depth"
        ]
    finite = [size for size in sizes if np.isfinite(size)]
    return max(finite) - finite[0] if len(finite) > 1 else float("nan")


def _share(column: str, layers: Collection[str], first: ScanResult, second: ScanResult) -> Symptom | None:
    one, other = _of_each(first, column), _of_each(second, column)
    both = [name for name in layers if name in one and name in other]
    if not both:
        return None
    # Of several, the one nearest the input: those above it may only have inherited its silence.
    return Symptom(f"{column}_share", one[both[0]], other[both[0]])


def _of_each(result: ScanResult, column: str) -> dict[str, float]:
    values = result.columns[column]
    return {spec.name: float(values[i]) for i, spec in enumerate(result.layers) if np.isfinite(values[i])}


def _through_time(
    code: str, layers: Collection[str], first: ScanResult, second: ScanResult
) -> Symptom | None:
    one, other = _early(first), _early(second)
    both = [base for base in one if base in other]
    named = [base for base in both if base in layers] or both
    if not named:
        return None
    base = named[0]
    return Symptom("time_decades", one[base], other[base])


def _early(result: ScanResult) -> dict[str, float]:
    """Base name of each recurrence -> median decades of its earliest tenth of steps over its loudest late
    one.
    """
    groups: dict[str, list[tuple[int, float]]] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        heard = np.log10(result.columns["audibility"])
    for i, spec in enumerate(result.layers):
        match = _TIME.match(spec.name)
        if spec.kind == "time" and match:
            time = int(match["number"] or match["time"])
            groups.setdefault(match["base"], []).append((time, float(heard[i])))
    found: dict[str, float] = {}
    for base, entries in groups.items():
        course = np.array([value for _, value in sorted(entries)])
        tenth = max(1, len(course) // 10)
        late = course[-tenth:][np.isfinite(course[-tenth:])]
        if len(late):
            found[base] = float(np.median(course[:tenth]) - late.max())
    return found
