"""What passes a filter, counted beside one another on both sides of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from queries.core.selection import both_sides
from queries.core.window import Window
from store.values import dataclass

if TYPE_CHECKING:
    from filters.nodes import Expr
    from store.layout import Store


_MOST: Final = 100  # values of a dimension


@dataclass(frozen=True)
class Counted:
    """Requests and failures under one name, of the window and of the whole baseline."""

    name: str
    requests: int
    before: int
    errors: int
    errors_before: int


@dataclass(frozen=True)
class Sides:
    """The values of each dimension, the most frequent of both sides first.

    status: "none" where there was no response; who: "calls NAME" or "serves NAME"; says: what a
    failure said, else its status; duration: the number of a bin, of which there are eight for each
    factor of ten of a millisecond.
    """

    status: tuple[Counted, ...] = ()
    host: tuple[Counted, ...] = ()
    who: tuple[Counted, ...] = ()
    says: tuple[Counted, ...] = ()
    duration: tuple[Counted, ...] = ()


def sides_of(store: Store, window: Window, baseline: Sequence[Window], where: Expr | None) -> Sides:
    """Count what passes `where` in the window and in the stretches of the baseline."""
    found: dict[str, list[Counted]] = {}
    for row in both_sides(store, window, baseline, where, "sides", most=_MOST):
        dimension, name = row.pop("dimension"), row.pop("value")
        found.setdefault(dimension, []).append(Counted(name, **row))
    return Sides(**{name: tuple(counts) for name, counts in found.items()})
