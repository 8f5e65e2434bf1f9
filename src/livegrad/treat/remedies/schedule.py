"""schedule: set the learning rate by the size of the steps that it makes, and its course at the start.

    rate     each group's rate times a factor that makes ‖ΔW‖/‖W‖ sound (livegrad.treat.rates.advice)
    warmup   times min(1, (step + 1)/N) on top of what is set; N = 2/(1 − β₂) for Adam; Ma & Yarats 2021
    cap      no larger than it was before the fault began, where the program raises it while it trains

Where nothing was recorded and closed form does not tell (under Adam the first step is lr in every entry;
under SGD it depends on the gradient), the first step is made on trial and taken back, and the rate is set
before it is made in earnest. What a scheduler sets stays its own: its rates are multiplied for the time of
the step.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch.optim import Optimizer

from livegrad.diagnose.rules.not_learning import NO_WAY, START_OVER_LEVEL
from livegrad.treat.ailment import explodes, vanishes, was_heard_at_first
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.rates import warmup
from livegrad.treat.rates.advice import (
    SMALLEST_FACTOR,
    STANDING_STILL,
    TOO_LARGE,
    Advice,
    advise,
    behind_by_rate,
    from_sizes,
    target_of,
    usual_size,
)
from livegrad.treat.rates.cap import factors_under, rise_of
from livegrad.treat.rates.edits import cap_edit, rate_edit, warmup_edits
from livegrad.treat.rates.in_force import RatesInForce
from livegrad.treat.rates.rate import Held
from livegrad.treat.rates.update_size import largest_by_group, tried_sizes
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy


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
            variant = "warmup" if warmup.is_enough(body) else "rate"
        self.require_variant(variant)
        options = dict(choice.options)
        if variant == "cap" and "lr" not in options and (rise := rise_of(body)) is not None:
            options["lr"] = rise.usual
        if variant == "warmup" and "steps" not in options:
            options["steps"] = warmup.length(body)
        if variant == "rate" and not {"factor", "lr"} & options.keys() and _missing(body, choice) is None:
            options |= _as_options(advise(body))
        return Choice(self.name, variant, options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        obstacle = _obstacle(body, choice)
        if obstacle is not None:
            return Assessment(False, obstacle)
        code = (body.finding or {}).get("code")
        if choice.variant == "warmup":
            return warmup.assess(body, int(choice.options["steps"]), _advice(body, choice))
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
        rates = RatesInForce([Held() for _ in body.optimizers])
        rates = body.memory.setdefault(_key(choice), rates)
        if choice.variant == "warmup":
            what = f"learning rate warmed up over {choice.options['steps']} steps"
            return [_change(body, i, what) for i in range(len(body.optimizers))]
        if choice.variant == "cap":
            what = f"learning rate held under {choice.options['lr']:g}"
            return [_change(body, i, what) for i in range(len(body.optimizers))]
        if _begins_at_zero(body, choice):
            rate = float(choice.options["lr"])
            return [rates.set_to(body, i, rate) for i in range(len(body.optimizers))]
        advice = _advice(body, choice)
        if advice.factors is None:
            body.memory[_key(choice), "unmeasured"] = set(range(len(body.optimizers)))
            what = "learning rate set by its first step"
            return [_change(body, i, what, rates.undo_all) for i in range(len(body.optimizers))]
        rates.factors.clear()
        return [c for i, factors in enumerate(advice.factors) for c in rates.multiply(body, i, factors)]

    def at_step(self, body: Body, choice: Choice, step: int, optimizer: Optimizer) -> None:
        rates: RatesInForce | None = body.memory.get(_key(choice))
        place = _place(body, optimizer)
        if rates is None or place is None:
            return
        if choice.variant == "warmup":
            factor = min(1.0, (step + 1) / int(choice.options["steps"]))
            rates.held[place].before(optimizer, [factor] * len(optimizer.param_groups))
            return
        if choice.variant == "cap":
            rates.held[place].before(optimizer, factors_under(optimizer, float(choice.options["lr"])))
            return
        unmeasured = body.memory.get((_key(choice), "unmeasured"), set())
        if place in unmeasured:
            unmeasured.discard(place)
            rates.undoing += [c.undo for c in rates.multiply(body, place, _measured_factors(body, optimizer))]
        rates.notice_by_hand(place, optimizer)
        if place in rates.factors:
            rates.held[place].before(optimizer, rates.factors[place])

    def after_step(self, body: Body, choice: Choice, step: int, optimizer: Optimizer) -> None:
        rates, place = body.memory.get(_key(choice)), _place(body, optimizer)
        if rates is not None and place is not None:
            rates.held[place].after()

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        found: list[Edit] = []
        for i, optimizer in enumerate(body.optimizers):
            made, step = body.sources.get(f"optimizer:{i}"), body.sources.get(f"step:{i}")
            if choice.variant == "warmup":
                found += warmup_edits(optimizer, made, step, int(choice.options["steps"]), i)
            elif choice.variant == "cap":
                found.append(cap_edit(optimizer, step, choice.options["lr"]))
            elif changed := [c for c in changes if c.where.startswith(f"optimizer {i}")]:
                found.append(rate_edit(body.memory.get(_key(choice)), i, made, changed))
        return found


def _key(choice: Choice) -> tuple[str, str]:
    return ("schedule", str(choice))


def _place(body: Body, optimizer: Optimizer) -> int | None:
    return next((i for i, known in enumerate(body.optimizers) if known is optimizer), None)


def _change(body: Body, i: int, what: str, undo: Callable[[], None] = lambda: None) -> Change:
    return Change(f"optimizer {i}", what, undo, body.sources.get(f"optimizer:{i}"))


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


def _begins_at_zero(body: Body, choice: Choice) -> bool:
    """Whether a rate is asked for in the place of one that is zero, which no factor raises."""
    groups = [group for optimizer in body.optimizers for group in optimizer.param_groups]
    return "lr" in choice.options and any(float(group.get("lr", 1)) == 0 for group in groups)


def _measured_factors(body: Body, optimizer: Optimizer) -> Sequence[float]:
    """One for each group, by a step that is made on trial and taken back."""
    sizes = largest_by_group(optimizer, body.model, tried_sizes(optimizer, body.model))
    too_large = (body.finding or {}).get("code") in TOO_LARGE
    return (from_sizes([sizes], [target_of(optimizer)], too_large).factors or ((),))[0]


def _is_hopeless(advice: Advice, choice: Choice) -> bool:
    asked = {"factor", "lr"} & choice.options.keys() and advice.before is None
    factors = [f for fs in advice.factors or () for f in fs]
    return not asked and any(factor < SMALLEST_FACTOR for factor in factors)


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
    if code in ("LG101", "LG102") and vanishes(body) and not was_heard_at_first(finding):
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
    way = evidence.get("way_of_the_weights_in_their_own_size")
    moves = (evidence.get("usual_update_over_weights") or 0) > STANDING_STILL
    wild = START_OVER_LEVEL in evidence
    if code == "LG503" and moves and not wild and not (way is not None and way < NO_WAY):
        return "the weights do move: what the model is told does not seem to depend on what it is shown"
    return None
