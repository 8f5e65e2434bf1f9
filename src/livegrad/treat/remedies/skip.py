"""skip: a way around each hidden layer of a plain chain, from one layer's output to the next one's.

The branch is what lies between, φ and the next weights, so that nothing stands on the stream itself:

    scaled     z + W φ(z) / √L             √(1 + b²/L) per layer: under e^{b²/2} over any depth
    skipinit   z + α W φ(z), α = 1/√L      the same, α learnt; De & Smith 2020
    rezero     z + α W φ(z), α = 0         the layers are the identity at first; Bachlechner et al. 2021
    highway    t W φ(z) + (1 − t) z        t = σ(…) starts near 1/(L + 1); Srivastava et al. 2015
    gated      W φ(z) + α z, α = 0         the same function as before: for use in mid-training

Where a normalization follows the weights, its output is the stream: z + norm(W φ(z)) / √L. BatchNorm's 1.21
per layer of ReLU is then √(1 + 1.21²/L).

Where no two layers in a row fit, but whole blocks do that have no way around (a transformer's without its
sums), it goes around each of those: x + f(x) / √L.

Only `gated` preserves the function. Its gradient is at first what it was; the way opens as α is learnt, from
the output down.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.utils import skip_init

from livegrad.theory.propagation import backward_gain
from livegrad.treat.anatomy import Part
from livegrad.treat.body import Body
from livegrad.treat.bridges.around_blocks import AroundBlock, blocks_in_a_row
from livegrad.treat.bridges.gain import over_layers, over_normalized_layers, scale_of
from livegrad.treat.bridges.stream import GATE, SCALE, Stream, WithSkip
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.heard import HEARD
from livegrad.treat.optimizers import join
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.rewrite.edits_around_blocks import edits_around_blocks
from livegrad.treat.rewrite.edits_of_skip import edits_of_skip
from livegrad.treat.shapes import checkpointed_among, norms_behind, shapes_of
from livegrad.treat.swapped_calls import Rewired
from livegrad.treat.weights import median_gain

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_FEWEST = 3


class Skip(Remedy):
    """Add skip connections."""

    name = "skip"
    title = "add skip connections"
    treats = ("LG101", "LG103", "LG203")
    not_when = (
        "the shape changes from layer to layer; there are skip connections already; the net is shallow, so "
        "that there is nothing to bridge; or it is a loop over time"
    )
    variants = ("scaled", "rezero", "skipinit", "highway", "gated")
    options: ClassVar = {"scale": "s of the branches instead of 1/√L (scaled and skipinit)"}

    def preserves_function(self, choice: Choice) -> bool:
        return choice.variant == "gated"

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: scaled branches before training, gated ones once it has begun."""
        if choice.variant != AUTO:
            self.require_variant(choice.variant)
            return choice
        begun = any(optimizer.state for optimizer in body.optimizers)
        return Choice(self.name, "gated" if begun else "scaled", choice.options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        chains = _chains(body)
        obstacle = _obstacle(body, choice, chains)
        if obstacle is not None:
            rows = _rows(body, choice)
            if not rows:
                return Assessment(False, obstacle)
            number = sum(map(len, rows))
            return Assessment(None, f"around {number} blocks that are given what the one before them gives")
        links = [link.part for chain in chains for link in chain[1:]]
        if all(part.before is None and part.normalization is None for part in links):
            return Assessment(None, f"around {len(links)} layers; theory has no name for what is between")
        activation = Counter(part.before for part in links).most_common(1)[0][0] or "ReLU"
        sigma, blocks = median_gain(body.model, body.anatomy.parts), len(links)
        now = backward_gain(activation, sigma, depth=blocks)
        before = {"backward_gain_per_layer": now.per_layer, "audibility_decades": now.audibility_decades}
        if choice.variant == "gated":
            reason = "the function and its gradient are at first as they were; training opens the way around"
            return Assessment(None, reason, before, before)
        norm = Counter(part.normalization for part in links).most_common(1)[0][0]
        if norm is not None:
            per_layer, decades = over_normalized_layers(choice, activation, norm, blocks)
            before = {}
        else:
            rest = sum(part.kind == "depth" for part in body.anatomy.parts) - len(chains) - blocks
            per_layer, decades = over_layers(choice, activation, sigma, blocks, rest)
        predicted = {"backward_gain_per_layer": per_layer, "audibility_decades": decades}
        said = f"around {blocks} layers, {per_layer:.3g} of the gradient passes back per layer"
        if not abs(decades) <= HEARD:
            instead = f"scale the branches by 1/√{blocks}, or draw smaller weights"
            reason = f"{said}, still {decades:.1f} decades: {instead}"
            return Assessment(False, reason, predicted, before)
        return Assessment(True, said, predicted, before)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        chains = _chains(body)
        obstacle = _obstacle(body, choice, chains)
        if obstacle is not None:
            rows = _rows(body, choice)
            if not rows:
                raise Refused(obstacle)
            number = sum(map(len, rows))
            return [_around(body, name, choice, number) for row in rows for name in row]
        blocks = sum(len(chain) - 1 for chain in chains)
        return [change for chain in chains for change in _bridge(body, chain, choice, blocks)]

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        if any(isinstance(rewired_of(body, c), AroundBlock) for c in changes):
            return edits_around_blocks(body, choice, changes)
        return edits_of_skip(body, choice, changes)


@dataclass(frozen=True)
class _Link:
    """A layer of a chain. carrier: the module whose output is the stream: it, or the norm behind it."""

    part: Part
    carrier: str


def _chains(body: Body) -> list[list[_Link]]:
    """Runs of weighted layers of the spine, all of one output shape, with more than weights between them."""
    parts = body.anatomy.parts
    modules = dict(body.model.named_modules())
    uses = Counter(part.module for part in parts)
    gates = {(s.kind, s.source) for s in body.sites if s.gate} if body.args is not None else set()
    names = [part.module for part in parts if part.module is not None]
    shapes = shapes_of(body, names)
    normed = [p.module for p in parts if p.module is not None and p.normalization is not None]
    norms = norms_behind(body, normed) if normed else {}
    chains: list[list[_Link]] = []
    for part in parts:
        name = part.module or ""
        carrier = name if part.normalization is None else norms.get(name)
        fit = part.kind == "depth" and uses[part.module] == 1 and name in shapes and carrier is not None
        fit = fit and (isinstance(modules.get(name), _LAYERS) or (part.own is not None and part.own.whole))
        if not fit or (part.activation, part.activation_source) in gates:
            chains.append([])
            continue
        link = _Link(part, str(carrier))
        last = chains[-1][-1] if chains and chains[-1] else None
        if last is not None and _linked(last.part, part, shapes):
            chains[-1].append(link)
        else:
            chains.append([link])
    return [chain for chain in chains if len(chain) > 1]


def _linked(first: Part, second: Part, shapes: Mapping[str, tuple[torch.Size, torch.Size]]) -> bool:
    # A function of the program's own has no name, and neighbours of a graph are averaged behind it: what
    # stands between two layers of the spine leads from one to the other, whatever it is.
    return bool(first.between) and shapes[first.module or ""][1] == shapes[second.module or ""][1]


def _obstacle(body: Body, choice: Choice, chains: Sequence[Sequence[_Link]]) -> str | None:
    if body.args is None:
        return "the shapes are not known without a batch: treat(model, 'skip', inputs=batch)"
    if any(part.kind in ("branch", "path") for part in body.anatomy.parts):
        return "it has paths side by side already"
    if any(part.kind == "time" for part in body.anatomy.parts):
        return "it is a loop over time: take recurrent"
    blocks = sum(len(chain) - 1 for chain in chains)
    if not blocks:
        return "no two layers in a row give outputs of the same shape, so none can be added to the next"
    if blocks < _FEWEST:
        layers = "only one layer" if blocks == 1 else f"only {blocks} layers"
        return f"{layers} could be bridged: there is next to nothing to go around"
    checkpointed = checkpointed_among(body, [link.carrier for chain in chains for link in chain])
    if checkpointed is not None:
        return f"{checkpointed} is checkpointed, and will be run again without the layer before it"
    modules = dict(body.model.named_modules())
    held = [link.carrier for c in chains for link in c if hasattr(modules[link.carrier], SCALE)]
    if held:
        return f"{held[0]} has a skip connection already"
    if choice.variant == "highway":
        others = [x.carrier for c in chains for x in c if not isinstance(modules[x.carrier], nn.Linear)]
        if others:
            return (
                f"a highway needs linear layers without normalization, and {others[0]} is a "
                f"{type(modules[others[0]]).__name__}: take skip=scaled"
            )
    return None


def _bridge(body: Body, chain: Sequence[_Link], choice: Choice, blocks: int) -> list[Change]:
    stream = Stream()
    changes = []
    for i, link in enumerate(chain):
        name = link.carrier
        layer = body.model.get_submodule(name)
        takes = chain[i - 1].carrier if i else None
        leaves = name if i + 1 < len(chain) else None
        said, leave = _equip(body, layer, choice, blocks) if i else ("leaves its output for the next", None)
        form = choice.variant if choice.variant in ("gated", "highway") else "residual"
        scale = scale_of(choice, blocks) if choice.variant == "scaled" else None
        wrapper = WithSkip(layer, stream, takes, leaves, form, scale)
        wrapper.attach()
        changes.append(Change(name, said, _undo(wrapper, leave), body.sources.get(name) or link.part.source))
    return changes


def rewired_of(body: Body, change: Change) -> object:
    """What stands in the place of the forward method of the module that a change is about."""
    return body.model.get_submodule(change.where).__dict__.get("forward")


def _rows(body: Body, choice: Choice) -> list[list[str]]:
    """Blocks to go around where no chain of layers will do."""
    if choice.variant == "highway" or any(part.kind == "time" for part in body.anatomy.parts):
        return []
    rows = blocks_in_a_row(body)
    names = [name for row in rows for name in row]
    held = any(hasattr(body.model.get_submodule(name), SCALE) for name in names)
    return [] if held or (names and checkpointed_among(body, names) is not None) else rows


def _around(body: Body, name: str, choice: Choice, blocks: int) -> Change:
    block = body.model.get_submodule(name)
    said, leave = _equip(body, block, choice, blocks)
    scale = scale_of(choice, blocks) if choice.variant == "scaled" else None
    wrapper = AroundBlock(block, choice.variant == "gated", scale)
    wrapper.attach()
    said = said.replace("what the layer before gave", "input")
    return Change(name, said, _undo(wrapper, leave), body.sources.get(name))


def _equip(
    body: Body, layer: nn.Module, choice: Choice, blocks: int
) -> tuple[str, Callable[[], None] | None]:
    """Give the layer what its skip connection learns; return what is said of it and how to take it away."""
    beside = list(layer.parameters())
    like = next(layer.parameters(), next(body.model.parameters()))
    if choice.variant == "scaled":
        return f"output → what the layer before gave + {scale_of(choice, blocks):.3g} × output", None
    if choice.variant == "highway":
        assert isinstance(layer, nn.Linear)
        # Nothing is drawn: the program's random numbers stay as they are.
        gate: Any = skip_init(
            nn.Linear, layer.in_features, layer.out_features, device=like.device, dtype=like.dtype
        )
        with torch.no_grad():
            gate.weight.zero_()
            gate.bias.fill_(-log(blocks))
        layer.add_module(GATE, gate.train(layer.training))
        said, leave = join(body.optimizers, beside, list(gate.parameters()), decayed=True)
        what = "output → t × output + (1 − t) × what the layer before gave"
    else:
        start = scale_of(choice, blocks) if choice.variant == "skipinit" else 0.0
        scale = nn.Parameter(torch.full((), start, device=like.device, dtype=like.dtype))
        layer.register_parameter(SCALE, scale)
        said, leave = join(body.optimizers, beside, [scale])
        gated = f"output → output + α × what the layer before gave, α = {start:.3g}"
        what = f"output → what the layer before gave + α × output, α = {start:.3g}"
        what = gated if choice.variant == "gated" else what

    def remove() -> None:
        leave()
        layer._parameters.pop(SCALE, None)
        layer._modules.pop(GATE, None)

    return f"{what}; {said}" if said else what, remove


def _undo(wrapper: Rewired, leave: Callable[[], None] | None) -> Callable[[], None]:
    def undo() -> None:
        wrapper.detach()
        if leave is not None:
            leave()

    return undo
