"""A recurrence at one scan, time step by time step: its gradient, and what the output hears of each step."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from livegrad.diagnose.time_profile import time_profiles

if TYPE_CHECKING:
    from livegrad.run.reader import Run

FEWEST = 3


@dataclass(frozen=True)
class TimeCourse:
    """Arrays over the time steps that were read, the earliest first, shape (T,).

    gradient: rms of ∂loss/∂state per entry. audibility: log10, over that of the loudest of the latest steps.
    broken: where the gradient is NaN or infinite. step: of the training. factor: of audibility, per time
    step.
    """

    name: str
    step: int
    times: np.ndarray
    gradient: np.ndarray
    audibility: np.ndarray
    broken: np.ndarray
    factor: float


def time_courses(run: "Run", subject: int) -> list[list[TimeCourse]]:
    """Return, for each recurrence of a model, its courses at the first scan and at the latest."""
    layers = {layer.id: layer for layer in run.layers if layer.subject == subject}
    scans = [scan for scan in run.scans(subject) if all(int(k) in layers for k in scan.layer)]
    found: dict[str, list[TimeCourse]] = {}
    for scan in {scan.step: scan for scan in (scans[:1] + scans[-1:])}.values():
        row = {int(layer): i for i, layer in enumerate(scan.layer)}
        for profile in time_profiles(scan, layers, fewest=FEWEST):
            rows = [row[layer.id] for layer in profile.layers]
            broken = (scan.nonfinite[rows] > 0) | np.isinf(scan.gradient_rms[rows])
            course = TimeCourse(
                profile.name,
                scan.step,
                profile.times,
                scan.gradient_rms[rows],
                profile.relative,
                broken,
                float(10**profile.per_step_decades),
            )
            found.setdefault(profile.name, []).append(course)
    return list(found.values())
