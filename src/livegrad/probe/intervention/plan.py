"""Which intervention removes which kind of cause, on the calls that the blamed layers came from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from livegrad.probe.intervention import removal
from livegrad.probe.intervention.calls import Removal
from livegrad.probe.intervention.recurrent import keep_state, orthogonal_product, recurrent_modules
from livegrad.probe.intervention.removal import CannotRemove
from livegrad.probe.intervention.whole_modules import pass_by
from livegrad.probe.layers import LayerSpec
from livegrad.theory.activation import CATALOGUE, gain

_FEWEST_STEPS = 4
_AT_ITS_SIZE = "without {}: what goes in is passed on at the size that came out"
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
    """What is done in the second run. change: in words, after a colon how. removals: number of a call -> what
    replaces it.

    prepare(twin): change the copy itself, which is for one run only, and say how, or return None: then the
    removals are what is done.
    """

    change: str
    removals: Mapping[int, Removal] = field(default_factory=dict)
    prepare: Callable[[nn.Module], str | None] = lambda twin: None


def make_plans(
    accused: Accusation,
    layers: Sequence[LayerSpec],
    places: Mapping[str, int],
    products: Mapping[int, Sequence[int]],
) -> list[Plan]:
    """Say how to take out the cause: in one way, or for a recurrence in several, the next if one is not
    enough.

    layers: of the unchanged run. places: name of a layer -> number of the call it came from. products: id of
    a square matrix of the unchanged run -> calls that multiply by it. Raises CannotRemove.
    """
    if accused.removal == "time":
        return _recurrent(accused, layers, places, products)
    targets = [name for name in accused.targets if name in places]
    if not targets:
        raise CannotRemove("the operations blamed are not among those that can be replaced")
    count = _counted(accused, layers, targets)
    if accused.removal in ("weights-small", "weights-large"):
        removals, change = _gained(layers, places, targets)
    else:
        replaced, change = _removal(accused, layers, targets)
        removals = dict.fromkeys((places[name] for name in targets), replaced)
    plans = [Plan(change.format(count), removals)]
    if accused.removal == "operation":
        # What the operation took in may be of another size than what follows it can bear (1/x after exp).
        passed, said = dict.fromkeys(removals, removal.passed), _AT_ITS_SIZE.format(count)
        plans += [
            Plan(said, passed),
            Plan(said, passed, lambda twin: said if pass_by(twin, targets) else None),
        ]
    return plans


def _gained(
    layers: Sequence[LayerSpec], places: Mapping[str, int], targets: list[str]
) -> tuple[dict[int, Removal], str]:
    """Give each weighted operation the gain that the activation before it needs, 1 where there is none."""
    feeding = {name: _activation_before(name, layers, places) for name in targets}
    removals = {places[name]: removal.gained(gain(act) if act else 1.0) for name, act in feeding.items()}
    known = sorted({act for act in feeding.values() if act})
    if not known:
        return removals, "with the weights of {} at the gain 1"
    if len(known) == 1:
        return removals, f"with the weights of {{}} at the gain {gain(known[0]):.2f} that {known[0]} needs"
    return removals, f"with the weights of {{}} at the gains that {' and '.join(known)} need"


def _activation_before(name: str, layers: Sequence[LayerSpec], places: Mapping[str, int]) -> str | None:
    """The catalogue's name of the activation that ran last before layer `name`, if nothing else did since."""
    order = sorted((places[spec.name], spec) for spec in layers if spec.name in places)
    before = [spec for number, spec in order if number < places[name]]
    if not before:
        return None
    return next((act for act in (before[-1].type, before[-1].operator) if act in CATALOGUE), None)


def _removal(accused: Accusation, layers: Sequence[LayerSpec], targets: list[str]) -> tuple[Removal, str]:
    kind = accused.removal
    if kind in ("activation-slope", "normalization"):
        return removal.passed, _AT_ITS_SIZE
    if kind == "activation-saturated":
        return removal.unit, "with the inputs of {} at unit size"
    if kind == "dead":
        return removal.centred, "with the mean of what goes into {} taken off, unit by unit,"
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
    return removal.SkipOnly(), "without the branches of {}: the skip is passed on at the size of the sum"


def _counted(accused: Accusation, layers: Sequence[LayerSpec], targets: list[str]) -> str:
    """ "the 24 Sigmoid", "tanh#3", "the Tanh layers.1"."""
    if len(targets) == 1:
        kind = next(spec.type for spec in layers if spec.name == targets[0])
        return targets[0] if kind.lower() in targets[0].lower() else f"the {kind} {targets[0]}"
    types = {spec.type for spec in layers if spec.name in targets}
    kind = accused.operator if accused.operator in types or len(types) != 1 else types.pop()
    return f"the {len(targets)} {kind or 'operations'}"


def _recurrent(
    accused: Accusation,
    layers: Sequence[LayerSpec],
    places: Mapping[str, int],
    products: Mapping[int, Sequence[int]],
) -> list[Plan]:
    """First what carries the state from step to step is made to keep it, then its activation left out too."""
    names = (*accused.targets, *accused.layers)
    growing, steps = accused.code == "LG104", _time_steps(layers)

    def prepare(twin: nn.Module) -> str | None:
        said = [keep_state(module, steps, growing) for _, module in recurrent_modules(twin, names)]
        return f"with {' and '.join(dict.fromkeys(said))}" if said else None

    calls = [call for each in products.values() if len(each) >= _FEWEST_STEPS for call in each]
    matrices: dict[int, Removal] = dict.fromkeys(calls, orthogonal_product)
    bends = [spec for spec in layers if spec.kind == "time" and spec.name in places and _bends(spec)]
    kept = Plan("with the matrix that all its steps share made orthogonal", matrices, prepare)
    if not bends or growing:
        return [kept]
    passed = {places[spec.name]: removal.passed for spec in bends}
    kinds = " and ".join(sorted({spec.type for spec in bends}))
    without = f"without the {kinds} of each step: what goes in is passed on at the size that came out"
    return [kept, Plan(without, passed), Plan(f"{kept.change} and {without}", matrices | passed)]


def _bends(spec: LayerSpec) -> bool:
    return spec.type in CATALOGUE or spec.operator in CATALOGUE


def _time_steps(layers: Sequence[LayerSpec]) -> int:
    named = [spec.name.rpartition("[t=")[2].rstrip("]'") for spec in layers if spec.kind == "time"]
    times = [int(text) for text in named if text.isdigit()]
    return max(times) + 1 if times else max(2, len(named))
