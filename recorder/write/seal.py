"""Sealing: the segments of an hour become sorted files, a while after the hour has ended: one, or,
of a large hour, several that each take a bounded memory; of these all but the last while the hour
goes on, so that less of it is counted from rows.

What comes late to a sealed hour makes a segment of its own again and is sealed in with the last of
the files; the one before it stays for the grace.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recorder.write.coverage import Ledger
from recorder.write.segments import (
    GRACE_S,
    clear,
    keep,
    live_segments,
    merge,
    merge_candidates,
    metadata,
    policy_of,
)
from store import cover
from store.cover import Sealed, Segment, maximal_cover, sealed_in, sealed_name, superseded
from store.derived import OLD_ROLLUPS, ROLLUPS
from store.errors import UnavailableError
from store.files import TEMPORARY_SUFFIX, is_readable, make_folder, replacing
from store.hours import HOUR_US, hour_start, to_us
from store.layout import SEALING, Store, recorder_lock
from store.schema import RECORDED

SEAL_AFTER_S = 300.0  # late events are common for a few minutes, rare after
QUIET_S = 30.0  # an hour that still gets rows is left alone
LATE_S = 600.0  # what came late to a sealed hour may wait this long for more of its kind
UNREADABLE_SUFFIX = ".unreadable"
_PAUSE_S, _LONGEST_PAUSE_S = 10.0, 600.0  # before an hour that failed is tried again
_SELF = "recorder.write.seal"  # as an argument too, for who looks at processes
_ABANDONED_S = 3600.0
_ROOM = 1.5  # of its sources' size a seal must find free at least: its file, and what it spills
_ROWS, _BYTES = 1_000_000, 1 << 30  # of the sources of a sealed file
_ROW_S = 2e-4  # where rows come faster than that there is no time to seal a part of them meanwhile


class Housekeeper:
    """Merges, seals and clears for one recorder, under its lock: a bounded round at a time.

    note: takes a line for people. ledger: of the recording that runs, if one does; what turns out
    to be unreadable is written into its coverage. at_once: seal each hour that has ended, however
    fresh its rows; a seal that comes too early is made again with what comes late. settled: the
    number up to which nothing is written any more: what is beyond is neither merged nor sealed,
    since it would count as swallowed where it is written late. seal: how an hour of a table is
    sealed when it is due, if not here and now (Sealer).
    """

    def __init__(
        self,
        store: Store,
        recorder: str,
        policy: str,
        grace_s: float = GRACE_S,
        *,
        ledger: Ledger | None = None,
        note: Callable[[str], None] = lambda text: None,
        at_once: bool = False,
        settled: Callable[[], float] = lambda: math.inf,
        seal: Callable[..., object] = lambda keeper, *hour: keeper.seal(*hour),
    ) -> None:
        self.store = store
        self.recorder = recorder
        self.policy = policy
        self.footer = metadata(recorder, policy)
        self.grace_s = grace_s
        self._ledger = ledger
        self.note = note
        self._at_once = at_once
        self.settled = settled
        self._seal = seal
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}  # how many, when to try again
        self._others: dict[str, Housekeeper] = {}

    def tidy(self) -> None:
        """Before anything is written: delete what runs that were killed left behind."""
        shutil.rmtree(self._spill_folder(), ignore_errors=True)
        left = list(self.store.live(self.recorder).glob(f"*/*/.*{TEMPORARY_SUFFIX}"))
        for table in RECORDED:
            left += self.temporaries(table)
        left += self.store.path.glob(
            f"coverage/hour=*/.{self.recorder}.parquet.*{TEMPORARY_SUFFIX}"
        )
        for table in ROLLUPS:  # somebody may be making them
            rollups = self.temporaries(table)
            left += [path for path in rollups if time.time() - _written(path) > _ABANDONED_S]
        for path in left:
            path.unlink(missing_ok=True)
        for table in RECORDED:
            for hour in self.store.hours(table):
                self._clear(table, hour, sealed_only=True)

    def temporaries(self, table: str) -> list[Path]:
        """What is half written of our sealed files."""
        return [
            path
            for path in self.store.path.glob(f"{table}/hour=*/.*{TEMPORARY_SUFFIX}")
            for file in sealed_in([Path(path.name[1:].rpartition(".parquet")[0] + ".parquet")])
            if file.recorder == self.recorder
        ]

    def round(self, now_us: int, *, everything: bool = False) -> list[str]:
        """Merge what has grown in number, seal what is due, clear what is superseded.

        An hour that fails is told and left for a while that grows; the others go on.
        `everything` seals each hour that has ended, however fresh its rows (after a replay); then
        a failure is raised. Returns the hours sealed.
        """
        sealed = []
        for table in RECORDED:
            for hour in self.store.live_hours(self.recorder, table):
                failures, again_at = self._failures.get((table, hour), (0, 0.0))
                if not everything and time.monotonic() < again_at:
                    continue
                try:
                    sealed += [hour] if self._tend(table, hour, now_us, everything) else []
                    self._failures.pop((table, hour), None)
                except Exception as error:
                    if everything:
                        raise
                    if not self._set_aside(table, hour, error):
                        self._failed(table, hour, failures + 1, error)
        return sealed

    def seal_others(self, now_us: int) -> list[str]:
        """Seal what is due of recorders that no longer run, under their locks; the hours sealed."""
        sealed = []
        for name in self.store.live_recorders():
            left = any(self.store.live_hours(name, table) for table in RECORDED)
            if name == self.recorder or not left:
                continue
            with contextlib.suppress(UnavailableError), recorder_lock(self.store, name, SEALING):
                keeper = self._others.get(name)
                if keeper is None:
                    policy = _policy(self.store, name)
                    keeper = Housekeeper(
                        self.store, name, policy, self.grace_s,
                        note=self.note, at_once=self._at_once, seal=self._seal,
                    )  # fmt: skip
                    keeper.tidy()
                    self._others[name] = keeper
                sealed += keeper.round(now_us)
        return sealed

    def _tend(self, table: str, hour: str, now_us: int, everything: bool) -> bool:
        """One hour's part of a round; whether it was sealed."""
        files = self._files(table, hour)
        sealed = False
        if self._due(hour, maximal_cover(files), now_us, everything):
            sealed = bool(self._seal(self, table, hour, True))
        elif self._large(files):
            self._seal(self, table, hour, False)
        elif run := merge_candidates(files):
            merge(table, run, self.footer)
        self._clear(table, hour)
        return sealed

    def _failed(self, table: str, hour: str, failures: int, error: Exception) -> None:
        pause = min(_PAUSE_S * 2 ** (failures - 1), _LONGEST_PAUSE_S)
        self._failures[table, hour] = failures, time.monotonic() + pause
        if failures & (failures - 1) == 0:  # the 1st, 2nd, 4th, 8th … time
            why = (isinstance(error, OSError) and error.strerror) or error
            self.note(f"hour {hour} of {table} is left for now and tried again: {why}")

    def _set_aside(self, table: str, hour: str, error: Exception) -> bool:
        """Rename the segments of an hour that cannot be read, so that the rest can go on.

        False when there is none: then something else is wrong.
        """
        if isinstance(error, OSError) and error.errno not in (None, errno.EIO):
            return False  # the disk refuses to write
        live = [f for f in maximal_cover(self._files(table, hour)) if not isinstance(f, Sealed)]
        bad = [segment.path for segment in live if not is_readable(segment.path)]
        for path in bad:
            aside = path.with_suffix(UNREADABLE_SUFFIX)
            path.replace(aside)
            place = aside.relative_to(self.store.path)
            self.note(f"a file of hour {hour} cannot be read; it is now {place}")
        if bad and table == "transactions":
            ledger = self._ledger or Ledger(self.store, self.recorder, "")
            ledger.lose(hour, "a file of this hour cannot be read")
            if self._ledger is None:
                ledger.flush()
        return bool(bad)

    def seal(self, table: str, hour: str, whole: bool = True) -> list[Path]:
        """Write the sealed files of an hour with all that is there now; none when nothing is new.

        whole: the last one as well, which more of the hour's rows may go into if it is not over.
        Each file counts from the moment on that it is there, whatever becomes of the next.
        OSError when the disk has no room for it, before anything of it is written.
        """
        from recorder.write.rollup import write_rollup  # with numpy, for whoever seals
        from recorder.write.sort import write_sorted

        paths = []
        packed = list(_packed(maximal_cover(self._files(table, hour))))
        for files in packed if whole else packed[:-1]:
            if all(isinstance(file, Sealed) for file in files):
                continue
            sources = [file.path for file in files]
            self._check_room(sources)
            folder = make_folder(self.store.sealed_hour(table, hour))
            first = files[0].first if len(packed) > 1 else 0
            path = folder / sealed_name(self.recorder, files[-1].last, first)
            with self._spill() as spill, replacing(path) as temporary:
                write_sorted(temporary, table, sources, self.footer, spill)
            if table == "transactions":
                try:  # a rollup only saves time: without it the hour is sealed all the same
                    write_rollup(self.store, hour, path, path.name, self.footer)
                except Exception as error:
                    why = " ".join(str(error).split())[:120]
                    self.note(
                        f"hour {hour} has no rollup (`qrec rollup --rebuild` makes it): {why}"
                    )
            paths.append(path)
        return paths

    def _check_room(self, sources: Sequence[Path]) -> None:
        about = [pq.read_metadata(path) for path in sources]
        groups = [one.row_group(number) for one in about for number in range(one.num_row_groups)]
        packed = int(_ROOM * sum(path.stat().st_size for path in sources))
        # what is dealt out is packed so loosely that it may take what the rows take unpacked
        needed = max(packed, sum(group.total_byte_size for group in groups))
        free = shutil.disk_usage(self.store.path).free
        if free < needed:
            text = f"sealing it takes {needed >> 10:,} KiB, and {free >> 10:,} KiB are free"
            raise OSError(errno.ENOSPC, text)

    @contextlib.contextmanager
    def _spill(self) -> Iterator[Path]:
        """An empty folder for what memory has no room for: deleted when a seal has come to its end,
        whatever that is, and what a killed one left is as well."""
        spill = self._spill_folder()
        shutil.rmtree(spill, ignore_errors=True)
        try:
            yield make_folder(spill)
        finally:
            shutil.rmtree(spill, ignore_errors=True)

    def _spill_folder(self) -> Path:
        return self.store.live(self.recorder) / f"spill{TEMPORARY_SUFFIX}"

    def _due(self, hour: str, files: list[Segment], now_us: int, everything: bool) -> bool:
        """Whether the files that count of an hour are to be sealed."""
        ended = to_us(hour_start(hour)) + HOUR_US
        late = [file for file in files if not isinstance(file, Sealed)]
        if not late or ended > now_us:
            return False
        if everything or self._at_once:
            return True
        if ended + SEAL_AFTER_S * 1e6 > now_us:
            return False
        times = [_written(segment.path) for segment in late]
        sealed = [file for file in files if isinstance(file, Sealed)]
        first_seal = all(_written(file.path) * 1e6 < ended for file in sealed)
        return time.time() - (max(times) + QUIET_S if first_seal else min(times) + LATE_S) > 0

    def _large(self, files: Sequence[Segment]) -> bool:
        """Whether a sealed file of an hour that goes on can be made of what is there."""
        late = [file for file in maximal_cover(files) if not isinstance(file, Sealed)]
        numbers = sum(file.last - file.first + 1 for file in late)  # to open them costs more
        took = _written(late[-1].path) - _written(late[0].path) if late else 0.0
        return numbers > _ROWS and took >= numbers * _ROW_S and len(list(_packed(late))) > 1

    def _sealed(self, table: str, hour: str) -> list[Sealed]:
        files = sealed_in(cover.list_folder(self.store.sealed_hour(table, hour)))
        return [file for file in files if file.recorder == self.recorder]

    def _files(self, table: str, hour: str) -> list[Segment]:
        """The files of an hour, sealed and settled; the sealed are listed first (Store.visible)."""
        settled = self.settled()
        sealed = self._sealed(table, hour)
        live = live_segments(self.store, self.recorder, table, hour)
        return [*sealed, *(segment for segment in live if segment.last <= settled)]

    def _clear(self, table: str, hour: str, *, sealed_only: bool = False) -> None:
        """Delete what wider files have replaced, of sealed files their rollups as well."""
        sealed = self._sealed(table, hour)
        live = [] if sealed_only else live_segments(self.store, self.recorder, table, hour)
        pairs = [(old.path, by.path) for old, by in superseded([*sealed, *live])]
        if table == "transactions" and sealed:
            names = {file.path.name for file in maximal_cover(sealed)}
            pairs += [
                (file.path, sealed[-1].path)
                for rollups in (OLD_ROLLUPS, *ROLLUPS)
                for file in self._sealed(rollups, hour)
                if file.path.name not in names
            ]
        # Sealed files first: the hour is looked at again as long as it has segments.
        clear(pairs, self.grace_s)
        folder = self.store.live_hour(self.recorder, table, hour)
        if sealed and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()  # of a finished hour; a row that comes late makes it anew


def _packed(files: Sequence[Segment]) -> Iterator[list[Segment]]:
    """The files of an hour in runs of neighbours, each for one sealed file; one that is there is
    made anew with what follows as long as it is less than half full."""
    run: list[Segment] = []
    rows = size = 0
    for file in files:
        more, larger = pq.read_metadata(file.path).num_rows, file.path.stat().st_size
        full = bool(run) and isinstance(run[-1], Sealed) and 2 * rows > _ROWS
        if full or (run and (rows + more > _ROWS or size + larger > _BYTES)):
            yield run
            run, rows, size = [], 0, 0
        run.append(file)
        rows, size = rows + more, size + larger
    if run:
        yield run


def _policy(store: Store, recorder: str) -> str:
    """How the rows of a recorder were redacted, by the first of its segments that tells."""
    for table in RECORDED:
        for hour in store.live_hours(recorder, table):
            for segment in live_segments(store, recorder, table, hour):
                with contextlib.suppress(OSError, pa.ArrowException):
                    if policy := policy_of(segment.path):
                        return policy
    return ""


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


class Sealer:
    """Seals in a process of its own, one at a time: `main`.

    Sealing takes hundreds of megabytes; the process gives all of that back when it ends, and
    whatever ends it does not end the recorder. It reads what to seal, and writes lines for people
    with how many files there are, or what went wrong. When its stdin closes, the recorder is gone
    that holds the lock, and it ends.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def seal(self, keeper: Housekeeper, table: str, hour: str, whole: bool = True) -> int:
        """Seal an hour of the keeper's; how many files were written.

        What goes wrong there is raised here: an OSError as one, RuntimeError for anything else.
        """
        order = (
            keeper.store.path.resolve(), keeper.recorder, keeper.policy, keeper.settled(),
            table, hour, whole,
        )  # fmt: skip
        # Like the recorder's other processes: no module of the working directory is run.
        command = [sys.executable, "-P", "-c", f"import {_SELF}; {_SELF}.main()", _SELF]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, cwd="/"
        )
        self._process = process
        if self._ended:  # meanwhile
            process.kill()
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):  # then it says nothing, either
                process.stdin.write(pickle.dumps(order))
            answer = process.stdout.read()
        if answer:
            notes, outcome = pickle.loads(answer)
            for note in notes:
                keeper.note(note)
            if isinstance(outcome, Exception):
                raise outcome
            return int(outcome)
        for path in keeper.temporaries(table):
            path.unlink(missing_ok=True)
        if self._ended:
            return 0
        raise RuntimeError(f"the process that seals ended with {process.returncode}")

    def end(self) -> None:
        """Break off the seal that is under way, if one is, and those to come: from any thread."""
        self._ended = True
        if self._process is not None:
            self._process.kill()


def main() -> None:
    """Seal what stdin's line orders."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the recorder decides
        signal.signal(number, signal.SIG_IGN)
    keep()
    path, recorder, policy, settled, *hour = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    notes: list[str] = []
    keeper = Housekeeper(Store(path), recorder, policy, note=notes.append, settled=lambda: settled)
    outcome: int | Exception
    try:
        outcome = len(keeper.seal(*hour))
    except OSError as error:
        outcome = OSError(error.errno, error.strerror or str(error))
    except Exception as error:
        outcome = RuntimeError(str(error))
    sys.stdout.buffer.write(pickle.dumps((notes, outcome)))


def _end_with_stdin() -> None:
    os.read(0, 1)
    os._exit(1)
