"""Two runs' losses at equal steps."""

from dataclasses import dataclass
from typing import Any

import numpy as np

# The share and the number of standard errors by which a run's own course is judged, too.
_SHARE, _ERRORS = 0.05, 3.0
_CHECKPOINTS = (0.1, 0.25, 0.5, 0.75)


@dataclass(frozen=True)
class LossComparison:
    """Losses of two runs over the steps that both took; pairs are (before, after), NaN where unknown.

    steps: the last step that both recorded. first, last, best: the very first loss, the median over the last
    tenth, and the smallest. at: (step, before, after), medians around it. verdict: "lower", "higher", "alike"
    or "unknown": the later run's last level against the earlier's, by more than 5 % and three standard errors
    of both.
    """

    steps: int
    first: tuple[float, float]
    last: tuple[float, float]
    best: tuple[float, float]
    at: tuple[tuple[int, float, float], ...]
    verdict: str

    def to_json(self, subject: str) -> dict[str, Any]:
        """Return the comparison as the JSON document holds it."""
        rows = [{"step": step, "loss": [before, after]} for step, before, after in self.at]
        pairs = {"first": list(self.first), "last": list(self.last), "best": list(self.best)}
        return {"subject": subject, "steps": self.steps, **pairs, "at": rows, "verdict": self.verdict}


def compare_losses(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> LossComparison | None:
    """Compare two runs' `scalars` (step, loss, loss_known); None where one of them knows no loss."""
    known = [_known(scalars) for scalars in (before, after)]
    if not all(len(steps) for steps, _ in known):
        return None
    last_step = int(min(steps[-1] for steps, _ in known))
    cut = [(steps[steps <= last_step], losses[steps <= last_step]) for steps, losses in known]
    if not all(len(steps) for steps, _ in cut):
        return None
    lasts = tuple(_last(*series) for series in cut)
    bests = tuple(float(np.min(losses[np.isfinite(losses)], initial=np.inf)) for _, losses in cut)
    return LossComparison(
        steps=last_step,
        first=(float(cut[0][1][0]), float(cut[1][1][0])),
        last=(lasts[0], lasts[1]),
        best=(bests[0], bests[1]),
        at=_checkpoints(cut, last_step, (lasts[0], lasts[1])),
        verdict=_verdict(lasts, cut),
    )


def _tail(steps: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Losses over the last tenth of the way to the last step."""
    return losses[steps >= 0.9 * steps[-1]]


def _last(steps: np.ndarray, losses: np.ndarray) -> float:
    """Median over the last tenth of the steps; NaN where the very last loss is not finite."""
    return float(np.median(_tail(steps, losses))) if np.isfinite(losses[-1]) else float("nan")


def _known(scalars: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Steps (S,) and losses (S,), the first row of each step; NaN losses that were seen stay in."""
    known = scalars["loss_known"]
    steps, first = np.unique(scalars["step"][known], return_index=True)
    return steps, scalars["loss"][known][first]


def _checkpoints(
    cut: list[tuple[np.ndarray, np.ndarray]], last_step: int, lasts: tuple[float, float]
) -> tuple[tuple[int, float, float], ...]:
    first = (int(min(cut[0][0][0], cut[1][0][0])), float(cut[0][1][0]), float(cut[1][1][0]))
    steps = sorted({round(share * last_step) for share in _CHECKPOINTS} - {first[0], last_step})
    window = max(1.0, 0.025 * last_step)
    between = [(step, _near(*cut[0], step, window), _near(*cut[1], step, window)) for step in steps]
    return (first, *between, (last_step, *lasts)) if last_step > first[0] else (first,)


def _near(steps: np.ndarray, losses: np.ndarray, step: int, window: float) -> float:
    """Median of the losses around `step`; where none was recorded there, that of the nearest step before."""
    inside = losses[np.abs(steps - step) <= window]
    if not len(inside):
        inside = losses[steps <= step][-1:]
    return float(np.median(inside)) if len(inside) else float("nan")


def _verdict(lasts: tuple[float, ...], cut: list[tuple[np.ndarray, np.ndarray]]) -> str:
    before, after = lasts
    if not np.isfinite(before) or not np.isfinite(after):
        if np.isfinite(before) == np.isfinite(after):
            return "unknown"
        return "lower" if np.isfinite(after) else "higher"
    error = float(np.hypot(_error(*cut[0]), _error(*cut[1])))
    if abs(after - before) <= max(_SHARE * max(abs(before), abs(after)), _ERRORS * error):
        return "alike"
    return "lower" if after < before else "higher"


def _error(steps: np.ndarray, losses: np.ndarray) -> float:
    """Standard error of `_last`, from first differences of the last quarter: a steady fall is not noise."""
    later = losses[-max(4, len(losses) // 4) :]
    later = later[np.isfinite(later)]
    if len(later) < 3:
        return 0.0
    spread = 1.4826 * float(np.median(np.abs(np.diff(later)))) / np.sqrt(2)
    return float(spread / np.sqrt(len(_tail(steps, losses))) * 1.2533)
