"""Recorded text on a terminal: what could move the cursor, hide or reorder text is made visible.

A host that somebody talks to chooses its own paths and headers; printed raw they could rewrite the
lines of an answer. Shown as `\\x1b`, `\\u202e`, they are only odd.
"""

from __future__ import annotations

import unicodedata

from queries.core.escape import visible, visible_json

__all__ = ["cut", "visible", "visible_json", "width"]


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
