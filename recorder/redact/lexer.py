"""How deep in strings a place in JSON is: in how many JSON strings around each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recorder.redact.rules import compiled

# Whole strings and what stands between them, from a place that is in no string.
_WHOLE = compiled(r'(?s:[^"]|"(?:[^"\\]|\\.)*")*')
_QUOTE = re.compile(rb"(\\*)\"")
_MOST_QUOTES = 2048  # in one string, for JSON in it


class Lexer:
    """Follows the strings of a JSON text, those in JSON inside strings too, going forward."""

    def __init__(self, buf: bytes) -> None:
        self._buf = buf
        self._outside = 0  # a place before which every string has ended
        self._inside = -1  # where the string begins that `_opened` is about
        self._quotes: Iterator[re.Match[bytes]] = iter(())
        self._next: re.Match[bytes] | None = None
        self._seen = 0
        self._opened: list[int] = []

    def depth_at(self, at: int) -> int | None:
        """In how many strings `at` stands; None where there are too many quotes to tell.

        Places must be asked for in order.
        """
        end = _WHOLE.match(self._buf, self._outside, at).end() if at > self._outside else at
        self._outside = end
        if end >= at:
            return 0
        if end != self._inside:
            self._enter(end)
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

    def _enter(self, start: int) -> None:
        self._inside = start
        self._quotes = _QUOTE.finditer(self._buf, start)
        self._next = next(self._quotes, None)
        self._seen = 0
        self._opened = []

    def _take(self, quote: re.Match[bytes]) -> None:
        run = len(quote[1])
        for level in range(len(self._opened)):
            if run % 2 == 0:
                del self._opened[level:]
                return
            run = (run - 1) // 2
        self._opened.append(quote.end())
