"""`qrec replay` and `qrec import`: files through the same filter, redaction and writer as live
traffic, as fast as they go.

A file is known by its content. Read again into the same recorder it adds nothing; a run that was
cut short is taken up where it ended. What a browser or proxy saw (a HAR file) counts as covered
from its first exchange to its last.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypedDict, Unpack, cast

import pyarrow as pa
import pyarrow.parquet as pq

from recorder.decode.columns import Who
from recorder.decode.events import Transaction, decode
from recorder.options import RecordOptions, redaction_key
from recorder.pipeline.worker import Worker
from recorder.source.blocks import events_in, whole_events
from recorder.source.har import read_har
from recorder.write.coverage import Ledger, count
from recorder.write.intake import Part, Rows, rejected
from recorder.write.seal import Housekeeper
from recorder.write.segments import Numbers, Writer, new_session, write_rejected
from store.errors import UnavailableError
from store.files import append_line, read_entries
from store.layout import Store, check_recorder, recorder_lock

_CHUNK = 1 << 20
_BATCH = 1_000
_FLUSH_ROWS, _FLUSH_BYTES = 10_000, 32 << 20  # a file is made of so much

Progress = Callable[[Path, int, int], None]  # the file, bytes read of it, its size


@dataclass(frozen=True)
class Replayed:
    """What became of one file. `known`: it had been replayed before, and nothing was added."""

    file: Path
    known: bool
    events: int = 0
    written: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)  # written, by table
    rejected: int = 0
    duplicates: int = 0
    filtered: int = 0
    other: int = 0


class Reading(TypedDict, total=False):
    """How files are read. shift_to_us: where a file's last event or exchange shall fall; again:
    also what was read before; progress: hears how far it is."""

    shift_to_us: int | None
    again: bool
    progress: Progress | None


def replay(files: Sequence[Path], options: RecordOptions, **how: Unpack[Reading]) -> list[Replayed]:
    """Replay each recorded stream. Raises UnavailableError for a file or store that cannot be
    used."""
    return _store([_Stream(path, _survey(path)) for path in files], "replay", options, how)


def import_har(
    files: Sequence[Path],
    options: RecordOptions,
    *,
    on_bad: Callable[[str], None] = lambda line: None,
    **how: Unpack[Reading],
) -> list[Replayed]:
    """Import each HAR file; `on_bad` hears of every entry that cannot be read.

    Raises UnavailableError for a file or store that cannot be used, QrecError for a file that is
    no HAR; every file is read before the first is written.
    """
    return _store([_read_har(path, on_bad) for path in files], "har", options, how)


def _store(
    sources: Sequence[_Stream | _Har], default_name: str, options: RecordOptions, how: Reading
) -> list[Replayed]:
    name = check_recorder(options.recorder or default_name)
    store = Store.create(options.store)
    with recorder_lock(store, name):
        results, policy = [], ""
        for source in sources:
            run = _Run(store, name, source, options)
            policy = run.writer.policy
            results.append(run.run(**how))
        Housekeeper(store, name, policy).round(time.time_ns() // 1000, everything=True)
    return results


@dataclass(frozen=True)
class Survey:
    """What one pass over a recording tells: its identity, its size, when its last event was."""

    digest: str
    events: int
    last_ts: int | None  # µs since the epoch; None when no event has a time


def _chunks(path: Path, on_chunk: Callable[[bytes, int], None]) -> Iterator[bytes]:
    """What `curl -sN` printed, plain or gzipped; it is cut into events as live bytes are.
    `on_chunk` hears of each chunk, and how far into the file that is."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if zipped else raw
        while chunk := file.read(_CHUNK):
            on_chunk(chunk, raw.tell())
            yield chunk


def _survey(path: Path) -> Survey:
    """Read the file through once: its digest, and the time of the last event that has one."""
    digest = hashlib.sha256()
    count, recent = 0, deque[tuple[str, str]](maxlen=200)
    for event in _read_events(path, lambda chunk, at: digest.update(chunk)):
        count += 1
        recent.append(event)
    times = (decode(name, data).ts for name, data in reversed(recent))
    last = next((ts for ts in times if ts is not None), None)
    return Survey(digest.hexdigest(), count, last)


def _read_events(path: Path, on_chunk: Callable[[bytes, int], None]) -> Iterator[tuple[str, str]]:
    """(name, data) of each event. UnavailableError when the file cannot be read or its compression
    is broken."""
    try:
        for block in whole_events(_chunks(path, on_chunk)):
            yield from events_in(block)
    except FileNotFoundError:
        raise UnavailableError(
            f"there is no file {path}", "Check the name; recorded streams end in .sse(.gz)."
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise UnavailableError(
            f"cannot read {path}: {error}",
            "A recording is what `curl -sN URL/devtools/api/events` prints, plain or gzipped.",
        ) from None


@dataclass(frozen=True)
class _Stream:
    """A recorded stream of events."""

    path: Path
    survey: Survey

    def pour(self, run: _Run, on_bytes: Callable[[int], None]) -> None:
        batch: list[tuple[str, str]] = []
        for event in _read_events(self.path, lambda chunk, at: on_bytes(at)):
            batch.append(event)
            if len(batch) >= _BATCH:
                self._take(run, batch)
                batch = []
        self._take(run, batch)

    def _take(self, run: _Run, batch: list[tuple[str, str]]) -> None:
        places = range(run.events, run.events + len(batch))
        run.take(run.worker.process(batch, places), len(batch), 0)


@dataclass(frozen=True)
class _Har:
    """A HAR file's exchanges in order of time; `bad`: how many entries could not be read."""

    path: Path
    survey: Survey
    rows: list[Transaction]
    bad: int

    def pour(self, run: _Run, _on_bytes: Callable[[int], None]) -> None:
        first = self.rows[0].ts - (self.rows[0].duration_ms or 0) * 1000 if self.rows else 0
        if self.rows:
            run.ledger.connected(first + run.worker.shift_us, 0)
        run.ledger.count("rejected", self.bad)
        for at in range(0, len(self.rows), _BATCH):
            batch = self.rows[at : at + _BATCH]
            end = batch[-1].ts - first  # the worker moves the rows' times
            run.take(run.worker.process_rows(batch, run.events), len(batch), end)


def _read_har(path: Path, on_bad: Callable[[str], None]) -> _Har:
    bad: list[str] = []
    rows = sorted(read_har(path, bad.append), key=lambda tx: tx.ts)
    for line in bad:
        on_bad(line)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    survey = Survey(digest, len(rows) + len(bad), rows[-1].ts if rows else None)
    return _Har(path, survey, rows, len(bad))


class _Run:
    """One file on its way into the store, under a recorder whose lock is held."""

    def __init__(
        self, store: Store, name: str, source: _Stream | _Har, options: RecordOptions
    ) -> None:
        self.store = store
        self.name = name
        self.source = source
        self.journal = store.live(name) / "replayed.jsonl"
        self.session = new_session()
        self.ledger = Ledger(store, name, self.session, options.filter, None, group=options.group)
        self.worker = Worker(redaction_key(store, options), options)
        self.numbers = Numbers(store, name)
        self.writer = Writer(store, Who(name, self.session), self.worker.cleaner.policy)
        self.events = 0  # since the last flush
        self._parts: list[Part] = []
        self._rows = Counter[str]()

    def run(
        self, shift_to_us: int | None = None, again: bool = False, progress: Progress | None = None
    ) -> Replayed:
        path, about = self.source.path, self.source.survey
        done, sessions = _before(self.journal, about.digest)
        if done and not again:
            return Replayed(path, known=True)
        if sessions and not again:
            self.worker.repeats.known = _stored_ids(self.store, self.name, sessions)
        self._write_down(done=False)
        if shift_to_us is not None and about.last_ts is not None:
            self.worker.shift_us = shift_to_us - about.last_ts
        size = path.stat().st_size
        told = progress or (lambda *of: None)
        self.source.pour(self, lambda at: told(path, at, size))
        self.ledger.change("stopped", "the recording ends here", 0)
        self._flush()
        self._write_down(done=True)
        self.numbers.save()
        total = self.ledger.totals
        return Replayed(
            path,
            known=False,
            events=about.events,
            written=self._rows.total(),
            rows=self._rows,
            rejected=total["rejected"],
            duplicates=total["duplicates"],
            filtered=total["filtered"],
            other=total["other"],
        )

    def take(self, parts: list[Part], events: int, mono: int) -> None:
        """Take what so many events came to."""
        count(self.ledger, parts, mono)
        self._parts += parts
        self.events += events
        sizes = [part.size() for part in self._parts if isinstance(part, Rows)]
        rows, size = (sum(one) for one in zip((0, 0), *sizes, strict=True))
        if rows >= _FLUSH_ROWS or size >= _FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        first, last = self.numbers.last + 1, self.numbers.last + self.events
        try:
            self._rows += self.writer.write(self._parts, first, last).rows
            self.ledger.flush()
        except OSError as error:
            raise UnavailableError(
                f"the store at {self.store.path} takes no writes: {error.strerror or error}",
                "Free some space or check the permissions, then replay again: it goes on from here",
            ) from None
        write_rejected(self.store, self.name, rejected(self._parts))
        self.numbers.last = last
        self._parts, self.events = [], 0

    def _write_down(self, done: bool) -> None:
        entry = {"digest": self.source.survey.digest, "session": self.session, "done": done}
        append_line(self.journal, json.dumps(entry))


def _before(journal: Path, digest: str) -> tuple[bool, set[str]]:
    """Whether a replay of this content came to its end, and the sessions that it ran in."""
    own = [entry for entry in read_entries(journal) if entry.get("digest") == digest]
    return any(entry.get("done") for entry in own), {str(entry.get("session")) for entry in own}


def _stored_ids(store: Store, recorder: str, sessions: Set[str]) -> set[str]:
    """The request ids that a replay cut short has already written."""
    ids: set[str] = set()
    for hour in store.hours("transactions"):
        for owner, path in store.visible("transactions", hour):
            if owner != recorder:
                continue
            try:
                table = pq.read_table(path, columns=["request_id", "session"], partitioning=None)
            except (OSError, pa.ArrowInvalid):
                continue
            for row in table.to_pylist():
                if row["session"] in sessions and row["request_id"]:
                    ids.add(row["request_id"])
    return ids
