"""What the borders of a zero-padded convolution take from a deep stack.

A convolution with fan-in k² C passes sizes on as a dense layer of that fan-in does, whatever its stride and
however alike neighbouring pixels are, for its taps are independent draws. Zero padding is the exception:
taps that fall outside meet nothing. The mean square at position p then goes from layer to layer, forwards
and backwards, as

    q'_p = σ_w² (1/k) Σ_{|p − r| ≤ (k−1)/2} E φ(z_r)²        per dimension

so that deep in a stack both sizes carry an extra factor per layer of √λ per dimension, λ the largest
eigenvalue of the banded matrix of ones, over k. For k = 3 and n pixels λ = (1 + 2 cos(π/(n + 1)))/3: at 8 ×
8 pixels 4 % per layer, 1.8 decades in a hundred layers, which no initialization with a fixed gain makes up
for.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np


def padding_factor(pixels: Sequence[int], kernel: Sequence[int]) -> float:
    """Return the factor per layer on ‖activation‖ and on ‖gradient‖ deep in a stack of zero-padded
    convolutions.

    pixels, kernel: sizes per spatial dimension, "same" padding of odd kernels; 1 for a 1 × 1 kernel. It
    applies where sizes carry on from layer to layer (scale-free φ, no normalization); elsewhere it is the
    first order. Raises ValueError if the lengths differ.
    """
    if len(pixels) != len(kernel):
        raise ValueError(f"{len(pixels)} sizes of an image do not go with {len(kernel)} of a kernel")
    return float(np.sqrt(np.prod([_largest(int(n), int(k)) for n, k in zip(pixels, kernel, strict=True)])))


@cache
def _largest(pixels: int, kernel: int) -> float:
    if kernel == 1 or pixels < 1:
        return 1.0
    if kernel == 3:
        return float((1 + 2 * np.cos(np.pi / (pixels + 1))) / 3)
    place = np.arange(pixels)
    band = np.abs(place[:, None] - place) <= (kernel - 1) // 2
    return float(np.linalg.eigvalsh(band.astype(float))[-1] / kernel)
