"""Where an unknown function has its kinks: the points at which it, its slope or its curvature jumps."""

from collections.abc import Callable

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]

# Kinks are looked for in |x| < 32, in half-overlapping intervals of this width.
_REACH, _WIDTH = 32.0, 1 / 32
# Off the grid of short decimals, where kinks like to sit and a symmetric interval would hide them.
_OFFSET = 0.0123456789
# A function whose curvature seems to jump in more places is a smooth one that bends sharply everywhere.
_MOST_BENDS = 100


def find_kinks(function: Function) -> tuple[float, ...]:
    """Return the arguments |x| < 32 at which f, f' or f'' jumps, in ascending order, by bisection.

    On an interval of width w a smooth f strays from its chord by f''w²/8 at the middle, a kinked one by up
    to J w/4 (J the jump of its slope). Every interval is narrowed towards its most bent part; those whose
    deviation shrinks with w or not at all, and not with w², hold a kink or a jump. The same search on f'
    finds where the curvature jumps. Found: jumps of f' over 1e-3, of f'' over 2e-2; a smooth but very sharp
    bend (|f''| > 1e4 or |f'''| > 1e3) is taken for a kink, which costs nothing but a panel edge. Kinks under
    1/64 apart may be missed; of jumps of f'' in more than a hundred places, none is kept.
    """
    first = _search(function, levels=21, bend=1e-4, noise=1e-14)
    second = _search(lambda x: slope(function, x, first), levels=12, bend=2e-3, noise=1e-11)
    away = [k for k in second if min((abs(k - p) for p in first), default=1.0) > 1e-3]
    return tuple(sorted({*first, *(away if len(away) <= _MOST_BENDS else ())}))


def slope(function: Function, x: np.ndarray, kinks: tuple[float, ...] = ()) -> np.ndarray:
    """Return f'(x) by five-point differences that never reach over a kink; one-sided near one.

    Steps 2⁻⁹, 2⁻¹¹ … 2⁻¹⁷ are tried and, per point, the one kept whose result differs least from the next:
    within 1e-10 for functions that vary over 0.1 or more. At a kink itself the right-hand slope.
    """
    x = np.asarray(x, dtype=float)
    estimates = np.stack([_five_points(function, x, 2.0**-k, kinks) for k in (9, 11, 13, 15, 17)])
    best = np.argmin(np.abs(np.diff(estimates, axis=0)), axis=0)
    return np.take_along_axis(estimates, best[None], axis=0)[0]


def _five_points(function: Function, x: np.ndarray, step: float, kinks: tuple[float, ...]) -> np.ndarray:
    def at(places: np.ndarray, k: int) -> np.ndarray:
        return np.asarray(function(places + k * step), dtype=float)

    result = (at(x, -2) - 8 * at(x, -1) + 8 * at(x, 1) - at(x, 2)) / (12 * step)
    for kink in kinks:
        near = np.abs(x - kink) < 2 * step
        if near.any():
            points = x[near]
            side = np.where(points >= kink, 1.0, -1.0)
            terms = ((-25, 0), (48, 1), (-36, 2), (16, 3), (-3, 4))
            # The point itself, if it is the kink, is read a hair to its own side: f may jump there.
            points = np.where(points == kink, points + side * 1e-12, points)
            values = sum(c * np.asarray(function(points + side * k * step), dtype=float) for c, k in terms)
            result[near] = side * values / (12 * step)
    return result


def _search(function: Function, levels: int, bend: float, noise: float) -> tuple[float, ...]:
    left = np.arange(-_REACH, _REACH, _WIDTH / 2) + _OFFSET
    width = _WIDTH
    for _ in range(levels):
        starts = left[:, None] + width * np.array([0.0, 0.25, 0.5])
        left = np.take_along_axis(starts, _deviation(function, starts, width / 2).argmax(1)[:, None], 1)[:, 0]
        width /= 2
    deviation = _deviation(function, left, width)
    size = np.abs(np.asarray(function(left), dtype=float))
    found = left[deviation > bend * width + noise * size] + width / 2
    return _distinct(np.sort(found), width)


def _deviation(function: Function, left: np.ndarray, width: float) -> np.ndarray:
    values = [np.asarray(function(left + t * width), dtype=float) for t in (0.0, 0.5, 1.0)]
    deviation = np.abs(values[0] - 2 * values[1] + values[2])
    return np.where(np.isfinite(deviation), deviation, 0.0)


def _distinct(found: np.ndarray, width: float) -> tuple[float, ...]:
    """One point per cluster; a short decimal where the cluster holds one, for that is what was meant."""
    if not len(found):
        return ()
    clusters = np.split(found, np.flatnonzero(np.diff(found) > 4 * width) + 1)
    result = []
    for cluster in clusters:
        middle = float(np.median(cluster))
        short = round(middle, 4)
        result.append((short if abs(short - middle) < 2 * width else middle) + 0.0)
    return tuple(result)
