"""Whether a number that was taken out stood bare in JSON, so that its placeholder needs quotes."""

from __future__ import annotations

import re

_QUOTE = re.compile(rb"(\\*)\"")
_MOST_QUOTES = 4096
_AFTER_KEY = re.compile(rb"(\\*)\"[ \t\r\n]*:[ \t\r\n]*\Z")


def quote_for(buf: bytes, start: int, end: int) -> bytes:
    """The quote, with its backslashes, that a placeholder at start..end needs; b"" for none."""
    before = buf[max(0, start - 32) : start]
    if before.rstrip(b" \t\r\n")[-1:] not in (b":", b",", b"["):
        return b""
    if buf[end : end + 16].lstrip(b" \t\r\n")[:1] not in (b",", b"}", b"]"):
        return b""
    if key := _AFTER_KEY.search(before):
        return key[0][: len(key[1]) + 1]
    if buf.lstrip()[:1] not in (b"{", b"["):
        return b""
    if buf.count(b'"', 0, start) > _MOST_QUOTES:
        return b'"'
    return _lexed(buf, start)


def _lexed(buf: bytes, at: int) -> bytes:
    """Follow the strings up to `at`, those in JSON inside strings too."""
    opened: list[int] = []
    for match in _QUOTE.finditer(buf, 0, at):
        run = len(match[1])
        for level in range(len(opened)):
            if run % 2 == 0:
                del opened[level:]
                break
            run = (run - 1) // 2
        else:
            opened.append(match.end())
    if not opened:
        return b'"'
    inside_json = buf[opened[-1] : opened[-1] + 32].lstrip()[:1] in (b"{", b"[")
    return b"\\" * (2 ** len(opened) - 1) + b'"' if inside_json else b""
