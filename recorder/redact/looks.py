"""A closer look at a candidate of the scan, one function a category: each takes out what stands
there and says where to go on."""

from __future__ import annotations

import re

from recorder.redact import numbers
from recorder.redact.names import opaque
from recorder.redact.text import (
    BINARY,
    NO_CARD,
    UNSURE,
    Text,
    at_edge,
    past_escape,
    printable,
    run_before,
    stands_alone,
    unbase64,
)

_AROUND = 32  # bytes before a number that may say what it is
_LOCAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_%+.-'"
_DOMAIN = re.compile(
    rb"(?:[A-Za-z0-9-]{1,63}+\.(?=[A-Za-z0-9])){1,8}+([A-Za-z]{2,24}+)(?![A-Za-z0-9])"
)
_NO_TOPLEVEL = frozenset(  # logo@2x.png
    b"png jpg jpeg gif svg webp ico bmp js mjs css ts tsx jsx json html htm xml txt md map woff "
    b"woff2 ttf eot mp3 mp4 webm pdf zip gz tar py rb go rs php jar so dll exe".split()
)
_SCHEME = re.compile(rb"(?i)(bearer|basic)(?:[ \t+]|%20){1,3}")
_TOKEN = re.compile(rb"(?:[A-Za-z0-9._~+/=-]++|\\++/|\\++u002[bBfFdD]|%(?:2[BbFf]|3[Dd]))++")
_SHORTEST_BEARER = 16
_DIGIT = re.compile(rb"[0-9]")
_AUTHORITY = re.compile(rb"[^/?#\s\"'<>\\]{0,256}")
_SEGMENT = re.compile(rb"[A-Za-z0-9_.~-]+")


def email(text: Text, start: int, end: int) -> int:
    buf, at = text.buf, end - 2
    local = past_escape(buf, run_before(buf, at, _LOCAL, 64))
    while local < at and buf[local] in b"'.%-+":
        local += 1
    domain = _DOMAIN.match(buf, at + 1)
    if domain is None or local >= at or text.flags & BINARY:
        return at
    if domain[1].lower() in _NO_TOPLEVEL:
        return at
    end = domain.end()
    text.add(local, end, "email")
    return end


def userinfo(text: Text, start: int, end: int) -> int:
    buf = text.buf
    begin = buf.index(b"/", start)
    while buf[begin] in b"/\\":
        begin += 1
    rest = _AUTHORITY.match(buf, end)
    last = rest[0].rfind(b"@") if rest else -1  # an @ in the password itself
    stop = end + last if last >= 0 else end - 1
    text.add(begin, stop, "userinfo")
    return stop + 1  # beyond the @, which makes no e-mail address of user and host


def digits(text: Text, start: int, end: int) -> int:
    buf = text.buf
    while not 0x30 <= buf[start] <= 0x39:  # what made sure that a number begins here
        start += 1
    value = buf[start:end]
    before = buf[max(0, start - _AROUND) : start]
    onward = end if value.isdigit() else start + 3
    if text.flags & BINARY or not stands_alone(buf, start, end):
        return onward
    if value[3:4] == b"-":
        if numbers.is_ssn(value, before):
            text.add(start, end, "ssn")
            return end
    elif len(value) <= 25 and not text.flags & NO_CARD and numbers.is_card(value, before):
        text.add(start, end, "card", quote=UNSURE)
        return end
    return onward


def iban(text: Text, start: int, end: int) -> int:
    buf = text.buf
    if text.flags & BINARY or not at_edge(buf, start):
        return start + 4  # not beyond: a key may begin among the letters and digits
    length = numbers.iban_length(buf[start:end])
    if not length or buf[start + length : start + length + 1].isalnum():
        return start + 4
    text.add(start, start + length, "iban")
    return start + length


def scheme(text: Text, start: int, end: int) -> int:
    scheme = _SCHEME.match(text.buf, start)
    token = _TOKEN.match(text.buf, scheme.end()) if scheme else None
    if scheme is None or token is None:
        return end
    if scheme[1].lower() == b"basic":
        pair = unbase64(token[0])
        if b":" not in pair or not printable(pair):
            return token.start()
        text.add(*token.span(), "basic")
        return token.end()
    if len(token[0]) < _SHORTEST_BEARER or not _DIGIT.search(token[0]):
        return token.start()
    text.add(*token.span(), "bearer")
    return token.end()


def link(text: Text, start: int, end: int) -> int:
    """/reset/<token>: whoever has the address has the account."""
    slash = text.buf.rfind(b"/", start, end)
    token = _SEGMENT.match(text.buf, slash + 1)
    if token is None or not opaque(token[0]):
        return slash
    text.add(*token.span(), "link_token")
    return token.end()
