"""Whether the gradient is lost or blown up on its way, after what has been done to the body so far."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from livegrad.treat.body import Body
from livegrad.treat.heard import HEARD


def vanishes(body: Body) -> bool:
    """Whether the finding says that the gradient vanishes, or, without a finding, the batch shows it.

    A finding over depth no longer counts once an earlier remedy of the treatment has cured it.
    """
    code = _code(body)
    if code == "LG102":
        return True
    if code == "LG101":
        return not _cured(body)
    return code is None and body.args is not None and body.anatomy.decades < -HEARD


def was_heard_at_first(finding: Mapping[str, Any]) -> bool:
    """Whether the early layers were heard at the first scan, and no more after some steps: these did it."""
    return finding.get("code") == "LG101" and (finding.get("first_step") or 0) > 0


def explodes(body: Body) -> bool:
    """The same of a gradient that explodes."""
    code = _code(body)
    return code == "LG104" or (code == "LG103" and not _cured(body))


def _cured(body: Body) -> bool:
    if not body.altered or body.args is None:
        return False
    decades = body.anatomy.decades
    return isfinite(decades) and abs(decades) < HEARD


def _code(body: Body) -> str | None:
    return (body.finding or {}).get("code")
