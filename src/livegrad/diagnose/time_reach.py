"""How far back a recurrence hears: the time steps whose audibility is within three decades of the loudest."""

from dataclasses import dataclass

from livegrad.diagnose.patient import Patient
from livegrad.diagnose.time_profile import time_profiles

FLOOR_DECADES = 3.0


@dataclass(frozen=True)
class TimeReach:
    """name: the recurrence. steps: how many it takes. factor: what one passes on to the one before. reach:
    how many of the latest are within three decades of the loudest. half_decades: audibility half-way back.
    """

    name: str
    steps: int
    factor: float
    reach: int
    half_decades: float


def time_reach(patient: Patient) -> tuple[TimeReach, ...]:
    """Return how far back each recurrence hears at the latest scan."""
    if not patient.scans:
        return ()
    found: list[TimeReach] = []
    for profile in time_profiles(patient.scans[-1], patient.layers):
        heard = profile.times[profile.relative > -FLOOR_DECADES]
        reach = int(profile.times[-1] - heard[0]) + 1 if len(heard) else 0
        factor = float(10**profile.per_step_decades)
        half = float(profile.relative[len(profile.relative) // 2])
        found.append(TimeReach(profile.name, profile.length, factor, reach, half))
    return tuple(found)


def is_gated(patient: Patient) -> bool:
    """True if a recurrence has gates, which can learn to stay open: LSTM, GRU, or a loop that multiplies by
    sigmoids.
    """
    kinds = {layer.type.lower() for layer in patient.layers.values() if layer.kind == "time"}
    return any("lstm" in kind or "gru" in kind for kind in kinds) or {"sigmoid", "mul"} <= kinds
