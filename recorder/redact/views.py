"""Texts as their reader will see them: JSON escapes, percent signs and entities undone.

A view is made by writing each decoded character over its escape and filling up with a byte that
is then dropped, so that what is found in a view can be cut out of the raw bytes, with everything
else left as it is. Hits in a view are mapped back to the raw bytes here, too.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from recorder.redact.text import UNSURE, Hit, Lexer, compiled, where

# Escapes that hide what the scan looks for. Those that encoders write as a rule and that the
# scan's own patterns allow for (\/ \n \u003c \u0026 %20 %2F) are not among them.
JSON_ESCAPES = r"\\u00(?:2[2DdEeFf]|3[0-9Aa]|40|[46][0-9A-Fa-f]|5[0-9AaFf]|7[0-9Aa])"
PERCENT_ESCAPES = r"%(?:2[2567DEde]|3[0-9ADEFadef]|[46][0-9A-Fa-f]|5[0-9ABDFabdf]|7[0-9ABDEabde])"
ENTITIES = r"&(?:quot;|lt;|#[0-9xX])"

_FILL = 1  # the byte that is dropped
_DROPPED = bytes((_FILL,))
_KINDS = 64  # of escapes; encoders make do with fewer

_json_at, _percent_at, _entity_at = map(
    where, map(compiled, (JSON_ESCAPES, PERCENT_ESCAPES, ENTITIES))
)
_JSON_ESCAPE = re.compile(rb"\\{1,5}u00[2-7][0-9A-Fa-f]")
_PERCENT_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_ENTITY = re.compile(  # of an ASCII character, by a name that encoders write or by its number
    rb"&(?:quot|lt|gt|apos|amp|#0{0,5}[0-9]{2,3}|#[xX]0{0,4}[2-7][0-9A-Fa-f]);"
)


def _has(pattern_at: Callable[[bytes, int, int], tuple[int, int]], text: bytes) -> bool:
    return pattern_at(text, 0, len(text))[0] >= 0


class View:
    """A decoded text. `raw` leads back; `entities` tells which notation was undone."""

    def __init__(self, padded: bytes, entities: bool = False) -> None:
        self.text = padded.translate(None, _DROPPED)
        self.entities = entities
        self._padded = padded
        self._offsets: Any = None

    def raw(self, offset: int) -> int:
        """The raw offset of a view offset."""
        if offset >= len(self.text):
            return len(self._padded)
        if self._offsets is None:
            self._offsets = np.flatnonzero(np.frombuffer(self._padded, np.uint8) != _FILL)
        return int(self._offsets[offset])


def json_view(text: bytes) -> View | None:
    """`text` with the \\u00xx escapes of printable characters undone; None: it has none.

    An escaped quote stays escaped (as \\"), so that strings end where they ended.
    """
    if b"\\" not in text or not _has(_json_at, text):
        return None
    return View(_undone(text, _JSON_ESCAPE, 0 if b"\\\\u00" in text else _KINDS))


def percent_view(text: bytes) -> View | None:
    """`text` with percent encoding undone, + for blanks too; None: nothing in it is encoded."""
    if b"%" not in text or not _has(_percent_at, text):
        return None
    return View(_undone(text.replace(b"+", b" "), _PERCENT_ESCAPE))


def entity_view(text: bytes) -> View | None:
    """`text` with HTML entities of ASCII characters undone; None: it has none."""
    if b"&" not in text or not _has(_entity_at, text):
        return None
    return View(_undone(text, _ENTITY), entities=True)


def _undone(text: bytes, escapes: re.Pattern[bytes], kinds: int = _KINDS) -> bytes:
    """`text` with the character of each escape in its place, filled up: one kind after the other
    (the filling keeps the next ones from being made of the pieces), and where there are more
    than so many kinds, or one may be a part of another, the rest one by one."""
    match = escapes.search(text)
    while match and kinds:
        text = text.replace(match[0], _character(match[0]))
        match = escapes.search(text, match.end())
        kinds -= 1
    return escapes.sub(lambda match: _character(match[0]), text) if match else text


@lru_cache(4096)
def _character(escape: bytes) -> bytes:
    """The character that an escape stands for, filled up to the escape's length."""
    if escape[:1] == b"&":
        plain = html.unescape(escape.decode()).encode()
        plain = plain if len(plain) == 1 and plain.isascii() and plain >= b" " else escape
    else:
        plain = bytes.fromhex(escape[-2:].decode())
        if escape[:1] == b"%":
            plain = plain.replace(_DROPPED, b" ")
        elif plain in b'"\\':
            plain = b"\\" * (2 * escape.count(b"\\") - 1) + plain
    return plain.ljust(len(escape), _DROPPED)


_LENGTHS = np.array([chr(byte).isalnum() and byte < 128 for byte in range(256)])
# What stands before a length in protobuf (field number * 8 + 2, or its last byte), in MessagePack.
_TAGS = np.array([byte % 8 == 2 or byte < 32 or byte > 127 for byte in range(256)])


def without_lengths(text: bytes) -> bytes:
    """`text` with blanks for the letters and digits that may be lengths of the strings behind them,
    as protobuf and MessagePack write them."""
    raw = np.frombuffer(text, np.uint8)
    odd = np.flatnonzero((raw < 32) | (raw == 127))
    length = np.flatnonzero(_LENGTHS[raw])
    after = np.searchsorted(odd, length, "right")
    ends = np.append(odd, len(raw))[after]  # of the printable run that it stands in
    length = length[ends > length + raw[length]]
    tag = length[_TAGS[raw[length - 1]]]
    shown = bytearray(text)
    end = -1
    for at in tag.tolist():
        if at > end:  # what stands in a string is no length
            shown[at] = 0x20
            end = at + text[at]
    return bytes(shown)


LEVELS = 3  # how often percent encoding is undone
_DELIMITER = re.compile(rb"\\*[\"'<>&\s]")
_TAG_DELIMITER = re.compile(rb"\\*[\"<>]")


def deeper(text: bytes) -> list[list[View]]:
    """The paths of views in which `text` reads differently."""
    paths: list[list[View]] = []
    if entities := entity_view(text):
        paths.append([entities])
    path: list[View] = []
    while len(path) < LEVELS and (view := percent_view(text)):
        path = [*path, view]
        paths.append(path)
        text = view.text
    return paths


def raw(chain: list[View], offset: int) -> int:
    if offset >= 0:
        for view in reversed(chain):
            offset = view.raw(offset)
    return offset


def mapped(hit: Hit, chain: list[View]) -> Hit:
    return hit._replace(start=raw(chain, hit.start), end=raw(chain, hit.end))


def clamped(buf: bytes, hit: Hit, tags: bool) -> Hit:
    """Within one string or parameter of the raw text: an escape may have decoded to a quote."""
    stop = (_TAG_DELIMITER if tags else _DELIMITER).search(buf, hit.start, hit.end)
    end = stop.start() if stop else hit.end
    return hit._replace(end=end, quote=b"%22" if hit.quote not in (b"", UNSURE) else b"")


def in_strings(buf: bytes, hits: list[Hit]) -> list[Hit]:
    """The hits of a view that stand in strings of the JSON: an escape that decodes to a quote
    can make a view begin a value behind the string's end."""
    lexer = Lexer(buf)
    return [hit for hit in sorted(hits) if lexer.depth_at(hit.start) != 0]


def apart(hits: list[Hit], end: int) -> list[Hit]:
    """In order, within the text up to `end`, overlapping ones as one."""
    apart: list[Hit] = []
    if len(hits) == 1 and hits[0].start < hits[0].end <= end:
        return hits
    for hit in sorted(hits, key=lambda one: (one.start, -one.end)):
        if hit.start >= end or hit.start >= hit.end:
            continue
        if apart and hit.start < apart[-1].end:
            if hit.end > apart[-1].end:
                apart[-1] = apart[-1]._replace(end=hit.end)
            continue
        apart.append(hit)
    return apart
