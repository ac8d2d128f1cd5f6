"""Bodies as they read: Content-Encoding undone, within a bound.

Qtap hands out most HTTP/1 bodies decoded while the header still names the encoding, so the bytes
decide: what does not look encoded is left alone.
"""

from __future__ import annotations

import zlib

import pyarrow as pa

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_MOST_LAYERS = 3
_CHUNK = 8 << 10  # of a damaged stream the last chunk is lost
_SAMPLE = 2048
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
        return inner if b"\0" not in inner[:_SAMPLE] else body
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
    if (
        name == "deflate"
        and len(body) > 1
        and body[0] & 15 == 8
        and not (body[0] * 256 + body[1]) % 31
    ):
        return _inflated(body, 15, most)
    if name in ("", "identity") or _reads_as_text(body) or is_file(body):
        return body
    plain = b""
    if name == "br":
        plain = _arrow(body, "brotli", most)
    elif name == "deflate":
        plain = _inflated(body, -15, most)
    if plain:
        return plain
    if len(set(body[:_SAMPLE])) >= min(_RANDOM, len(body) // 2) and len(body) >= _SHORT:
        raise Undecodable
    return body


def _has_zlib_head(body: bytes) -> bool:
    return len(body) > 1 and body[0] & 15 == 8 and not (body[0] << 8 | body[1]) % 31


def _reads_as_text(body: bytes) -> bool:
    try:
        body[:_SAMPLE].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(body[:_SAMPLE]) - 4:
            return False
    return not body[:_SAMPLE].translate(None, bytes(range(32, 256)) + b"\t\r\n\f\b\x1b")


def _inflated(body: bytes, window: int, most: int) -> bytes:
    out = b""
    while body and len(out) < most:  # a gzip body may be several, one after the other
        inflater = zlib.decompressobj(window)
        try:
            out += inflater.decompress(body, most - len(out))
        except zlib.error:
            return out + _salvaged(body, window, most - len(out))
        body = inflater.unused_data if window == 31 else b""
        if not body.startswith(_GZIP):
            break
    return out


def _salvaged(body: bytes, window: int, most: int) -> bytes:
    """What can be read of a stream that is damaged further on."""
    inflater = zlib.decompressobj(window)
    out = bytearray()
    try:
        for at in range(0, len(body), 256):
            out += inflater.decompress(body[at : at + 256], most - len(out))
            if len(out) >= most:
                break
    except zlib.error:
        pass
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
