"""Reading a recorded stream: what `curl -sN` printed, plain or gzipped, as the events it holds.

The bytes go through httpx-sse just as live ones do, behind a response that nobody sent.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import httpx

from recorder.decode.events import decode
from recorder.source.subscription import EventStream, events
from store.errors import UnavailableError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Survey:
    """What one pass over a recording tells: its identity, its size, when its last event was."""

    digest: str
    events: int
    last_ts: int | None  # µs since the epoch; None when no event has a time


class _FileStream(httpx.SyncByteStream):
    def __init__(self, path: Path, on_bytes: Callable[[int], None] | None = None) -> None:
        self.path = path
        self.on_bytes = on_bytes
        self.digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if zipped else raw
            while chunk := file.read(_CHUNK):
                self.digest.update(chunk)
                if self.on_bytes is not None:
                    self.on_bytes(raw.tell())
                yield chunk


def read_events(
    path: Path, on_bytes: Callable[[int], None] | None = None
) -> Iterator[tuple[str, str]]:
    """(name, data) of each event of the file. `on_bytes` hears how far into the file it is.

    UnavailableError when the file cannot be read or its compression is broken.
    """
    yield from _guarded(_FileStream(path, on_bytes))


def survey(path: Path) -> Survey:
    """Read the file through once: its digest, and the time of the last event that has one."""
    stream = _FileStream(path)
    count = 0
    recent: list[tuple[str, str]] = []
    for event in _guarded(stream):
        count += 1
        recent.append(event)
        if len(recent) > 200:
            del recent[:100]
    times = (decode(name, data).ts for name, data in reversed(recent))
    last = next((ts for ts in times if ts is not None), None)
    return Survey(stream.digest.hexdigest(), count, last)


def _guarded(stream: _FileStream) -> Iterator[tuple[str, str]]:
    headers = {"content-type": "text/event-stream"}
    response = httpx.Response(200, headers=headers, stream=EventStream(stream))
    try:
        yield from events(response)
    except FileNotFoundError:
        raise UnavailableError(
            f"there is no file {stream.path}", "Check the name; recorded streams end in .sse(.gz)."
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise UnavailableError(
            f"cannot read {stream.path}: {error}",
            "A recording is what `curl -sN URL/devtools/api/events` prints, plain or gzipped.",
        ) from None
