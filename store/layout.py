"""Where everything lies in a store, opening one, and the lock that lets one process write to it.

<store>/transactions/hour=2026-11-22T13/<recorder>-<last>.parquet           sealed hours
<store>/_live/<recorder>/transactions/2026-11-22T13/<first>-<last>.parquet  live segments
<store>/_live/<recorder>/lock                                              who records there
<store>/coverage, connections, database, rollups                           the same two places
<store>/merged/hour=2026-11-22T13/<keys|minutes|durations|coverage>-<digest>.parquet
<store>/_rejected/  marks.jsonl  store.json  redaction.key  calibration.json

A merged file says of all recorders of an hour what theirs say one by one. Its digest is of the
names and versions of the files that would be read without it: so it counts exactly while those are
what is listed, and whoever merges the same files makes the same content under the same name.
Nothing there is ever replaced, and any number may do it at once.

The kernel drops an flock when its process dies, however it dies, so no lock is ever stale. The file
says who holds it: `<pid>` of a recorder, `<pid> sealing` of who only seals what another one left.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from store import FORMAT_VERSION, cover
from store.derived import ROLLUPS
from store.errors import QrecError, UnavailableError, UsageError, unwritable
from store.files import append_line, make_folder, sync_folder, write_text
from store.hours import is_hour
from store.values import dataclass

LIVE = "_live"
REJECTED = "_rejected"
MERGED = "merged"
_MERGING = "1"  # what is merged, and how; another one for whatever changes the content
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_recorder(name: str, what: str = "recorder") -> str:
    """A name that becomes part of file names: letters, digits, dot, dash, underscore."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a {what}",
            "Use 1 to 64 letters, digits, '.', '-' or '_', beginning with a letter or digit.",
        )
    return name


@dataclass(frozen=True)
class Store:
    """A store's place on disk. Opening checks the format version and nothing else.

    engine: where questions have their rows read and counted (sc://host:port); empty: here.
    """

    path: Path
    engine: str = ""

    @classmethod
    def open(cls, path: Path, engine: str = "") -> Store:
        """The store at `path`. UnavailableError when it is missing or of a newer format."""
        store = cls(path, engine)
        try:
            text = store.manifest.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UnavailableError(
                f"there is no qrec store at {path}",
                "Record one with `qrec record`, replay a file with `qrec replay FILE --store DIR`,"
                " or name another with --store.",
            ) from None
        except OSError as error:
            raise UnavailableError(
                f"cannot read the store at {path}: {error.strerror}",
                "Check the owner and the permissions of the folder (`qrec doctor`).",
            ) from None
        store._check_version(text)
        return store

    @classmethod
    def create(cls, path: Path) -> Store:
        """The store at `path`, made if it is not there. UnavailableError when it cannot be."""
        store = cls(path)
        if path.is_file():
            raise UnavailableError(
                f"{path} is a file; a store is a folder", "Name a folder with --store."
            )
        try:
            if not store.manifest.exists():
                # Another recorder may be making the store this very moment: its hidden
                # temporary file and what comes after the manifest are no strangers.
                others = path.is_dir() and any(p for p in path.iterdir() if p.name[0] != ".")
                if others and not store.manifest.exists():
                    raise UnavailableError(
                        f"{path} holds other files and is no qrec store",
                        "Give an empty or a new folder with --store.",
                    )
                store.begin()
        except OSError as error:
            raise UnavailableError(
                f"cannot make a store at {path}: {error.strerror}",
                "Check the permissions and the free space, or name another folder with --store.",
            ) from None
        return cls.open(path)

    def begin(self) -> None:
        """Make the folder and the manifest. OSError when the disk refuses."""
        make_folder(self.path)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        write_text(self.manifest, json.dumps({"format": FORMAT_VERSION, "created": now}) + "\n")

    def _check_version(self, text: str) -> None:
        try:
            version = int(json.loads(text)["format"])
        except (ValueError, KeyError, TypeError):
            raise QrecError(
                f"{self.manifest} is not readable as a store's manifest",
                f'If the folder is a store, restore the file: {{"format": {FORMAT_VERSION}}}',
            ) from None
        if version > FORMAT_VERSION:
            raise UnavailableError(
                f"the store at {self.path} has format {version}; this qrec knows {FORMAT_VERSION}",
                "Upgrade qrec: `pip install --upgrade qrec`.",
            )

    @property
    def is_local(self) -> bool:
        """Whether a recorder may run here: not in a bucket (store.bucket)."""
        return True

    @property
    def name(self) -> str:
        """As a person names it."""
        return str(self.path)

    def entries(self, folder: Path) -> list[Path]:
        """What stands in a folder of the store, sorted; nothing where it is not there."""
        return cover.list_folder(folder)

    def look(self, folders: Iterable[Path]) -> None:
        """Before folders are listed one by one: a bucket lists many at a time."""

    def fetch(self, paths: Iterable[Path]) -> None:
        """Before files are read: have them here."""

    def has(self, path: Path) -> bool:
        """Whether a file that is not here can be fetched."""
        return False

    def size(self, path: Path) -> int:
        """The bytes of a file that was listed. OSError where it is gone."""
        return path.stat().st_size

    def version(self, path: Path) -> str:
        """A text that is another one once a file that was listed is another. OSError: gone."""
        status = path.stat()
        return f"{path.name} {status.st_size} {status.st_mtime_ns}"

    def written(self, path: Path) -> float:
        """When a file that was listed was written (Unix seconds). OSError: gone."""
        return path.stat().st_mtime

    def delete(self, paths: Collection[Path]) -> None:
        """Delete files that were listed. OSError: that is refused."""
        for path in paths:
            path.unlink(missing_ok=True)

    def recorder_of(self, path: Path) -> str:
        """Whose rows a file of transactions has."""
        if path.parts[-2].startswith("hour="):  # asked of each of tens of thousands of files
            return path.stem.rpartition("-")[0]
        return path.parents[2].name

    def add(self, path: Path, file: Path) -> bool:
        """Put a whole file in its place, and it is gone from its own. False, and nothing is
        changed, where there is one. UnavailableError when the disk refuses."""
        try:
            make_folder(path.parent)
            os.link(file, path)
            sync_folder(path.parent)
        except FileExistsError:
            return False
        except OSError as error:
            raise unwritable(self.path, error) from None
        return True

    def append(self, path: Path, entry: dict[str, object]) -> None:
        """Add to the marks or the pins. UnavailableError when the disk refuses."""
        try:
            append_line(path, json.dumps(entry))
        except OSError as error:
            raise unwritable(self.path, error) from None

    @property
    def manifest(self) -> Path:
        return self.path / "store.json"

    @property
    def marks(self) -> Path:
        return self.path / "marks.jsonl"

    @property
    def pins(self) -> Path:
        return self.path / "pins.jsonl"

    @property
    def calibration(self) -> Path:
        return self.path / "calibration.json"

    @property
    def key_file(self) -> Path:
        return self.path / "redaction.key"

    @property
    def rejected(self) -> Path:
        return self.path / REJECTED

    def live(self, recorder: str) -> Path:
        return self.path / LIVE / recorder

    def live_hour(self, recorder: str, table: str, hour: str) -> Path:
        return self.live(recorder) / table / hour

    def sealed_hour(self, table: str, hour: str) -> Path:
        return self.path / table / f"hour={hour}"

    def rollup(self, rows: Path) -> dict[str, Path]:
        """The rollup of a sealed file of transactions, or of keys that stand for rows, by table."""
        early = f"{cover.EARLY}/" if cover.is_early(rows) else ""
        return {t: self.path / f"{early}{t}" / rows.parts[-2] / rows.name for t in ROLLUPS}

    def early(self, hours: Sequence[str]) -> cover.Early:
        """What there is of hours that are not over, where their rows are elsewhere."""
        return cover.Early()

    def late_early(self, hour: str, before: float) -> list[Path]:
        """What counts no more of what an hour had before it was over, since that time."""
        return []

    def live_recorders(self) -> list[str]:
        """Recorders that have (or had) a live part, by name."""
        return [p.name for p in self.entries(self.path / LIVE) if p.is_dir()]

    def hours(self, table: str) -> list[str]:
        """Every hour of which the table has files, sealed or live, sorted."""
        found = {
            p.name.removeprefix("hour=")
            for p in self.entries(self.path / table)
            if p.name.startswith("hour=")
        }
        for recorder in self.live_recorders():
            found |= {p.name for p in cover.list_folder(self.live(recorder) / table) if p.is_dir()}
        return sorted(hour for hour in found if is_hour(hour))

    def live_hours(self, recorder: str, table: str) -> list[str]:
        """The hours of which a recorder has live segments, sorted."""
        names = (p.name for p in cover.list_folder(self.live(recorder) / table))
        return [name for name in names if is_hour(name)]

    def hour_before(self, table: str, hour: str) -> list[str]:
        """The last sealed hour before `hour`, if there is one: only names are compared."""
        folders = self.entries(self.path / table)
        before = [p.name for p in folders if "hour=" < p.name < f"hour={hour}"]
        return [name.removeprefix("hour=") for name in before[-1:]]

    def coverage(self, hour: str) -> list[Path]:
        """The files of coverage of an hour, one a recorder."""
        folder = self.sealed_hour("coverage", hour)
        return [path for path in self.entries(folder) if path.suffix == ".parquet"]

    def visible(self, table: str, hour: str) -> Iterator[tuple[str, Path]]:
        """(recorder, file) of an hour, each row in exactly one of the files.

        The sealed folder is listed first: what is sealed a moment later is still live for a grace
        period, so that nothing falls between the two listings.
        """
        sealed = cover.sealed_by_recorder(self.entries(self.sealed_hour(table, hour)))
        running = set(self.live_recorders())
        for recorder in sorted({*sealed, *running}):
            live = []
            if recorder in running:
                live = cover.segments_in(self.entries(self.live_hour(recorder, table, hour)))
            for file in cover.maximal_cover([*sealed.get(recorder, ()), *live]):
                yield recorder, file.path

    def _merged(self, hour: str, part: str, lines: Iterable[str]) -> Path:
        text = "\n".join([_MERGING, *sorted(lines)])
        digest = hashlib.sha256(text.encode()).hexdigest()[:20]
        return self.sealed_hour(MERGED, hour) / f"{part}-{digest}.parquet"

    def rollup_places(
        self, hour: str, rows: Sequence[Path], groups: Mapping[str, str]
    ) -> dict[str, Path]:
        """Where the merged rollup of these files of transactions would be, by table.

        groups: the group of each recorder that is in one. Nowhere where there are no two files, or
        one is still live. OSError where one is gone.
        """
        files = cover.sealed_in(rows)
        if len(rows) < 2 or len(files) < len(rows):
            return {}
        lines = [f"{self.version(f.path)} {groups.get(f.recorder, '')}" for f in files]
        return {t: self._merged(hour, t.removeprefix("rollups/"), lines) for t in ROLLUPS}

    def coverage_place(self, hour: str, files: Sequence[Path]) -> Path | None:
        """The same of files of coverage."""
        if len(files) < 2:
            return None
        return self._merged(hour, "coverage", map(self.version, files))

    def is_merged(self, places: Iterable[Path]) -> bool:
        """Whether all of them are there, of one hour."""
        places = set(places)
        return bool(places) and places.issubset(self.entries(next(iter(places)).parent))

    def merged_rollup(
        self, hour: str, rows: Sequence[Path], groups: Mapping[str, str]
    ) -> dict[str, Path]:
        """The merged rollup of exactly these files of transactions and groups, by table; nothing
        where there is none."""
        try:
            places = self.rollup_places(hour, rows, groups)
        except OSError:
            return {}
        return places if self.is_merged(places.values()) else {}


SEALING = "sealing"
_MOMENT_S = 0.5  # who only asks whether a recorder runs holds its lock for less
_SEAL_S = 60.0  # about the longest seal


@contextlib.contextmanager
def recorder_lock(store: Store, recorder: str, purpose: str = "") -> Iterator[Callable[[], None]]:
    """Hold the name `recorder` in this store. UnavailableError names the pid that holds it.

    A recorder waits for one who is sealing its hours; sealing waits for nobody. Yields a function
    to call now and then: it takes the lock again where the store was deleted under its holder, and
    raises UnavailableError where another has it by then.
    """
    held = [_locked(store, recorder, purpose)]

    def keep() -> None:
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held[0]), (store.live(recorder) / "lock").stat()):
                return
        held.append(_locked(store, recorder, purpose))
        os.close(held.pop(0))

    try:
        yield keep
    finally:
        os.close(held[0])


def _locked(store: Store, recorder: str, purpose: str) -> int:
    """The descriptor of a lock file that is locked."""
    folder = store.live(recorder)
    try:
        make_folder(folder)
        _check_owner(store.path, is_root=True)
        for path in (folder.parent, folder):
            _check_owner(path)
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise unwritable(store.path, error) from None
    try:
        _take(descriptor, store, recorder, purpose)
    except OSError as error:
        os.close(descriptor)
        raise unwritable(folder / "lock", error) from None
    except UnavailableError:
        os.close(descriptor)
        raise
    return descriptor


def _check_owner(path: Path, *, is_root: bool = False) -> None:
    """UnavailableError where somebody else could put files, or links, in the way of ours."""
    about = path.stat() if is_root else path.lstat()
    if stat.S_ISLNK(about.st_mode):
        why, remedy = "is a symbolic link", "Put a folder in its place"
    elif about.st_uid != os.geteuid():
        why = f"belongs to user {about.st_uid}, and this is user {os.geteuid()}"
        remedy = f"Record as that user (sudo -u '#{about.st_uid}' qrec record)"
    elif about.st_mode & stat.S_IWOTH:
        why, remedy = "can be written to by everybody", f"Change that (chmod o-w {path})"
    else:
        return
    raise UnavailableError(
        f"{path} {why}: what is recorded there would not be safe",
        f"{remedy}, or into a folder of your own (--store DIR).",
    )


def holder(store: Store, recorder: str) -> int | None:
    """The pid that records under this name now; None when nobody does.

    Any number may ask at once; a recorder that starts meanwhile waits for the moment it takes.
    """
    try:
        descriptor = os.open(store.live(recorder) / "lock", os.O_RDWR)
    except OSError:
        return None
    try:
        if _is_free(descriptor, fcntl.LOCK_SH):
            return None
        pid, purpose = _who(descriptor)
        return int(pid) if pid.isdigit() and purpose != SEALING else None
    except OSError:  # no locks here: nobody can be told
        return None
    finally:
        os.close(descriptor)


def _take(descriptor: int, store: Store, recorder: str, purpose: str) -> None:
    started = time.monotonic()
    while not _is_free(descriptor):
        pid, holders = _who(descriptor)
        patience = _SEAL_S if holders == SEALING else _MOMENT_S
        if purpose == SEALING or time.monotonic() - started > patience:
            raise UnavailableError(
                f"a recorder named {recorder!r} is already writing to {store.path} (pid {pid})",
                "Stop that one, or give this one a name of its own with --recorder NAME.",
            )
        time.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {purpose}".strip().encode() + b"\n", 0)


def _is_free(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take the lock if nobody has it. OSError where the file system knows no locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _who(descriptor: int) -> tuple[str, str]:
    pid, _, purpose = os.pread(descriptor, 64, 0).decode(errors="replace").strip().partition(" ")
    return pid or "unknown", purpose
