"""Which files make up an hour: the maximal cover of sequence ranges.

A live segment is named `<first>-<last>.parquet` after the sequence numbers of its rows; a sealed
file `<recorder>-<generation>.parquet`, where the generation is the last sequence number it holds.
So one listing of names is enough to know what counts: ranges are nested or apart, a merged segment
swallows its parts, a sealed file swallows every segment up to its generation, and what comes late
lies beyond it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from store.values import dataclass

_SEGMENT = re.compile(r"(\d{12,19})-(\d{12,19})\.parquet")
_SEALED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)-(\d{12,19})\.parquet")


@dataclass(frozen=True, order=True)
class Segment:
    """A live segment: rows with sequence numbers in [first, last], of one hour and recorder."""

    first: int
    last: int
    path: Path


@dataclass(frozen=True)
class Sealed:
    """A sealed hour of a recorder, holding its rows up to sequence number `generation`."""

    recorder: str
    generation: int
    path: Path


def segment_name(first: int, last: int) -> str:
    return f"{first:012d}-{last:012d}.parquet"


def sealed_name(recorder: str, generation: int) -> str:
    return f"{recorder}-{generation:012d}.parquet"


def list_folder(folder: Path) -> list[Path]:
    """The entries of a folder, sorted; none when it is not there (any more)."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def segments_in(paths: Iterable[Path]) -> list[Segment]:
    found = []
    for path in paths:
        if match := _SEGMENT.fullmatch(path.name):
            found.append(Segment(int(match[1]), int(match[2]), path))
    return found


def sealed_in(paths: Iterable[Path]) -> list[Sealed]:
    found = []
    for path in paths:
        if match := _SEALED.fullmatch(path.name):
            found.append(Sealed(match[1], int(match[2]), path))
    return found


def newest(sealed: Iterable[Sealed]) -> dict[str, Sealed]:
    """The sealed file that counts, by recorder: the one of the highest generation."""
    best: dict[str, Sealed] = {}
    for file in sealed:
        if file.recorder not in best or best[file.recorder].generation < file.generation:
            best[file.recorder] = file
    return best


def maximal_cover(segments: Iterable[Segment], beyond: int = -1) -> list[Segment]:
    """The widest segments that together hold each row once, without those sealed up to `beyond`."""
    chosen: list[Segment] = []
    reached = beyond
    for segment in sorted(segments, key=lambda s: (s.first, -s.last)):
        if segment.first > reached:
            chosen.append(segment)
            reached = segment.last
    return chosen
