"""`qrec import`: HAR files through the same filter, redaction and writer as live traffic.

What a browser or proxy saw counts as covered from its first entry to its last. A file is known by
its content, and an exchange by its own id, so that a second import adds nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from recorder.decode.row import Transaction
from recorder.options import RecordOptions
from recorder.replay import OneFile, Progress, Replayed
from recorder.source.har import read_har
from recorder.source.stream_file import Survey
from recorder.write.seal import Housekeeper
from store import Store
from store.layout import check_recorder
from store.lock import recorder_lock

_BATCH = 1_000
_FLUSH_ROWS, _FLUSH_BYTES = 25_000, 64 << 20


def import_har(
    files: Sequence[Path],
    options: RecordOptions,
    *,
    shift_to_us: int | None = None,
    again: bool = False,
    progress: Progress | None = None,
    on_bad: Callable[[str], None] = lambda line: None,
) -> list[Replayed]:
    """Import each HAR file; `shift_to_us` is where its last exchange shall end.

    `on_bad` hears of every entry that cannot be read. Raises UnavailableError for a file or store
    that cannot be used, QrecError for a file that is no HAR; every file is read before the first
    is written.
    """
    read = [_read(path, on_bad) for path in files]
    name = check_recorder(options.recorder or "har")
    store = Store.create(options.store)
    results = []
    with recorder_lock(store, name):
        for path, (rows, digest, bad) in zip(files, read, strict=True):
            about = Survey(digest, len(rows) + bad, rows[-1].ts if rows else None)
            one = _HarFile(store, name, path, about, options)
            one.rows, one.bad = rows, bad
            results.append(one.run(shift_to_us, again, progress))
        keeper = Housekeeper(store, name, "")
        keeper.about = one.writer.about
        keeper.round(time.time_ns() // 1000, everything=True)
    return results


def _read(path: Path, on_bad: Callable[[str], None]) -> tuple[list[Transaction], str, int]:
    """The exchanges in order of time, the digest of the file, how many entries were unreadable."""
    bad: list[str] = []
    rows = sorted(read_har(path, bad.append), key=lambda tx: tx.ts)
    for line in bad:
        on_bad(line)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return rows, digest, len(bad)


class _HarFile(OneFile):
    rows: list[Transaction]
    bad: int

    def _take(self, on_bytes: Callable[[int], None] | None) -> None:
        if not self.rows:
            self.ledger.count("rejected", self.bad)
            return
        shift = self.refinery.shift_us
        first = self.rows[0].ts - (self.rows[0].duration_ms or 0) * 1000
        self.ledger.connected(first + shift, 0)
        self.ledger.count("rejected", self.bad)
        for at in range(0, len(self.rows), _BATCH):
            batch = self.rows[at : at + _BATCH]
            end = batch[-1].ts - first  # refining moves the rows' times
            self.intake.take(self.refinery.refine_rows(batch), end)
            pending = self.intake.pending
            if pending.rows >= _FLUSH_ROWS or pending.size >= _FLUSH_BYTES:
                self._flush()
