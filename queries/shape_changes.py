"""How the shape of bodies differs between two windows, beyond what a sample leaves to chance.

A field that one side never showed counts as new (or gone) only where its absence in so many bodies
would be a surprise, had it been there as often as on the other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from queries.shapes import Shape

_CHANCE = 0.001  # of not meeting a field by bad luck
Kind = Literal["appeared", "vanished", "type"]


@dataclass(frozen=True)
class Difference:
    """One place of a body: `$.items[].price`. Types are JSON Schema's; shares 0..1 of the objects
    around the field, null where none was seen."""

    path: str
    change: Kind
    before: tuple[str, ...]
    after: tuple[str, ...]
    before_share: float | None
    after_share: float | None


def differences(before: Shape, after: Shape, path: str = "$") -> Iterator[Difference]:
    """What changed from `before` to `after`, outermost first."""
    if before.seen and after.seen:
        changed = _new_types(before, after) | _new_types(after, before)
        if changed:
            yield Difference(path, "type", _names(before), _names(after), None, None)
    if before.objects and after.objects:
        for name in sorted({*before.fields, *after.fields}):
            old, new = before.fields.get(name), after.fields.get(name)
            place = f"{path}.{name}"
            if old is not None and new is not None:
                yield from differences(old, new, place)
            elif new is not None and _surprising(new.seen / after.objects, before.objects):
                share = new.seen / after.objects
                yield Difference(place, "appeared", (), _names(new), 0.0, share)
            elif old is not None and _surprising(old.seen / before.objects, after.objects):
                share = old.seen / before.objects
                yield Difference(place, "vanished", _names(old), (), share, 0.0)
    if before.items is not None and after.items is not None:
        yield from differences(before.items, after.items, f"{path}[]")


def _new_types(before: Shape, after: Shape) -> set[str]:
    """Types of `after` that `before` never had and should have had."""
    known = set(before.types)
    if "number" in known:
        known.add("integer")
    return {
        name for name, count in after.types.items()
        if name not in known and _surprising(count / after.seen, before.seen)
    }  # fmt: skip


def _surprising(share: float, bodies: int) -> bool:
    return bool((1 - min(share, 1 - 1e-9)) ** bodies < _CHANCE)


def _names(shape: Shape) -> tuple[str, ...]:
    return tuple(sorted(shape.types))
