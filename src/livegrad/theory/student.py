"""Student's t distribution for whole degrees of freedom, exactly: what intervals from a few seeds rest on."""

import math


def two_sided_probability(t: float, degrees: int) -> float:
    """Return P(|T| > t) for Student's T with `degrees` ≥ 1 degrees of freedom, t ≥ 0.

    With θ = atan(t/√ν) the finite series of Abramowitz & Stegun 26.7.3 and 26.7.4, exact for every whole ν.
    """
    if math.isinf(t):
        return 0.0
    angle = math.atan(t / math.sqrt(degrees))
    square = math.cos(angle) ** 2
    odd = degrees % 2
    term = math.cos(angle) * math.sin(angle) if odd else math.sin(angle)
    total = 0.0 if degrees == 1 else term
    for k in range(1, (degrees - 1) // 2 if odd else degrees // 2):
        term *= square * (2 * k / (2 * k + 1) if odd else (2 * k - 1) / (2 * k))
        total += term
    inside = 2 / math.pi * (angle + total) if odd else total
    return max(0.0, 1.0 - inside)


def student_quantile(confidence: float, degrees: int) -> float:
    """Return t with P(|T| ≤ t) = confidence: half the width of an interval in standard errors.

    degrees < 1 gives infinity: one sample says nothing about its spread.
    """
    if degrees < 1:
        return math.inf
    low, high = 0.0, 1.0
    while two_sided_probability(high, degrees) > 1 - confidence:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        if two_sided_probability(middle, degrees) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high
