"""What a number format rounds away: of a gradient in float16, of a step that is added to a weight."""

from collections.abc import Mapping
from math import erf, isfinite, sqrt
from statistics import NormalDist
from typing import Any

# Half the spacing of numbers at a weight, over the weight, at most.
_RESOLUTION = {"float32": 2.0**-25, "float64": 2.0**-54}


def share_lost(share: float, scale: float) -> float:
    """The share of a gradient that float16 rounds to zero when it is `scale` times larger, of a normal one of
    which it rounds `share` to zero now: erf(erf⁻¹(share)/scale).
    """
    return erf(NormalDist().inv_cdf((1 + share) / 2) / sqrt(2) / scale)


def gradient_lost(evidence: Mapping[str, Any], scale: float) -> tuple[dict[str, float], dict[str, float]]:
    """The share of the gradient rounded to zero as the finding has it, and under a loss scale of `scale`."""
    lost = evidence.get("share_rounded_to_zero")
    if not isinstance(lost, (int, float)):
        return {}, {}
    # Where all is lost nothing is known of how small it was.
    after = {"share_rounded_to_zero": share_lost(lost, scale)} if lost < 1 else {}
    return {"share_rounded_to_zero": lost}, after


def step_lost(evidence: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """The share of the step rounded away as the finding has it, and in the next wider format."""
    swallowed = evidence.get("swallowed_share")
    if not isinstance(swallowed, (int, float)):
        return {}, {}
    turnover = evidence.get("turnover_steps")
    if not isinstance(turnover, (int, float)) or not isfinite(turnover) or not turnover:
        return {"swallowed_share": swallowed}, {}
    wider = "float64" if evidence.get("dtype") == "float32" else "float32"
    return {"swallowed_share": swallowed}, {"swallowed_share": float(1 / turnover < _RESOLUTION[wider])}
