"""clip: bound the gradient in front of the step, so that one bad batch cannot throw the weights away.

    norm          g ← g min(1, c/‖g‖), one factor for all of an optimizer's gradients; Pascanu et al. 2013
    value         each entry into [−c, c]; turns the direction
    agc           each unit's gradient to a share of its weights' norm; Brock et al. 2021
    robust        c follows the recent norms (livegrad.treat.clipping.robust_threshold); Kumar et al. 2025
    through-time  what goes back from one time step of a loop to the one before

Without a limit, `norm` and `value` take the 90 % quantile of what an earlier run recorded before it broke
(livegrad.treat.clipping), and without such a run they learn it from the first 25 steps. Under SGD `norm`
takes no more than the norm at which one step would change a weight matrix by a tenth: what is usual in a net
that explodes from the start is too much.

A gradient that is not finite is no direction. `torch.nn.utils.clip_grad_norm_` multiplies it by 1/∞ = 0, and
0 · ∞ = NaN goes into the weights. Here the whole step is left out: no update, no momentum, no decay. On a
device, where asking would make the program wait, the gradient is set to zero instead, and the optimizer goes
on by its momentum alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from livegrad.diagnose.optimizer_kind import are_scale_free
from livegrad.diagnose.rules.update_too_large import USUAL_STEP as TOO_LARGE
from livegrad.treat.ailment import vanishes
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.clipping import gradients, through_time
from livegrad.treat.clipping.edits import edits_of
from livegrad.treat.clipping.history import (
    limit_from_history,
    loudest,
    recorded_norms,
    sound_norm,
    under_limit,
)
from livegrad.treat.clipping.limit import FirstSteps
from livegrad.treat.clipping.own import line_of_call, with_limit
from livegrad.treat.clipping.robust_threshold import RobustThreshold
from livegrad.treat.gradients import coalesce, largest_entry, leave_out, parameters_with_gradient, total_norm
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy

_SHARE = 0.01
_LARGE_STEPS = ("LG106", "LG402")
_SMALL_STEPS = ("LG302", "LG401", "LG503")


@dataclass
class _State:
    """What is remembered of one optimizer between its steps."""

    learnt: FirstSteps
    robust: RobustThreshold
    put_back: Callable[[], None] | None = None


class Clip(Remedy):
    """Clip the gradient."""

    name = "clip"
    title = "clip the gradient before the step"
    treats = ("LG103", "LG104", "LG105", "LG106", "LG202", "LG301", "LG303", "LG402", "LG403")
    not_when = (
        "the gradient vanishes: its factor is at most one; under Adam as a cure for large steps, where a "
        "factor that stays the same cancels; or one layer is loud and the rest is quiet, by norm"
    )
    variants = ("norm", "value", "agc", "robust", "through-time")
    options: ClassVar = {
        "limit": "the largest norm or entry (norm, value, through-time), or share of the weights (agc: 0.01)",
        "own": "change the limit of the clipping by norm that the program does itself",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return True

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: by norm. Without a limit: the one that the history gives, if there is one."""
        variant = "norm" if choice.variant == AUTO else choice.variant
        self.require_variant(variant)
        options = dict(choice.options)
        limit = limit_from_history(body, variant) if "limit" not in options else None
        if limit is not None:
            options["limit"] = limit
        if variant == "norm" and (body.finding or {}).get("code") == "LG403":
            options.setdefault("own", True)
        return Choice(self.name, variant, options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        obstacle = _obstacle(body, choice)
        if obstacle is not None:
            return Assessment(False, obstacle)
        code = (body.finding or {}).get("code")
        limit, before = choice.options.get("limit"), recorded_norms(body)
        predicted = under_limit(body, float(limit)) if limit is not None and choice.variant == "norm" else {}
        step = predicted.get("update_over_weights", 0.0)
        if code in _LARGE_STEPS and step > TOO_LARGE:
            reason = (
                f"a step along a gradient of norm {choice.options['limit']:g} still changes the weights by "
                f"{step:.2g} of themselves: lower the learning rate"
            )
            return Assessment(False, reason, predicted, before)
        works = True if code in ("LG104", "LG105", "LG403", *_LARGE_STEPS) else None
        return Assessment(works, _said(body, choice, code), predicted, before)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        obstacle = _needs(body, choice)
        if obstacle is not None:
            raise Refused(obstacle)
        if choice.variant == "through-time":
            return _between_time_steps(body, choice)
        if choice.options.get("own"):
            return _raise_own_limit(body, choice)
        body.memory[_key(choice)] = {}
        body.memory[_key(choice), "spared"] = _head(body)
        body.memory[_key(choice), "most"] = {id(o): sound_norm(o, body) for o in body.optimizers}
        what = _what(choice)
        return [
            Change(f"optimizer {i}", what, _nothing, body.sources.get(f"step:{i}"))
            for i in range(len(body.optimizers))
        ]

    def at_step(self, body: Body, choice: Choice, step: int, optimizer: Optimizer) -> None:
        states = body.memory.get(_key(choice))
        parameters = parameters_with_gradient(optimizer)
        if states is None or not parameters:
            return
        state = states.setdefault(id(optimizer), _State(FirstSteps(), RobustThreshold()))
        coalesce(parameters)
        if gradients.on_cpu(parameters):
            norm = gradients.finite_norm(parameters)
            if norm is None:
                state.put_back = leave_out(optimizer)
                return
        else:
            norm = gradients.zero_if_broken(parameters, total_norm(parameters))
        self._clip(body, choice, optimizer, state, parameters, norm)

    def after_step(self, body: Body, choice: Choice, step: int, optimizer: Optimizer) -> None:
        state = body.memory.get(_key(choice), {}).get(id(optimizer))
        if state is not None and state.put_back is not None:
            state.put_back()
            state.put_back = None

    def _clip(
        self,
        body: Body,
        choice: Choice,
        optimizer: Optimizer,
        state: _State,
        parameters: list[Tensor],
        norm: Tensor,
    ) -> None:
        scale = gradients.scale_on(optimizer)
        given = choice.options.get("limit")
        if choice.variant == "agc":
            spared = body.memory[_key(choice), "spared"]
            gradients.by_unit(parameters, float(given or _SHARE) * scale, spared)
        elif choice.variant == "value":
            limit = float(given) if given is not None else _learnt(state, largest_entry(parameters), scale)
            gradients.by_value(parameters, limit * scale)
        elif choice.variant == "robust":
            gradients.by_norm(parameters, state.robust.look(norm / scale) * scale, norm)
        else:
            most = body.memory[_key(choice), "most"].get(id(optimizer), inf)
            limit = float(given) if given is not None else min(most, _learnt(state, norm, scale))
            gradients.by_norm(parameters, limit * scale, norm)

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        spared = body.memory.get((_key(choice), "spared"), ()) if choice.variant == "agc" else ()
        return edits_of(body, choice, changes, _learnt_limits(body, choice), spared)


def _key(choice: Choice) -> tuple[str, str]:
    return ("clip", str(choice))


def _nothing() -> None:
    """It ends with the stepping."""


def _learnt(state: _State, size: Tensor, scale: float) -> float:
    # Once it is known nothing needs to be asked of a device any more.
    if state.learnt.limit is not None:
        return state.learnt.limit
    return state.learnt(float(size) / scale)


def _learnt_limits(body: Body, choice: Choice) -> list[float | None]:
    states = body.memory.get(_key(choice), {})
    most = body.memory.get((_key(choice), "most"), {})
    learnt = [states[id(o)].learnt.limit if id(o) in states else None for o in body.optimizers]
    return [
        None if limit is None else min(limit, most.get(id(o), inf))
        for o, limit in zip(body.optimizers, learnt, strict=True)
    ]


def _obstacle(body: Body, choice: Choice) -> str | None:
    """Why clipping cannot help, by closed form."""
    missing = _needs(body, choice)
    if missing is not None:
        return missing
    code = (body.finding or {}).get("code")
    if vanishes(body):
        return (
            "the gradient vanishes, and the factor of clipping, min(1, c/‖g‖), is at most one: it can only "
            "make small gradients smaller"
        )
    if code in _SMALL_STEPS:
        return "the steps are too small already, and clipping makes none larger"
    if choice.variant == "agc" and code is not None and _is_in_head(body):
        return (
            "what is too large is in the last layer, which per-unit clipping leaves alone: take clip=robust"
        )
    kinds = {type(optimizer).__name__ for optimizer in body.optimizers}
    if code in _LARGE_STEPS and are_scale_free(kinds):
        return (
            f"{' and '.join(sorted(kinds))} divides by the gradient's own size, so its step is as long after "
            "clipping: lower the learning rate, or warm up"
        )
    return None


def _needs(body: Body, choice: Choice) -> str | None:
    """What is missing without which it cannot act."""
    limit = choice.options.get("limit")
    if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
        return f"a limit is a positive number, not {limit!r}: clip={choice.variant}:limit=1"
    if choice.variant == "through-time":
        if through_time.looped(body):
            return None
        kind = through_time.fused(body.model)
        if kind is None:
            return "it has no recurrent cell, and no layer that a forward pass calls again and again"
        return (
            f"nn.{kind} runs its time steps inside one operation, where nothing can be put between them: "
            f"take clip=norm, or write the loop with nn.{kind}Cell"
        )
    if not body.optimizers:
        return "it acts at the optimizer's step: treat(model, 'clip', optimizer)"
    return None


def _said(body: Body, choice: Choice, code: str | None) -> str:
    text = _what(choice)
    if code == "LG103":
        text += "; it keeps the weights finite, and does not make an exploding gradient a useful one"
    loud = loudest(body)
    if loud is not None and loud[1] > 0.5 and choice.variant == "norm":
        text += f"; {loud[0]} alone uses {loud[1]:.0%} of the budget: clip=agc leaves the others theirs"
    return text


def _what(choice: Choice) -> str:
    limit = choice.options.get("limit")
    held = f"held to {limit:g}" if limit is not None else "held to what the first steps show to be usual"
    return {
        "norm": f"the norm of the gradient is {held}",
        "value": f"each entry of the gradient is {held}",
        "agc": f"each unit's gradient is held to {limit or _SHARE:g} of its weights' norm",
        "robust": "the norm of the gradient is held to what is usual of late",
        "through-time": f"the gradient from one time step to the one before is held to "
        f"{f'{limit:g}' if limit is not None else 'ten times the last one'}",
    }[choice.variant]


def _between_time_steps(body: Body, choice: Choice) -> list[Change]:
    limit = choice.options.get("limit")
    share = through_time.PassGates()
    names = through_time.looped(body)
    root = body.model.register_forward_pre_hook(share)
    changes = [Change("", "a new limit for each forward pass", root.remove, body.sources.get(""))]
    for name in names:
        undo = through_time.bound(body, name, None if limit is None else float(limit), share)
        changes.append(Change(name, _what(choice), undo, body.sources.get(name)))
    return changes


def _raise_own_limit(body: Body, choice: Choice) -> list[Change]:
    limit = choice.options.get("limit")
    if limit is None:
        raise Refused("the program clips already: say what its limit is to be, clip=norm:limit=…")
    old = ((body.finding or {}).get("evidence") or {}).get("clip_limit")
    parameters = {id(p) for p in body.model.parameters()}
    what = f"the program's own clipping: limit {old if old is None else format(old, 'g')} → {limit:g}"
    source = line_of_call(body.sources.get("step:0"))
    return [Change("clip_grad_norm_", what, with_limit(parameters, float(limit)), source)]


def _is_in_head(body: Body) -> bool:
    """Whether all layers of the finding are the last one."""
    named = (body.finding or {}).get("layers") or ()
    head = _head(body)
    layers = [m for name, m in body.model.named_modules() if name in named]
    return bool(layers) and all({id(p) for p in m.parameters()} <= head for m in layers)


def _head(body: Body) -> set[int]:
    """The parameters of the last layer that the model calls, which per-unit clipping leaves alone."""
    parts = [part for part in body.anatomy.parts if part.module is not None]
    modules = dict(body.model.named_modules())
    last = next((modules.get(p.module or "") for p in reversed(parts)), None)
    if not isinstance(last, nn.Linear) or len(parts) < 2:
        return set()
    return {id(p) for p in last.parameters(recurse=False)}
