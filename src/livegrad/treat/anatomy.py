"""The anatomy of a model: its weighted operations in order of execution, and what follows each."""

from collections.abc import Mapping, Set
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from livegrad.errors import UsageError
from livegrad.probe.layers import LayerSpec
from livegrad.probe.output import output_tensors
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.scan import ScanResult, StepScan
from livegrad.probe.stand_in import stand_in_loss
from livegrad.probe.target import Target
from livegrad.probe.twin import CannotCopy, fresh, make_twin
from livegrad.theory.activation import CATALOGUE
from livegrad.treat.own_products import OwnProduct, OwnProducts, own_products

_PASSED_OVER = ("Dropout", "AlphaDropout", "FeatureAlphaDropout", "Flatten", "Identity")
# Every layer is wanted here, not a picture of them.
_MOST_LAYERS = 1_000_000
_NORMALIZATIONS = ("BatchNorm", "LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm", "SyncBatchNorm")


@dataclass(frozen=True)
class Part:
    """One operation of the forward pass that carries weights.

    name: as scans show it. module: dotted name of the module that owns it ("" for the root). depth: its place
    on the spine from the input side. kind: "depth" on the spine, "branch" or "path" beside it, "time" in a
    loop. activation: type of the activation its result goes into next, as the catalogue of
    livegrad.theory.activation spells it where it knows it; None where none follows (an output, a join,
    another weighted operation). activation_source: the user's line that calls that one. normalization: type
    of the normalization in between, or None. before: type of the last activation in front of it, None where
    its input comes from no activation (the model's own input, a join, another weighted operation or a
    normalization). source: the user's line that calls it, made: that creates its module. between: types of
    the operations on the way to the next weighted operation of the spine, normalizations left out; () at its
    end. own: the parameters of a product that the program writes itself, x @ W + b.
    """

    name: str
    module: str | None
    type: str
    depth: int
    kind: str
    activation: str | None = None
    activation_source: str | None = None
    normalization: str | None = None
    before: str | None = None
    source: str | None = None
    made: str | None = None
    between: tuple[str, ...] = ()
    own: OwnProduct | None = None


@dataclass(frozen=True)
class Anatomy:
    """parts: weighted operations in order of execution. scan: what the measuring pass found, None without a
    batch (then `parts` are the modules in order of registration). first, last: decades of audibility relative
    to the output of the spine's first cut, and of its last.
    """

    parts: tuple[Part, ...]
    scan: ScanResult | None = None

    @property
    def decades(self) -> float:
        """log10 of the deepest layer's audibility over the output's; NaN where it was not measured."""
        if self.scan is None:
            return float("nan")
        rows = [i for i, spec in enumerate(self.scan.layers) if spec.kind == "depth"]
        if not rows:
            return float("nan")
        first = min(rows, key=lambda i: self.scan.layers[i].depth)  # type: ignore[union-attr]
        with np.errstate(divide="ignore", invalid="ignore"):
            audible = self.scan.columns["audibility"][first] / self.scan.columns["audibility_output"][first]
            return float(np.log10(audible))


def examine(model: nn.Module, args: tuple[Any, ...] | None, kwargs: Mapping[str, Any]) -> Anatomy:
    """Run one forward pass on a copy of `model` and read off what follows what; the model and the random
    states stay as they are. Without a batch the modules are taken in order of registration.

    Raises UsageError where the forward pass fails or nothing in its output depends on a parameter.
    """
    if args is None:
        return Anatomy(_as_registered(model))
    try:
        twin = fresh(make_twin(model))
    except CannotCopy as error:
        raise UsageError(f"the model cannot be examined: {error}") from error
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    names = {module: name for name, module in twin.named_modules()}
    ids = {id(p): i for i, p in enumerate(twin.parameters())}
    parameters = list(twin.named_parameters())
    scan = StepScan(twin, names, ids, most_layers=_MOST_LAYERS)
    with ExitStack() as stack:
        stack.enter_context(replayed(RandomState.now(devices)))
        stack.enter_context(torch.enable_grad())
        try:
            scan.open()
            output = twin(*args, **kwargs)
            scan.before_backward(_stand_in(output), Target())
            order = sorted(scan.layers, key=lambda layer: layer.node._sequence_nr())
            specs = [layer.spec for layer in order]
            weighted = [layer.operation.weighted for layer in order]
            products = own_products(order, dict(twin.named_modules()), parameters)
        finally:
            result = scan.close()
    if result is None:
        raise UsageError(f"the model could not be examined: {scan.reason}")
    return Anatomy(_parts(specs, weighted, products), result)


def _stand_in(output: Any) -> torch.Tensor:
    loss = stand_in_loss(output_tensors(output))
    if loss is None:
        raise UsageError("no output of the model depends on its parameters with gradients on")
    return loss


def _parts(specs: list[LayerSpec], weighted: list[bool], products: OwnProducts) -> tuple[Part, ...]:
    parts = []
    kinds = ["Identity" if i in products.sums else _kind(spec) for i, spec in enumerate(specs)]
    contexts = _contexts(kinds)
    several = zip(specs, weighted, contexts, strict=True)
    for place, (spec, carries, (before, normalization, behind)) in enumerate(several):
        if not carries or spec.type.startswith(_NORMALIZATIONS) or place in products.sums:
            continue
        following = specs[behind] if behind is not None else None
        parts.append(
            Part(
                name=spec.name,
                module=spec.module,
                type=spec.type,
                depth=spec.depth,
                kind=spec.kind,
                activation=None if behind is None else kinds[behind],
                activation_source=None if following is None else following.source,
                normalization=normalization,
                before=before,
                source=spec.source,
                made=spec.made,
                between=_between(specs, weighted, place, products.sums) if spec.kind == "depth" else (),
                own=products.own.get(place),
            )
        )
    return tuple(parts)


def _kind(spec: LayerSpec) -> str:
    """The type; of a module of the program's own whose last operation is an activation, that one's."""
    return next((name for name in (spec.type, spec.operator) if name in CATALOGUE), spec.type)


def _between(specs: list[Any], weighted: list[bool], place: int, sums: Set[int]) -> tuple[str, ...]:
    """What stands on the spine between the operation at `place`, the sum with its bias, and the next weighted
    one.
    """
    found: list[str] = []
    for i in range(place + 1, len(specs)):
        kind = specs[i].type
        passed = kind.startswith(_NORMALIZATIONS) or kind in _PASSED_OVER or i in sums
        if passed or specs[i].kind != "depth":
            continue
        if weighted[i]:
            return tuple(found)
        found.append(kind)
    return ()


def _as_registered(model: nn.Module) -> tuple[Part, ...]:
    modules = [(name, m) for name, m in model.named_modules() if not list(m.children())]
    types = [type(module).__name__ for _, module in modules]
    contexts = _contexts(types)
    parts = []
    for depth, (name, module) in enumerate(modules):
        before, normalization, behind = contexts[depth]
        if any(p.dim() > 1 for p in module.parameters(recurse=False)):
            activation = types[behind] if behind is not None else None
            parts.append(
                Part(name, name, types[depth], depth, "depth", activation, None, normalization, before)
            )
    return tuple(parts)


def _contexts(types: list[str]) -> list[tuple[str | None, str | None, int | None]]:
    """For each operation in order: the activation its input comes from, the normalization between it and what
    follows, and the place of the activation that follows; None where there is none.
    """
    fronts: list[str | None] = []
    last: str | None = None
    for kind in types:
        fronts.append(last if last in CATALOGUE else None)
        last = last if kind in _PASSED_OVER else kind
    found: list[tuple[str | None, str | None, int | None]] = []
    normalization: str | None = None
    behind: int | None = None
    for i in reversed(range(len(types))):
        found.append((fronts[i], normalization, behind))
        if types[i].startswith(_NORMALIZATIONS):
            normalization = types[i]
        elif types[i] not in _PASSED_OVER:
            normalization, behind = None, i if types[i] in CATALOGUE else None
    return found[::-1]
