"""`qrec replay`: recorded streams through the very same intake and writer, as fast as they go.

A file is known by its content. Replayed again into the same recorder it adds nothing; a replay
that was cut short is taken up where it ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recorder.decode.columns import Who
from recorder.options import RecordOptions, refining
from recorder.pipeline.worker import Refinery
from recorder.source.stream_file import Survey, read_events, survey
from recorder.write.coverage import Ledger
from recorder.write.intake import Intake
from recorder.write.seal import Housekeeper
from recorder.write.writer import Writer, new_session
from store import Store
from store.errors import UnavailableError
from store.files import append_line
from store.layout import check_recorder
from store.lock import recorder_lock

_BATCH = 1_000
_FLUSH_ROWS, _FLUSH_BYTES = 10_000, 32 << 20

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


def replay(
    files: Sequence[Path],
    options: RecordOptions,
    *,
    shift_to_us: int | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> list[Replayed]:
    """Replay each file into the store; `shift_to_us` is where its last event shall fall.

    Raises UnavailableError for a file or store that cannot be used.
    """
    surveys = [survey(path) for path in files]
    name = check_recorder(options.recorder or "replay")
    store = Store.create(options.store)
    with recorder_lock(store, name):
        results = []
        for path, about in zip(files, surveys, strict=True):
            one = OneFile(store, name, path, about, options)
            results.append(one.run(shift_to_us, again, progress))
        keeper = Housekeeper(store, name, "")
        keeper.about = one.writer.about
        keeper.round(time.time_ns() // 1000, everything=True)
    return results


class OneFile:
    """One file on its way into the store, under a recorder whose lock is held."""

    def __init__(
        self, store: Store, name: str, path: Path, about: Survey, options: RecordOptions
    ) -> None:
        self.store = store
        self.name = name
        self.path = path
        self.about = about
        self.journal = store.live(name) / "replayed.jsonl"
        self.session = new_session()
        expression = options.filter
        self.ledger = Ledger(store, name, self.session, expression, None)
        self.refinery = Refinery(refining(store, options))
        self.intake = Intake(self.ledger)
        who, policy = Who(name, self.session), self.refinery.cleaner.policy
        self.writer = Writer(store, who, policy, self.intake, self.ledger)

    def run(self, shift_to_us: int | None, again: bool, progress: Progress | None) -> Replayed:
        before = _journal(self.journal).get(self.about.digest, {})
        if before.get("done") and not again:
            return Replayed(self.path, known=True)
        if before and not again:
            self.intake.remember(_stored_ids(self.store, self.name, before["sessions"]))
        self._write_down(done=False)
        if shift_to_us is not None and self.about.last_ts is not None:
            self.refinery.shift_us = shift_to_us - self.about.last_ts
        size = self.path.stat().st_size
        on_bytes = (lambda at: progress(self.path, at, size)) if progress else None
        self._take(on_bytes)
        self.ledger.change("stopped", "the recording ends here", 0)
        self._flush()
        self._write_down(done=True)
        self.writer.save_seq()
        total = self.ledger.totals
        return Replayed(
            self.path,
            known=False,
            events=self.about.events,
            written=self.writer.written,
            rows=self.writer.rows,
            rejected=total["rejected"],
            duplicates=total["duplicates"],
            filtered=total["filtered"],
            other=total["other"],
        )

    def _take(self, on_bytes: Callable[[int], None] | None) -> None:
        batch: list[tuple[str, str]] = []
        for event in read_events(self.path, on_bytes):
            batch.append(event)
            if len(batch) >= _BATCH:
                self.intake.take(self.refinery.refine(batch), 0)
                batch = []
                pending = self.intake.pending
                if pending.rows >= _FLUSH_ROWS or pending.size >= _FLUSH_BYTES:
                    self._flush()
        self.intake.take(self.refinery.refine(batch), 0)

    def _flush(self) -> None:
        self.writer.flush(0)
        if self.writer.failed_since is not None:
            raise UnavailableError(
                f"the store at {self.store.path} takes no writes (disk full or not permitted)",
                "Free some space or check the permissions, then replay again: it goes on from here",
            )

    def _write_down(self, done: bool) -> None:
        entry = {"digest": self.about.digest, "session": self.session, "done": done}
        append_line(self.journal, json.dumps(entry))


def _journal(path: Path) -> dict[str, dict[str, object]]:
    """Digest -> whether a replay of it came to its end, and the sessions that it ran in."""
    known: dict[str, dict[str, object]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return known
    for line in lines:
        try:
            entry = json.loads(line)
            digest, session, done = entry["digest"], entry["session"], entry["done"]
        except (ValueError, KeyError, TypeError):
            continue
        about = known.setdefault(digest, {"done": False, "sessions": set()})
        about["done"] = bool(about["done"]) or done
        about["sessions"] |= {session}  # type: ignore[operator]
    return known


def _stored_ids(store: Store, recorder: str, sessions: object) -> set[str]:
    """The request ids that a replay cut short has already written."""
    ids: set[str] = set()
    assert isinstance(sessions, set)
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
