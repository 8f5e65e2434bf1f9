"""The mean and the spread of what goes into a layer, one number each or one for each column.

Columns of one unit (pixels, samples of a signal) are taken together, as is usual for images, so that a pixel
that is rarely set is not blown up. Columns of different units get numbers of their own.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# Columns are of other units whose spread is over this many times the median, or whose means differ by that.
_OTHER_UNIT = 10.0
_DIGITS = 6


@dataclass(frozen=True)
class Scale:
    """x → (x − mean) / spread. axis: the numbers' place in x where there are several, counted from behind.
    rms: of x as it was, size: of its mean square after, over all columns.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    axis: int
    rms: float

    @property
    def is_needed(self) -> bool:
        """Whether x is far from mean 0 and size 1: as in the finding LG501, or by three of its spreads."""
        far = any(abs(m) > 3 * s for m, s in zip(self.mean, self.spread, strict=True))
        return far or not 0.1 <= self.rms <= 5.0 or len(self.mean) > 1

    def tensors(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and spread as they are to be subtracted and divided by."""
        mean, spread = (torch.tensor(v).squeeze() for v in (self.mean, self.spread))
        if len(self.mean) > 1:
            shape = (-1, *(1,) * (-self.axis - 1))
            mean, spread = mean.reshape(shape), spread.reshape(shape)
        return mean.to(like.device, like.dtype), spread.to(like.device, like.dtype)


def scale_of(x: Tensor, axis: int) -> Scale | None:
    """Measure x; axis: of its columns, counted from behind. None where nothing in it varies or it is not
    finite.
    """
    values = x.detach().double()
    if not bool(torch.isfinite(values).all()) or float(values.max() - values.min()) == 0:
        return None
    rms = float(values.square().mean().sqrt())
    columns = values.movedim(axis, 0).flatten(1)
    means, spreads = columns.mean(1), columns.std(1, correction=0)
    if not _of_other_units(means, spreads):
        return Scale((_rounded(values.mean()),), (_rounded(values.std(correction=0)),), axis, rms)
    constant = spreads <= 1e-6 * means.abs()
    sizes = torch.where(means == 0, torch.ones_like(means), means.abs())
    spreads = torch.where(constant, sizes, spreads)
    return Scale(tuple(map(_rounded, means)), tuple(map(_rounded, spreads)), axis, rms)


def _of_other_units(means: Tensor, spreads: Tensor) -> bool:
    varying = spreads > 1e-6 * means.abs()
    if int(varying.sum()) < 2:
        return len(means) > 1 and bool(means.std(correction=0) > _OTHER_UNIT * spreads.max())
    some = spreads[varying]
    usual = float(some.median())
    return float(some.max()) > _OTHER_UNIT * usual or float(means.std(correction=0)) > _OTHER_UNIT * usual


def _rounded(value: Tensor) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
