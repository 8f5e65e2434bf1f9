"""How a recurrence that is written by hand is started: the weights of its state, and what else feeds it."""

from collections.abc import Iterator
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.treat.body import Body
from livegrad.treat.draw import Draw, put
from livegrad.treat.recurrence.layers import RecurrentLayer
from livegrad.treat.recurrence.loops import LoopedLayer
from livegrad.treat.remedy import Change
from livegrad.treat.swaps.acting import swap_calls, swap_modules
from livegrad.treat.swaps.plan import Plan


def start_loop(
    body: Body, layer: LoopedLayer, draw: Draw | None, generator: torch.Generator
) -> Iterator[Change]:
    """Draw the weights of the state anew (None: the identity), zero the biases, and let in no more at a step
    than one T-th of what the state may hold: a mean square of 1/T over T steps.
    """
    drive = max(layer.driven, 1e-12) * (layer.steps or 1)
    factor = float(f"{min(1.0, 1 / sqrt(drive)):.3g}")
    yield _of_state(body, layer, draw, generator, factor)
    yield from without_bias(body, layer.name, layer.module)
    for name, module in layer.feeds:
        if factor < 1:
            scaled = Draw("scaled", factor)
            what = f"weights that feed the state: times {factor:g}"
            new, code = scaled.tensor(module.weight, generator), scaled.code(module.weight)
            yield put(module.weight, new, code, f"{name}.weight", what, body.sources.get(name))
        yield from without_bias(body, name, module)


def rectify_loop(body: Body, layer: RecurrentLayer) -> Iterator[Change]:
    """Put ReLU in the place of the activations that the loop runs through."""
    sites = [site for site in body.sites if site.reused and site.kind != "ReLU"]
    if not layer.rectified and sites:
        plan = Plan(tuple(sites), sites[0].kind, ())
        new = nn.ReLU()
        yield from (*swap_modules(body, plan, new), *swap_calls(body, plan, new))
        body.changed()


def _of_state(
    body: Body, layer: LoopedLayer, draw: Draw | None, generator: torch.Generator, factor: float
) -> Change:
    first, last = layer.columns
    old, size = layer.weight.detach(), last - first
    block = torch.empty(size, size, dtype=torch.float64 if old.dtype == torch.float64 else torch.float32)
    block = nn.init.eye_(block) if draw is None else draw.tensor(block, generator)
    lines = ["nn.init.eye_({tensor})"] if draw is None else list(draw.code(block))
    new: Tensor = block
    if old.shape[1] > size:
        new = old.clone().to("cpu", block.dtype)
        if factor < 1:
            new.mul_(factor)
        new[:, first:last] = block
        lines = [line.replace("{tensor}", "state") for line in lines]
        scaled = [f"{{tensor}}.data.mul_({factor:g})"] if factor < 1 else []
        lines = [
            *scaled,
            f"state = torch.empty({size}, {size})",
            *lines,
            f"{{tensor}}.data[:, {first}:{last}] = state",
        ]
    kind = "the identity" if draw is None else "orthogonal"
    what, made = f"weights of the state: {kind}", body.sources.get(layer.name)
    return put(layer.weight, new, tuple(lines), f"{layer.name}.weight", what, made)


def without_bias(body: Body, name: str, module: Any) -> Iterator[Change]:
    """Zero the bias of a layer, where it has one."""
    if module.bias is not None:
        zero = torch.zeros_like(module.bias)
        code = ("nn.init.zeros_({tensor})",)
        yield put(module.bias, zero, code, f"{name}.bias", "bias: zero", body.sources.get(name))
