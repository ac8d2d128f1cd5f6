"""The strings in a JSON object or array, found in raw bytes without parsing or recursion."""

from __future__ import annotations

import re
from typing import NamedTuple

from recorder.redact.values import closing

_TOKEN = re.compile(rb"(\\*)\"|[\[\]{}:,]")
_PER_CANDIDATE = 8  # tokens that cost about as much as one candidate of the scan

# Keys whose values describe a secret and are none, also beneath a secret's name.
_ABOUT = frozenset(
    b"type format description title name id object status created updated created_at updated_at "
    b"expires expires_at expires_in expiry kind method provider issuer scope algorithm alg pattern "
    b"$ref default label placeholder".split()
)


class Leaves(NamedTuple):
    """Byte ranges of the strings, where the container ends, what it cost; `cut` when it cost
    more than was granted: the rest was not looked at."""

    spans: list[tuple[int, int]]
    end: int
    cost: int
    cut: bool


def leaves(buf: bytes, pos: int, backslashes: int, left: int) -> Leaves:
    """The strings inside the container that opens at or after `pos`, in JSON whose quotes stand
    behind so many backslashes. Keys are not among them, nor what describes a secret."""
    level = (backslashes + 1).bit_length() - 1
    spans: list[tuple[int, int]] = []
    depth, start, key = 0, -1, b""
    pending: tuple[int, int] | None = None
    at, tokens = pos, 0
    for match in _TOKEN.finditer(buf, pos):
        tokens += 1
        if tokens > left * _PER_CANDIDATE:
            return Leaves(spans, at, tokens // _PER_CANDIDATE, True)
        at = match.end()
        token = match[0]
        if start >= 0:
            own = closing(len(match[1]), level) if token[-1:] == b'"' else None
            if own is not None:
                pending, start = (start, at - 1 - own), -1
                if own < backslashes:
                    break  # the string around this JSON ends here
        elif token[-1:] == b'"':
            start = at
        elif token == b":":
            key, pending = buf[slice(*pending)] if pending else b"", None
        else:
            if pending and key not in _ABOUT:
                spans.append(pending)
            pending = None
            depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token, 0)
            if depth <= 0:
                break
    if start >= 0:
        spans.append((start, len(buf)))
        at = len(buf)
    elif pending and key not in _ABOUT:
        spans.append(pending)
    return Leaves(spans, at, tokens // _PER_CANDIDATE, False)
