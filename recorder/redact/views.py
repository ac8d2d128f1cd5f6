"""Texts as their reader will see them: JSON escapes, percent signs and entities undone.

A view keeps where each of its bytes came from, so that what is found in it can be cut out of the
raw bytes, with everything else left as it is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from recorder.redact.patterns import ENTITIES, JSON_ESCAPES, PERCENT_ESCAPES
from recorder.redact.rules import compiled

_FEW = 64  # up to so many escapes a loop is quicker than arrays

_JSON = compiled(JSON_ESCAPES)
_PERCENT = compiled(PERCENT_ESCAPES)
_ENTITY = compiled(ENTITIES)
_JSON_ESCAPE = re.compile(rb"(\\+)u00([2-7][0-9A-Fa-f])")
_PERCENT_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_ENTITY_ESCAPE = re.compile(
    rb"&(?:(quot|apos|amp|lt|gt)|#0{0,5}([0-9]{2,3})|#[xX]0{0,4}([2-7][0-9A-Fa-f]));"
)
_NAMED = {b"quot": b'"', b"apos": b"'", b"amp": b"&", b"lt": b"<", b"gt": b">"}

_HEX = np.full(256, 255, np.uint8)
for _value, _digits in enumerate(zip("0123456789abcdef", "0123456789ABCDEF", strict=True)):
    for _digit in _digits:
        _HEX[ord(_digit)] = _value


class View(NamedTuple):
    """A decoded text. After view offset `ends[i]`, raw offsets are `extra[i]` further on."""

    text: bytes
    ends: Sequence[int]
    extra: Sequence[int]
    entities: bool = False

    def raw(self, offset: int) -> int:
        """The raw offset of a view offset."""
        index = bisect_right(self.ends, offset)
        return offset + (int(self.extra[index - 1]) if index else 0)


def json_view(text: bytes) -> View | None:
    """`text` with the \\u00xx escapes of printable characters undone; None: it has none.

    An escaped quote stays escaped (as \\"), so that strings end where they ended.
    """
    if b"\\" not in text or _JSON.search(text) is None:
        return None
    return _decoded(text, _JSON_ESCAPE, _json_character)


def percent_view(text: bytes) -> View | None:
    """`text` with percent encoding undone, + for blanks too; None: nothing in it is encoded."""
    if b"%" not in text or _PERCENT.search(text) is None:
        return None
    text = text.replace(b"+", b" ")
    if text.count(b"%") > _FEW:
        return _percent_arrays(text)
    return _decoded(text, _PERCENT_ESCAPE, lambda match: bytes((int(match[1], 16),)))


def entity_view(text: bytes) -> View | None:
    """`text` with HTML entities of ASCII characters undone; None: it has none."""
    if b"&" not in text or _ENTITY.search(text) is None:
        return None
    return _decoded(text, _ENTITY_ESCAPE, _entity)._replace(entities=True)


def _json_character(match: re.Match[bytes]) -> bytes:
    code = int(match[2], 16)
    if code in (0x22, 0x5C):
        return b"\\" * (2 * len(match[1]) - 1) + bytes((code,))
    return bytes((code,))


def _entity(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return _NAMED[match[1]]
    code = int(match[2]) if match[2] else int(match[3], 16)
    return bytes((code,)) if 32 <= code < 127 else match[0]


def _decoded(
    text: bytes, escape: re.Pattern[bytes], decode: Callable[[re.Match[bytes]], bytes]
) -> View:
    pieces: list[bytes] = []
    ends: list[int] = []
    extra: list[int] = []
    done = length = saved = 0
    for match in escape.finditer(text):
        start, end = match.span()
        new = decode(match)
        pieces += (text[done:start], new)
        length += start - done + len(new)
        saved += end - start - len(new)
        ends.append(length)
        extra.append(saved)
        done = end
    pieces.append(text[done:])
    return View(b"".join(pieces), ends, extra)


def _percent_arrays(text: bytes) -> View:
    raw = np.frombuffer(text, np.uint8)
    at = np.flatnonzero(raw[:-2] == ord("%"))
    high, low = _HEX[raw[at + 1]], _HEX[raw[at + 2]]
    valid = (high | low) < 16
    at, values = at[valid], (high[valid] << 4) | low[valid]
    decoded = raw.copy()
    decoded[at] = values
    keep = np.ones(len(raw), bool)
    keep[at + 1] = False
    keep[at + 2] = False
    extra = np.arange(2, 2 * len(at) + 2, 2)
    return View(decoded[keep].tobytes(), at + 3 - extra, extra)  # type: ignore[arg-type]
