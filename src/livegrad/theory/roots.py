"""Roots of a function of one positive variable, by a logarithmic scan and Ridders' method."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np


def root(
    function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-13, most: int = 60
) -> float:
    """Return a root of f in [low, high], both positive, where f changes sign, by Ridders' method in ln x.

    tolerance: of the relative error of x. Raises ValueError if f has the same sign at both ends.
    """
    a, b = float(np.log(low)), float(np.log(high))
    left, right = function(low), function(high)
    if left == 0 or right == 0:
        return low if left == 0 else high
    if left * right > 0:
        raise ValueError(f"no change of sign between {low:g} and {high:g}: no root can be bracketed there")
    for _ in range(most):
        middle = (a + b) / 2
        value = function(float(np.exp(middle)))
        if value == 0 or b - a < tolerance:
            return float(np.exp(middle))
        step = (middle - a) * np.sign(left - right) * value / np.sqrt(value * value - left * right)
        guess = float(middle + step)
        found = function(float(np.exp(guess)))
        if found == 0:
            return float(np.exp(guess))
        ends = sorted([(a, left), (middle, value), (guess, found), (b, right)])
        for (a, left), (b, right) in pairwise(ends):  # noqa: B007
            if left * right < 0:
                break
    return float(np.exp((a + b) / 2))


def scan(function: Callable[[float], float], grid: np.ndarray) -> list[float]:
    """Return the roots of f that a positive ascending grid separates, ascending; those where f only touches
    zero are not found.
    """
    values = np.array([function(float(x)) for x in grid])
    signs = np.sign(values)
    crossings = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    found = [root(function, float(grid[i]), float(grid[i + 1])) for i in crossings]
    return sorted([*found, *(float(x) for x in grid[signs == 0])])
