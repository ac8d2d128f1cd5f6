"""Bodies before the scan: Content-Encoding undone, bounded, and distinguished by what they are.

Qtap hands out most HTTP/1 bodies decoded while the header still names the encoding, so the bytes
decide: what does not look encoded is left alone.

And after it: where in a body a placeholder stands, request.body.items[].token.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Mapping
from itertools import repeat
from typing import Any

import msgspec
import pyarrow as pa

from recorder.redact.text import BINARY, FORM, PACKED

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_MOST_LAYERS = 3
_CHUNK, _PIECE = 8 << 10, 256  # of a damaged stream the last one is lost
_ENCODED_SAMPLE = 2048
_SHORT = 64  # nothing worth keeping is in a shorter encoded body
_RANDOM = 150  # different byte values in a sample of that size: compressed or encrypted

_FILE_STARTS = (
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"%PDF", b"PK\x03\x04", b"\x00\x00\x01\x00",
    b"OggS", b"ID3", b"\x1aE\xdf\xa3", b"wOFF", b"wOF2",
    b"\x00asm", b"\x7fELF", b"PAR1", b"fLaC", b"BM",
)  # fmt: skip


class Undecodable(Exception):
    """The body is encoded, and its beginning, without which it cannot be read, is missing."""


def is_file(body: bytes) -> bool:
    """Whether a body is an image, a sound, a font, an archive: by its first bytes."""
    return body.startswith(_FILE_STARTS) or body[4:8] == b"ftyp"


def decoded(body: bytes, encoding: str | None, most: int) -> bytes:
    """`body` without the encodings that the header names, at most `most` bytes of it.

    Without a header, gzip and zstd are known by their first bytes and undone where text comes
    out. What cannot be decoded to the end is decoded as far as it goes. Raises Undecodable.
    """
    if encoding is None:
        if not body.startswith((_GZIP, _ZSTD)):
            return body
        inner = _layer(body, "gzip" if body.startswith(_GZIP) else "zstd", most)
        return inner if b"\0" not in inner[:_ENCODED_SAMPLE] else body
    names = [name.strip().lower() for name in encoding.split(",")]
    for name in reversed(names[-_MOST_LAYERS:]):
        body = _layer(body, name, most)
    return body


def _layer(body: bytes, name: str, most: int) -> bytes:
    if body.startswith((_GZIP, _ZSTD)):
        plain = _inflated(body, 31, most) if body[:2] == _GZIP else _arrow(body, "zstd", most)
        if not plain and len(body) >= _SHORT:
            raise Undecodable
        return plain
    if name == "deflate" and body[:1] and body[0] & 15 == 8 and not int.from_bytes(body[:2]) % 31:
        return _inflated(body, 15, most)  # with the head of zlib
    if name in ("", "identity") or _reads_as_text(body) or is_file(body):
        return body
    plain = b""
    if name == "br":
        plain = _arrow(body, "brotli", most)
    elif name == "deflate":
        plain = _inflated(body, -15, most)
    if plain:
        return plain
    if len(set(body[:_ENCODED_SAMPLE])) >= min(_RANDOM, len(body) // 2) and len(body) >= _SHORT:
        raise Undecodable
    return body


def _reads_as_text(body: bytes) -> bool:
    try:
        body[:_ENCODED_SAMPLE].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(body[:_ENCODED_SAMPLE]) - 4:
            return False
    return not body[:_ENCODED_SAMPLE].translate(None, bytes(range(32, 256)) + b"\t\r\n\f\b\x1b")


def _inflated(body: bytes, window: int, most: int) -> bytes:
    """What can be read of a stream, in small pieces, since it may be damaged further on."""
    out = bytearray()
    while body and len(out) < most:  # a gzip body may be several, one after the other
        inflater = zlib.decompressobj(window)
        at = 0
        with contextlib.suppress(zlib.error):
            while at < len(body) and len(out) < most and not inflater.eof:
                out += inflater.decompress(body[at : at + _PIECE], most - len(out))
                at += _PIECE
        body = inflater.unused_data + body[at:]
        if not inflater.eof or window != 31 or not body.startswith(_GZIP):
            break
    return bytes(out)


def _arrow(body: bytes, codec: str, most: int) -> bytes:
    out = bytearray()
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), codec) as stream:
            while len(out) < most and (chunk := stream.read(min(_CHUNK, most - len(out)))):
                out += chunk
    except (OSError, pa.ArrowInvalid):
        pass  # cut short or damaged: what came before it stands
    return bytes(out)


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
        self.most = limit + _MARGIN

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
        if encoding is None and body[0] not in _TELLING and len(body) <= self.most:
            return body
        try:
            plain = decoded(body, encoding, self.most)
        except Undecodable:
            return None
        if plain[:2] in _UTF16 and not _is_media(content_type):
            plain = _utf8(plain[: self.most])
        return plain if len(plain) <= self.most else plain[: self.most]

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


_PLACEHOLDER = re.compile(r"\[redacted:([a-z0-9_]+):([0-9a-f]{12})\]")
_BEGINS = "[redacted:"
_LARGEST = 256 << 10  # bytes of JSON that are parsed for the sake of a path
_MOST = 100  # placeholders that get their own place
_LONGEST = 200
_DEEPEST = 4  # JSON in JSON strings

_Path = tuple[Any, str] | None  # the path of what contains it, its own step


def json_places(body: bytes, prefix: str, count: int) -> list[tuple[str, str, str]] | None:
    """(kind, place, fingerprint) of the `count` placeholders in a redacted JSON body.

    None when the body is no JSON, is cut off or too large to be parsed for this.
    """
    document = _parsed(body) if len(body) <= _LARGEST else None
    if document is None:
        return None
    places = []
    for path, text in _texts(document, count)[:_MOST]:
        place = _joined(path, prefix)
        places += [(kind, place, fingerprint) for kind, fingerprint in _PLACEHOLDER.findall(text)]
    return places


def _texts(document: Any, count: int) -> list[tuple[_Path, str]]:
    """The first `count` strings with placeholders, and their paths; where there are fewer, also the
    keys, and the paths of what they are keys of. A stack: depth is the sender's to choose."""
    texts: list[tuple[_Path, str]] = []
    keys: list[tuple[_Path, str]] = []
    stack: list[tuple[Any, _Path, int]] = [(document, None, 0)]
    while stack and len(texts) < count:
        node, path, depth = stack.pop()
        pairs = node.items() if type(node) is dict else zip(repeat("[]"), node, strict=False)
        for key, value in pairs:
            if _BEGINS in key:
                keys.append((path, key))
            kind = type(value)
            if kind is str:
                if _BEGINS in value:
                    nested = _parsed(value) if depth < _DEEPEST else None
                    if nested is None:
                        texts.append(((path, key), value))
                    else:
                        stack.append((nested, (path, key), depth + 1))
            elif kind is dict or kind is list:
                stack.append((value, (path, key), depth))
    return texts if len(texts) >= count else texts + keys


def _joined(path: _Path, prefix: str) -> str:
    steps: list[str] = []
    length = 0
    while path is not None:
        path, step = path
        step = "[]" if step == "[]" else "." + _PLACEHOLDER.sub("*", step)
        steps.append(step)
        length += len(step)
        if length > _LONGEST:
            steps.append("…")
            break
    return prefix + "".join(reversed(steps))


def _parsed(text: str | bytes) -> Any:
    """The object or list that is written in JSON; None where there is none."""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return document if isinstance(document, (dict, list)) else None
