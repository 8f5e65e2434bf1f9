"""The residual branches of a model as its anatomy shows them, and their last layers scaled by 1/√L.

Where a branch is used k times (the same block again and again, as Euler steps or tied layers do) what it adds
is no longer independent from sum to sum: k times its size instead of √k. Of L sums in all it is scaled by
1/√(L k), so that all of them together add as much as the stream begins with, whoever shares weights.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from livegrad.probe.layers import LayerSpec
from livegrad.treat.anatomy import Part
from livegrad.treat.body import Body
from livegrad.treat.draw import Draw, Drawn, redrawn
from livegrad.treat.weights import Weight

_NORMALIZATIONS = ("LayerNorm", "RMSNorm", "BatchNorm", "GroupNorm", "InstanceNorm", "SyncBatchNorm")
_ATTENTION = ("scaled_dot_product_attention", "multi_head_attention_forward", "MultiheadAttention", "softmax")


@dataclass(frozen=True)
class Branch:
    """What one sum adds to the stream. depth: of the sum on the spine. layers: its weighted layers, in order.
    attention: it mixes tokens. normalized: "pre" (within the branch), "post" (after the sum) or None. bare:
    nothing stands on the way around it. uses: sums that the same weights add to.
    """

    depth: int
    layers: tuple[Weight, ...]
    attention: bool
    normalized: str | None
    bare: bool
    uses: int = 1


def branches_of(body: Body, weights: Sequence[Weight]) -> list[Branch]:
    """The residual branches with weights on the spine, input side first; [] without a batch."""
    scan = body.anatomy.scan
    rows = [] if scan is None else scan.layers
    spine = {row.depth: row for row in rows if row.kind == "depth"}
    beside: dict[int, list[LayerSpec]] = {}
    for row in rows:
        if row.kind in ("branch", "path"):
            beside.setdefault(row.depth, []).append(row)
    found = (_branch(depth, beside[depth], spine, weights) for depth in sorted(beside) if depth in spine)
    return [replace(branch, uses=_uses(body, branch.layers[-1])) for branch in found if branch.layers]


def sums(branches: Sequence[Branch]) -> int:
    """How often anything is added to the stream."""
    return sum(branch.uses for branch in branches)


def _uses(body: Body, last: Weight) -> int:
    held = _held(last.part)
    parts = [p for p in body.anatomy.parts if p.kind == "branch" and _held(p) == held]
    return max(1, len({part.depth for part in parts}))


def _held(part: Part) -> str | None:
    """The name of what holds its weights: a module, or the parameter itself of a product of one's own."""
    return part.module if part.own is None else part.own.weight


def _branch(
    depth: int, rows: Sequence[LayerSpec], spine: Mapping[int, LayerSpec], weights: Sequence[Weight]
) -> Branch:
    layers = {w.part.name: w for w in weights if w.part.kind == "branch" and w.part.depth == depth}
    join = spine[depth].name
    ways = [row for row in rows if row.kind == "path" and row.segment == join]
    bare = not ways or any(row.type == "identity" for row in ways)
    if not bare:
        # Of two ways with weights the shorter one is the way around.
        home = {row.name: row.path for row in rows if row.name in layers and row.segment == join}
        longest = max(home.values(), key=list(home.values()).count, default=0)
        layers = {name: w for name, w in layers.items() if home.get(name, longest) == longest}
    inside = any(_is_norm(row) for row in rows if row.kind == "branch")
    after = depth + 1 in spine and _is_norm(spine[depth + 1])
    mixes = any(row.type in _ATTENTION or row.operator in _ATTENTION for row in rows)
    return Branch(depth, tuple(layers.values()), mixes, "pre" if inside else "post" if after else None, bare)


def shrink_branches(body: Body, weights: Sequence[Weight]) -> list[Drawn]:
    """Multiply the last layer of each residual branch by 1/√(L k): L sums in all, of which k are its own."""
    branches = branches_of(body, weights)
    return [_shrunk(body, branch, sums(branches) * branch.uses) for branch in branches]


def _shrunk(body: Body, branch: Branch, number: int) -> Drawn:
    last = branch.layers[-1]
    used = f", used {branch.uses} times" if branch.uses > 1 else ""
    return redrawn(
        last.weight,
        Draw("scaled", 1 / math.sqrt(number)),
        body.generator(),
        last.where("weight"),
        f"weights: times 1/√{number}, last layer of a residual branch{used}",
        last.part.made,
    )


def _is_norm(row: LayerSpec) -> bool:
    return row.type.startswith(_NORMALIZATIONS)
