"""Whether a scan looks as if something may be wrong: a glance that costs microseconds, no verdict."""

import numpy as np

from livegrad.run.rows import ScanRow

ODD_RATIO = 100.0
ODD_SHARE = 0.5


def looks_wrong(row: ScanRow) -> bool:
    """Whether anything is not finite, a layer's audibility lies two decades from the output's, or most of a
    layer is dead or saturated. Milder faults wait for a diagnosis that the budget pays.
    """
    if np.any(row.nonfinite > 0):
        return True
    with np.errstate(all="ignore"):
        ratio = row.audibility / row.audibility_output
    odd = (ratio > ODD_RATIO) | (ratio < 1 / ODD_RATIO)
    return bool(odd.any() or (row.dead > ODD_SHARE).any() or (row.saturated > ODD_SHARE).any())
