"""Headers whose values have parts of their own: credentials and cookies."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from recorder.redact.names import AUTH_SCHEME, NameBook, opaque
from recorder.redact.text import PLACEHOLDER, Hit

_AWS4 = re.compile(rb"(?i)(?:credential=([^/, ]+)|signature=([0-9a-f]+))")
_SCHEMES = {b"bearer": "bearer", b"basic": "basic"}
COOKIES = ("cookie", "set-cookie")
_MOST_COOKIES = 256  # browsers send at most 180 to a host
_LONG_COOKIE = 20
_HTTP_ONLY_COOKIE = 12
# Cookies that count visitors for statistics; they open nothing.
_COUNTING = re.compile(rb"_ga|_gid|_gat|_gcl_|_fbp|_hj|__utm|_pk_|ajs_|amp_|optimizely|mp_")
_HEX = re.compile(rb"[0-9a-f]+\Z")


class Cookie(NamedTuple):
    """A cookie in a header: its name and value as written, and where the value begins."""

    name: bytes
    value: bytes
    start: int


def header_hits(names: NameBook, name: str, value: bytes) -> list[Hit]:
    """What to take out of a header's value because of the header's name; cookies have their own."""
    return [hit for hit in _hits(names, name, value) if not PLACEHOLDER.fullmatch(hit.secret)]


def is_whole(value: bytes) -> bool:
    """Whether `header_hits` says all there is to say of a header."""
    return value[:5] == b"AWS4-"


def cookies(lower: str, header: bytes) -> tuple[list[Cookie], int]:
    """The cookies of a Cookie header, or the one of a Set-Cookie header, and where the rest begins
    that is too much to look at (-1: nowhere). One without = has no name."""
    most = _MOST_COOKIES if lower == "cookie" else 1
    parts = header.split(b";", most)
    cookies: list[Cookie] = []
    start = 0
    for part in parts[:most]:
        name, equals, value = part.partition(b"=")
        named = Cookie(name, value, start + len(name) + 1)
        cookies.append(named if equals else Cookie(b"", part, start))
        start += len(part) + 1
    return cookies, start if lower == "cookie" and most < len(parts) else -1


def cookie_hit(names: NameBook, name: bytes, whole: bytes, http_only: bool) -> Hit | None:
    """What to take out of a cookie's value because of its name, or because it is a session's."""
    name, value = name.strip(), whole.strip().strip(b'"')
    if PLACEHOLDER.fullmatch(value):
        return None
    start = whole.find(value)
    rule = names.rule(name, "cookie", value)
    kind = rule.kind if rule else None
    if kind is None and _random_cookie(name, value, http_only):
        kind = "cookie"
    return _hit(whole, start, start + len(value), kind, name) if kind else None


def _hits(names: NameBook, name: str, value: bytes) -> list[Hit]:
    rule = names.rule(name.encode("utf-8", "surrogatepass"), "header", value)
    if rule is None:
        return []
    if rule.kind == "authorization":
        return _credentials(value)
    return [_hit(value, 0, len(value), rule.kind)]


def _hit(value: bytes, start: int, end: int, kind: str, name: bytes = b"") -> Hit:
    return Hit(start, end, kind, value[start:end], name)


def _credentials(value: bytes) -> list[Hit]:
    scheme = AUTH_SCHEME.match(value)
    if scheme is None:
        return [_hit(value, 0, len(value), "authorization")]
    word = scheme[0].rstrip(b" +").lower()
    if word == b"aws4-hmac-sha256":
        return [
            _hit(value, *match.span(match.lastindex or 0), ("aws_key", "signature")[bool(match[2])])
            for match in _AWS4.finditer(value)
        ]
    return [_hit(value, scheme.end(), len(value), _SCHEMES.get(word, "authorization"))]


def _random_cookie(name: bytes, value: bytes, http_only: bool) -> bool:
    """Session cookies have any name; what they share is a long random value."""
    if http_only and len(value) >= _HTTP_ONLY_COOKIE and any(48 <= byte < 58 for byte in value):
        return True
    if len(value) < _LONG_COOKIE or _COUNTING.match(name) or _HEX.match(value):
        return False
    return opaque(unquote_to_bytes(value))
