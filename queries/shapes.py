"""The shape that JSON bodies share: which fields, of which types, how often, as JSON Schema."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from queries.core.escape import visible

_DEEPEST = 16
_MOST_FIELDS = 200  # of one object; beyond that its names are values
_MOST_ITEMS = 50  # of one array
_LONGEST_NAME = 100
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass
class Shape:
    """What was seen at one place: how often, which types, and what lies below.

    objects: how many of those seen were objects, so that a field's share is known.
    """

    seen: int = 0
    objects: int = 0
    types: Counter[str] = field(default_factory=Counter)
    fields: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    more_fields: bool = False

    def add(self, value: Any, depth: int = 0) -> None:
        """Count one value, and those within it."""
        self.seen += 1
        self.types[_type(value)] += 1
        if depth >= _DEEPEST:
            return
        if isinstance(value, dict):
            self.objects += 1
            for name, inner in value.items():
                self._field(name).add(inner, depth + 1)
        elif isinstance(value, list):
            if self.items is None:
                self.items = Shape()
            for inner in value[:_MOST_ITEMS]:
                self.items.add(inner, depth + 1)

    def _field(self, name: str) -> Shape:
        name = visible(name)[:_LONGEST_NAME]
        found = self.fields.get(name)
        if found is None:
            found = Shape()
            if len(self.fields) >= _MOST_FIELDS:
                self.more_fields = True
            else:
                self.fields[name] = found
        return found


def add_body(shape: Shape, body: bytes | None) -> bool:
    """Count a body. False when it is no JSON, or was cut."""
    if not body or body.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        shape.add(json.loads(body))
    except (ValueError, RecursionError):
        return False
    return True


def schema_of(shape: Shape, top: bool = True) -> dict[str, Any]:
    """The shape as JSON Schema. A field is required when every object seen had it."""
    types = sorted(_types(shape))
    found: dict[str, Any] = {"$schema": _DIALECT} if top else {}
    if types:
        found["type"] = types[0] if len(types) == 1 else types
    if shape.fields:
        found["properties"] = {
            name: schema_of(inner, False) for name, inner in sorted(shape.fields.items())
        }
        needed = [name for name, inner in sorted(shape.fields.items())
                  if inner.seen == shape.objects]  # fmt: skip
        if needed:
            found["required"] = needed
    if shape.more_fields:
        found["additionalProperties"] = True
    if shape.items is not None and shape.items.seen:
        found["items"] = schema_of(shape.items, False)
    return found


def _types(shape: Shape) -> set[str]:
    """An integer is a number where other numbers stand beside it."""
    types = set(shape.types)
    return types - {"integer"} if "number" in types else types


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
