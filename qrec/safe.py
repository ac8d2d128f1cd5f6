"""Recorded text on a terminal: what could move the cursor, hide or reorder text is made visible.

A host that somebody talks to chooses its own paths and headers; printed raw they could rewrite the
lines of an answer. Shown as `\\x1b`, `\\u202e`, they are only odd.
"""

from __future__ import annotations

import re
import unicodedata

# C0, DEL and C1 controls; zero-width and bidirectional marks; line separators; lone surrogates;
# the byte-order mark and the tag characters, which are invisible and read by language models.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """The text with every character that acts on a terminal written as an escape."""
    return _UNSAFE.sub(_escape, text)


def visible_json(text: str) -> str:
    """The same for finished JSON, where such characters occur only inside strings."""
    return _UNSAFE.sub(_json_escape, text)


def width(text: str) -> int:
    """Columns that the text takes on a terminal: wide letters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def cut(text: str, columns: int) -> str:
    """The text in at most so many columns, its end replaced by `…` where it is longer."""
    if width(text) <= columns:
        return text
    kept, used = "", 0
    for char in text:
        used += _columns(char)
        if used > columns - 1:
            break
        kept += char
    return kept + "…"


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _json_escape(match: re.Match[str]) -> str:
    char = match[0]
    if char == "\n":  # between the lines of an indented document; inside a string it is escaped
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
