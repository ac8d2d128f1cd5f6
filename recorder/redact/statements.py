"""Credentials that follow a phrase: in database statements, .netrc files, curl's command line."""

from __future__ import annotations

import re

from recorder.redact.text import PLACEHOLDER, Hit, Text
from recorder.redact.values import string_end

_OPENED = re.compile(rb"(\\*)([\"'])\Z")
_USER = re.compile(rb"(\\*)([\"']?)[A-Za-z0-9_.@%+-]{1,64}:\Z")
_BARE = re.compile(rb"(?:[^\s\"'\\]++|\\++/)++")
_SAID = re.compile(rb"[^\s\"'<>\\&;,]{4,64}")  # "your password is Ab3-de", not "is required"
_TELLING = re.compile(rb"[0-9]")
_CODE = re.compile(rb"[0-9]{4,8}(?![0-9A-Za-z_.:-]?[0-9A-Za-z])")
_IS = re.compile(rb"is:?(?:[ +]|%20)\Z")
_REDIS = re.compile(
    rb"(?i)(?:^|[\s\"])auth[\s\"]{1,4}(?!by\b|no\b)([^\s\"]+)(?:[\s\"]{1,4}([^\s\"]+))?"
)
_REDIS_HEAD = re.compile(rb"(?i)\s*\"?(?:auth|hello|acl|migrate)\b")


def statement(text: Text, start: int, end: int) -> int:
    """Take out what follows IDENTIFIED BY, PASSWORD, login … password, curl -u user:, --token,
    "password is" or "your code is"."""
    buf = text.buf
    if 0x30 <= buf[end - 1] <= 0x39:
        return _said(text, end - 1, end, "otp", _CODE)
    if 0x30 <= buf[start] <= 0x39:
        return _said(text, start, end, "otp", _CODE)
    if _IS.search(buf, start, end):
        return _said(text, end, end, "password", _SAID)
    opened = _OPENED.search(buf, max(start, end - 16), end)
    if opened is None and buf[end - 1 : end] == b":":
        opened = _USER.search(buf, start, end)
    if opened and opened[2] == b'"' and not text.opens_string(start, len(opened[1])):
        return end
    if opened is None or not opened[2]:
        bare = _BARE.match(buf, end)
        stop = bare.end() if bare else end
    else:
        stop = string_end(buf, end, opened[2], len(opened[1]))
    text.add(end, stop, "password")
    return stop


def _said(text: Text, at: int, end: int, kind: str, pattern: re.Pattern[bytes]) -> int:
    """What a message says after "is": only what cannot be another word."""
    found = pattern.match(text.buf, at)
    if found is None or not _TELLING.search(found[0]):
        return end
    text.add(at, at + len(found[0].rstrip(b".!?)")), kind)
    return max(end, found.end())


def redis_hits(text: bytes) -> list[Hit]:
    """The passwords in a redis command: AUTH password, AUTH user password, HELLO 3 AUTH …"""
    if not _REDIS_HEAD.match(text):
        return []
    return [
        Hit(*match.span(last), "password", match[last])
        for match in _REDIS.finditer(text)
        if (last := 2 if match[2] else 1) and not PLACEHOLDER.fullmatch(match[last])
    ]
