"""Bodies before the scan: decoded, bounded, and told apart by what they are."""

from __future__ import annotations

import re
from collections.abc import Mapping

from recorder.redact.content import Undecodable, decoded, is_file
from recorder.redact.text import BINARY, FORM, PACKED

# A secret that begins before the limit is whole within this many bytes more.
_MARGIN = 8 << 10
_FORM_LIKE = re.compile(rb"[A-Za-z0-9_.%\[\]-]{1,64}=[^\s<>{}\"]*\Z")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE = 1024
_MEDIA = ("image/", "video/", "audio/", "font/")
_TELLING = b"\x1f\x28\xff\xfe"  # how gzip, zstd and UTF-16 begin
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


class Bodies:
    """Makes bodies readable, up to `limit` bytes and a margin for what straddles the limit."""

    def __init__(self, limit: int) -> None:
        self._most = limit + _MARGIN

    def read(self, body: bytes | None, headers: Mapping[str, str]) -> bytes | None:
        """`body` decoded and cut; the very same object where there is nothing to do.

        None when it is encoded and cannot be decoded (or was None).
        """
        if not body:
            return body
        encoding = headers.get("Content-Encoding") or headers.get("content-encoding")
        if encoding is None and body[0] not in _TELLING and len(body) <= self._most:
            return body
        try:
            plain = decoded(body, encoding, self._most)
        except Undecodable:
            return None
        if plain[:2] in _UTF16:
            plain = plain[: self._most].decode(_UTF16[plain[:2]], "replace").encode()
        return plain if len(plain) <= self._most else plain[: self._most]

    @staticmethod
    def flags(body: bytes, content_type: str | None) -> int:
        """How to read a body: FORM, BINARY, PACKED or 0."""
        if content_type == "application/json":
            return 0
        kind = (content_type or "").lower()
        if "x-www-form-urlencoded" in kind:
            return FORM
        if kind.startswith(_MEDIA) or is_file(body):
            return BINARY
        if not kind and b"=" in body[:65] and _FORM_LIKE.match(body):
            return FORM
        return PACKED if _CONTROL.search(body, 0, _SAMPLE) else 0
