"""What a recording is asked to do, whoever asks: the command line, a test, a benchmark."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import msgspec

from recorder.decode.events import Transaction
from recorder.redact.config import BODY_LIMIT, RedactConfig, load_key
from store.layout import Store
from store.marks import mark_unredacted
from store.schema import DATABASE

DEFAULT_URL = "http://localhost:10001"


@dataclass(frozen=True)
class RecordOptions:
    """Options of `qrec record`; times in seconds, sizes in bytes."""

    store: Path
    url: str = DEFAULT_URL
    recorder: str = ""
    group: str | None = None  # of recorders that are one population
    shared_key: Path | None = None  # a file with the redaction key of a fleet
    filter: str | None = None
    push: str = "safe"  # safe | all | none
    connections: bool = False
    duration: float | None = None
    flush_interval: float = 1.0
    wait: bool = False
    until_end: bool = False
    body_limit: int = BODY_LIMIT
    store_bodies: str = "all"  # all | errors | none
    routes: tuple[str, ...] = ()
    keep: float | None = None  # seconds; whole hours older than this are deleted
    max_size: int | None = None  # bytes; the oldest hours beyond are deleted
    workers: int | None = None  # the most there may be; None: as the machine has processors
    metrics: str | None = None  # where to serve Prometheus metrics: 127.0.0.1:9464
    headers_s: float = 15.0  # how long the source may take to answer at all
    probe_after_s: float = 10.0  # how long it may be silent before it is asked if it lives
    redact: RedactConfig = field(default_factory=RedactConfig)

    def name(self) -> str:
        return self.recorder or default_recorder()


@dataclass(frozen=True)
class Status:
    """How a recording goes, told once a flush. Counts are since its start."""

    state: str
    events: int = 0
    written: int = 0
    per_s: float = 0.0
    lag_ms: int = 0
    gaps: int = 0
    rejected: int = 0
    filtered: int = 0
    filter_errors: int = 0  # of those: events without a field that the filter asks for
    dropped: int = 0
    bodies_shed: int = 0
    source: str = ""
    written_bytes: int = 0
    flush_s: float = 0.0


@dataclass(frozen=True)
class Summary:
    """What a recording came to."""

    recorder: str
    session: str
    written: int
    rows: Mapping[str, int]  # written, by table: transactions, connections, database
    seconds: float
    gaps: int
    reason: str


class Reporter(Protocol):
    """Who hears of a recording: the terminal's status line, plain log lines, a test."""

    def status(self, status: Status) -> None: ...

    def note(self, text: str) -> None: ...


class Unfailing:
    """A reporter that never fails: a full disk under a log, a closed pipe or a terminal that is
    gone must not end what is told about."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def status(self, status: Status) -> None:
        with contextlib.suppress(Exception):
            self._reporter.status(status)

    def note(self, text: str) -> None:
        with contextlib.suppress(Exception):
            self._reporter.note(text)


def default_recorder() -> str:
    """This host's name, as far as it can be part of a file's name."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname()).strip("-._")
    return name[:64] or "host"


def redaction_key(store: Store, options: RecordOptions) -> bytes:
    """The key of the store's fingerprints; made where there is none.

    Without redaction the store is marked for it here, before the first row can come in.
    """
    if not options.redact.enabled:
        mark_unredacted(store, options.name())
    return load_key(store.key_file, options.shared_key)


def plan_filter(options: RecordOptions) -> tuple[str | None, str | None, list[str]]:
    """(the expression as qrec reads it, the part for the source, what is worth saying of both).

    UsageError when it is wrong.
    """
    if not options.filter:
        return None, None, []
    import filters

    expression = filters.parse(options.filter)
    filters.check(expression, "record")
    pushed = filters.pushable(expression, options.push)  # type: ignore[arg-type]
    remarks = [f"filter: {text}" for text in filters.remarks(expression)]
    if pushed is not None:
        remarks.append(
            f"the source applies {pushed}; it sends no calls of databases then "
            "(--push none records those that match the filter)"
        )
    return expression.text, pushed, remarks


def encode_settings(key: bytes, options: RecordOptions, session: str) -> bytes:
    """What a worker needs to know, as one line: it stands in another working directory."""
    options = replace(options, store=options.store.absolute(), recorder=options.name())
    return msgspec.json.encode((key, options, session), enc_hook=str) + b"\n"


def decode_settings(line: bytes) -> tuple[bytes, RecordOptions, str]:
    return msgspec.json.decode(
        line, type=tuple[bytes, RecordOptions, str], dec_hook=lambda kind, value: kind(value)
    )


class RowFilter:
    """The whole filter, in our own meaning. FilterError for a text that is none."""

    def __init__(self, text: str) -> None:
        import filters  # most recordings have no filter

        self._passes = filters.decision(filters.parse(text), "qrec")
        self._fields = filters.Row
        self._call_fields = {
            name: spec.read
            for name, spec in filters.FIELDS.items()
            if "record" in spec.uses and set(spec.columns) <= set(DATABASE.names)
        }

    def accepts(self, tx: Transaction) -> bool | None:
        return self._passes(self._fields(tx))

    def accepts_call(self, row: dict[str, Any]) -> bool | None:
        """A database call is filtered by the fields that it has; it has no req and no res."""
        call = SimpleNamespace(**row)
        values = {name: read(call) for name, read in self._call_fields.items()}
        return self._passes({name: value for name, value in values.items() if value is not None})
