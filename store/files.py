"""Writing so that a crash leaves either the old file or the new one, and only for the owner's eyes.

A temporary file never ends in `.parquet`, so no reader's glob meets one. No file is written through
a symbolic link, which somebody else may have laid there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

TEMPORARY_SUFFIX = ".tmp"
_MAGIC = b"PAR1"
_END = 1 << 10  # bytes: more than what a file of ours says about itself, which stands at its end
_TIMES = re.compile(rb"qrec\.times\x18.(\d+) (\d+)\x00", re.DOTALL)
FILES: Final = "read_parquet({files}, union_by_name = true, hive_partitioning = false)"


def make_folder(path: Path) -> Path:
    """Make `path` and its missing parents, each 0700, and have them on the disk."""
    if not path.is_dir():
        if path.parent != path and not path.parent.is_dir():
            make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent)
    return path


def create(path: Path) -> int:
    """The descriptor of a new file, 0600. What a process of the same number left is deleted."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600)


def sync_folder(path: Path) -> None:
    """Make a rename inside `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; put it in the place of `path` when all went well.

    The file is 0600 and on the disk before it gets its name. On an error nothing is left behind.
    """
    writer = f"{os.getpid()}-{threading.get_native_id()}"  # another may replace it as well
    temporary = path.with_name(f".{path.name}.{writer}{TEMPORARY_SUFFIX}")
    os.close(create(temporary))
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, 0o600)  # DuckDB puts a file of its own in this one's place
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_readable(path: Path) -> bool:
    """Whether a Parquet file can be read to its end; one that is not there is none that cannot."""
    import pyarrow as pa  # half of a second: only who meets a broken file pays for it
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):  # batches would keep every column open
                file.read_row_group(number, use_threads=False)
    except FileNotFoundError:
        return True
    except (OSError, pa.ArrowException):
        return False
    return True


def looks_whole(path: Path) -> bool | None:
    """Whether both ends of a file are Parquet's; None when it is not there (any more)."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(-4, 2)
            return start == _MAGIC and file.read(4) == _MAGIC
    except FileNotFoundError:
        return None
    except OSError:
        return False


def times_told(times: Iterable[int]) -> dict[bytes, bytes]:
    """What a segment tells of them in its footer: who asks about others leaves it closed."""
    ordered = sorted(times)
    return {b"qrec.times": f"{ordered[0]} {ordered[-1]}".encode()} if ordered else {}


@lru_cache(1 << 12)
def times_in(path: Path) -> tuple[int, int] | None:
    """When the first and the last row of a segment are of (microseconds since the epoch), as it
    tells itself; None where it does not."""
    with contextlib.suppress(OSError), path.open("rb", buffering=0) as file:
        file.seek(-min(_END, file.seek(0, os.SEEK_END)), os.SEEK_END)
        # Texts of rows may stand before what the file says about itself, but not within it.
        told = _TIMES.search(file.read().rpartition(b"qrec.redaction")[2])
        return (int(told[1]), int(told[2])) if told else None
    return None


def quoted(text: object) -> str:
    """A text as SQL writes it."""
    return "'" + str(text).replace("'", "''") + "'"


def file_list(paths: Iterable[Path]) -> str:
    """The files as DuckDB lists them."""
    return f"[{', '.join(map(quoted, paths))}]"


def parquet(paths: Iterable[Path]) -> str:
    """A relation over the files, with all the columns that any of them has."""
    return FILES.replace("{files}", file_list(paths))


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects that append_line wrote, one a line; a line that is not whole (a crash) is
    passed over."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def append_line(path: Path, line: str) -> None:
    """Append one line and have it on the disk before returning (a file of ours only grows).

    A line that a crash cut short is ended first, so that it does not swallow this one. On an
    error the file is as long as it was.
    """
    is_new = not path.exists()
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        rest = memoryview(("\n" * torn + line + "\n").encode())
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(path.parent)
