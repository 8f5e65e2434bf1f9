"""Other random numbers for the same program: every seed that it sets is shifted by the same amount, and what
it never seeds is seeded, so that two runs of one repetition draw the same and two repetitions do not.

Seeds that torch, numpy and livegrad set for themselves are left alone: they derive from the program's. So are
random states that are restored, and seeds that come from the clock cannot be made the same.
"""

import functools
import random
import sys
from collections.abc import Callable
from typing import Any

# Far from the seeds people write, and from those they count up.
STRIDE = 1_000_003
# Seeds are smaller than this.
_NUMPY, _WIDE = 2**32, 2**63
_DERIVING = ("torch", "numpy", "livegrad")


class Repetition:
    """Repetition number `number` of a program; 0 leaves its seeds as they are. In force from now on.

    Call `torch_imported` when torch and `numpy_imported` when numpy has been imported.
    """

    def __init__(self, number: int) -> None:
        self._shift = number * STRIDE
        self._unseeded = 0
        random.seed(self._shift)
        # Both: random.seed was bound to the module's own generator before.
        _replace(random.Random, "seed", self._seeding(random.Random.seed, 1, _WIDE))
        _replace(random, "seed", self._seeding(random.seed, 0, _WIDE))

    def numpy_imported(self) -> None:
        """Shift numpy's seeds, and seed its shared generator."""
        numpy: Any = sys.modules["numpy"]
        numpy.random.seed(self._shift % _NUMPY)
        _replace(numpy.random, "seed", self._seeding(numpy.random.seed, 0, _NUMPY))
        _replace(numpy.random, "default_rng", self._seeding(numpy.random.default_rng, 0, _WIDE))

    def torch_imported(self) -> None:
        """Shift torch's seeds, and seed its generators."""
        import torch

        torch.manual_seed(self._shift)
        _replace(torch, "manual_seed", self._seeding(torch.manual_seed, 0, _WIDE))
        torch.random.manual_seed = torch.manual_seed
        for name in ("manual_seed", "manual_seed_all"):
            shifted = self._seeding(getattr(torch.cuda, name), 0, _WIDE)
            _replace(torch.cuda, name, shifted)
            _replace(torch.cuda.random, name, shifted)
        _replace(torch, "seed", lambda: torch.random.manual_seed(self.shifted(None, _WIDE)).initial_seed())
        if self._shift:
            _replace(torch, "Generator", _generator(torch.Generator, self))

    def shifted(self, seed: Any, limit: int) -> Any:
        """`seed` as this repetition has it: whole numbers are shifted, None becomes one."""
        if seed is None:
            self._unseeded += 1
            return (self._shift + self._unseeded) % limit
        if not self._shift or isinstance(seed, bool) or not hasattr(seed, "__index__"):
            return seed
        return (int(seed) + self._shift) % limit

    def _seeding(self, original: Callable[..., Any], place: int, limit: int) -> Callable[..., Any]:
        """`original`, whose argument number `place` is a seed."""

        @functools.wraps(original)
        def seeding(*args: Any, **kwargs: Any) -> Any:
            if _derives(sys._getframe(1)):
                return original(*args, **kwargs)
            if len(args) > place:
                args = (*args[:place], self.shifted(args[place], limit), *args[place + 1 :])
            else:
                name = next((n for n in ("seed", "a", "x") if n in kwargs), None)
                if name is not None:
                    kwargs = {**kwargs, name: self.shifted(kwargs[name], limit)}
                else:
                    args = (*args, self.shifted(None, limit))
            return original(*args, **kwargs)

        return seeding


def _generator(original: Any, repetition: Repetition) -> Any:
    class Kind(type(original)):
        def __instancecheck__(self, instance: Any) -> bool:
            return isinstance(instance, original)

    class Generator(original, metaclass=Kind):
        def manual_seed(self, seed: Any) -> Any:
            if not _derives(sys._getframe(1)):
                seed = repetition.shifted(seed, _WIDE)
            return super().manual_seed(seed)

    Generator.__module__, Generator.__qualname__ = original.__module__, original.__qualname__
    return Generator


def _derives(frame: Any) -> bool:
    """Whether the caller is torch, numpy or livegrad: their seeds come from one of the program's."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _DERIVING


def _replace(owner: Any, name: str, replacement: Any) -> None:
    setattr(owner, name, replacement)
