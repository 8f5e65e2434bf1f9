"""A conclusion as one JSON document with a published schema: what reports and comparisons have in common."""

import json
from copy import deepcopy
from functools import lru_cache
from importlib.resources import files
from typing import Any, ClassVar

from livegrad.diagnose.number import to_json


class Document:
    """A mapping in the form of the schema in `schema_file`, a file beside this one. It is copied; array
    scalars become Python numbers. Raises TypeError for a value that has no place in JSON.
    """

    __slots__ = ("_document",)
    schema_file: ClassVar[str]

    def __init__(self, document: dict[str, Any]):
        object.__setattr__(self, "_document", to_json(document))

    def to_dict(self) -> dict[str, Any]:
        """Return the whole document, a copy that is yours to change."""
        return deepcopy(self._document)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the whole document as strict JSON: no bare NaN, and ASCII, which any stream can carry."""
        return json.dumps(self._document, indent=indent, allow_nan=False)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) that every document fulfils, a copy."""
        return deepcopy(_schema(cls.schema_file))


@lru_cache
def _schema(name: str) -> dict[str, Any]:
    return json.loads(files("livegrad.diagnose").joinpath(name).read_text(encoding="utf-8"))
