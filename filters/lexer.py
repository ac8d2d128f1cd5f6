"""Filter text to tokens by rulekit's rules: the longest match wins, then the first in the list.

Some surprises are the language's own: a word of two hex digits (`ab`, `fe`) is a hex literal,
a name may hold `-` (so `n-1` is one name), keywords take any mix of case.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from filters.nodes import FilterError
from filters.values import parse_ip

MAX_LENGTH = 16_384  # characters: hundreds of host names fit
MAX_DEPTH = 100  # open parentheses, and NOTs in all


class Token(NamedTuple):
    """One token: its kind, its text and where it stands."""

    kind: str
    text: str
    start: int
    end: int


_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9][0-9]|[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_PATTERNS = {
    "LPAR": r"\(",
    "RPAR": r"\)",
    "LSQB": r"\[",
    "RSQB": r"\]",
    "COMMA": r",",
    "NOT": r"!|not",
    "AND": r"&&|and",
    "OR": r"\|\||or",
    "EQ": r"==|eq",
    "NE": r"!=|ne",
    "LT": r"<|lt",
    "LE": r"<=|le",
    "GT": r">|gt",
    "GE": r">=|ge",
    "CONTAINS": r"contains",
    "MATCHES": r"=~|matches",
    "IN": r"in",
    "INT": r"[+-]?[0-9]+",
    "FLOAT": r"[+-]?[0-9]*\.[0-9]+",
    "BOOL": r"true|false",
    # a backslash hides a quote only when another quote follows, as longest match has it
    "STRING": r"\"(?:\\\"|[^\"])*\"|'(?:\\'|[^'])*'",
    "IP": _IPV4,
    "CIDR": rf"{_IPV4}/[0-9]{{1,2}}",
    "HEX": r"[0-9a-f]{2}(?::[0-9a-f]{2})*",
    "REGEX": r"/(?:[^/\\]|\\.)*/|\|(?:[^|\\]|\\.)*\|",
    "NAME": r"[a-z_][a-z0-9_]*",
    "DOTTED": r"[a-z_][a-z0-9_.-]*",
}
_FLAGS = re.IGNORECASE | re.ASCII | re.DOTALL
_MATCHERS = [(kind, re.compile(pattern, _FLAGS)) for kind, pattern in _PATTERNS.items()]
_BLANK = re.compile(r"[ \t\r\n]+|--[^\n]*\n?|/\*.*\*/", re.DOTALL)
_IPV6_RUN = re.compile(r"[0-9a-f:.]{2,45}", _FLAGS)
_BITS = re.compile(r"/[0-9]{1,2}")


def tokenize(text: str) -> list[Token]:
    """All tokens of a filter. FilterError for what is no token at all, or too much of it."""
    _check_size(text)
    tokens: list[Token] = []
    place = depth = nots = 0
    while place < len(text):
        if blank := _BLANK.match(text, place):
            _check_comment(text, blank)
            place = blank.end()
            continue
        token = _longest(text, place)
        depth += {"LPAR": 1, "RPAR": -1}.get(token.kind, 0)
        nots += token.kind == "NOT"
        if depth > MAX_DEPTH or nots > MAX_DEPTH:
            raise FilterError(text, "too deeply nested", token.start, token.end)
        tokens.append(token)
        place = token.end
    return tokens


def _longest(text: str, place: int) -> Token:
    best, length = "", 0
    for kind, matcher in _MATCHERS:
        match = matcher.match(text, place)
        if match and match.end() - place > length:
            best, length = kind, match.end() - place
    address, end = _ipv6(text, place)
    # an address goes before hex and names of the same length, after numbers
    if end - place > length or (end - place == length and best in ("HEX", "NAME", "DOTTED")):
        best, length = address, end - place
    if not length:
        raise _no_token(text, place)
    return Token(best, text[place : place + length], place, place + length)


def _ipv6(text: str, place: int) -> tuple[str, int]:
    """The longest IPv6 address at `place`, with its bits if a slash follows."""
    run = _IPV6_RUN.match(text, place)
    if not run or run.group().count(":") < 2:
        return "", place
    for end in range(run.end(), place + 1, -1):
        candidate = text[place:end]
        if candidate.count(":") >= 2 and parse_ip(candidate):
            bits = _BITS.match(text, end)
            return ("CIDR", bits.end()) if bits else ("IP", end)
    return "", place


def _no_token(text: str, place: int) -> FilterError:
    char = text[place]
    reason, hint = f"unexpected character {char!r}", ""
    if char in "=:":
        hint = "write == to compare"
    elif char == "~":
        hint = "write matches /…/, or contains"
    elif char == "&":
        hint = "write and, or &&"
    elif char == "|":
        hint = "write or, or ||; a pattern needs a | at both ends"
    elif char in "\"'":
        reason = "this quote is never closed"
        hint = f"add the closing {char}"
    elif text.startswith("/*", place):
        reason, hint = "this comment is never closed", "add */"
    elif char == "/":
        reason, hint = "this pattern is never closed", "close it with /, or write text in quotes"
        if slashed := pattern_around(text, place):
            reason, hint = "the pattern ended at the slash before this one", slashed
    elif char == "*":
        hint = "leave the filter out to take everything; use matches /…/ for patterns"
    elif char == "$":
        hint = "write values as they are; there are no variables"
    elif char in "‘’“”«»":
        hint = "write text in straight quotes, \"…\" or '…'"
    return FilterError(text, reason, place, place + 1, hint)


def pattern_around(text: str, place: int) -> str:
    """What to write where a pattern with bare slashes in it goes on at `place`; "" elsewhere."""
    start = max(text.rfind(blank, 0, place) for blank in " \t\r\n") + 1
    word = text[start:].split(maxsplit=1)[0]
    if text[start] != "/" or "/" not in text[start + 1 : place] or "|" in word:
        return ""
    inner = word[1:-1] if word.endswith("/") else word
    return f"a slash in a pattern is written \\/; or put bars around it: |{inner}|"


def _check_size(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise FilterError(text, f"a filter is at most {MAX_LENGTH} characters long", MAX_LENGTH)
    for place, char in enumerate(text):
        if "\ud800" <= char <= "\udfff":
            raise FilterError(text, "this is not text in UTF-8", place, place + 1)


def _check_comment(text: str, blank: re.Match[str]) -> None:
    """Qtap's lexer ends a comment at the last */ of the text; refuse what that would swallow."""
    comment = blank.group()
    if comment.startswith("/*") and "*/" in comment[2:-2]:
        second = text.index("*/", blank.start() + 2) + 2
        raise FilterError(
            text,
            "Qtap would take everything up to the last */ as one comment",
            second,
            blank.end(),
            "use one /* */ comment at most, or -- to the end of the line",
        )
