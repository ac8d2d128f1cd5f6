"""What passes a filter, counted beside one another on both sides of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from queries.core.selection import Selection
from queries.core.session import open_reader
from queries.core.window import Window
from store.values import dataclass

if TYPE_CHECKING:
    from filters.nodes import Expr
    from store.layout import Store


@dataclass(frozen=True)
class Sides:
    """(dimension, value) -> requests of the window, and of the baseline.

    Dimensions: status ("none": no response), host, and duration: the number of a bin, of which
    there are eight for each factor of ten of a millisecond.
    """

    counts: dict[tuple[str, str], tuple[int, int]]

    def of(self, dimension: str) -> dict[str, tuple[int, int]]:
        """The values of a dimension."""
        return {value: pair for (name, value), pair in self.counts.items() if name == dimension}


def sides_of(store: Store, window: Window, baseline: Sequence[Window], where: Expr | None) -> Sides:
    """Count what passes `where` in the window and in the stretches of the baseline."""
    spans = [window, *baseline]
    whole = Window(min(s.from_ts for s in spans), max(s.to_ts for s in spans))
    limits = {"starts": [s.from_ts for s in spans], "ends": [s.to_ts for s in spans]}
    with open_reader(store, spans) as reader:
        chosen = Selection(reader, whole)
        chosen.select(where, "transactions")
        rows = chosen.rows("sides", limits)
    return Sides({(row["dimension"], row["value"]): (row["requests"], row["before"])
                  for row in rows})  # fmt: skip
