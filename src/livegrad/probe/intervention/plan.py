"""Which intervention removes which kind of cause, on the calls that the blamed layers came from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from livegrad.probe.intervention import removal
from livegrad.probe.intervention.calls import Removal
from livegrad.probe.intervention.recurrent import keep_state, orthogonal_product, recurrent_modules
from livegrad.probe.intervention.removal import CannotRemove
from livegrad.probe.layers import LayerSpec
from livegrad.theory.activation import CATALOGUE, gain

_FEWEST_STEPS = 4
_BY_CODE = {"LG201": "activation-saturated", "LG202": "dead"}


@dataclass(frozen=True)
class Accusation:
    """What a finding says: its code and layers, and of its cause the kind, the type and names of the
    operations.
    """

    code: str
    layers: tuple[str, ...]
    kind: str | None = None
    operator: str | None = None
    blamed: tuple[str, ...] = ()

    @property
    def removal(self) -> str | None:
        """The kind of removal that is asked for."""
        return _BY_CODE.get(self.code, self.kind)

    @property
    def targets(self) -> tuple[str, ...]:
        """The layers to change."""
        return self.blamed or (self.layers if self.code in _BY_CODE else ())


@dataclass(frozen=True)
class Plan:
    """What is done in the second run. change: in words. removals: number of a call -> what replaces it."""

    change: str
    removals: Mapping[int, Removal] = field(default_factory=dict)


def make_plan(
    accused: Accusation,
    layers: Sequence[LayerSpec],
    places: Mapping[str, int],
    products: Mapping[int, Sequence[int]],
    twin: nn.Module,
) -> Plan:
    """Say how to remove the cause; a recurrent one is removed from `twin` itself, which is for one run only.

    layers: of the unchanged run. places: name of a layer -> number of the call it came from. products: id of
    a square matrix of the unchanged run -> calls that multiply by it. Raises CannotRemove.
    """
    if accused.removal == "time":
        return _recurrent(accused, layers, twin, products)
    targets = [name for name in accused.targets if name in places]
    if not targets:
        raise CannotRemove("the operations blamed are not among those that can be replaced")
    numbers = [places[name] for name in targets]
    count = _counted(accused, layers, targets)
    replaced, change = _removal(accused, layers, targets)
    return Plan(change.format(count), dict.fromkeys(numbers, replaced))


def _removal(accused: Accusation, layers: Sequence[LayerSpec], targets: list[str]) -> tuple[Removal, str]:
    kind = accused.removal
    if kind in ("activation-slope", "normalization"):
        return removal.passed, "without {} (what goes in passed on at the size that came out)"
    if kind == "activation-saturated":
        return removal.unit, "with the inputs of {} at unit size"
    if kind == "dead":
        return removal.centred, "with the mean of what goes into {} taken off, unit by unit,"
    if kind in ("weights-small", "weights-large"):
        needed, activation = _needed_gain(layers)
        what = f"the gain {needed:.2f} that {activation} needs" if activation else "the gain 1"
        return removal.gained(needed), f"with the weights of {{}} at {what}"
    if kind == "operation":
        return removal.identity, "without {}"
    if kind == "residual-scale":
        return _rescaled(accused, layers, targets)
    raise CannotRemove(f"there is no way yet to take out a cause of the kind {kind!r}")


def _rescaled(accused: Accusation, layers: Sequence[LayerSpec], targets: list[str]) -> tuple[Removal, str]:
    """A factor on a path is left out; of a join of paths the branch is made small, or the skip passed on
    alone.
    """
    blamed = [spec for spec in layers if spec.name in targets]
    words = {word.lower().strip("_") for spec in blamed for word in (spec.type, spec.operator or "")}
    if words.isdisjoint(("add", "iadd", "radd")):
        return removal.identity, "without the factor of {}"
    if accused.code == "LG103":
        return removal.SmallBranch(len(targets)), f"with the branches of {{}} scaled by 1/√{len(targets)}"
    return removal.SkipOnly(), "without the branches of {} (the skip passed on at the size of the sum)"


def _needed_gain(layers: Sequence[LayerSpec]) -> tuple[float, str | None]:
    """The gain that the most frequent activation of the net needs; 1 in a net without a known one."""
    types = [name for spec in layers for name in (spec.type, spec.operator) if name in CATALOGUE]
    if not types:
        return 1.0, None
    activation = max(sorted(set(types)), key=types.count)
    return gain(activation), activation


def _counted(accused: Accusation, layers: Sequence[LayerSpec], targets: list[str]) -> str:
    """ "the 24 Sigmoid", "tanh#3"."""
    if len(targets) == 1:
        return targets[0]
    types = {spec.type for spec in layers if spec.name in targets}
    kind = accused.operator if accused.operator in types or len(types) != 1 else types.pop()
    return f"the {len(targets)} {kind or 'operations'}"


def _recurrent(
    accused: Accusation, layers: Sequence[LayerSpec], twin: nn.Module, products: Mapping[int, Sequence[int]]
) -> Plan:
    found = recurrent_modules(twin, (*accused.targets, *accused.layers))
    if found:
        growing, steps = accused.code == "LG104", _time_steps(layers)
        said = [keep_state(module, steps, growing) for _, module in found]
        return Plan(f"with {' and '.join(dict.fromkeys(said))}")
    loops = [calls for calls in products.values() if len(calls) >= _FEWEST_STEPS]
    if not loops:
        raise CannotRemove("the recurrence is written by hand, and no square matrix carries its state")
    calls = [call for each in loops for call in each]
    what = "the matrix" if len(loops) == 1 else f"the {len(loops)} matrices"
    change = f"with {what} that all its steps share made orthogonal"
    return Plan(change, dict.fromkeys(calls, orthogonal_product))


def _time_steps(layers: Sequence[LayerSpec]) -> int:
    named = [spec.name.rpartition("[t=")[2].rstrip("]'") for spec in layers if spec.kind == "time"]
    times = [int(text) for text in named if text.isdigit()]
    return max(times) + 1 if times else max(2, len(named))
