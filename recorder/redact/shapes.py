"""Secrets known by their looks: from the start that the scan found to the whole of one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import re2

from recorder.redact.rules import Rules
from recorder.redact.text import Text, at_edge, compiled, options, printable, run_before, unbase64

_LONGEST_BACK = 128
_LONGEST_WHOLE = 1024
_NEAR = 200  # bytes around a key id in which its secret is looked for
# The end of a private key, or of the string that it was cut off in.
_PEM_END = compiled(r"-----END[^-]{0,60}-----|Private-MAC:[ 0-9a-f]{1,80}|[^\\]\"")
_AWS_SECRET = re.compile(rb"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+]|\\?/){40}(?![A-Za-z0-9+/=])")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/_-]++|\\++/|%2[BbFf])++(?:=|%3[Dd]){0,2}")
_MIXED = re.compile(rb"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])", re.DOTALL)
_DEEPEST = 3  # base64 in base64; deeper than that it is taken out unseen
_ENCODED_COST = 512  # bytes of base64 that cost about as much as one candidate


class Shapes:
    """The shape rules, compiled. `scan` inspects a decoded text within an allowance."""

    def __init__(self, rules: Rules, scan: Callable[[bytes, int, int], Text]) -> None:
        self._rules = rules.shapes
        self._patterns: list[Any] = [compiled(shape.pattern) for shape in rules.shapes]
        self._backs = [_members(shape.back) for shape in rules.shapes]
        self._scan = scan
        self._whole = re2.Set.FullMatchSet(options())
        for shape in rules.shapes:
            self._whole.Add(shape.pattern.encode())
        self._whole.Compile()

    def whole(self, secret: bytes) -> str | None:
        """The kind of which `secret` is a whole example."""
        found = self._whole.Match(secret) if len(secret) <= _LONGEST_WHOLE else None
        return self._rules[min(found)].kind if found else None

    def look(self, text: Text, index: int, start: int) -> int:
        """Take rule `index`'s secret out at `start`; where to go on, 0 when there is none."""
        rule, buf = self._rules[index], text.buf
        if rule.edge and not at_edge(buf, start, text.flags):
            return 0
        match = self._patterns[index].match(buf, start)
        if match is None:
            return self._encoded(text, start) if rule.kind == "jwt" else 0
        begin, end = match.span(1) if self._patterns[index].groups else match.span()
        if rule.kind == "private_key":
            return _private_key(text, start, end)
        if rule.back:
            begin = run_before(buf, start, self._backs[index], _LONGEST_BACK)
            if start - begin < rule.back_min:
                return 0
        text.add(begin, end, rule.kind)
        if rule.kind == "aws_key":
            _aws_secret(text, begin, end)
        return int(end)

    def _encoded(self, text: Text, start: int) -> int:
        """Base64 of JSON: taken out whole when a secret is in it."""
        match = _BASE64.match(text.buf, start)
        if match is None or len(match[0]) < 16 or not at_edge(text.buf, start):
            return 0
        inner = unbase64(match[0])
        text.left -= len(inner) // _ENCODED_COST
        if text.left <= 0 or not printable(inner):
            return match.end()
        if text.depth == _DEEPEST or self._scan(inner, text.left, text.depth + 1).found:
            text.add(*match.span(), "base64")
        return match.end()


def _members(characters: str) -> bytes:
    """The bytes of a character class such as 'A-Za-z0-9_'."""
    if not characters:
        return b""
    return bytes(code for code in range(128) if re.match(f"[{characters}]", chr(code)))


def _private_key(text: Text, start: int, end: int) -> int:
    buf = text.buf
    if buf.startswith(b"LS0t", start):  # in base64
        if b"PRIVATE" in unbase64(buf[start : start + 80]):
            text.add(start, end, "private_key")
        return end
    closing = _PEM_END.search(buf, end)
    stop = len(buf) if closing is None else closing.end()
    if buf[stop - 1 : stop] == b'"':
        stop -= 1
    text.add(run_before(buf, start, b"-", 8), stop, "private_key")
    return stop


def _aws_secret(text: Text, start: int, end: int) -> None:
    """A secret access key has no mark of its own; beside its key id it can be told."""
    for low, high in ((max(0, start - _NEAR), start), (end, end + _NEAR)):
        for match in _AWS_SECRET.finditer(text.buf, low, high):
            if _MIXED.match(match[0]):
                text.add(*match.span(), "aws_secret")
