"""Pages of an answer: a cursor holds which window was asked about, how far it was read, and a check
of what was asked, so that the next page continues the same answer even when now has moved on."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass

from queries.core.escape import visible
from queries.core.window import Window
from store.errors import UsageError
from store.hours import from_us, to_us

_DEEPEST = 20_000  # rows; who wants more wants an export


@dataclass(frozen=True)
class Page:
    """`limit` rows from `offset` on of the answer about `window`; check: of what was asked."""

    window: Window
    offset: int
    limit: int
    check: int

    @property
    def rows(self) -> int:
        """Rows to ask for: those before the page, its own, and one that tells of more."""
        return self.offset + self.limit + 1

    def after(self, more: bool) -> str | None:
        """The cursor of the next page; None where there is none."""
        offset = self.offset + self.limit
        if not more or offset > _DEEPEST:
            return None
        place = [to_us(self.window.from_ts), to_us(self.window.to_ts), offset, self.check]
        return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode()


def page_of(cursor: str | None, window: Window, limit: int, *asked: object) -> Page:
    """The first page of what is asked about `window`, or the one that a cursor names.

    UsageError for what is no cursor, or that of another question or other arguments.
    """
    check = zlib.crc32(repr(asked).encode())
    if not cursor:
        return Page(window, 0, limit, check)
    try:
        start, end, offset, known = json.loads(base64.urlsafe_b64decode(cursor))
        page = Page(Window(from_us(int(start)), from_us(int(end))), int(offset), limit, int(known))
    except (ValueError, TypeError, OverflowError, RecursionError, UsageError):
        raise UsageError(
            f"{visible(cursor[:40])!r} is no cursor", "Take next_cursor of the page before as it is"
        ) from None
    if page.check != check or not 0 < page.offset <= _DEEPEST:
        raise UsageError(
            "the cursor belongs to another question",
            "Repeat the arguments of the page before, or leave the cursor out.",
        )
    return page
