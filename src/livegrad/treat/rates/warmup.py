"""A learning rate that rises to its value over the first N steps, rate · min(1, (step + 1)/N).

N = 2/(1 − β₂) for Adam and its kin, the memory of √v̂ (Ma & Yarats 2021); 500 for others.
"""

from math import ceil

from livegrad.diagnose.rules.update_too_large import USUAL_STEP as TOO_LARGE
from livegrad.treat.body import Body
from livegrad.treat.rates.advice import TOO_SMALL, Advice
from livegrad.treat.recorded import recorded
from livegrad.treat.remedy import Assessment

_USUAL = 500
_SHORTEST = 10
# More of a run than this is not spent on warming up.
_SHARE_OF_RUN = 0.2


def is_enough(body: Body) -> bool:
    """Whether steps were too large at the start, and not usually."""
    finding = body.finding or {}
    evidence = finding.get("evidence") or {}
    usual, first = evidence.get("usual_update_over_weights"), evidence.get("first_such_step")
    if finding.get("code") != "LG402" or usual is None or first is None:
        return False
    last = max(1, int(finding.get("last_step") or 1))
    return usual < 0.1 * TOO_LARGE and first < _SHARE_OF_RUN * last


def length(body: Body) -> int:
    """N, in steps; a fifth of the recorded run at most."""
    memory = 0.0
    for optimizer in body.optimizers:
        for group in optimizer.param_groups:
            betas = group.get("betas")
            if betas:
                memory = max(memory, 2 / max(1e-6, 1 - float(betas[-1])))
    steps = ceil(memory - 1e-6) if memory else _USUAL
    known = recorded(body)
    if known is not None:
        steps = min(steps, max(_SHORTEST, int(_SHARE_OF_RUN * float(known.pulses.step[-1] + 1))))
    return steps


def assess(body: Body, steps: int, advice: Advice) -> Assessment:
    """Judge a warm-up over so many steps. advice: what is known of the rate that it rises to."""
    finding = body.finding or {}
    code = finding.get("code")
    if code in TOO_SMALL or code == "LG401":
        return Assessment(
            False, "the steps are too small already, and a warm-up makes the first ones smaller"
        )
    usual = (finding.get("evidence") or {}).get("usual_update_over_weights")
    before = {} if advice.before is None else {"update_over_weights": advice.before}
    after = {} if advice.before is None else {"update_over_weights": advice.before / steps}
    if code == "LG402" and usual is not None and usual > TOO_LARGE:
        reason = f"the usual step changes {usual:.2g} of the weights, not only the first ones: lower the rate"
        return Assessment(False, reason, after, before)
    works = True if code == "LG402" else None
    return Assessment(works, f"the first step is 1/{steps} of what it was", after, before)
