"""The name in a candidate of the scan, and how it is written."""

from __future__ import annotations

import re
from typing import NamedTuple

from recorder.redact.text import odd_backslashes

_NAME_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.$[]-"
_QUOTED_BYTES = _NAME_BYTES + b" "  # "api key": …
_LONGEST_NAME = 120
_NEXT_ELEMENT = re.compile(rb"</[a-z]{1,8}>[ \t\r\n]*<[a-z]{1,8}[^<>]*>\Z")
_ATTRIBUTE = re.compile(rb"[ \t\r\n]{1,8}[A-Za-z_][A-Za-z0-9_:.-]{0,40}=\\*[\"']\Z")


class Name(NamedTuple):
    """A name and how it is written. `depth` counts the backslashes before its quote."""

    text: bytes
    start: int
    end: int
    quoted: bool
    backslashes: bytes
    ending: bytes  # what came after it: : = > " or '


def name_before(buf: bytes, start: int, end: int) -> Name:
    """The name in a candidate start..end, which ends after its separator, tag or closing quote;
    the name itself may begin before it."""
    base = max(0, end - _LONGEST_NAME - 80)
    body, ending = _without_ending(buf, base, start, end)
    body = body.rstrip(b" \t\r\n")
    quoted, backslashes = False, b""
    if body[-1:] in (b'"', b"'"):
        quoted, body = True, body[:-1]
    elif body[-5:] == b"u0022" and body[-6:-5] == b"\\":
        quoted, body = True, body[:-5]
    if quoted:
        plain = body.rstrip(b"\\")
        backslashes, body = body[len(plain) :], plain
    at = len(body.rstrip(_QUOTED_BYTES if quoted else _NAME_BYTES))
    text = body[at:]
    if odd_backslashes(body, at) and text[:1] in (b"n", b"r", b"t", b"b", b"f"):
        text, at = text[1:], at + 1  # the letter belongs to an escape: \ntoken=
    elif text[:3] == b"u00" and odd_backslashes(body, at):
        text, at = text[5:], at + 5  # \u0026token=
    elif body[at - 1 : at] == b"%" and len(text) > 2:
        text, at = text[2:], at + 2  # %20token=
    return Name(text, base + at, base + at + len(text), quoted, backslashes, ending)


def _without_ending(buf: bytes, base: int, start: int, end: int) -> tuple[bytes, bytes]:
    """The bytes base..end without what ends the name, and that as one character."""
    chunk = buf[base:end]
    ending = chunk[-1:]
    if ending == b">" and (element := _NEXT_ELEMENT.search(buf, start, end)):
        return buf[base : element.start()], ending  # <key>token</key><string>
    if ending in (b'"', b"'"):
        if attribute := _ATTRIBUTE.search(chunk):
            return chunk[: attribute.start()], b"<"
        return chunk, ending
    if chunk.endswith(b"=>"):
        return chunk[:-2], b":"
    if ending in b":=>":
        return chunk[:-1], ending
    at = chunk.rfind(b"\\")  # \u003d and the like
    meant = {b"d": b"=", b"a": b":", b"e": b">"}.get(ending.lower(), b"=")
    return chunk[:at].rstrip(b"\\"), meant
