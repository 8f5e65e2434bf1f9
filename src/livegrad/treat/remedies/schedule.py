"""schedule: set the learning rate by the size of the steps that it makes, and its course at the start.

    rate     each group's rate times a factor that makes ‖ΔW‖/‖W‖ sound (livegrad.treat.rate_advice)
    warmup   times min(1, (step + 1)/N) on top of what is set; N = 2/(1 − β₂) for Adam; Ma & Yarats 2021
    cap      no larger than it was before the fault began, where the program raises it while it trains

Where nothing was recorded and closed form does not tell (under Adam the first step is lr in every entry;
under SGD it depends on the gradient), the first step is made on trial and taken back, and the rate is set
before it is made in earnest. What a scheduler sets stays its own: its rates are multiplied for the time of
the step.
"""

import functools
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, ClassVar

from torch.optim import Optimizer

from livegrad.treat.ailment import explodes, vanishes
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.rate import Held, SetRates, is_scheduled, multiply, scaled
from livegrad.treat.rate_advice import (
    SMALLEST_FACTOR,
    STANDING_STILL,
    TOO_LARGE,
    TOO_SMALL,
    Advice,
    advise,
    behind_by_rate,
    from_sizes,
    target_of,
    usual_size,
)
from livegrad.treat.rate_cap import factors_under, rise_of
from livegrad.treat.recorded import recorded
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.schedule_edits import cap_edit, rate_edit, warmup_edits
from livegrad.treat.update_size import largest_by_group, tried_sizes

_USUAL_WARMUP = 500
_SHORTEST_WARMUP = 10
# More of a run than this is not spent on warming up.
_SHARE_OF_RUN = 0.2
_LARGE = 0.3


class Schedule(Remedy):
    """Set the learning rate."""

    name = "schedule"
    title = "set the learning rate, or warm it up"
    treats = ("LG105", "LG106", "LG201", "LG202", "LG301", "LG303", "LG401", "LG402", "LG403", "LG503")
    not_when = (
        "the gradient vanishes or explodes over depth: a rate that is high enough for the early layers makes "
        "the late ones diverge; or units are dead or saturated from the start, and have no slope to return by"
    )
    variants = ("rate", "warmup", "cap")
    options: ClassVar = {
        "factor": "what every rate is multiplied by (rate)",
        "lr": "the rate itself (rate), or the largest there may be (cap)",
        "group": "the only parameter group to change, counted from 0 (rate)",
        "steps": "N of the warm-up",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return True

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: a warm-up where only the first steps were too large, else the rate."""
        variant = choice.variant
        if variant == AUTO:
            variant = "warmup" if _only_at_first(body) else "rate"
        self.require_variant(variant)
        options = dict(choice.options)
        if variant == "cap" and "lr" not in options and (rise := rise_of(body)) is not None:
            options["lr"] = rise.usual
        if variant == "warmup" and "steps" not in options:
            options["steps"] = _warmup_steps(body)
        if variant == "rate" and not {"factor", "lr"} & options.keys() and _missing(body, choice) is None:
            options |= _as_options(advise(body))
        return Choice(self.name, variant, options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        obstacle = _obstacle(body, choice)
        if obstacle is not None:
            return Assessment(False, obstacle)
        code = (body.finding or {}).get("code")
        if choice.variant == "warmup":
            return _assess_warmup(body, choice, code)
        if choice.variant == "cap":
            rise = rise_of(body)
            rose = "" if rise is None else f"the program raises the rate to {rise.largest:.2g}: "
            return Assessment(True if rise else None, f"{rose}it is held under {choice.options['lr']:g}")
        if _begins_at_zero(body, choice):
            return Assessment(True, f"the learning rate is {choice.options['lr']:g} instead of 0")
        advice = _advice(body, choice)
        before = {} if advice.before is None else {"update_over_weights": advice.before}
        after = {} if advice.after is None else {"update_over_weights": advice.after}
        if _is_hopeless(advice, choice):
            return Assessment(
                False,
                f"{advice.why}: no learning rate is as small as that would ask for; bound the gradient "
                "(clip=norm), or mend what makes it (init)",
                after,
                before,
            )
        if advice.factors is not None and all(f == 1 for fs in advice.factors for f in fs):
            return Assessment(False if code else None, f"{advice.why}: the rate stays", after, before)
        works = True if code in ("LG106", "LG401", "LG402", "LG503") else None
        return Assessment(works, advice.why, after, before)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        obstacle = _missing(body, choice)
        if obstacle is not None:
            raise Refused(obstacle)
        held = body.memory.setdefault(_key(choice), {"held": [Held() for _ in body.optimizers]})
        if choice.variant == "warmup":
            what = f"learning rate warmed up over {choice.options['steps']} steps"
            return [_change(body, i, what) for i in range(len(body.optimizers))]
        if choice.variant == "cap":
            what = f"learning rate held under {choice.options['lr']:g}"
            return [_change(body, i, what) for i in range(len(body.optimizers))]
        if _begins_at_zero(body, choice):
            return [c for i, o in enumerate(body.optimizers) for c in _set_to(body, i, o, choice)]
        advice = _advice(body, choice)
        if advice.factors is None:
            held["measure"] = (body.finding or {}).get("code") in TOO_LARGE
            what = "learning rate set by its first step"
            undo = functools.partial(_undo_all, held.setdefault("undo", []))
            return [_change(body, i, what, undo) for i in range(len(body.optimizers))]
        changes = []
        held["factors"] = {}
        for i, (optimizer, factors) in enumerate(zip(body.optimizers, advice.factors, strict=True)):
            changes += _set(body, held, i, optimizer, factors)
        return changes

    def at_step(self, body: Body, choice: Choice, step: int, optimizer: Optimizer) -> None:
        state = body.memory.get(_key(choice))
        place = _place(body, optimizer)
        if state is None or place is None:
            return
        if choice.variant == "warmup":
            factor = min(1.0, (step + 1) / int(choice.options["steps"]))
            state["held"][place].before(optimizer, [factor] * len(optimizer.param_groups))
            return
        if choice.variant == "cap":
            state["held"][place].before(optimizer, factors_under(optimizer, float(choice.options["lr"])))
            return
        if "measure" in state and place not in state.setdefault("measured", set()):
            state["measured"].add(place)
            sizes = largest_by_group(optimizer, body.model, tried_sizes(optimizer, body.model))
            factors = (from_sizes([sizes], [target_of(optimizer)], state["measure"]).factors or ((),))[0]
            state["undo"] += [change.undo for change in _set(body, state, place, optimizer, factors)]
        _notice_by_hand(state, place, optimizer)
        if place in state.get("factors", {}):
            state["held"][place].before(optimizer, state["factors"][place])

    def after_step(self, body: Body, choice: Choice, step: int, optimizer: Optimizer) -> None:
        state, place = body.memory.get(_key(choice)), _place(body, optimizer)
        if state is not None and place is not None:
            state["held"][place].after()

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        found: list[Edit] = []
        for i, optimizer in enumerate(body.optimizers):
            made, step = body.sources.get(f"optimizer:{i}"), body.sources.get(f"step:{i}")
            if choice.variant == "warmup":
                found += warmup_edits(optimizer, made, step, int(choice.options["steps"]), i)
            elif choice.variant == "cap":
                found.append(cap_edit(optimizer, step, choice.options["lr"]))
            elif changed := [c for c in changes if c.where.startswith(f"optimizer {i}")]:
                found.append(rate_edit(body.memory.get(_key(choice), {}), i, made, changed))
        return found


def _key(choice: Choice) -> tuple[str, str]:
    return ("schedule", str(choice))


def _place(body: Body, optimizer: Optimizer) -> int | None:
    return next((i for i, known in enumerate(body.optimizers) if known is optimizer), None)


def _change(body: Body, i: int, what: str, undo: Callable[[], None] = lambda: None) -> Change:
    return Change(f"optimizer {i}", what, undo, body.sources.get(f"optimizer:{i}"))


def _undo_all(undoing: list[Callable[[], None]]) -> None:
    for undo in reversed(undoing):
        undo()


def _as_options(advice: Advice) -> dict[str, Any]:
    """One factor for all groups, or for one group alone, as options; {} where it is neither, or not known."""
    if advice.factors is None:
        return {}
    flat = [factor for factors in advice.factors for factor in factors]
    changed = [i for i, factor in enumerate(flat) if factor != 1]
    if len(set(flat)) == 1 and changed:
        return {"factor": flat[0]}
    if len(changed) == 1 and len(advice.factors) == 1:
        return {"factor": flat[changed[0]], "group": changed[0]}
    return {}


def _advice(body: Body, choice: Choice) -> Advice:
    factor, rate, only = (choice.options.get(name) for name in ("factor", "lr", "group"))
    if factor is None and rate is None:
        return advise(body)

    def asked(g: int, group: dict[str, Any]) -> float:
        if only is not None and g != int(only):
            return 1.0
        return float(factor) if factor is not None else float(rate or 0) / float(group["lr"])

    factors = tuple(tuple(asked(g, x) for g, x in enumerate(o.param_groups)) for o in body.optimizers)
    known = advise(body)
    most = max((f for fs in factors for f in fs), default=1.0)
    why = f"times {most:g}" if factor is not None else f"the learning rate is {rate:g}"
    why = f"{known.why}; {why}" if known.before is not None else why
    return Advice(factors, why, known.before, None if known.before is None else known.before * most)


def _set(
    body: Body, state: dict[str, Any], i: int, optimizer: Optimizer, factors: Sequence[float]
) -> list[Change]:
    """Multiply the rates of an optimizer, for good or beside its scheduler, and say so of each group."""
    if all(factor == 1 for factor in factors):
        return []
    scheduled = is_scheduled(optimizer)
    olds = [group["lr"] for group in optimizer.param_groups]
    if scheduled:
        state.setdefault("factors", {})[i] = list(factors)
        undo = lambda: state["factors"].pop(i, None)  # noqa: E731
    else:
        undo = multiply(optimizer, factors)
    news = [float(scaled(old, factor)) for old, factor in zip(olds, factors, strict=False)]
    if not scheduled:
        state.setdefault("set", {})[i] = SetRates(news, list(factors))
    if len(set(news)) == 1 and all(factor != 1 for factor in factors):
        # What a scheduler has made of a rate is not the program's argument.
        first = optimizer.param_groups[0].get("initial_lr", olds[0])
        state.setdefault("arguments", {})[i] = float(scaled(first, factors[0])) if scheduled else news[0]
    changes = []
    for g, (old, factor) in enumerate(zip(olds, factors, strict=False)):
        if factor != 1:
            where = f"optimizer {i}" + (f", group {g}" if len(olds) > 1 else "")
            also = " at every step of its schedule" if scheduled else ""
            what = f"learning rate {float(old):g} → {float(scaled(old, factor)):g}{also}"
            changes.append(Change(where, what, undo, body.sources.get(f"optimizer:{i}")))
    return changes


def _begins_at_zero(body: Body, choice: Choice) -> bool:
    """Whether a rate is asked for in the place of one that is zero, which no factor raises."""
    groups = [group for optimizer in body.optimizers for group in optimizer.param_groups]
    return "lr" in choice.options and any(float(group.get("lr", 1)) == 0 for group in groups)


def _set_to(body: Body, i: int, optimizer: Optimizer, choice: Choice) -> list[Change]:
    """Set the rate of each group to the one that is asked for."""
    state = body.memory[_key(choice)]
    kept = [(group, group["lr"]) for group in optimizer.param_groups]
    rate = float(choice.options["lr"])

    def undo() -> None:
        for group, old in kept:
            group["lr"] = old

    for group, _ in kept:
        group["lr"] = rate
    state.setdefault("arguments", {})[i] = rate
    return [_change(body, i, f"learning rate {float(kept[0][1]):g} → {rate:g}", undo)]


def _is_hopeless(advice: Advice, choice: Choice) -> bool:
    asked = {"factor", "lr"} & choice.options.keys() and advice.before is None
    factors = [f for fs in advice.factors or () for f in fs]
    return not asked and any(factor < SMALLEST_FACTOR for factor in factors)


def _notice_by_hand(state: dict[str, Any], place: int, optimizer: Optimizer) -> None:
    """Where the program sets the rate anew in its loop, it is multiplied at each step from then on."""
    known = state.get("set", {}).get(place)
    if known is not None and known.are_overwritten(optimizer):
        state.setdefault("factors", {})[place] = state["set"].pop(place).factors
        state.setdefault("by_hand", set()).add(place)
        state.get("arguments", {}).pop(place, None)


def _missing(body: Body, choice: Choice) -> str | None:
    if not body.optimizers:
        return "a learning rate is an optimizer's: treat(model, 'schedule', optimizer)"
    for name, value in choice.options.items():
        if name in ("factor", "lr", "steps") and not (isinstance(value, (int, float)) and value > 0):
            return f"{name} is a positive number, not {value!r}: schedule={choice.variant}:{name}=10"
    if choice.variant == "cap" and "lr" not in choice.options:
        return "the rate was not seen to rise before the fault: take schedule=rate, or say it, cap:lr=0.01"
    if any("lr" not in group for optimizer in body.optimizers for group in optimizer.param_groups):
        return "its optimizer has no learning rate"
    return None


def _obstacle(body: Body, choice: Choice) -> str | None:
    missing = _missing(body, choice)
    if missing is not None:
        return missing
    finding = body.finding or {}
    code = finding.get("code")
    if code in ("LG101", "LG102") and vanishes(body):
        return (
            "the gradient vanishes: a rate that is high enough for the early layers makes the late ones "
            "diverge first"
        )
    if explodes(body):
        return (
            "the gradient explodes at any rate: with a lower one the loss still follows only the early layers"
        )
    if code in ("LG201", "LG202") and finding.get("first_step") == 0:
        return "the units were so from the first step on: no rate gives them a slope"
    evidence = finding.get("evidence") or {}
    lost = "under_eps_share" in evidence or (
        "swallowed_share" in evidence and (usual_size(body) or 1.0) > STANDING_STILL
    )
    if code == "LG401" and lost and not behind_by_rate(body):
        return "the steps are rounded away or divided away: take precision"
    if code == "LG503" and (evidence.get("usual_update_over_weights") or 0) > 1e-5:
        return "the weights do move: what the model is told does not seem to depend on what it is shown"
    return None


def _only_at_first(body: Body) -> bool:
    """Whether steps were too large at the start, and not usually."""
    finding = body.finding or {}
    evidence = finding.get("evidence") or {}
    usual, first = evidence.get("usual_update_over_weights"), evidence.get("first_such_step")
    if finding.get("code") != "LG402" or usual is None or first is None:
        return False
    last = max(1, int(finding.get("last_step") or 1))
    return usual < 0.1 * _LARGE and first < _SHARE_OF_RUN * last


def _warmup_steps(body: Body) -> int:
    """2/(1 − β₂) for Adam's kin, 500 for others; a fifth of the recorded run at most."""
    memory = 0.0
    for optimizer in body.optimizers:
        for group in optimizer.param_groups:
            betas = group.get("betas")
            if betas:
                memory = max(memory, 2 / max(1e-6, 1 - float(betas[-1])))
    steps = ceil(memory - 1e-6) if memory else _USUAL_WARMUP
    known = recorded(body)
    if known is not None:
        steps = min(steps, max(_SHORTEST_WARMUP, int(_SHARE_OF_RUN * float(known.pulses.step[-1] + 1))))
    return steps


def _assess_warmup(body: Body, choice: Choice, code: str | None) -> Assessment:
    if code in TOO_SMALL or code == "LG401":
        return Assessment(
            False, "the steps are too small already, and a warm-up makes the first ones smaller"
        )
    advice = _advice(body, choice)
    evidence = (body.finding or {}).get("evidence") or {}
    usual = evidence.get("usual_update_over_weights")
    before = {} if advice.before is None else {"update_over_weights": advice.before}
    steps = int(choice.options["steps"])
    after = {} if advice.before is None else {"update_over_weights": advice.before / steps}
    if code == "LG402" and usual is not None and usual > _LARGE:
        reason = f"the usual step changes {usual:.2g} of the weights, not only the first ones: lower the rate"
        return Assessment(False, reason, after, before)
    works = True if code == "LG402" else None
    return Assessment(works, f"the first step is 1/{steps} of what it was", after, before)
