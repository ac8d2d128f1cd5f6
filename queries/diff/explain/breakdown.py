"""One finding further: its transactions as a filter, and what of it happened in which container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.core.escape import visible
from queries.core.format import plural
from queries.core.selection import both_sides
from queries.core.window import Baseline, Window
from queries.diff.keys import IP, addresses, instances
from store.values import dataclass

if TYPE_CHECKING:
    from filters.nodes import Expr
    from queries.core.answer import Key
    from store.layout import Store

_FIELDS = {
    "host": "req.host",
    "method": "req.method",
    "route": "route",
    "process": "process.path",
    "signature": "error_signature",
}
_MOST = 12  # containers


@dataclass(frozen=True)
class Part:
    """What one container (or program, outside of containers) sent or served of it.

    requests and errors of the window, and of the baseline, all of its stretches together.
    """

    name: str
    serves: bool
    requests: int
    before: int
    errors: int
    errors_before: int


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


def part_text(part: Part) -> str:
    """`payment-service calls it: 1,204 requests (was 1,190), 412 failed (was 2)`."""
    verb = "serves it" if part.serves else "calls it"
    return visible(
        f"{part.name} {verb}: {plural(part.requests, 'request')} (was {part.before:,}), "
        f"{part.errors:,} failed (was {part.errors_before:,})"
    )


def by_container(
    store: Store, window: Window, baseline: Baseline, where: Expr | None
) -> list[Part]:
    """The containers that what passes `where` came from or went to, most of the change first."""
    [rows] = both_sides(store, window, baseline.spans, where, [where], "breakdown", rows=_MOST)
    return [Part(**row) for row in rows]
