"""How deep in strings a place in JSON is: in how many JSON strings around each other."""

from __future__ import annotations

import re

_QUOTE = re.compile(rb"(\\*)\"")
_MOST_QUOTES = 4096


class Lexer:
    """Follows the strings of a JSON text, those in JSON inside strings too, going forward."""

    def __init__(self, buf: bytes) -> None:
        self._buf = buf
        self._quotes = _QUOTE.finditer(buf)
        self._next = next(self._quotes, None)
        self._seen = 0
        self._opened: list[int] = []

    def depth_at(self, at: int) -> int | None:
        """In how many strings `at` stands; None where there are too many quotes to tell.

        Places must be asked for in order.
        """
        while self._next is not None and self._next.start() < at:
            self._seen += 1
            if self._seen > _MOST_QUOTES:
                return None
            self._take(self._next)
            self._next = next(self._quotes, None)
        return len(self._opened)

    def holds_json(self) -> bool:
        """Whether the innermost string at the last place asked for holds JSON of its own."""
        start = self._opened[-1]
        return self._buf[start : start + 32].lstrip()[:1] in (b"{", b"[")

    def _take(self, quote: re.Match[bytes]) -> None:
        run = len(quote[1])
        for level in range(len(self._opened)):
            if run % 2 == 0:
                del self._opened[level:]
                return
            run = (run - 1) // 2
        self._opened.append(quote.end())
