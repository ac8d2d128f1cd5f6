"""Headers whose values have parts of their own: credentials and cookies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote_to_bytes

from recorder.redact.named import AUTH_SCHEME
from recorder.redact.names import NameBook, opaque
from recorder.redact.text import PLACEHOLDER, Hit

_AWS4 = re.compile(rb"(?i)(?:credential=([^/, ]+)|signature=([0-9a-f]+))")
_PAIR = re.compile(rb"([^=;]*)=([^;]*)")
_SCHEMES = {b"bearer": "bearer", b"basic": "basic"}
COOKIES = ("cookie", "set-cookie")
_LONG_COOKIE = 20
_HTTP_ONLY_COOKIE = 12
# Cookies that count visitors for statistics; they open nothing.
_COUNTING = re.compile(rb"_ga|_gid|_gat|_gcl_|_fbp|_hj|__utm|_pk_|ajs_|amp_|optimizely|mp_")
_HEX = re.compile(rb"[0-9a-f]+\Z")


def header_hits(names: NameBook, name: str, value: bytes) -> list[Hit]:
    """What to take out of a header's value because of the header's name."""
    hits = _hits(names, name, value)
    return [hit for hit in hits if PLACEHOLDER.fullmatch(hit.secret) is None]


def pairs(lower: str, value: bytes) -> Iterator[re.Match[bytes]]:
    """The cookies in a Cookie or Set-Cookie header: its name in group 1, its value in 2."""
    found = _PAIR.finditer(value)
    return found if lower == "cookie" else islice(found, 1)


def is_whole(name: str, value: bytes) -> bool:
    """Whether `header_hits` says all there is to say of a header, but for shapes in cookies."""
    return name.lower() in COOKIES or value[:5] == b"AWS4-"


def _hits(names: NameBook, name: str, value: bytes) -> list[Hit]:
    lower = name.lower()
    if lower in COOKIES:
        http_only = lower == "set-cookie" and b"httponly" in value.lower()
        return [hit for pair in pairs(lower, value) if (hit := _cookie(names, pair, http_only))]
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


def _cookie(names: NameBook, pair: re.Match[bytes], http_only: bool) -> Hit | None:
    name, value = pair[1].strip(), pair[2].strip().strip(b'"')
    start = pair.string.index(value, pair.start(2)) if value else pair.end()
    rule = names.rule(name, "cookie", value)
    kind = rule.kind if rule else None
    if kind is None and _random_cookie(name, value, http_only):
        kind = "cookie"
    return _hit(pair.string, start, start + len(value), kind, name) if kind else None


def _random_cookie(name: bytes, value: bytes, http_only: bool) -> bool:
    """Session cookies have any name; what they share is a long random value."""
    if http_only and len(value) >= _HTTP_ONLY_COOKIE and any(48 <= byte < 58 for byte in value):
        return True
    if len(value) < _LONG_COOKIE or _COUNTING.match(name) or _HEX.match(value):
        return False
    return opaque(unquote_to_bytes(value))
