"""Which operation gave birth to a NaN or an infinity, and which ones only passed it on.

An infinity can be meant (a mask of −inf before a softmax). One that an operation was told to write, by an
infinite number among its arguments, counts as meant: the birth is then where NaN comes of it, or where it
reaches the end.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from livegrad.probe.forensics.operand import Operand, describe, flaw, has_positive_infinity

_MOST_PROPAGATORS = 8


@dataclass(frozen=True)
class Place:
    """operator: a name the user knows. source: "file:line" or None. module: its path or None. detail: which
    operation inside a derivative.
    """

    operator: str
    source: str | None = None
    module: str | None = None
    detail: str | None = None


@dataclass(eq=False)
class Birth:
    """Where a value stopped being finite.

    made: "nan" or "inf". meant: an infinity that was asked for. given: name of the tensor that came with it
    from outside ("input 0", "weight of fc"), None where an operation made it. mask: the infinity that was
    meant and turned into this. backward: it was made in a backward pass.
    """

    place: Place
    made: str
    operands: tuple[Operand, ...] = ()
    meant: bool = False
    given: str | None = None
    mask: Place | None = None
    backward: bool = False
    number: int = 0
    propagators: list[Place] = field(default_factory=list)

    def pass_on(self, place: Place) -> None:
        last = self.propagators[-1] if self.propagators else self.place
        if (place.operator, place.source) != (last.operator, last.source):
            self.propagators.append(place)
            del self.propagators[_MOST_PROPAGATORS:]


Value = tuple[str, Tensor, str]
"""Name, tensor and flaw (see `flaw`) of an operand as it was before the operation ran."""


class Provenance:
    """Follows values that are not finite through the operations that are shown to it, in order.

    Such tensors are kept alive, so that none of them shares its memory with a later one.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Tensor, Birth]] = {}
        self._names: dict[int, tuple[Tensor, str]] = {}
        self.births: list[Birth] = []
        self.backward = False

    def of(self, tensor: Any) -> Birth | None:
        """The birth of what is not finite in `tensor`; None if all of it is finite or was never seen."""
        if not flaw(tensor):
            return None
        found = self._known.get(_key(tensor))
        return found[1] if found is not None else None

    def give(self, tensor: Tensor, name: str) -> Birth | None:
        """Enter a tensor that comes from outside, as `name`; return its birth if it is not finite."""
        self._names[_key(tensor)] = (tensor, name)
        made = flaw(tensor)
        if not made:
            return None
        known = self._known.get(_key(tensor))
        if known is not None:
            return known[1]
        meant = made == "inf" and not has_positive_infinity(tensor)
        return self._enter(
            tensor, Birth(Place(name), made, (describe(name, tensor),), meant=meant, given=name)
        )

    def judge(
        self,
        place: Callable[[], Place],
        operands: Iterable[Value],
        outputs: Iterable[Tensor],
        constants: Any = (),
    ) -> None:
        """An operation has run: find out whether it made, or passed on, what is not finite in its outputs."""
        bad = [(tensor, made) for tensor in outputs if (made := flaw(tensor))]
        if not bad:
            return
        operands = list(operands)
        sources = [b for name, tensor, made in operands if made and (b := self._source(tensor, name))]
        # Buffers were copied as the step left them, so they may be broken by it.
        faults = sorted((b for b in sources if not b.meant), key=lambda b: (_is_buffer(b), b.number))
        here = place()
        for tensor, made in bad:
            if faults:
                faults[0].pass_on(here)
                self._known[_key(tensor)] = (tensor, faults[0])
            elif sources and made == "inf":
                self._known[_key(tensor)] = (tensor, sources[0])
            else:
                meant = not sources and made == "inf" and _asks_for_infinity(constants)
                read = tuple(describe(self._called(name, operand), operand) for name, operand, _ in operands)
                mask = sources[0].place if sources else None
                self._enter(tensor, Birth(here, made, read, meant, mask=mask))

    def _called(self, name: str, tensor: Tensor) -> str:
        found = self._names.get(_key(tensor))
        return name if found is None else found[1]

    def _source(self, tensor: Tensor, name: str) -> Birth | None:
        found = self._known.get(_key(tensor))
        return found[1] if found is not None else self.give(tensor, self._called(name, tensor))

    def _enter(self, tensor: Tensor, birth: Birth) -> Birth:
        birth.number, birth.backward = len(self.births), self.backward
        self.births.append(birth)
        self._known[_key(tensor)] = (tensor, birth)
        return birth


def _is_buffer(birth: Birth) -> bool:
    return birth.given is not None and birth.given.startswith("buffer")


def _key(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):  # sparse tensors have no storage of their own
        return id(tensor)


def _asks_for_infinity(constants: Any) -> bool:
    if isinstance(constants, float):
        return math.isinf(constants)
    if isinstance(constants, (tuple, list)):
        return any(_asks_for_infinity(item) for item in constants)
    if isinstance(constants, dict):
        return any(_asks_for_infinity(item) for item in constants.values())
    return False
