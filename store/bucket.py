"""A store in a bucket: the same layout, its files fetched once into a folder of this machine.

Sealed files never change under their names, so that one which is here is as good as there; of
coverage, which grows, the tag of the content is part of the name here. Everything above `Store`
reads local files as ever. A bucket holds what was shipped; nothing runs there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from store.cover import EARLY, Early, sealed_in
from store.derived import KEYS, ROLLUPS
from store.errors import TooMuchError, UnavailableError
from store.files import TEMPORARY_SUFFIX, make_folder, write_text
from store.layout import Store
from store.remote import Blob, Remote
from store.values import dataclass

MANIFEST: Final = "store.json"
MARKS: Final = "marks"
PINS: Final = "pins"
UNREDACTED: Final = "unredacted"
RECORDERS: Final = "recorders"
_AT_ONCE: Final = 64  # requests under way: a bucket answers slowly, and many at a time
_COVERAGE: Final = f"{EARLY}/coverage"
_STALE_S: Final = 900  # a recorder that is further behind the others than this is not waited for
_IN_USE_S: Final = 600.0  # what was fetched or asked for so lately is not tidied away


@dataclass(frozen=True)
class Limits:
    """Where fetched files lie, how many bytes are kept, and how many one question may fetch.

    progress: called while fetching with the bytes that are here and those that are wanted.
    """

    folder: Path
    keep: int
    fetch: int
    progress: Callable[[int, int], None] = lambda here, wanted: None


class Bucket(Store):
    """One question's look at a bucket: what was listed once is not listed again."""

    def __init__(self, remote: Remote, limits: Limits, engine: str = "") -> None:
        digest = hashlib.sha256(remote.url.encode()).hexdigest()[:12]
        super().__init__(limits.folder / f"{remote.url.rpartition('/')[2]}-{digest}", engine)
        own = self.__dict__  # a Store is frozen
        own.update(_remote=remote, _limits=limits, _listed={}, _blobs={}, _wanted=0)

    _remote: Remote
    _limits: Limits
    _listed: dict[Path, list[Path]]
    _blobs: dict[Path, Blob]
    _wanted: int  # bytes that were fetched for this question

    @classmethod
    def at(cls, url: str, limits: Limits, engine: str = "") -> Bucket:
        """The store at a URL. UnavailableError where it is none, or cannot be reached."""
        bucket = cls(Remote(url), limits, engine)
        with ThreadPoolExecutor(3) as pool:  # who asks lists the hours next
            manifest_of = pool.submit(bucket._remote.get, MANIFEST)
            pool.submit(bucket.hours, "coverage")
            blobs, folders = bucket._remote.list()
        text = manifest_of.result()
        if text is None:
            what, to = "is empty", url
            if blobs or folders:
                what, to = "holds other things and no qrec store", f"{url.rstrip('/')}/qrec"
            hint = f"Ship recordings there: `qrec ship {to}`, or `qrec record --ship {to}`."
            raise UnavailableError(f"{url} {what}", hint)
        bucket._check_version(text.decode(errors="replace"))
        manifest = json.loads(text)
        if UNREDACTED in folders:
            manifest[UNREDACTED] = next(iter(bucket._objects(UNREDACTED)), {}) or True
        with bucket._cache():
            make_folder(bucket.path)
            write_text(bucket.manifest, json.dumps(manifest) + "\n")
        return bucket

    @property
    def is_local(self) -> bool:
        return False

    @property
    def name(self) -> str:
        return self._remote.url

    @property
    def marks(self) -> Path:
        return self._lines(MARKS, super().marks)

    @property
    def pins(self) -> Path:
        return self._lines(PINS, super().pins)

    def append(self, path: Path, entry: dict[str, object]) -> None:
        """A mark or a pin becomes an object of its own."""
        folder = MARKS if path == super().marks else PINS
        name = f"{folder}/{time.time_ns() // 1000:016d}-{uuid.uuid4().hex[:8]}.json"
        self._remote.put_new(name, json.dumps(entry).encode())

    def live_recorders(self) -> list[str]:
        return []

    def entries(self, folder: Path) -> list[Path]:
        if folder not in self._listed:
            blobs, folders = self._remote.list(folder.relative_to(self.path).as_posix())
            here = {self._place(blob): blob for blob in blobs}
            self._blobs.update(here)
            self._listed[folder] = sorted([*here, *(self.path / name for name in folders)])
        return self._listed[folder]

    def look(self, folders: Iterable[Path]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self.entries, set(folders) - self._listed.keys()))

    def has(self, path: Path) -> bool:
        self.entries(path.parent)
        return path in self._blobs

    def size(self, path: Path) -> int:
        return self._blobs[path].size

    def version(self, path: Path) -> str:
        return f"{path.name} {self.size(path)}"  # the tag of what changes is in its name

    def written(self, path: Path) -> float:
        return self._blobs[path].at

    def delete(self, paths: Collection[Path]) -> None:
        self._remote.delete([self._blobs[path].name for path in paths])
        super().delete(paths)  # as fetched
        for path in paths:
            self._listed.pop(path.parent, None)

    def late_early(self, hour: str, before: float) -> list[Path]:
        """Of a recorder whose own coverage of the hour is there no generation counts, and of any
        other one the newest alone."""
        whole = {self._owner(path) for path in self.coverage(hour) if self.written(path) < before}
        folders = [self.sealed_hour(f"{EARLY}/{table}", hour) for table in (*ROLLUPS, "coverage")]
        self.look(folders)
        made = [file for folder in folders for file in sealed_in(self.entries(folder))]
        newest: dict[str, int] = {}
        for file in made:
            if file.path.parent == folders[-1] and self.written(file.path) < before:
                newest[file.recorder] = max(newest.get(file.recorder, 0), file.first)
        return [file.path for file in made
                if file.recorder in whole or file.first < newest.get(file.recorder, 0)]  # fmt: skip

    def early(self, hours: Sequence[str]) -> Early:
        last = next(reversed(self.hours("coverage")), "")
        hours = [hour for hour in hours if hour >= last]
        self.look(self.sealed_hour(table, hour) for hour in hours
                  for table in ("transactions", "coverage", _COVERAGE))  # fmt: skip
        told: dict[str, int] = {}
        coverage, keys = [], []
        for hour in hours:
            whole = {
                f.recorder for f in sealed_in(self.entries(self.sealed_hour("transactions", hour)))
            }
            whole |= {self._owner(path) for path in self.coverage(hour)}
            made = sorted(sealed_in(self.entries(self.sealed_hour(_COVERAGE, hour))))
            for recorder, file in {file.recorder: file for file in made}.items():
                told[recorder] = max(told.get(recorder, 0), file.first)
                if recorder not in whole:
                    coverage.append(file.path)
                    folder = self.sealed_hour(f"{EARLY}/{KEYS}", hour)
                    keys += [folder / file.path.name] if file.last else []
        newest = max(told.values(), default=0)
        until = min((time for time in told.values() if time > newest - _STALE_S), default=0)
        return Early(tuple(coverage), tuple(keys), until // 60 * 60)

    def add(self, path: Path, file: Path) -> bool:
        """It is here as well then, as if it had been fetched."""
        if not self._remote.put_new(path.relative_to(self.path).as_posix(), file):
            return False
        self._listed.pop(path.parent, None)
        with self._cache():
            make_folder(path.parent)
            file.replace(path)
        return True

    def fetch(self, paths: Iterable[Path]) -> None:
        """Have the files here. TooMuchError where they are more than a question may fetch."""
        paths = list(paths)
        self.look(path.parent for path in paths)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            missing = [path for path in paths if path in self._blobs and not _is_here(path)]
            wanted = sum(self._blobs[path].size for path in missing)
            if self._wanted + wanted > self._limits.fetch:
                raise TooMuchError(
                    f"this needs {_bytes(wanted)} of {self.name}, in {len(missing)} files; "
                    f"{_bytes(self._limits.fetch - self._wanted)} may still be fetched",
                    "Ask for a shorter window or with a narrower filter, or raise --max-fetch.",
                )
            self.__dict__["_wanted"] = self._wanted + wanted
            if missing:
                self._download(pool, missing, wanted)

    def _download(self, pool: ThreadPoolExecutor, paths: Sequence[Path], wanted: int) -> None:
        with self._cache():
            for folder in {path.parent for path in paths}:
                make_folder(folder)
            self._make_room(wanted)
            here = 0
            for size in pool.map(self._one, paths):
                here += size
                self._limits.progress(here, wanted)

    def _one(self, path: Path) -> int:
        blob = self._blobs[path]
        if not self._remote.download(blob.name, path):
            left = [one for one in self._listed[path.parent] if one != path]
            self._listed[path.parent] = left  # deleted since it was listed
            del self._blobs[path]
        return blob.size

    def _make_room(self, wanted: int) -> None:
        """Delete what was not asked for in the longest time, of this bucket and of others."""
        files = []
        for path in self._limits.folder.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file() and path.suffix in (".parquet", TEMPORARY_SUFFIX):
                    files.append((path.stat().st_mtime, path.stat().st_size, path))
        left = sum(size for _, size, _ in files) + wanted
        for used, size, path in sorted(files):
            if left <= self._limits.keep or time.time() - used < _IN_USE_S:
                break
            path.unlink(missing_ok=True)
            left -= size

    def _place(self, blob: Blob) -> Path:
        name = blob.name
        if name.startswith("coverage/") and name.endswith(".parquet"):
            tag = hashlib.sha256(blob.tag.encode()).hexdigest()[:12]
            name = f"{name.removesuffix('.parquet')}.{tag}.parquet"
        return self.path / name

    def _owner(self, coverage: Path) -> str:
        return coverage.name.rsplit(".", 2)[0]

    def _lines(self, folder: str, path: Path) -> Path:
        """The objects of a folder as the lines of a file here."""
        with self._cache():
            entries = self._objects(folder)
            write_text(path, "".join(json.dumps(entry) + "\n" for entry in entries))
        return path

    def _objects(self, folder: str) -> list[dict[str, Any]]:
        names = [blob.name for blob in self._remote.list(folder)[0]]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            texts = list(pool.map(self._remote.get, names))
        entries = []
        for text in texts:
            with contextlib.suppress(ValueError):
                entries.append(json.loads(text or b""))
        return [entry for entry in entries if isinstance(entry, dict)]

    @contextlib.contextmanager
    def _cache(self) -> Any:
        try:
            yield
        except OSError as error:
            raise UnavailableError(
                f"cannot keep files of {self.name} in {self._limits.folder}: {error.strerror}",
                "Make room there, or name another folder in QREC_CACHE.",
            ) from None


def _bytes(count: int) -> str:
    """As --max-fetch takes it."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"


def _is_here(path: Path) -> bool:
    """Whether the file is here; it counts as used now."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
