"""Numbers of the JSON document: made safe for JSON, read back, and shown to a person.

JSON has no NaN and no infinity, and livegrad never drops them, so the document holds the strings "NaN",
"Infinity" and "-Infinity".
"""

import math
from collections.abc import Mapping
from typing import Any

_WRITTEN = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(value: Any) -> Any:
    """Return `value` built of dicts, lists, strings, finite numbers, booleans and None only.

    Array scalars become Python numbers, tuples and arrays become lists, non-finite numbers their names.
    Needs no numpy, so that a report can be read where there is none.

    Raises:
        TypeError: a value has no place in JSON.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _name(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(entry) for entry in value]
    if hasattr(value, "tolist"):
        return to_json(value.tolist())
    raise TypeError(f"a {type(value).__name__} cannot be part of a report: {value!r}")


def _name(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def from_json(value: Any) -> float | None:
    """Return the number that the document holds, or None where it holds none (null, or text)."""
    if isinstance(value, str):
        return _WRITTEN.get(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def log10(value: float | None) -> float | None:
    """Return the decimal logarithm; -inf for zero, NaN for NaN and for negative numbers, None for None."""
    if value is None:
        return None
    if math.isnan(value) or value < 0:
        return math.nan
    return -math.inf if value == 0 else math.log10(value)


def log10_of_positive(value: float | None) -> float | None:
    """Return the decimal logarithm of a finite positive number; None for anything else."""
    return math.log10(value) if value is not None and math.isfinite(value) and value > 0 else None


def short(value: Any, digits: int = 2) -> str:
    """Return a number in a few characters: `0.35`, `42`, `1.0e-14`, `NaN`; `–` where it is unknown."""
    number = from_json(value)
    if number is None:
        return "–"
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else ("inf" if number > 0 else "-inf")
    if number == 0:
        return "0"
    if not 1e-3 <= abs(number) < 1e4:
        mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    text = f"{number:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(value: Any) -> str:
    """Return a share as a percentage that never rounds something to nothing, nor most to all."""
    number = from_json(value)
    if number is None or not math.isfinite(number):
        return short(number)
    if 0 < abs(number) < 5e-4:
        return "< 0.1 %"
    if 0.995 <= number < 1:
        return f"{math.floor(number * 1000) / 10:.1f} %"
    return f"{short(number * 100)} %"


def count(value: Any) -> str:
    """Return a whole number with its thousands apart: `1,234,567`."""
    number = from_json(value)
    if number is None or not math.isfinite(number):
        return short(number)
    return f"{round(number):,}"


def duration(value: Any) -> str:
    """Return seconds in the unit a person would choose: `8 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`."""
    seconds = from_json(value)
    if seconds is None or not math.isfinite(seconds):
        return short(seconds)
    if seconds < 1:
        return f"{short(seconds * 1000)} ms"
    if seconds < 99.5:
        return f"{short(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
