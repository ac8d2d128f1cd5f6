"""Bodies before the scan: decoded, bounded, and told apart by what they are."""

from __future__ import annotations

import re
from collections.abc import Mapping

from recorder.redact.content import Undecodable, decoded, is_file
from recorder.redact.text import BINARY, FORM, PACKED

BODY_LIMIT = 64 << 10  # bytes of a body that are kept, unless told otherwise
# A secret that begins before the limit is whole within this many bytes more.
_MARGIN = 8 << 10
_FORM_LIKE = re.compile(rb"[A-Za-z0-9_.%\[\]-]{1,64}=[^\s<>{}\"]*\Z")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE = 1024
_MEDIA = ("image/", "video/", "audio/", "font/")
_TELLING = b"\x1f\x28\xff\xfe"  # how gzip, zstd and UTF-16 begin
_LEAST_ASCII = 16  # at least one character in so many: the blanks, digits and marks of any text
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


class Bodies:
    """Makes bodies readable, up to `limit` bytes and a margin for what straddles the limit."""

    def __init__(self, limit: int) -> None:
        self._most = limit + _MARGIN

    def read(
        self, body: bytes | None, headers: Mapping[str, str], content_type: str | None = None
    ) -> bytes | None:
        """`body` decoded and cut; the very same object where there is nothing to do. Text in
        UTF-16 becomes UTF-8.

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
        if plain[:2] in _UTF16 and not _is_media(content_type):
            plain = _utf8(plain[: self._most])
        return plain if len(plain) <= self._most else plain[: self._most]

    @staticmethod
    def flags(body: bytes, content_type: str | None) -> int:
        """How to read a body: FORM, BINARY, PACKED or 0."""
        if content_type == "application/json":
            return 0
        kind = (content_type or "").lower()
        if "x-www-form-urlencoded" in kind:
            return FORM
        if _is_media(kind) or is_file(body):
            return BINARY
        if not kind and b"=" in body[:65] and _FORM_LIKE.match(body):
            return FORM
        return PACKED if _CONTROL.search(body, 0, _SAMPLE) else 0


def _is_media(content_type: str | None) -> bool:
    return (content_type or "").lower().startswith(_MEDIA)


def _utf8(body: bytes) -> bytes:
    """`body`, which begins with the byte order mark of UTF-16, in UTF-8; unchanged where it is no
    text: where too few of its characters are ASCII, or too many are none."""
    text = body.decode(_UTF16[body[:2]], "replace")
    ascii_only = len(_CONTROL.sub(b"", text.encode("ascii", "ignore")))
    unreadable = text.count("\ufffd", 0, len(text) - 1)  # the last one may be cut in two
    if _LEAST_ASCII * ascii_only < len(text) or _LEAST_ASCII * unreadable > len(text):
        return body
    return text.encode()
