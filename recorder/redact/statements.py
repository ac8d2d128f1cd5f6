"""Credentials in database statements, which name them in ways of their own."""

from __future__ import annotations

import re

from recorder.redact.text import Hit

_WORDS = re.compile(rb"(?i)identified|password|\bauth\b|\bhello\b")
_SQL = re.compile(
    rb"(?i)\b(?:identified\s+(?:with\s+\S{1,64}\s+)?(?:by|as)|password)\s{0,8}(?:=|to\b|:=)?\s{0,8}"
    rb"(?:N|E)?'((?:[^']|'')*)'"
)
_REDIS = re.compile(
    rb"(?i)(?:^|[\s\"])auth[\s\"]{1,4}(?!by\b|no\b)([^\s\"]+)(?:[\s\"]{1,4}([^\s\"]+))?"
)
_REDIS_HEAD = re.compile(rb"(?i)\s*\"?(?:auth|hello|acl|migrate)\b")


def statement_hits(text: bytes) -> list[Hit]:
    """What to take out of a statement: IDENTIFIED BY '…', PASSWORD '…', AUTH user password."""
    if not _WORDS.search(text):
        return []
    hits = [Hit(*match.span(1), "password", match[1]) for match in _SQL.finditer(text) if match[1]]
    if _REDIS_HEAD.match(text):
        for match in _REDIS.finditer(text):
            last = 2 if match[2] else 1
            hits.append(Hit(*match.span(last), "password", match[last]))
    return hits
