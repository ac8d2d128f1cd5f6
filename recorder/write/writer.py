"""The writer: pending rows become live segments, at most a flush interval after they came.

Acknowledged is what a flush has put on the disk, all of it or, after a crash, none of it that a
reader could see twice: the sequence numbers go on beyond everything that any file holds.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import Counter, defaultdict
from typing import Any

from recorder.decode.columns import Who, by_hour, numbered
from recorder.write.coverage import Ledger
from recorder.write.intake import Intake, Pending
from recorder.write.segments import highest_seq, metadata, write_segment
from store.coverage import SEEING
from store.errors import UnavailableError
from store.files import append_line, make_folder, write_text
from store.hours import from_us, hour_key
from store.layout import Store
from store.manifest import mark_unredacted

DISK_FULL = "disk_full"
_REJECTED_LIMIT = 16 << 20  # bytes of rejected samples an hour; beyond that they are counted only
_HELD_BYTES = 96 << 20  # what may wait in memory for a disk that refuses


def new_session() -> str:
    """One run of a recorder: when it began, and something that makes it its own."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + secrets.token_hex(3)


class Writer:
    """Flushes what an intake has gathered into the store, under one recorder and session."""

    def __init__(self, store: Store, who: Who, policy: str, intake: Intake, ledger: Ledger) -> None:
        self.store = store
        self.who = who
        self.policy = policy
        self.intake = intake
        self.ledger = ledger
        self.footer = metadata(who.recorder, policy)
        self.seq = max(highest_seq(store, who.recorder), _saved_seq(store, who.recorder))
        self.rows: Counter[str] = Counter()  # written, by table
        self.written_bytes = 0
        self.failed_since: float | None = None
        self._waiting: list[tuple[str, str, Any, int, int]] = []

    @property
    def written(self) -> int:
        """Rows of all tables."""
        return self.rows.total()

    def flush(self, mono: int) -> None:
        """Write what is pending, then the coverage that it proves.

        A disk that refuses is no error here: rows wait in memory up to a bound, then are counted
        as dropped, and coverage says disk_full until a flush succeeds again.
        """
        self._prepare()
        try:
            if not self.store.manifest.exists():  # the folder was deleted under us
                Store.create(self.store.path)
                if self.policy == "off":
                    mark_unredacted(self.store, self.who.recorder)
            while self._waiting:
                table, hour, rows, first, last = self._waiting[0]
                folder = self.store.live_hour(self.who.recorder, table, hour)
                path = write_segment(folder, rows, first, last, self.footer)
                self.rows[table] += rows.num_rows
                self.written_bytes += path.stat().st_size
                self._waiting.pop(0)
            if self.failed_since is not None:
                self.failed_since = None
                if self.ledger.state() == DISK_FULL:
                    self.ledger.change("receiving", "the disk takes writes again", mono)
            self.ledger.flush()
        except OSError as error:
            self._refused(os.strerror(error.errno or 5), mono)
        except UnavailableError as error:
            self._refused(error.message, mono)

    def _prepare(self) -> None:
        """Give pending rows their numbers and turn them into tables, one an hour."""
        pending, self.intake.pending = self.intake.pending, Pending()
        if pending.rejected:
            self._write_rejected(pending)
        if not pending.rows:
            return
        first = self.seq + 1
        tables = []
        for (table, hour), rows in _by_table_and_hour(pending).items():
            arrow = numbered(table, rows, self.seq + 1, self.who)
            tables.append((table, hour, arrow))
            self.seq += arrow.num_rows
        # A file's name is the range of the whole flush, whatever part of it lies in its hour.
        self._waiting += [(table, hour, rows, first, self.seq) for table, hour, rows in tables]

    def _refused(self, why: str, mono: int) -> None:
        if self.failed_since is None:
            self.failed_since = time.monotonic()
        if self.ledger.state() in SEEING:
            self.ledger.change(DISK_FULL, f"writing failed: {why}", mono)
        held = 0
        for place, (_, _, rows, _, _) in enumerate(self._waiting):
            held += rows.nbytes
            if held > _HELD_BYTES:
                lost = self._waiting[place:]
                del self._waiting[place:]
                self.ledger.count("dropped", sum(entry[2].num_rows for entry in lost))
                break

    def _write_rejected(self, pending: Pending) -> None:
        now = time.time_ns() // 1000
        folder = self.store.rejected / f"hour={hour_key(now)}"
        path = folder / f"{self.who.recorder}.jsonl"
        try:
            make_folder(folder)
            if path.exists() and path.stat().st_size > _REJECTED_LIMIT:
                return
            when = from_us(now).isoformat()
            lines = [
                json.dumps({"ts": when, "event": r.event, "reason": r.reason, "bytes": r.size,
                            "sample": r.sample})
                for r in pending.rejected
            ]  # fmt: skip
            append_line(path, "\n".join(lines))
        except OSError:
            return  # they are counted in coverage; the samples are a convenience

    def save_seq(self) -> None:
        """Keep the last number, so that it is not given again when retention took its rows."""
        path = self.store.live(self.who.recorder) / "seq"
        write_text(path, f"{self.seq}\n")


def _by_table_and_hour(pending: Pending) -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for batch in pending.transactions:
        for hour, rows in by_hour(batch).items():
            found["transactions", hour].append(rows)
    for table in ("connections", "database"):
        for row in getattr(pending, table):
            found[table, hour_key(row["ts"])].append(row)
    return found


def _saved_seq(store: Store, recorder: str) -> int:
    try:
        return int((store.live(recorder) / "seq").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
