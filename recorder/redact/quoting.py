"""Whether a number that was taken out stood bare in JSON, so that its placeholder needs quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator

_QUOTE = re.compile(rb"(\\*)\"")
_MOST_QUOTES = 2048
_AFTER_KEY = re.compile(rb"(\\*)\"[ \t\r\n]*:[ \t\r\n]*\Z")


def quotes_for(buf: bytes, spans: list[tuple[int, int]]) -> Iterator[bytes | None]:
    """The quote, with its backslashes, that a placeholder at each start..end needs; b"" for
    none, None where it cannot be told. The spans are in order."""
    lexer = _Lexer(buf)
    for start, end in spans:
        before = buf[max(0, start - 32) : start]
        after = buf[end : end + 16].lstrip(b" \t\r\n")[:1]
        bare = before.rstrip(b" \t\r\n")[-1:] in (b":", b",", b"[") and after in (b",", b"}", b"]")
        if not bare:
            yield b""
        elif key := _AFTER_KEY.search(before):
            yield key[0][: len(key[1]) + 1]
        else:
            yield lexer.quote_at(start)


class _Lexer:
    """Follows the strings of a JSON text, those in JSON inside strings too, going forward."""

    def __init__(self, buf: bytes) -> None:
        self._buf = buf
        self._json = buf.lstrip()[:1] in (b"{", b"[")
        self._quotes = _QUOTE.finditer(buf)
        self._next = next(self._quotes, None) if self._json else None
        self._seen = 0
        self._opened: list[int] = []

    def quote_at(self, at: int) -> bytes | None:
        """What a number at `at` needs around it to become a string."""
        if not self._json:
            return b""
        while self._next is not None and self._next.start() < at and self._seen < _MOST_QUOTES:
            self._seen += 1
            self._take(self._next)
            self._next = next(self._quotes, None)
        if self._seen == _MOST_QUOTES:
            return None
        if not self._opened:
            return b'"'
        start = self._opened[-1]
        inside_json = self._buf[start : start + 32].lstrip()[:1] in (b"{", b"[")
        return b"\\" * (2 ** len(self._opened) - 1) + b'"' if inside_json else b""

    def _take(self, quote: re.Match[bytes]) -> None:
        run = len(quote[1])
        for level in range(len(self._opened)):
            if run % 2 == 0:
                del self._opened[level:]
                return
            run = (run - 1) // 2
        self._opened.append(quote.end())
