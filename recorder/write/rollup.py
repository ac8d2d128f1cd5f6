"""The per-minute cells of sealed hours: which are there, and making them again from the rows.

Cells only save time: an hour without them is answered from its rows. A recorder may run meanwhile,
since a file of cells is replaced as a whole and named after the rows that it was made of.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from recorder.write.seal import Housekeeper
from store import Store, cover
from store.errors import QrecError, UnavailableError, unwritable
from store.lock import holder, recorder_lock
from store.rollup import COLUMNS

State = Literal["ok", "missing", "unreadable", "old"]
_ERRORS = (OSError, pa.ArrowException, duckdb.Error)


@dataclass(frozen=True)
class Rollup:
    """A sealed file of transactions, and how its cells stand; size: of the cells, in bytes.

    old: of a qrec that counted fewer things.
    """

    hour: str
    recorder: str
    rows: Path
    cells: Path
    state: State
    size: int


class Failed(QrecError):
    """The rows of an hour cannot be read."""


def rollups(store: Store, hours: Sequence[str] | None = None, *, whole: bool = True
            ) -> Iterator[Rollup]:  # fmt: skip
    """Every sealed file of the hours (None: all), oldest first.

    whole: read the cells to their end; else only what the file says about itself.
    """
    for hour in store.hours("transactions") if hours is None else hours:
        files = cover.sealed_in(cover.list_folder(store.sealed_hour("transactions", hour)))
        for recorder, file in sorted(cover.newest(files).items()):
            cells = store.sealed_hour("rollups", hour) / file.path.name
            state, size = _state(cells, whole)
            yield Rollup(hour, recorder, file.path, cells, state, size)


def _state(path: Path, whole: bool) -> tuple[State, int]:
    try:
        with pq.ParquetFile(path) as file:
            names = set(file.schema_arrow.names)
            for _ in file.iter_batches(batch_size=65_536) if whole else ():
                pass
        return ("ok" if names.issuperset(COLUMNS) else "old"), path.stat().st_size
    except FileNotFoundError:
        return "missing", 0
    except (OSError, pa.ArrowException):
        return "unreadable", 0


@contextlib.contextmanager
def rebuilding(store: Store, recorder: str) -> Iterator[Housekeeper]:
    """Whoever may make cells of a recorder's hours. UnavailableError while another one does."""
    aside = _Aside(store.path)
    fresh = not store.live(recorder).exists()
    try:
        with recorder_lock(aside, recorder):
            try:
                yield Housekeeper(aside, recorder, "")
            finally:
                shutil.rmtree(aside.live(recorder), ignore_errors=True)
    except UnavailableError:
        pid = holder(aside, recorder)
        if pid is None:
            raise
        raise UnavailableError(
            f"the rollups of recorder {recorder} are being rebuilt already (pid {pid})",
            "Wait for it to end.",
        ) from None
    finally:
        if fresh:
            with contextlib.suppress(OSError):
                store.live(recorder).rmdir()


def rebuild(keeper: Housekeeper, rollup: Rollup) -> bool:
    """Make the cells of one file again. False when retention or a late row took the file away.

    Raises Failed when its rows cannot be read, and UnavailableError when the disk refuses.
    """
    try:
        keeper.about |= _about(rollup.rows)
        keeper.roll_up(rollup.hour, rollup.rows, rollup.cells.name)
    except _ERRORS as error:
        if not rollup.rows.exists():
            return False
        why = " ".join(str(error).split())[:120]
        if isinstance(error, OSError) and error.errno is not None:
            raise unwritable(keeper.store.path, error) from None
        raise Failed(
            f"{rollup.rows.relative_to(keeper.store.path)} cannot be read: {why}",
            "Restore it from a copy, or move it away: `qrec doctor` names all such files.",
        ) from None
    return True


def _about(rows: Path) -> dict[bytes, bytes]:
    """What the rows say about how they were redacted, which holds for their cells as well."""
    with pq.ParquetFile(rows) as file:
        own = file.schema_arrow.metadata or {}
    return {key: value for key, value in own.items() if key == b"qrec.redaction"}


class _Aside(Store):
    """The same store, with scratch room and a lock apart from those of a recorder that runs."""

    def live(self, recorder: str) -> Path:
        return super().live(recorder) / "rollup"
