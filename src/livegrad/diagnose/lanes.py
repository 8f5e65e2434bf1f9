"""The lanes of a fused recurrent module at one scan: its layers, in one direction or both, read together.

An input is heard through every lane of the first layer: in a module that runs both ways the first entry lies
next to the end of the reverse lane. And what a lane's states are heard of may come from the lane above, at
the same step, which no recurrence has multiplied. So

    silence   the quietest tenth of the time steps of the first layer's lanes together, under the loudest
              (in one direction: the earliest tenth under the loudest of the latest)
    growth    the loudest state of a lane over the loudest there would be without the recurrence
    depth     the loudest state of the first layer over the loudest of the top one
"""

import re
from dataclasses import dataclass

import numpy as np

from livegrad.diagnose.time_profile import TimeProfile, time_profiles
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer

_LANE = re.compile(r"^(?P<module>.*)\.l(?P<layer>\d+)(?P<back>_reverse)?$")
_TIME = re.compile(r"^(?P<lane>.*)\[(?:t=(?P<time>\d+)|step)\]$")


@dataclass(frozen=True)
class Lanes:
    """One module. silence, growth, depth: decades, see above; layers: how many are stacked, width: units of
    each. quiet, loud: the lanes in which the gradient falls and
    grows most per step; None where no lane's latest steps are heard.
    """

    module: str
    silence: float
    growth: float
    depth: float
    layers: int
    width: int
    quiet: TimeProfile | None
    loud: TimeProfile | None


@dataclass
class _Lane:
    layer: int
    back: bool
    steps: dict[int, float]
    alone: float = float("nan")
    width: int = 0


def is_lane(profile: TimeProfile) -> bool:
    """True for the profile of one lane of several of a module."""
    match = _LANE.match(profile.name)
    return match is not None and profile.layers[0].module == match["module"]


def read_lanes(scan: Scan, layers: dict[int, Layer], fewest: int = 8) -> list[Lanes]:
    """Return what is heard through each fused module of several lanes, of at least `fewest` steps."""
    modules: dict[str, dict[str, _Lane]] = {}
    for row, key in enumerate(scan.layer):
        layer = layers[int(key)]
        time = _TIME.match(layer.name) if layer.kind in ("time", "step") else None
        lane = _LANE.match(time["lane"]) if time else None
        if time is None or lane is None or lane["module"] != layer.module:
            continue
        found = modules.setdefault(lane["module"], {})
        mine = found.setdefault(time["lane"], _Lane(int(lane["layer"]), lane["back"] is not None, {}))
        if time["time"] is None:
            mine.alone = float(scan.audibility[row])
        else:
            mine.steps[int(time["time"])] = float(scan.audibility[row])
            mine.width = layer.width
    profiles = [p for p in time_profiles(scan, layers, fewest) if is_lane(p)]
    return [
        _read(module, list(lanes.values()), [p for p in profiles if p.name in lanes])
        for module, lanes in modules.items()
        if max(len(lane.steps) for lane in lanes.values()) >= fewest
    ]


def _read(module: str, lanes: list[_Lane], profiles: list[TimeProfile]) -> Lanes:
    with np.errstate(divide="ignore", invalid="ignore"):
        loudest = np.array([max(lane.steps.values()) for lane in lanes])
        growth = np.log10(loudest / np.array([lane.alone for lane in lanes]))
        depth = np.log10(_loudest(lanes, 0) / _loudest(lanes, max(lane.layer for lane in lanes)))
    known = [p for p in profiles if np.isfinite(p.per_step_decades)]
    return Lanes(
        module, _silence([lane for lane in lanes if lane.layer == 0]),
        float(max((g for g in growth if np.isfinite(g)), default=float("nan"))), float(depth),
        1 + max(lane.layer for lane in lanes), max(lane.width for lane in lanes),
        min(known, key=lambda p: p.per_step_decades, default=None),
        max(known, key=lambda p: p.per_step_decades, default=None),
    )  # fmt: skip


def _loudest(lanes: list[_Lane], layer: int) -> np.float64:
    return np.float64(max(max(lane.steps.values()) for lane in lanes if lane.layer == layer))


def _silence(first: list[_Lane]) -> float:
    times = np.array(sorted(first[0].steps))
    heard = np.zeros(len(times))
    for lane in first:
        # A reverse lane's first step is the sequence's last.
        at = sorted((times[-1] - t if lane.back else t, s) for t, s in lane.steps.items())
        heard += np.interp(times, [t for t, _ in at], [s for _, s in at]) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = 0.5 * np.log10(heard)
    tenth = max(1, len(times) // 10)
    late = decades if len(first) > 1 else decades[-tenth:]
    early = np.sort(decades)[:tenth] if len(first) > 1 else decades[:tenth]
    return float(np.median(early) - late.max()) if np.isfinite(late.max()) else float("nan")
