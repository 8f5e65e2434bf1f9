"""Evidence shown to a person: the document's keys, which carry their units, as labels and readable values."""

from collections.abc import Callable, Mapping
from typing import Any

from livegrad.diagnose.number import count, duration, from_json, percent, short


def _decades(value: Any) -> str:
    number = from_json(value)
    return short(number) if number is None else f"{number:+.{1 if abs(number) >= 1 else 2}f} decades"


def _steps(value: Any) -> str:
    number = from_json(value)
    if number is None or abs(number) >= 1e7 or number != number:
        return f"{short(number)} steps"
    return f"{count(number)} steps" if abs(number) >= 10 else f"{short(number)} steps"


# The end of a key names its unit; the longest end that fits is taken, and dropped from the label.
_UNITS: dict[str, Callable[[Any], str]] = {
    "_decades_per_layer": lambda value: f"{_decades(value)} per layer",
    "_decades": _decades,
    "_per_time_step": short,
    "_steps": _steps,
    "_step": count,
    "_layers": count,
    "_count": count,
    "_share": percent,
    "_fraction": percent,
    "_seconds": duration,
}
_KEPT = {"_per_time_step", "_step", "_layers"}
_WHOLE = {
    "layers": count,
    "steps": count,
    "step": count,
    "decades": _decades,
    "saturated": percent,
    "dead": percent,
}


def fact(key: str, value: Any) -> tuple[str, str]:
    """Return the label and the value of one piece of evidence as a person would write them."""
    label, show = key, _WHOLE.get(key, short)
    for unit in sorted(_UNITS, key=len, reverse=True):
        if key.endswith(unit) and key != unit[1:]:
            label, show = (key if unit in _KEPT else key.removesuffix(unit)), _UNITS[unit]
            break
    return label.replace("_", " "), _show(value, show)


def _show(value: Any, show: Callable[[Any], str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        shown = ", ".join(_show(entry, show) for entry in value[:6])
        return f"{shown}, …" if len(value) > 6 else shown
    return value if isinstance(value, str) and from_json(value) is None else show(value)


def facts(finding: Mapping[str, Any], limit: int | None = None) -> list[tuple[str, str]]:
    """Return a finding's evidence as (label, value) pairs, the known ones first come."""
    evidence = finding.get("evidence") or {}
    known = [fact(key, value) for key, value in evidence.items() if value is not None]
    return known[:limit]


def steps_text(finding: Mapping[str, Any]) -> str | None:
    """Return when a finding held: "at step 0", "steps 40 to 1,200", or None when that is unknown."""
    first, last = finding.get("first_step"), finding.get("last_step")
    if first is None:
        return None
    if last is None or last == first:
        return f"at step {count(first)}"
    return f"steps {count(first)} to {count(last)}"
