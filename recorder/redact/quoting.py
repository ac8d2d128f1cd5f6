"""Whether a number that was taken out stood bare in JSON, so that its placeholder needs quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recorder.redact.text import Lexer

_AFTER_KEY = re.compile(rb"(\\*)\"[ \t\r\n]*:[ \t\r\n]*\Z")


def quotes_for(buf: bytes, spans: list[tuple[int, int]]) -> Iterator[bytes | None]:
    """The quote, with its backslashes, that a placeholder at each start..end needs; b"" for
    none, None where it cannot be told. The spans are in order."""
    lexer = Lexer(buf) if buf.lstrip()[:1] in (b"{", b"[") else None
    for start, end in spans:
        before = buf[max(0, start - 32) : start]
        after = buf[end : end + 16].lstrip(b" \t\r\n")[:1]
        bare = before.rstrip(b" \t\r\n")[-1:] in (b":", b",", b"[") and after in (b",", b"}", b"]")
        if not bare:
            yield b""
        elif key := _AFTER_KEY.search(before):
            yield key[0][: len(key[1]) + 1]
        else:
            yield _lexed(lexer, start) if lexer else b""


def _lexed(lexer: Lexer, at: int) -> bytes | None:
    depth = lexer.depth_at(at)
    if depth is None:
        return None
    if depth and not lexer.holds_json():
        return b""
    backslashes: int = 2**depth - 1
    return b"\\" * backslashes + b'"'
