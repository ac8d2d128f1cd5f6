"""Texts as their reader will see them: JSON escapes, percent signs and entities undone.

A view is made by writing each decoded character over its escape and filling up with a byte that
is then dropped, so that what is found in a view can be cut out of the raw bytes, with everything
else left as it is. Hits in a view are mapped back to the raw bytes here, too.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from recorder.redact.text import UNSURE, Hit, Lexer, compiled, where

# Escapes that hide what the scan looks for. Those that encoders write as a rule and that the
# scan's own patterns allow for (\/ \n \u003c \u0026 %20 %2F) are not among them.
JSON_ESCAPES = r"\\u00(?:2[2DdEeFf]|3[0-9Aa]|40|[46][0-9A-Fa-f]|5[0-9AaFf]|7[0-9Aa])"
PERCENT_ESCAPES = r"%(?:2[2567DEde]|3[0-9ADEFadef]|[46][0-9A-Fa-f]|5[0-9ABDFabdf]|7[0-9ABDEabde])"
ENTITIES = r"&(?:quot;|lt;|#[0-9xX])"

_FEW, _MANY = 32, 512  # up to so many escapes (of JSON, of addresses) arrays are slower
_DIFFERENT = 32  # up to so many kinds of escapes are replaced one kind after the other
_FILL = 1  # the byte that is dropped
_DROPPED = bytes((_FILL,))

_json_at, _percent_at, _entity_at = map(
    where, map(compiled, (JSON_ESCAPES, PERCENT_ESCAPES, ENTITIES))
)
_JSON_ESCAPE = re.compile(rb"(\\{1,5})u00([2-7][0-9A-Fa-f])")
_NUMBER_ENTITY = re.compile(rb"&#(?:0{0,5}([0-9]{2,3})|[xX]0{0,4}([2-7][0-9A-Fa-f]));")
# The entities that encoders write.
_COMMON = ("quot", "#34", "#39", "#x27", "lt", "gt", "apos", "#x2F", "#x2f", "#x3D", "#61", "#43",
           "#x2B", "#64", "#x40", "#47", "amp", "#38")  # fmt: skip
_ENTITIES = {
    f"&{name};".encode(): html.unescape(f"&{name};").encode().ljust(len(name) + 2, _DROPPED)
    for name in _COMMON
}
_COMMON_ENTITY = compiled("&(?:" + "|".join(_COMMON) + ");")
_MOST_NUMBERS = 256  # entities of other characters: only who hides something writes more

_HEX = np.full(256, 255, np.uint8)
for _value, _digits in enumerate(zip("0123456789abcdef", "0123456789ABCDEF", strict=True)):
    for _digit in _digits:
        _HEX[ord(_digit)] = _value


_PERCENT_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_CODES = {  # whatever the case of the digits
    f"%{high}{low}".encode(): (b" " if code == _FILL else bytes((code,))) + 2 * _DROPPED
    for code in range(256)
    for high in {f"{code:02x}"[0], f"{code:02X}"[0]}
    for low in {f"{code:02x}"[1], f"{code:02X}"[1]}
}


def _has(pattern_at: Callable[[bytes, int, int], tuple[int, int]], text: bytes) -> bool:
    return pattern_at(text, 0, len(text))[0] >= 0


class TooManyEscapes(Exception):
    """A text is escaped in a way that no encoder uses, too often to be undone; `at` is where."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


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
    if text.count(b"\\u00") > _FEW:
        if b"\\\\u00" not in text:  # the usual escape, one deep, has a quicker way
            text = text.replace(b"\\u0022", b'\\"' + 4 * _DROPPED)
        return View(_json_arrays(text) if _has(_json_at, text) else text)
    return View(_JSON_ESCAPE.sub(_json_character, text))


def percent_view(text: bytes) -> View | None:
    """`text` with percent encoding undone, + for blanks too; None: nothing in it is encoded."""
    if b"%" not in text or not _has(_percent_at, text):
        return None
    text = text.replace(b"+", b" ")
    escapes = set(_PERCENT_ESCAPE.findall(text)) if text.count(b"%") <= _MANY else None
    if escapes is None or len(escapes) > _DIFFERENT:
        return View(_percent_arrays(text))
    for escape in escapes:  # the filling keeps the next ones from being made of the pieces
        text = text.replace(escape, _CODES[escape])
    return View(text)


def entity_view(text: bytes) -> View | None:
    """`text` with HTML entities of ASCII characters undone; None: it has none.

    Raises TooManyEscapes.
    """
    if b"&" not in text or not _has(_entity_at, text):
        return None
    while common := _COMMON_ENTITY.search(text):  # once for each of them that occurs
        text = text.replace(common.group(), _ENTITIES[common.group()])
    if text.count(b"&#") > _MOST_NUMBERS + len(text) // 1024:
        raise TooManyEscapes(text.index(b"&#"))
    return View(_NUMBER_ENTITY.sub(_number_entity, text), entities=True)


def _json_character(match: re.Match[bytes]) -> bytes:
    code = int(match[2], 16)
    backslashes = 2 * len(match[1]) - 1 if code in (0x22, 0x5C) else 0
    return (b"\\" * backslashes + bytes((code,))).ljust(len(match[0]), _DROPPED)


def _number_entity(match: re.Match[bytes]) -> bytes:
    code = int(match[1]) if match[1] else int(match[2], 16)
    return bytes((code,)).ljust(len(match[0]), _DROPPED) if 32 <= code < 127 else match[0]


def _percent_arrays(text: bytes) -> bytes:
    raw = np.frombuffer(text, np.uint8).copy()
    at = np.flatnonzero(raw[:-2] == ord("%"))
    high, low = _HEX[raw[at + 1]], _HEX[raw[at + 2]]
    valid = (high | low) < 16
    at, codes = at[valid], (high[valid] << 4) | low[valid]
    raw[at] = np.where(codes == _FILL, ord(" "), codes)
    raw[at + 1] = _FILL
    raw[at + 2] = _FILL
    return raw.tobytes()


def _json_arrays(text: bytes) -> bytes:
    """The same as the loop over _JSON_ESCAPE, for many escapes at once."""
    raw = np.frombuffer(text, np.uint8).copy()
    at = np.flatnonzero(raw[:-5] == ord("\\"))
    head = (raw[at + 1] == ord("u")) & (raw[at + 2] == ord("0")) & (raw[at + 3] == ord("0"))
    at = at[head]
    high, low = _HEX[raw[at + 4]], _HEX[raw[at + 5]]
    valid = (high >= 2) & (high < 8) & (low < 16)
    at, codes = at[valid], (high[valid] << 4) | low[valid]
    quote = (codes == 0x22) | (codes == 0x5C)
    nested = b"\\\\u00" in text
    before = _backslashes_before(raw, at) if nested else np.zeros(len(at), np.int64)
    plain, runs = at[~quote], before[~quote]
    for step in range(-4 if nested else 1, 6):
        raw[(plain[-runs <= step] if step < 1 else plain) + step] = _FILL
    raw[plain - runs] = codes[~quote]  # where the escape begins, with its backslashes
    for run in range(5 if nested else 1):  # a quote behind n backslashes needs 2n - 1 of them
        some, its = at[quote & (before == run)], codes[quote & (before == run)]
        for step in range(1, 6):
            raw[some + step] = ord("\\") if step <= run else _FILL
        raw[some + run + 1] = its
    return raw.tobytes()


def _backslashes_before(raw: Any, at: Any) -> Any:
    """How many backslashes, at most 4, stand right before each position."""
    count = np.zeros(len(at), np.int64)
    unbroken = np.ones(len(at), bool)
    for step in range(1, 5):
        unbroken &= (at >= step) & (raw[at - step] == ord("\\"))
        count += unbroken
    return count


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


def without_escapes(form: bytes) -> bytes | None:
    """A query or form with its escapes undone once, without a way back; `form` itself where it has
    none that matter; None where that takes a closer look.

    What quoted-printable writes as =41 is %41 here: so one call of C does it. It reads %% and a %
    at the end of a line in its own way.
    """
    if b"%" not in form or not _has(_percent_at, form):
        return form if b"&" not in form or not _has(_entity_at, form) else None
    if b"%%" in form or b"%\n" in form or b"%\r" in form or _has(_entity_at, form):
        return None
    return binascii.a2b_qp(form.replace(b"=", b"=3D").replace(b"%", b"=").replace(b"+", b" "))


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
