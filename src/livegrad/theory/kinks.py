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

    On an interval of width w a smooth f strays from its chord by f''w²/8 at the middle, and so do its
    neighbours; a kink adds up to J w/4 (J the jump of its slope) to one of them, a jump even more. Every
    interval is narrowed towards the part that differs most from its neighbours, and given up once it differs
    by less than a kink would. The same search on f' finds where the curvature jumps. Found: jumps of f' over
    1e-3, of f'' over 2e-2. Kinks under 1/32 apart may be missed; of jumps of f'' in more than a hundred
    places, none is kept.
    """

    def size(x: np.ndarray) -> np.ndarray:
        return np.abs(np.asarray(function(x), dtype=float))

    first = _search(function, 21, 1e-4, lambda x: 1e-14 * size(x))
    # A slope by differences inherits the rounding of f, divided by the step.
    second = _search(lambda x: slope(function, x, first), 8, 2e-3, lambda x: 1e-10 * size(x) + 1e-12)
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


def _search(function: Function, levels: int, bend: float, noise: Function) -> tuple[float, ...]:
    left = np.arange(-_REACH, _REACH, _WIDTH / 2) + _OFFSET
    width = _WIDTH
    for level in range(levels):
        # Three overlapping halves, and the two next to the interval: how a smooth f bends here.
        starts = left[:, None] + width * np.array([0.0, 0.25, 0.5, -0.5, 1.0])
        width /= 2
        strays = _stray(function, starts, width)
        odd = np.abs(strays[:, :3] - strays[:, 3:].mean(1, keepdims=True))
        most = odd.argmax(1)[:, None]
        left, odd = (np.take_along_axis(a, most, 1)[:, 0] for a in (starts, odd))
        # Half the bend on the way: a kink may lie badly in one interval and well in the next.
        enough = bend * width * (1.0 if level == levels - 1 else 0.5)
        left = left[odd > enough + noise(left)]
    return _distinct(np.sort(left + width / 2), width)


def _stray(function: Function, left: np.ndarray, width: float) -> np.ndarray:
    values = [np.asarray(function(left + t * width), dtype=float) for t in (0.0, 0.5, 1.0)]
    stray = values[0] - 2 * values[1] + values[2]
    return np.where(np.isfinite(stray), stray, 0.0)


def _distinct(found: np.ndarray, width: float) -> tuple[float, ...]:
    """One point per cluster; a short decimal where the cluster holds one, for that is what was meant."""
    if not len(found):
        return ()
    clusters = np.split(found, np.flatnonzero(np.diff(found) > 4 * width) + 1)
    result = []
    for cluster in clusters:
        middle = float(np.median(cluster))
        short = round(middle, 2)
        result.append((short if abs(short - middle) < 2 * width else middle) + 0.0)
    return tuple(result)


def steep_edges(function: Function, kinks: tuple[float, ...], most: int = 60) -> tuple[float, ...]:
    """Return further panel edges in |x| < 12 so that 16 nodes a panel integrate f and f² to 1e-12, at most
    `most`.

    Panels a quarter wide between the kinks are halved where two halves disagree with the whole: a smooth but
    steep f such as tanh(50x) bends too fast for them.
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    inside = [k for k in kinks if abs(k) < 12]
    edges = np.unique(np.concatenate([np.arange(-12, 12.1, 0.25), inside]))
    left, right = edges[:-1], edges[1:]

    def integral(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        x = (a + b)[:, None] / 2 + (b - a)[:, None] / 2 * nodes
        f = np.asarray(function(x), dtype=float)
        return (b - a)[:, None] / 2 * np.stack([f @ weights, f**2 @ weights], axis=1)

    added: list[float] = []
    while len(left) and len(added) < most:
        middle = (left + right) / 2
        whole, halves = integral(left, right), integral(left, middle) + integral(middle, right)
        wrong = np.any(np.abs(whole - halves) > 1e-12 * (1 + np.abs(halves)), axis=1) & (right - left > 1e-6)
        added += [float(m) for m in middle[wrong]]
        left, right = (
            np.concatenate([left[wrong], middle[wrong]]),
            np.concatenate([middle[wrong], right[wrong]]),
        )
    return tuple(sorted(added)[:most])
