"""Frozen values that mirror one object of a JSON file, read leniently and written in full."""

from dataclasses import dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Self, TypeVar, get_args, get_origin

NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


@cache
def _accepted(cls: type) -> dict[str, tuple[type, ...]]:
    """The Python types each field takes; float also takes int."""
    table = {}
    for item in fields(cls):
        union = get_args(item.type) if isinstance(item.type, UnionType) else (item.type,)
        kinds = tuple(get_origin(kind) or kind for kind in union)
        table[item.name] = kinds + ((int,) if float in kinds else ())
    return table


def _value(value: Any, kinds: tuple[type, ...]) -> Any:
    """`value` as one of `kinds`; NotImplemented where it is not one."""
    if float in kinds and isinstance(value, str):
        value = NON_FINITE.get(value, value)
    if tuple in kinds and isinstance(value, list):
        value = tuple(value)
    if value is None and NoneType not in kinds:
        return NotImplemented
    return value if isinstance(value, kinds) else NotImplemented


def _plain(value: Any) -> Any:
    """Values as JSON knows them (tuples become lists, records become objects)."""
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class Record:
    """A frozen value that mirrors one object of run.json.

    Unknown keys are ignored and a missing or mistyped one takes the field's default, so that a run written by
    another version still opens.
    """

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """The record in one JSON object."""
        known = _accepted(cls)
        given = document if isinstance(document, dict) else {}
        values = {name: _value(given[name], kinds) for name, kinds in known.items() if name in given}
        return cls(**{name: value for name, value in values.items() if value is not NotImplemented})

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object; non-finite numbers stay floats and are spelt out when written."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}


_R = TypeVar("_R", bound=Record)


def records(cls: type[_R], values: tuple[Any, ...]) -> tuple[_R, ...]:
    """Each of `values` as a record of this kind."""
    return tuple(value if isinstance(value, cls) else cls.from_json(value) for value in values)
