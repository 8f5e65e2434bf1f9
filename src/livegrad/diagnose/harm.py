"""Harm: a fault of transport hurts only if the optimizer does not make up for it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from livegrad.diagnose.patient import Patient

# An update this much smaller than the audible layers' leaves the layer behind for good.
STARVED_AGAINST_OTHERS = 1e-2
# Under the resolution of float32 a single update changes nothing (2^-24 = 6e-8).
STARVED_ALONE = 1e-7
MOSTLY = 0.5


@dataclass(frozen=True)
class Harm:
    """How a group of layers fares: its median ‖ΔW‖/‖W‖ and that of all the other weights; NaN where never
    sampled.
    """

    update_ratio: float
    others: float
    eps_dominated: float
    swallowed: float

    @property
    def known(self) -> bool:
        """True if any update of the group was sampled."""
        return bool(np.isfinite(self.update_ratio))

    @property
    def starved(self) -> bool:
        """True if the optimizer does not move the group as it moves the rest."""
        if self.eps_dominated > MOSTLY or self.swallowed > MOSTLY or self.update_ratio < STARVED_ALONE:
            return True
        return self.update_ratio < STARVED_AGAINST_OTHERS * self.others


def harm_to(patient: Patient, tensors: Iterable[int]) -> Harm:
    """Weigh the harm to the weight matrices among `tensors` (ids) against the subject's others."""
    chosen = set(tensors)
    matrices = [t.id for t in patient.tensors.values() if len(t.shape) >= 2 and t.trainable]
    inside = [k for k in matrices if k in chosen] or [k for k in chosen if k in patient.tensors]
    outside = [k for k in matrices if k not in chosen]

    def level(table: dict[int, float], ids: list[int], quantile: float = 0.5) -> float:
        values = [table[k] for k in ids if k in table and np.isfinite(table[k])]
        return float(np.quantile(values, quantile)) if values else float("nan")

    return Harm(
        level(patient.update_ratio, inside),
        level(patient.update_ratio, outside, 0.75),
        level(patient.eps_dominated, inside),
        level(patient.swallowed, inside),
    )


def turnover(ratio: float) -> float | None:
    """Return steps until the weights could be others, 1 / (‖ΔW‖/‖W‖): infinite for no update, None for an
    unknown one.
    """
    if not np.isfinite(ratio):
        return None
    return float("inf") if ratio == 0 else 1.0 / ratio
