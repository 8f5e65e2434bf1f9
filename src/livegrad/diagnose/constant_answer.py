"""The loss of the best constant answer: what a model has that knows the targets' frequencies and ignores its
input.
"""

from collections.abc import Sequence

import numpy as np

from livegrad.run.scans import Scan

# By how much the recorded loss over the task's loss may vary from scan to scan and still be one factor.
SAME_FACTOR = 0.02


def constant_level(scans: Sequence[Scan], step: np.ndarray, loss: np.ndarray) -> float | None:
    """Return the loss of the best constant answer in the unit of the recorded losses, or None if unknown.

    Scans know it per target (`constant_loss`), beside the loss per target on the same batch (`task_loss`).
    The recorded loss may be that times a factor (a sum over the batch, a weight): the factor is the median
    over the scanned steps, and where it is not the same at each of them the loss has other terms, and the
    level is unknown. step, loss: the recorded steps, shape (S,).
    """
    factors, levels = [], []
    for scan in scans:
        if not len(scan.constant_loss) or not np.isfinite(scan.constant_loss[0]):
            continue
        levels.append(float(scan.constant_loss[0]))
        at = np.flatnonzero(step == scan.step)
        if len(at) and np.isfinite(loss[at[0]]) and scan.task_loss[0] > 0:
            factors.append(float(loss[at[0]] / scan.task_loss[0]))
    if not factors:
        return None
    factor = float(np.median(factors))
    if not factor > 0 or max(abs(f / factor - 1) for f in factors) > SAME_FACTOR:
        return None
    return factor * float(np.median(levels))
