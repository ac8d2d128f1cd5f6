"""Headers whose values have parts of their own: credentials and cookies."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from recorder.redact.names import AUTH_SCHEME, NameBook, opaque
from recorder.redact.text import PLACEHOLDER, Hit

_AWS4 = re.compile(rb"(?i)(?:credential=([^/, ]+)|signature=([0-9a-f]+))")
_SCHEMES = {b"bearer": "bearer", b"basic": "basic"}
COOKIES = ("cookie", "set-cookie")
_MOST_COOKIES = 256  # browsers send at most 180 to a host
_LONG_COOKIE = 20
_HTTP_ONLY_COOKIE = 12
_REMEMBERED, _LONGEST_NAME = 20_000, 100
# Cookies that count visitors for statistics; they open nothing.
COUNTING = re.compile(rb"_ga|_gid|_gat|_gcl_|_fbp|_hj|__utm|_pk_|ajs_|amp_|optimizely|mp_")
_DIGIT = re.compile(rb"[0-9]")
_HEX = re.compile(rb"[0-9a-f]+\Z")
# What no random value has, as it is or percent-encoded: blanks, quotes, commas, brackets, & and ;
_STRUCTURED = re.compile(rb"[\s\"'(),;<>?\[\]{}&|]|%(?:2[026-9Cc]|3[BbCcEeFf]|5[BbDd]|7[BbDd])")


def header_hits(names: NameBook, name: str, value: bytes) -> list[Hit]:
    """What to take out of a header's value because of the header's name; cookies have their own."""
    rule = names.rule(name.encode("utf-8", "surrogatepass"), "header", value)
    if rule is None:
        return []
    is_auth = rule.kind == "authorization"
    hits = _credentials(value) if is_auth else [_hit(value, 0, len(value), rule.kind)]
    return [hit for hit in hits if not PLACEHOLDER.fullmatch(hit.secret)]


def cookies(lower: str, header: bytes) -> tuple[list[bytes], bytes | None]:
    """The cookies of a Cookie header as written, or the one of a Set-Cookie header and what is said
    of it; and the rest that is too much to look at, if any."""
    if lower != "cookie":
        return header.split(b";", 1), None
    parts = header.split(b";", _MOST_COOKIES)
    return (parts, None) if len(parts) <= _MOST_COOKIES else (parts[:-1], parts[-1])


class CookieNames:
    """Tells secrets among cookies by their names and their randomness; remembers the names."""

    def __init__(self, names: NameBook) -> None:
        self._names = names
        self._judged = lru_cache(_REMEMBERED)(self._judge)

    def hit(self, part: bytes, http_only: bool) -> Hit | None:
        """What to take out of a cookie, `name=value`, because of its name, or because it is a
        session's."""
        name, equals, value = part.partition(b"=")
        if not equals:
            name, value = b"", part
        named, counts = (self._judged if len(name) <= _LONGEST_NAME else self._judge)(name)
        random = len(value) >= (_HTTP_ONLY_COOKIE if http_only else _LONG_COOKIE)
        if not named and (not random or (counts and not http_only)):
            return None
        name, value = name.strip(), value.strip().strip(b'"')
        rule = self._names.rule(name, "cookie", value) if named else None
        kind = rule.kind if rule else "cookie"
        if rule is None and not _is_random(value, counts, http_only):
            return None
        if value[:1] == b"[" and PLACEHOLDER.fullmatch(value):
            return None
        start = part.find(value, part.find(b"=") + 1)
        return _hit(part, start, start + len(value), kind, name)

    def _judge(self, name: bytes) -> tuple[bool, bool]:
        """Whether a name may be a secret's, and whether it is one that counts visitors."""
        bare = name.strip()
        return self._names.look(bare) is not None, COUNTING.match(bare) is not None


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


def _is_random(value: bytes, counts: bool, http_only: bool) -> bool:
    """Session cookies have any name; what they share is a long random value."""
    if http_only and len(value) >= _HTTP_ONLY_COOKIE and _DIGIT.search(value):
        return True
    if counts or len(value) < _LONG_COOKIE or _STRUCTURED.search(value) or _HEX.match(value):
        return False
    return opaque(unquote_to_bytes(value) if b"%" in value else value)
