"""Sentences without what varies in them: numbers, identifiers, names of hosts, quoted values.

`No such customer: 'cus_9s6XKzkNRiz8i3'` and its neighbour become one text: `No such customer: …`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from recorder.normalize.compound import name_compound
from recorder.normalize.wordlike import KNOWN, is_random

GONE: Final = "…"

_QUOTED: Final = r"""(?<![\w'])(?:"[^"]{0,300}"|'[^']{0,300}'(?!\w)|`[^`]{0,300}`|“[^”]{0,300}”)"""
_VARYING: Final = re.compile(
    r"\[redacted[^\]\[]{0,80}\]"
    r"|\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'<>)\]]+"  # addresses
    r"|[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"
    r"|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? \d{1,2}[ -]\w{3}[ -]\d{2,4}"
    r"(?: [\d:]{5,8})?(?: [A-Z]{3})?"
    r"|\b\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d{1,9})?)?(?: ?Z| ?[+-]\d\d:?\d\d)?"
    r"|\b[\da-fA-F]{8}(?:-[\da-fA-F]{4}){3}-[\da-fA-F]{12}\b"
    r"|(?<![\w:])(?:[\da-fA-F]{0,4}:){2,7}[\da-fA-F]{0,4}(?![\w:])"  # IPv6, clocks
    r"|(?<![\w.-])(?:[A-Za-z0-9-]{1,63}\.){1,8}"
    r"(?:com|org|net|io|dev|app|local|localhost|internal|svc|cloud|co|ai|de|uk|eu|example|test)"
    r"(?:\.[a-z]{2,3})?(?::\d{1,5})?(?![\w.])"
    r"|(?<![\w.])[A-Za-z][\w.-]{0,100}:\d{2,5}\b"  # db:5432
    r"|(?<![\w.:/])(?:[A-Za-z]:\\|\.{0,2}/)[\w.@%+~{}-]{1,255}(?:[/\\][\w.@%+~{}-]{0,255}){1,40}"
    r"|\b0[xX][\da-fA-F]+\b"
)
_QUOTES: Final = re.compile(_QUOTED)
_WORDS: Final = re.compile(r"[^\W_][\w-]*[^\W_]|[^\W_]")
_NAMES: Final = KNOWN | {"2fa", "3ds", "3d"}
_REPEATED: Final = re.compile(rf"{GONE}(?:[\s,;:/()|.-]{{0,4}}{GONE})+")
_UNSEEN: Final = re.compile(
    r"\x1b\[[0-9;]{0,20}[A-Za-z]|[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
)


@lru_cache(maxsize=4096)  # failures repeat themselves
def scrub(text: str, quoted: bool = True) -> str:
    """`text` (up to 600 characters of it) with every varying part replaced by an ellipsis.

    With `quoted`, what stands in quotation marks goes too, whatever it is.
    """
    text = " ".join(_UNSEEN.sub(" ", text[:600]).split())
    if quoted:
        text = _QUOTES.sub(GONE, text)
    text = _VARYING.sub(GONE, text)
    text = _WORDS.sub(lambda found: _word(found[0]), text)
    return _REPEATED.sub(GONE, text).strip()


def _word(word: str) -> str:
    if word.isalpha():
        return GONE if len(word) >= 12 and word.isascii() and is_random(word) else word
    if "-" not in word and "_" not in word and not any(c.isdecimal() for c in word):
        return word
    if word.lower() in _NAMES:
        return word
    if word[0].isdecimal():  # 30s, 1.5GB, but an identifier as a whole
        unit = word.lstrip("0123456789")
        return GONE + unit if len(unit) <= 3 and unit.isalpha() else GONE
    return GONE if "{" in name_compound(word) else word
