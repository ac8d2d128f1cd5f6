"""HAR files, as browsers and proxies write them, as transactions: for `qrec import FILE.har`.

A file is read whole and its entries are decoded one by one, so that memory is about the file's
size; 200 MB are no problem, and beyond MAX_FILE it is refused.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from recorder.decode.row import Transaction
from recorder.source.har_entry import Entry, NotHttp, to_transaction
from store.errors import QrecError, UnavailableError

MAX_FILE: Final = 1 << 30  # bytes, unpacked
_BYTE: Final = re.compile(r" \(byte (\d+)\)")
# Browsers write half a character as it is, where a text was cut inside of one.
_HALVES: Final = re.compile(
    rb"(\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2})|\\u[dD][89a-fA-F][\da-fA-F]{2}"
)
_EXPORT: Final = "Export it again from the browser or proxy ('Save all as HAR with content')."


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw]


class _File(msgspec.Struct):
    """With or without the outer `log`; pages, creator and comments are passed over."""

    log: _Log | None = None
    entries: list[msgspec.Raw] | None = None


_FILE: Final = msgspec.json.Decoder(_File)
_ENTRY: Final = msgspec.json.Decoder(Entry, strict=False)


def read_har(path: Path, on_bad: Callable[[str], None] | None = None) -> Iterator[Transaction]:
    """The HTTP transactions of a HAR file (gzip or not), in its order.

    Entries that are no HTTP exchange (data:, blob:, extensions) are passed over. An entry that
    cannot be read goes to `on_bad`, as one line that names the file and the entry; without
    `on_bad` it is raised. `request_id` is made from the entry, so the same exchange in two
    exports has the same one. Raises UnavailableError for a file that cannot be opened, QrecError
    for one that is no HAR.
    """
    entries = _entries(path, _unpacked(path))
    repeats: Counter[bytes] = Counter()
    for index, raw in enumerate(entries):
        try:
            tx = to_transaction(_ENTRY.decode(raw))
        except NotHttp:
            continue
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
            line = f"{path.name}: entry {index} of log.entries: {_reason(error)}"
            if on_bad is None:
                raise QrecError(
                    line, "Take the entry out of the file, or export it again."
                ) from error
            on_bad(line)
            continue
        tx.request_id = _request_id(tx, repeats)
        yield tx


def _request_id(tx: Transaction, repeats: Counter[bytes]) -> str:
    about = (
        f"{tx.ts} {tx.method} {tx.authority} {tx.path}?{tx.query} {tx.status} {tx.connection_id}"
    )
    digest = blake2b(about.encode("utf-8", "surrogatepass"), digest_size=8)
    repeats[digest.digest()] += 1
    if (times := repeats[digest.digest()]) > 1:
        digest.update(b"#%d" % times)
    return f"har-{digest.hexdigest()}"


def _unpacked(path: Path) -> bytes:
    """The bytes of the file as UTF-8 JSON, without a byte order mark."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise QrecError(f"{path.name} is larger than {MAX_FILE >> 20} MiB", _SPLIT)
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise UnavailableError(
            f"cannot read {path}: {reason}", "Check the path and its permissions."
        ) from error
    if data[:2] == b"\x1f\x8b":
        data = _gunzip(path, data)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", errors="replace").encode()
    return data.removeprefix(b"\xef\xbb\xbf")


_SPLIT: Final = "Export a shorter session, or without the contents of responses."


def _gunzip(path: Path, data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, MAX_FILE + 1)
    except zlib.error as error:
        raise QrecError(f"{path.name} is a damaged gzip file", "Copy it again.") from error
    if len(unpacked) > MAX_FILE:
        raise QrecError(f"{path.name} unpacks to more than {MAX_FILE >> 20} MiB", _SPLIT)
    if not unpacker.eof:
        raise QrecError(f"{path.name} is a gzip file that was cut short", "Copy it again.")
    return unpacked


def _entries(path: Path, data: bytes) -> list[msgspec.Raw]:
    try:
        try:
            found = _FILE.decode(data)
        except msgspec.DecodeError as error:
            if "escape" not in str(error) and "surrogate" not in str(error):
                raise
            found = _FILE.decode(_HALVES.sub(lambda pair: pair[1] or rb"\ufffd", data))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise QrecError(
            f"{path.name}{_where(data, error)} is no HAR: {_reason(error)}", _EXPORT
        ) from error
    if found.log is not None:
        return found.log.entries
    if found.entries is not None:
        return found.entries
    raise QrecError(f"{path.name} is no HAR: it has no log.entries", _EXPORT)


def _where(data: bytes, error: Exception) -> str:
    """`, line 3, column 14`: the decoder counts bytes, an editor does not."""
    if "truncated" in str(error):
        at = len(data)
    elif found := _BYTE.search(str(error)):
        at = int(found[1])
    else:
        return ""
    line = data.count(b"\n", 0, at) + 1
    column = len(data[data.rfind(b"\n", 0, at) + 1 : at].decode("utf-8", "replace")) + 1
    return f", line {line}, column {column},"


def _reason(error: Exception) -> str:
    """msgspec's messages name the place and the type, never the value."""
    return _BYTE.sub("", str(error))[:200] or type(error).__name__
