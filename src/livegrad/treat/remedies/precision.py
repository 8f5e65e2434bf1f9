"""precision: number formats in which neither the gradient nor the step is lost.

    scale       the loss scaled for float16, by a scale that adapts     gradients under 6e-8
    bfloat16    autocast to float16 → bfloat16                          the same, and overflow at 65504
    autocast    half-precision weights in float32, bfloat16 computes    both, and steps rounded away
    master      half-precision weights, a float32 copy for the steps    steps rounded away
    kahan       the same, the rest kept in a second narrow tensor       the same; Zamirai et al. 2020
    stochastic  the same, nothing kept: rounded at random               the same, on average (bfloat16)
    eps         Adam's eps under the gradients                          √v̂ under eps

The share of a normal gradient of rms r that float16 rounds to zero is erf(q/(2√2 r)), q = 2⁻²⁴; with a scale
S it is erf(q/(2√2 r S)) (Micikevicius et al. 2018). A step of ρ of a weight is rounded away under ρ = 2⁻⁹ in
bfloat16, 2⁻¹² in float16, 2⁻²⁵ in float32. Adam's step is √v̂/(√v̂ + eps) of what it would be.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch.optim import Optimizer

from livegrad.treat.ailment import vanishes
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.formats.adam_eps import (
    eps_under,
    lies_under_eps,
    predicted_share,
    present_roots,
    recorded_roots,
    set_eps,
    with_eps,
)
from livegrad.treat.formats.edits import edits_of
from livegrad.treat.formats.half_precision import Autocast, autocast_in_bfloat16, opened_in_float16, widen
from livegrad.treat.formats.loss_scale import FIRST, LossScale
from livegrad.treat.formats.rounding import gradient_lost, step_lost
from livegrad.treat.formats.wide_steps import WideSteps
from livegrad.treat.gradients import all_finite, leave_out, parameters_with_gradient
from livegrad.treat.optimizers import needs_closure
from livegrad.treat.rates.advice import STANDING_STILL, usual_size
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy

_HALF = (torch.float16, torch.bfloat16)
_IN_STEPS = ("master", "kahan", "stochastic")


class Precision(Remedy):
    """Choose number formats that hold the gradient and the step."""

    name = "precision"
    title = "change number formats: loss scale, bfloat16, wide steps, Adam's eps"
    treats = ("LG301", "LG302", "LG303", "LG401")
    not_when = (
        "the gradient vanished over depth, which another format only postpones; or a logarithm or a division "
        "by zero makes the numbers infinite, which no format holds"
    )
    variants = ("scale", "bfloat16", "autocast", *_IN_STEPS, "eps")
    options: ClassVar = {
        "first": "the loss scale to begin with (scale; default 65536)",
        "eps": "Adam's eps itself (eps)",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return choice.variant not in ("bfloat16", "autocast")

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: by what the finding says is lost, else by what the model computes in."""
        variant = _variant(body) if choice.variant == AUTO else choice.variant
        self.require_variant(variant)
        options = dict(choice.options)
        if variant == "eps" and "eps" not in options:
            found = eps_under(recorded_roots(body))
            options |= {} if found is None else {"eps": found}
        return Choice(self.name, variant, options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        obstacle = _obstacle(body, choice)
        if obstacle is not None:
            return Assessment(False, obstacle)
        evidence = (body.finding or {}).get("evidence") or {}
        before, after = _predicted(body, choice, evidence)
        code = (body.finding or {}).get("code")
        holds = code == "LG303" and choice.variant in ("bfloat16", "autocast")
        return Assessment(
            True if holds or code in ("LG302", "LG401") else None, _SAID[choice.variant], after, before
        )

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        missing = _missing(body, choice)
        if missing is not None:
            raise Refused(missing)
        if choice.variant == "scale":
            return _scale(body, choice)
        if choice.variant == "bfloat16":
            undo = autocast_in_bfloat16(_devices(body))
            return [Change("torch.autocast", "float16 → bfloat16", undo)]
        if choice.variant == "autocast":
            return _autocast(body)
        if choice.variant == "eps":
            return _set_eps(body, choice)
        return _wide_steps(body, choice)

    def at_step(self, body: Body, choice: Choice, step: int, optimizer: Optimizer) -> None:
        state = body.memory.get(_key(choice), {})
        parameters = parameters_with_gradient(optimizer) if "scale" in state else []
        if parameters:
            overflowed = not all_finite(parameters)
            state["scale"].stepped(overflowed)
            if overflowed:
                state["put_back"] = leave_out(optimizer)
        if "wide" in state and id(optimizer) in state["wide"]:
            state["wide"][id(optimizer)].before(optimizer)
        if "measure" in state and id(optimizer) in state["measure"]:
            state["measure"].discard(id(optimizer))
            _measure_eps(body, state, optimizer)

    def after_step(self, body: Body, choice: Choice, step: int, optimizer: Optimizer) -> None:
        state = body.memory.get(_key(choice), {})
        if "wide" in state and id(optimizer) in state["wide"]:
            state["wide"][id(optimizer)].after()
        put_back = state.pop("put_back", None)
        if put_back is not None:
            put_back()

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        wide = body.memory.get(_key(choice), {}).get("wide", {})
        narrow = {dtype for steps in wide.values() for dtype in steps.narrow}
        return edits_of(body, choice, changes, narrow)


_SAID = {
    "scale": "gradients pass through float16 as many times larger as it can hold",
    "bfloat16": "bfloat16 holds what float32 holds, with fewer digits",
    "autocast": "weights and steps are float32, and bfloat16 computes with them",
    "master": "steps are made on a float32 copy, which keeps what the weights cannot hold",
    "kahan": "what rounding takes from a step is kept and added to the next",
    "stochastic": "steps are rounded up or down at random, right on average",
    "eps": "eps no longer decides about the length of Adam's steps",
}


def _key(choice: Choice) -> tuple[str, str]:
    return ("precision", str(choice))


def _variant(body: Body) -> str:
    finding = body.finding or {}
    code, evidence = finding.get("code"), finding.get("evidence") or {}
    dtypes = {p.dtype for p in body.model.parameters()}
    half = bool(dtypes & set(_HALF))
    if code == "LG401" and ("under_eps_share" in evidence or (with_eps(body) and lies_under_eps(body))):
        return "eps"
    if code == "LG401":
        return "master"
    if code in ("LG301", "LG302", "LG303") and torch.float16 in dtypes:
        return "autocast"
    if code in ("LG301", "LG303") or (code == "LG302" and _is_scaled(body, evidence)):
        return "bfloat16"
    if code == "LG302" or any(opened_in_float16(device) for device in _devices(body)):
        return "scale"
    if half:
        return "autocast" if torch.float16 in dtypes else "master"
    return "eps" if with_eps(body) and not half else "bfloat16"


def _is_scaled(body: Body, evidence: Any) -> bool:
    return (evidence.get("loss_scale") or 1) != 1 or "scaler" in body.sources


def _devices(body: Body) -> set[str]:
    return {p.device.type for p in body.model.parameters()}


def _obstacle(body: Body, choice: Choice) -> str | None:
    """Why it cannot help, by closed form."""
    finding = body.finding or {}
    code, evidence = finding.get("code"), finding.get("evidence") or {}
    missing = _missing(body, choice)
    if missing is not None:
        return missing
    if vanishes(body) and (code is not None or choice.variant in ("scale", "eps")):
        return (
            "the gradient vanishes on its way: a format or an eps that holds smaller numbers postpones the "
            "zero, and amplifies noise"
        )
    under = "under_eps_share" in evidence or (code == "LG401" and lies_under_eps(body))
    if code == "LG401" and choice.variant == "eps" and not under:
        return "√v̂ does not lie under eps"
    if code == "LG401" and "swallowed_share" not in evidence and not under:
        return "no step is lost by its format: the learning rate of the group is what is small; take schedule"
    still = usual_size(body) if "swallowed_share" in evidence and body.optimizers else None
    if still is not None and still < STANDING_STILL and choice.variant != "eps":
        return (
            f"a step changes {still:.1g} of a weight: it is lost because the learning rate is that low, and "
            "would come to nothing in any format; take schedule"
        )
    if code == "LG401" and choice.variant in ("scale", "bfloat16"):
        return "the gradient is there; it is the step that is lost: take precision=master, or precision=eps"
    if code == "LG302" and choice.variant in (*_IN_STEPS, "eps"):
        return "the gradient is zero before it comes to the step: scale the loss, or take bfloat16"
    if code == "LG303" and choice.variant == "scale":
        return "the program scales its loss, and overflows: take precision=bfloat16"
    if code == "LG301" and not _uses_float16(body):
        return "nothing computes in float16: no other format holds what is infinite"
    return None


def _uses_float16(body: Body) -> bool:
    if torch.float16 in {p.dtype for p in body.model.parameters()}:
        return True
    if any(opened_in_float16(device) for device in _devices(body)):
        return True
    return body.history is not None and any(layer.dtype == "float16" for layer in body.history.layers)


def _missing(body: Body, choice: Choice) -> str | None:
    """What it would need to act."""
    dtypes = {p.dtype for p in body.model.parameters()}
    variant = choice.variant
    if variant != "bfloat16" and variant != "autocast" and not body.optimizers:
        return f"it acts at the optimizer's step: treat(model, 'precision={variant}', optimizer)"
    if variant == "scale" and torch.float16 in dtypes:
        return "the weights are float16, and so their gradients are, scaled or not: take precision=autocast"
    if variant == "scale" and "scaler" in body.sources:
        return "the program has a GradScaler already: take precision=bfloat16"
    if variant == "autocast" and not dtypes & set(_HALF):
        return "no weight is kept in half precision"
    if variant == "stochastic" and torch.bfloat16 not in dtypes:
        return "rounding at random is there for bfloat16 weights: take precision=master"
    if variant in _IN_STEPS and torch.distributed.is_available() and torch.distributed.is_initialized():
        return "weights that change their format for a step lose the hooks of distributed training"
    if variant in _IN_STEPS and any(needs_closure(o) for o in body.optimizers):
        return "an optimizer that asks for the loss within its step would mix both formats"
    if variant in _IN_STEPS and not dtypes & {torch.float16, torch.bfloat16, torch.float32}:
        return "no weight is in a format for which there is a wider one"
    if variant == "eps" and not with_eps(body):
        return "no optimizer divides by √v̂ + eps"
    return None


def _predicted(body: Body, choice: Choice, evidence: Any) -> tuple[dict[str, float], dict[str, float]]:
    """What is lost before and after; the first that the finding has numbers of."""
    variant = choice.variant
    if variant == "eps":
        eps = choice.options.get("eps")
        return predicted_share(body, None if eps is None else float(eps))
    if variant in ("scale", "bfloat16", "autocast") and evidence.get("share_rounded_to_zero") is not None:
        scale = float(choice.options.get("first", FIRST)) if variant == "scale" else 2.0**100
        return gradient_lost(evidence, scale)
    return step_lost(evidence) if variant in (*_IN_STEPS, "autocast") else ({}, {})


def _scale(body: Body, choice: Choice) -> list[Change]:
    scale = LossScale({id(p) for p in body.model.parameters()}, float(choice.options.get("first", FIRST)))
    undo = scale.install()
    body.memory[_key(choice)] = {"scale": scale}
    what = f"the loss is scaled by {scale.value:g}, gradients back by as much before anybody sees them"
    return [Change("loss", what, undo, body.sources.get("backward"))]


def _autocast(body: Body) -> list[Change]:
    dtypes = sorted({str(p.dtype).removeprefix("torch.") for p in body.model.parameters()} - {"float32"})
    device = sorted(_devices(body))[0]
    undo_weights = widen(body.model)
    wrapper = Autocast(body.model, device)
    undo_forward = wrapper.attach()
    return [
        Change("", f"weights {' and '.join(dtypes)} → float32", undo_weights, body.sources.get("")),
        Change("", "computes under autocast to bfloat16", undo_forward, body.sources.get("")),
    ]


def _wide_steps(body: Body, choice: Choice) -> list[Change]:
    dtypes = {p.dtype for p in body.model.parameters()}
    narrow = frozenset(dtypes & set(_HALF)) or frozenset({torch.float32})
    generator = body.generator()
    wide = {id(o): WideSteps(choice.variant, narrow, generator) for o in body.optimizers}
    body.memory[_key(choice)] = {"wide": wide}
    return [
        Change(
            f"optimizer {i}",
            _SAID[choice.variant],
            partial(wide[id(o)].end, o),
            body.sources.get(f"step:{i}"),
        )
        for i, o in enumerate(body.optimizers)
    ]


def _set_eps(body: Body, choice: Choice) -> list[Change]:
    eps = choice.options.get("eps")
    if eps is not None:
        return [set_eps(body, optimizer, float(eps)) for optimizer in with_eps(body)]
    undoing: list[Callable[[], None]] = []
    body.memory[_key(choice)] = {"measure": {id(o) for o in with_eps(body)}, "undo": undoing}
    return [Change("eps", "set under the gradients of the first step", partial(_undo_all, undoing))]


def _measure_eps(body: Body, state: dict[str, Any], optimizer: Optimizer) -> None:
    eps = eps_under(present_roots(optimizer))
    if eps is not None and eps < min(float(g["eps"]) for g in optimizer.param_groups):
        state["undo"].append(set_eps(body, optimizer, eps).undo)


def _undo_all(undoing: list[Callable[[], None]]) -> None:
    for undo in reversed(undoing):
        undo()
