"""What a counterfactual says of a named cause: confirmed, confirmed in part, or only suspected.

    removed = |before| − what is left of it      decades (or shares) that go when the cause is taken out

A cause is confirmed if taking it out removes the larger part of the decades it is blamed for, and no less
than a quarter of all that is wrong. The first, because a cause that is not there takes nothing with it; the
second, because a cause of next to nothing explains nothing. Where what is left is still a fault, it is
confirmed "in part": something else has a share.
"""

import dataclasses

import numpy as np

from livegrad.diagnose.finding import Cause, Finding
from livegrad.diagnose.patient import Patient
from livegrad.run.schema import Counterfactual

LARGER_PART = 0.5
LEAST_SHARE = 0.25
# What is left counts as a fault from here on: the finding's own limits.
FAULT_DECADES = 3.0
FAULT_SHARE = {"saturated_share": 0.8, "dead_share": 0.9}


def with_counterfactual(patient: Patient, finding: Finding) -> Finding:
    """Return the finding with its cause confirmed or only suspected, if that was tried in this run."""
    cause = finding.cause
    tried = None if cause is None else _tried(patient, finding, cause)
    if cause is None or cause.kind is None:
        return finding
    before, after = (None, None) if tried is None else _numbers(tried)
    if tried is None or before is None or after is None:
        reason = f"not tried on a copy: {tried.note}" if tried is not None and tried.note else None
        suspected = dataclasses.replace(cause, summary=f"suspected: {cause.summary}", counterfactual=reason)
        return dataclasses.replace(finding, cause=suspected)
    confirmed, whole = judge(tried.measure, before, after, cause.decades)
    word = ("confirmed" if whole else "confirmed in part") if confirmed else "not confirmed"
    judged = dataclasses.replace(
        cause,
        summary=cause.summary if confirmed else f"suspected: {cause.summary}",
        confirmed=confirmed,
        counterfactual=f"{word}: {_sentence(tried, before, after)}",
    )
    return dataclasses.replace(
        finding, cause=judged, evidence=finding.evidence | _evidence(tried, before, after)
    )


def judge(measure: str, before: float, after: float, blamed: float | None) -> tuple[bool, bool]:
    """Return (confirmed, nothing worth a finding is left). blamed: decades the cause is blamed for, if known.

    Both ends may be infinite: a gradient that is exactly zero in its precision.
    """
    limit = FAULT_SHARE.get(measure, FAULT_DECADES)
    left = max(0.0, after if before > 0 else -after)
    if np.isinf(after):
        return False, False
    whole = left < LARGER_PART * abs(before) and abs(after) < limit
    if np.isinf(before):
        return True, whole
    known = blamed is not None and np.isfinite(blamed) and measure not in FAULT_SHARE
    own = min(abs(blamed), abs(before)) if known and blamed is not None else abs(before)
    needed = max(LARGER_PART * own, LEAST_SHARE * abs(before))
    return bool(abs(before) - left >= needed), bool(whole)


def _tried(patient: Patient, finding: Finding, cause: Cause) -> Counterfactual | None:
    """The last counterfactual of this cause, one with numbers before one without."""
    mine = [
        c
        for c in patient.run.info.counterfactuals
        if c.subject == patient.subject.id
        and c.code == finding.code
        and c.kind == cause.kind
        and c.cause == (cause.operator or "?")
    ]
    return max(mine, key=lambda c: (c.note is None, c.step), default=None)


def _numbers(tried: Counterfactual) -> tuple[float | None, float | None]:
    if tried.measure.endswith("_share"):
        return tried.share_before, tried.share_after
    return tried.decades_before, tried.decades_after


def _sentence(tried: Counterfactual, before: float, after: float) -> str:
    """ "without the 24 Sigmoid the same batch loses 5.9 decades instead of 20.3"."""
    change = tried.change.partition(": ")[0]
    if tried.measure == "saturated_share":
        return f"{change} {after:.0%} are saturated instead of {before:.0%}"
    if tried.measure == "dead_share":
        return f"{change} {after:.0%} of the units are silent instead of {before:.0%}"
    if tried.measure == "growth_decades":
        return f"{change} the activations grow by {_far(after)} decades instead of {_far(before)}"
    if tried.measure == "output_decades":
        return f"{change} the output is {_far(after)} decades from its unit instead of {_far(before)}"
    where = " over the time steps" if tried.measure == "time_decades" else ""
    # Next to nothing has no direction.
    turned = (after > 0) != (before > 0) and abs(after) >= 0.05
    verb = "gains" if before > 0 else "loses"
    if np.isinf(before) and before == after:
        return f"{change} the same batch still {verb} everything{where}"
    if not turned:
        return f"{change} the same batch {verb} {_decades(after)}{where} instead of {_far(before)}"
    now, instead = ("loses", "gaining") if before > 0 else ("gains", "losing")
    return f"{change} the same batch {now} {_decades(after)}{where} instead of {instead} {_far(before)}"


def _far(decades: float) -> str:
    return "everything" if np.isinf(decades) else f"{abs(decades):.1f}"


def _decades(decades: float) -> str:
    return "everything" if np.isinf(decades) else f"{abs(decades):.1f} decades"


def _evidence(tried: Counterfactual, before: float, after: float) -> dict[str, float]:
    if tried.measure.endswith("_share"):
        return {f"{tried.measure.removesuffix('_share')}_with_cause_removed_share": after}
    return {"on_the_same_batch_decades": before, "with_cause_removed_decades": after}
