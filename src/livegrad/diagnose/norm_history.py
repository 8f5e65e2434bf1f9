"""What each norm is expected to be from those before it: a running median and its robust scatter."""

import numpy as np

_ROWS = 1 << 14


def norm_history(logs: np.ndarray, length: int, teaching: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of `logs` (S,) the median of up to `length` values before it, and 1.4826 times the
    median distance from it (which is the standard deviation of normal scatter), each (S,).

    The first `teaching` values have too few before them: NaN.
    """
    usual, scatter = np.full(len(logs), np.nan), np.full(len(logs), np.nan)
    for i in range(teaching, min(length, len(logs))):
        usual[i], scatter[i] = (part[0] for part in _median(logs[None, :i]))
    # In blocks: all windows at once would hold every value `length` times.
    for start in range(length, len(logs), _ROWS):
        stop = min(start + _ROWS, len(logs))
        windows = np.lib.stride_tricks.sliding_window_view(logs[start - length : stop - 1], length)
        usual[start:stop], scatter[start:stop] = _median(windows)
    return usual, scatter


def _median(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = np.median(windows, axis=1)
    return middle, 1.4826 * np.median(np.abs(windows - middle[:, None]), axis=1)
