"""normalize: a normalization in front of each hidden activation, or behind it.

It becomes a child of the weighted layer next to it, called `norm`, and an attribute `forward` of that layer
calls it: the names of all other parameters stay as they are. What it does to a deep stack is known
beforehand, per layer (livegrad.theory.propagation):

    LayerNorm, RMSNorm, GroupNorm before φ    √(E φ'² / E φ²)      ReLU 1.00, tanh 1.09, sigmoid 0.39
    BatchNorm before φ                        √(E φ'² / Var φ)     ReLU 1.21, tanh 1.09, sigmoid 1.02
    LayerNorm, BatchNorm after φ              √(E φ'² / Var φ)     at the weights' own length

`input` is for data that are far from unit size: fixed numbers, measured on the batch, in front of the layers
that are given them.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import nn

from livegrad.theory.propagation import Propagation, backward_gain
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.heard import HEARD
from livegrad.treat.inputs.standardize import MEAN, SPREAD, assess_inputs, standardize
from livegrad.treat.normal_places import CHILD, Place, places_of
from livegrad.treat.optimizers import join
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.rewrite.edits_of_normalize import edits_of_normalize
from livegrad.treat.rewrite.edits_of_standardize import edits_of_standardize
from livegrad.treat.swapped_calls import Rewired
from livegrad.treat.weights import median_gain

INPUT = "input"
_IN_THEORY = {"batch": "batch", "layer": "layer", "group": "layer", "rms": "rms"}
_BATCH_NORMS: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_MOST_GROUPS = 32
_AS_GOOD = 0.5
# Two samples become +1 and −1 whatever they were.
_FEWEST_SAMPLES = 3


class WithNorm(Rewired):
    """A weighted layer that normalizes its output, or its input, by its child `norm`."""

    def __init__(self, module: nn.Module, of_input: bool) -> None:
        super().__init__(module)
        self.of_input = of_input

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        norm = self.module.get_submodule(CHILD)
        if self.of_input:
            return self.run(norm(args[0]), *args[1:], **kwargs)
        return norm(self.run(*args, **kwargs))


class Normalize(Remedy):
    """Insert normalization layers."""

    name = "normalize"
    title = "insert normalization"
    treats = ("LG101", "LG103", "LG106", "LG201", "LG202", "LG203", "LG303", "LG501")
    not_when = (
        "LayerNorm or RMSNorm in front of deep sigmoids, where nothing changes; BatchNorm in a deep plain "
        "net, which explodes unless its activation is nearly linear, and with one or two samples; any in a "
        "loop over time"
    )
    variants = ("layer", "batch", "rms", "group", INPUT)
    options: ClassVar = {
        "position": '"before" each activation (default), or "after"',
        "groups": "of GroupNorm; by default the most up to 32 that divide the channels",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return False

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: the one that by closed form brings the deepest layer nearest to the output;
        behind activations only where there is room in front of them too; the inputs where they are to blame.
        """
        if choice.variant != AUTO:
            self.require_variant(choice.variant)
            return choice
        if (body.finding or {}).get("code") == "LG501":
            return Choice(self.name, INPUT, choice.options)
        asked = choice.options.get("position")
        images = any(place.dims for place in places_of(body, _position(choice)))
        order = ("batch", "group") if images else ("layer", "batch")
        pairs = [(v, "before") for v in order] + [("layer", "after")]
        best: tuple[float, Choice] | None = None
        for variant, position in pairs:
            if asked not in (None, position) or (position == "after" != asked and best is None):
                continue
            options = {**choice.options, **({"position": position} if position == "after" else {})}
            trial = Choice(self.name, variant, options)
            if _obstacle(trial, places_of(body, position)) is None:
                found = _predicted(body, trial)
                decades = 0.0 if found is None else abs(found.audibility_decades)
                if best is None or decades < best[0] - _AS_GOOD:
                    best = (decades, trial)
        return best[1] if best else Choice(self.name, order[0], choice.options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        if choice.variant == INPUT:
            return assess_inputs(body)
        places = places_of(body, _position(choice))
        obstacle = _obstacle(choice, places)
        if obstacle is not None:
            return Assessment(False, obstacle)
        found = _predicted(body, choice)
        if found is None:
            return Assessment(None, "the model has branches; theory speaks of plain stacks")
        decades = found.audibility_decades
        predicted = {"backward_gain_per_layer": found.per_layer, "audibility_decades": decades}
        activation = str(found.design.activation)
        said = (
            f"{_shown(choice)} {_position(choice)} {activation} passes back {found.per_layer:.3g} per layer"
        )
        if decades < -HEARD:
            instead = "it only rescales, and cannot take away what all samples have in common; BatchNorm can"
            return Assessment(False, f"{said}, {decades:.1f} decades: {instead}", predicted)
        if decades > HEARD:
            reason = f"{said}: over {found.depth} layers it explodes by {decades:.1f} decades without skips"
            return Assessment(False, reason, predicted)
        return Assessment(True, said, predicted)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        if choice.variant == INPUT:
            return standardize(body)
        position = _position(choice)
        places = places_of(body, position)
        obstacle = _obstacle(choice, places)
        if obstacle is not None:
            raise Refused(obstacle)
        return [_insert(body, place, _norm(choice, place), position == "after") for place in places]

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        if choice.variant == INPUT:
            return edits_of_standardize(body, changes, MEAN, SPREAD)
        return edits_of_normalize(body, choice, changes)


def _position(choice: Choice) -> str:
    position = choice.options.get("position", "before")
    if position not in ("before", "after"):
        raise Refused(f'a normalization stands "before" or "after" an activation, not {position!r}')
    return str(position)


def _shown(choice: Choice) -> str:
    return {"layer": "LayerNorm", "batch": "BatchNorm", "rms": "RMSNorm", "group": "GroupNorm"}[
        choice.variant
    ]


def _obstacle(choice: Choice, places: Sequence[Place]) -> str | None:
    """Why it cannot be done at all."""
    if not places:
        return (
            "there is no linear layer or convolution with a hidden activation beside it that is not "
            "normalized already, a gate, or run again and again in a loop"
        )
    place = places[0]
    if any(p.axes != p.dims + 2 for p in places) and choice.variant in ("batch", "group"):
        return (
            f"{_shown(choice)} takes channels from the second axis, and {places[0].name} gives "
            f"{places[0].axes}: take normalize=layer"
        )
    if choice.variant == "batch" and place.samples is not None and place.samples < _FEWEST_SAMPLES:
        return (
            f"BatchNorm cannot tell samples apart in a batch of {place.samples}: "
            f"take normalize={'group' if place.dims else 'layer'}"
        )
    if choice.variant == "rms" and place.dims:
        return "RMSNorm acts on features, and these are images: take normalize=group"
    groups = choice.options.get("groups")
    if choice.variant == "group" and groups is not None:
        bad = [p for p in places if p.units % int(groups)]
        if bad:
            return f"{groups} groups do not divide the {bad[0].units} channels of {bad[0].name}"
    return None


def _predicted(body: Body, choice: Choice) -> Propagation | None:
    parts = body.anatomy.parts
    if any(part.kind in ("branch", "path") for part in parts):
        return None
    position = _position(choice)
    places = places_of(body, position)
    counts = Counter(p.part.activation if position == "before" else p.part.before for p in places)
    activation = counts.most_common(1)[0][0]
    return backward_gain(
        activation or "ReLU",
        median_gain(body.model, parts),
        _IN_THEORY[choice.variant],
        depth=len(places),
        position=position,
    )


def _norm(choice: Choice, place: Place) -> nn.Module:
    units = place.units
    if choice.variant == "batch":
        return _BATCH_NORMS[place.dims or 1](units)
    if choice.variant == "group" or place.dims:
        groups = 1 if choice.variant == "layer" else int(choice.options.get("groups", _groups(units)))
        return nn.GroupNorm(groups, units)
    return nn.RMSNorm(units) if choice.variant == "rms" else nn.LayerNorm(units)


def _groups(units: int) -> int:
    """The most groups up to 32, of at least two channels, that divide them."""
    return max(g for g in range(1, _MOST_GROUPS + 1) if units % g == 0 and (units // g > 1 or g == 1))


def _insert(body: Body, place: Place, norm: nn.Module, of_input: bool) -> Change:
    layer = place.layer
    norm = norm.to(next(layer.parameters())).train(layer.training)
    beside = list(layer.parameters())
    layer.add_module(CHILD, norm)
    wrapper = WithNorm(layer, of_input)
    wrapper.attach()
    said, leave = join(body.optimizers, beside, list(norm.parameters()))
    what = f"{norm} on its {'input' if of_input else 'output'}" + (f"; {said}" if said else "")
    return Change(place.name, what, _undo(layer, wrapper, leave), body.sources.get(place.name))


def _undo(layer: nn.Module, wrapper: WithNorm, leave: Callable[[], None]) -> Callable[[], None]:
    def undo() -> None:
        leave()
        wrapper.detach()
        del layer._modules[CHILD]

    return undo
