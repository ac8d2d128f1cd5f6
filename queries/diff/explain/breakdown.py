"""One finding further: its transactions as a filter, and what they were like on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from queries.core.escape import visible
from queries.core.format import plural
from queries.core.question import parsed
from queries.core.selection import both_sides
from queries.core.window import Window
from queries.diff.keys import IP, addresses, instances
from store.values import dataclass

if TYPE_CHECKING:
    from queries.core.answer import Key
    from store.layout import Store

_FIELDS = {
    "host": "req.host",
    "method": "req.method",
    "route": "route",
    "process": "process.path",
    "signature": "error_signature",
}
_MOST = 100  # values of a dimension
_CONTAINERS = 12  # that are told


@dataclass(frozen=True)
class Counted:
    """Requests and failures under one name, of the window and of the whole baseline."""

    name: str
    requests: int
    before: int
    errors: int
    errors_before: int


Sides = dict[str, list[Counted]]


def filter_of(key: Key) -> str:
    """The key as a filter for `where`; empty where it names nothing that a filter can name.

    What stands for many values is left out: a route with `{*}`, a name that cannot be quoted. A
    container is meant with all of its instances (payment-7d9f8, payment-x2k4q), `{ip}:80` with all
    private addresses of that port.
    """
    parts = []
    for name, value in key.items():
        if name == "status":
            parts.append('outcome == "no_response"' if value is None else f"res.status == {value}")
        elif isinstance(value, str) and value and quotable(value):
            if name == "container":
                parts.append(f"container.name matches /{instances(value)}/")
            elif name == "host" and value.startswith(IP):
                parts.append(f"req.host matches /{addresses(value)}/")
            elif name in _FIELDS and not (name == "route" and "{*}" in value):
                parts.append(f'{_FIELDS[name]} == "{value}"')
    return " and ".join(parts)


def quotable(text: str) -> bool:
    """Whether a filter can hold the text between its quotes as it is."""
    return text.isprintable() and '"' not in text and "\\" not in text and len(text) <= 500


def within(only: str | None, key: Key) -> str:
    """The filter of a finding's transactions under the filter of the question; may be empty."""
    texts = [text for text in (only, filter_of(key)) if text]
    return " and ".join(f"({text})" for text in texts) if len(texts) > 1 else "".join(texts)


def sides_of(
    store: Store, window: Window, baseline: Sequence[Window], only: str | None,
    wheres: Sequence[str],
) -> list[Sides]:  # fmt: skip
    """What passes each of the filters, which are parts of `only`, in the window and in the
    stretches of the baseline, by the values of each dimension, the most frequent of both sides
    first.

    status: "none" where there was no response; host; who: "calls NAME" or "serves NAME"; says: what
    a failure said, else its status; duration: the number of a bin, of which there are eight for
    each factor of ten of a millisecond.
    """
    found: list[Sides] = []
    texts = [parsed(text) for text in wheres]
    for rows in both_sides(store, window, baseline, parsed(only), texts, "sides", most=_MOST):
        found.append(defaultdict(list))
        for row in rows:
            found[-1][row.pop("dimension")].append(Counted(row.pop("value"), **row))
    return found


def by_container(both: Sides) -> list[Counted]:
    """Who made or served it, most of the change first."""

    def change(one: Counted) -> tuple[int, int, str]:
        moved = one.errors - one.errors_before, one.requests - one.before
        return -abs(moved[0]), -abs(moved[1]), one.name.partition(" ")[2]

    return sorted(both["who"], key=change)[:_CONTAINERS]


def part_text(part: Counted) -> str:
    """`payment-service calls it: 1,204 requests (was 1,190), 412 failed (was 2)`."""
    verb, _, who = part.name.partition(" ")
    return visible(
        f"{who} {verb} it: {plural(part.requests, 'request')} (was {part.before:,}), "
        f"{part.errors:,} failed (was {part.errors_before:,})"
    )
