"""Which files make up an hour: the maximal cover of sequence ranges.

A live segment is named `<first>-<last>.parquet` after the sequence numbers of its rows; a sealed
file `<recorder>-<first>_<last>.parquet`, or, of an hour that is in one file and as every earlier
version wrote it, `<recorder>-<last>.parquet`: all rows up to that one. So one listing of names is
enough to know what counts: ranges are nested or apart, a wider file swallows those in it, and what
comes late lies beyond.

Of an hour that is not over a bucket has what its recorders make anew every few minutes, a rollup
and coverage: `early/<table>/hour=…/<recorder>-<time>_<last>.parquet`. time: the second up to which
that coverage tells, and the newest counts; last: the number of the last row in it, 0 where there
was none. It counts until the hour's own files are there. Its rows stay on their host, so that only
what counts can use it, and nobody merges it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from store.values import dataclass

EARLY: Final = "early"
_SEGMENT = re.compile(r"(\d{12,19})-(\d{12,19})\.parquet")
_SEALED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)-(?:(\d{12,19})_)?(\d{12,19})\.parquet")


@dataclass(frozen=True, order=True)
class Segment:
    """A live segment: rows with sequence numbers in [first, last], of one hour and recorder."""

    first: int
    last: int
    path: Path


@dataclass(frozen=True, order=True)
class Sealed(Segment):
    """Sorted rows of a finished hour; those of a large hour are in several such files."""

    recorder: str


@dataclass(frozen=True)
class Early:
    """What counts of hours that are not over. keys: of rollups, in the place of rows; until: the
    second up to which all have told, at a whole minute: nothing after it is compared."""

    coverage: tuple[Path, ...] = ()
    keys: tuple[Path, ...] = ()
    until: int = 0


S = TypeVar("S", bound=Segment)


def segment_name(first: int, last: int) -> str:
    return f"{first:012d}-{last:012d}.parquet"


def sealed_name(recorder: str, last: int, first: int = 0) -> str:
    return f"{recorder}-{f'{first:012d}_' if first else ''}{last:012d}.parquet"


def is_early(rows: Path) -> bool:
    """Whether what is listed for rows are keys of an hour that is not over."""
    return rows.parts[-5:-4] == (EARLY,)


def list_folder(folder: Path) -> list[Path]:
    """The entries of a folder, sorted; none when it is not there (any more)."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def segments_in(paths: Iterable[Path]) -> list[Segment]:
    named = ((path, _SEGMENT.fullmatch(path.name)) for path in paths)
    return [Segment(int(match[1]), int(match[2]), path) for path, match in named if match]


def sealed_in(paths: Iterable[Path]) -> list[Sealed]:
    return [file for path in paths if (file := _sealed(path))]


@lru_cache(1 << 15)  # a question asks several times of each of tens of thousands of files
def _sealed(path: Path) -> Sealed | None:
    match = _SEALED.fullmatch(path.name)
    return Sealed(int(match[2] or 0), int(match[3]), path, match[1]) if match else None


def sealed_by_recorder(paths: Iterable[Path]) -> dict[str, list[Sealed]]:
    """The sealed files that count, by recorder."""
    files: dict[str, list[Sealed]] = {}
    for file in sealed_in(paths):
        files.setdefault(file.recorder, []).append(file)
    return {recorder: maximal_cover(files[recorder]) for recorder in sorted(files)}


def maximal_cover(files: Iterable[S]) -> list[S]:
    """The widest files that together hold each row once; of two alike the sealed one."""
    chosen: list[S] = []
    reached = -1
    for file in sorted(files, key=lambda f: (f.first, -f.last, not isinstance(f, Sealed))):
        if file.first > reached:
            chosen.append(file)
            reached = file.last
    return chosen


def superseded(files: Iterable[S]) -> list[tuple[S, S]]:
    """(file, by): the files whose rows all stand in a wider one."""
    files = list(files)
    cover = maximal_cover(files)
    return [
        (file, next(wide for wide in reversed(cover) if wide.first <= file.first))
        for file in files
        if file not in cover
    ]
