"""JSON that any parser takes, replaced on disk in one move."""

import json
import math
import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np


def strict(value: Any) -> Any:
    """`value` with only what strict JSON can hold.

    NaN and the infinities become the strings "NaN", "Infinity", "-Infinity"; dataclasses become objects;
    numpy scalars and arrays become numbers and lists; paths and anything unknown become text.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [strict(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: strict(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return strict(value.tolist())
    return str(value)


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def dumps(value: Any) -> str:
    """`value` as one line of ASCII: odd characters (lone surrogates, control codes) are escaped."""
    try:
        return json.dumps(value, ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError):  # a number that is not finite, or a type that JSON does not have
        return json.dumps(strict(value), ensure_ascii=True, allow_nan=False)


def replace_text(path: Path, text: str) -> None:
    """Put `text` at `path` so that a reader sees the old file or the new one, never a part of either.

    Raises OSError (disk full, folder gone); the old file is then still whole.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="ascii")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
