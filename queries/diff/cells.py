"""The traffic that a comparison asks for, hour by hour, from rollups where there are any.

A sealed hour carries its counts as a rollup of the same name; only what is still live (or has no
rollup, or must pass a filter) is counted from its rows. Both ways give the same counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from queries.core.collapse import collapse
from queries.core.session import Reader, looks_whole, sql_text
from queries.core.window import Window
from queries.diff.names import rolled as service_of
from queries.diff.parts import BrokenRollup, Column, Ints, Part, counted, rolled
from store.hours import HOUR_US, from_us, hour_start, to_us

__all__ = ["DIMS", "BrokenRollup", "Cells", "Keys", "load_cells"]

DIMS = ("side", "host", "method", "route", "status", "container", "process", "signature")
_ROOM = 1 << 62  # combined codes stay below
_MINUTE_US = 60_000_000


@dataclass(frozen=True)
class Keys:
    """Every key of all parts, numbered in the order of its names.

    labels: the values of each of DIMS and of `service`, sorted; codes [keys]: places in labels.
    of_rows: for each part, the key of each of its rows.
    """

    labels: dict[str, list[Any]]
    codes: dict[str, Ints]
    of_rows: list[Ints]

    @property
    def size(self) -> int:
        return int(self.codes["host"].size)


@dataclass(frozen=True)
class Cells:
    """Parts of the hours of `spans` ((from, to) in minutes since the epoch)."""

    parts: Sequence[Part]
    spans: Sequence[tuple[int, int]]

    @cached_property
    def keys(self) -> Keys:
        """The keys, with the routes of levels that have too many values brought together."""
        keys = _keys(self.parts)
        requests = np.zeros(keys.size)
        for part, rows in zip(self.parts, keys.of_rows, strict=True):
            requests += np.bincount(rows, weights=self._requests(part), minlength=keys.size)
        return _collapsed(keys, requests)

    def _requests(self, part: Part) -> Any:
        """[rows]: requests inside the spans."""
        minutes = np.arange(60) + part.hour * 60
        inside = np.zeros(60, dtype=bool)
        for begin, end in self.spans:
            inside |= (begin <= minutes) & (minutes < end)
        if inside.all():
            return part.requests
        listed = part.minutes()
        weights = listed.values["requests"] * inside[listed.values["minute"]]
        return np.add.reduceat(weights, listed.offsets[:-1], dtype=float)


def load_cells(
    reader: Reader,
    spans: Sequence[Window],
    where: str | None = None,
    params: Mapping[str, Any] | None = None,
    *,
    light: Sequence[Window] = (),
    rollups: bool = True,
) -> Cells:
    """The traffic of the spans and of the `light` ones, of which only requests will be asked.

    where: a DuckDB condition over `transactions`, with parameters; it forces the way over rows,
    and so does `rollups` = False. Raises BrokenRollup.
    """
    every = [*spans, *light]
    parts: list[Part] = []
    raw: dict[str, list[Path]] = {}
    for path in reader.files["transactions"]:
        hour = path.parent.name.removeprefix("hour=")
        rollup = _rollup(reader, path) if rollups and not where else None
        part = rolled(rollup, _number(hour)) if rollup else None
        if part is None:
            raw.setdefault(hour, []).append(path)
        else:
            parts.append(part)
    for hour in raw:
        number = _number(hour)
        full = any(_touches(span, number) for span in spans)
        parts += _rows(reader, hour, raw[hour], every, full, where, params)
    parts.sort(key=lambda part: part.hour)
    return Cells(parts, [_minutes(span) for span in every])


def _rows(
    reader: Reader,
    hour: str,
    paths: Sequence[Path],
    spans: Sequence[Window],
    full: bool,
    where: str | None,
    params: Mapping[str, Any] | None,
) -> list[Part]:
    """What the rows of an hour give; a file that cannot be read is left out by the reader."""
    condition = f"({_within(spans)})" + (f" AND ({where})" if where else "")
    text = sql_text("cells_rows")
    if not full:
        text = f"SELECT * EXCLUDE (received, seqs) FROM ({text})"
    source = f"(FROM {_files(paths)} WHERE {condition})"
    try:
        table = reader.query(text.replace("FROM rows", f"FROM {source}"), params)
    except duckdb.Error:
        left = [path for path in paths if path in reader.files["transactions"]]
        if len(left) == len(paths):
            raise
        return _rows(reader, hour, left, spans, full, where, params) if left else []
    return [counted(table, _number(hour))] if table.num_rows else []


def _keys(parts: Sequence[Part]) -> Keys:
    """Codes of different parts made comparable, and each combination of them numbered once."""
    labels, codes = {}, {}
    for name in DIMS:
        of = [_side(p.keys["direction"]) if name == "side" else p.keys[name] for p in parts]
        labels[name] = sorted({value for column in of for value in column.values})
        place = {value: i for i, value in enumerate(labels[name])}
        found = [
            np.array([place[v] for v in column.values], dtype=np.int64)[column.codes]
            for column in of
        ]
        codes[name] = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
    key, first = _numbered(labels, codes)
    ends = np.cumsum([0, *(part.size for part in parts)]).tolist()
    of_rows = [key[begin:end] for begin, end in pairwise(ends)]
    return _with_service(labels, {name: code[first] for name, code in codes.items()}, of_rows)


def _side(direction: Column) -> Column:
    return Column(direction.codes, ["in" if d == "ingress" else "out" for d in direction.values])


def _numbered(labels: Mapping[str, list[Any]], codes: Mapping[str, Ints]) -> tuple[Ints, Ints]:
    """(number of each row's combination, in the order of the labels; a row of each combination)"""
    combined, room = np.zeros(codes["host"].size, dtype=np.int64), 1
    for name in DIMS:
        if room * len(labels[name]) >= _ROOM:
            known = np.unique(combined)
            combined, room = np.searchsorted(known, combined), known.size
        combined = combined * len(labels[name]) + codes[name]
        room *= len(labels[name])
    known = np.unique(combined)
    number = np.searchsorted(known, combined)
    first = np.zeros(known.size, dtype=np.int64)
    first[number] = np.arange(number.size)
    return number, first


def _with_service(
    labels: dict[str, list[Any]], codes: dict[str, Ints], of_rows: list[Ints]
) -> Keys:
    services = [service_of(name) for name in labels["container"]]
    labels["service"] = sorted(set(services))
    place = {value: i for i, value in enumerate(labels["service"])}
    short = np.array([place[name] for name in services], dtype=np.int64)
    codes["service"] = short[codes["container"]]
    return Keys(labels, codes, of_rows)


def _collapsed(keys: Keys, requests: Any) -> Keys:
    """Levels of a path with too many values over all spans together become one route."""
    hosts, routes = keys.labels["host"], keys.labels["route"]
    pair = keys.codes["host"] * max(len(routes), 1) + keys.codes["route"]
    pairs = np.unique(pair)
    at = np.searchsorted(pairs, pair)
    counts = np.bincount(at, weights=requests, minlength=pairs.size)
    named = [(hosts[p // len(routes)], routes[p % len(routes)]) for p in pairs.tolist()]
    told = {
        name: round(n) for name, n in zip(named, counts.tolist(), strict=True) if n > 0 and name[1]
    }
    mapping = collapse(told)
    if all(name[1] == route for name, route in mapping.items()):
        return keys
    new = [mapping.get(name, name[1]) for name in named]
    labels = {**keys.labels, "route": sorted(set(new))}
    place = {value: i for i, value in enumerate(labels["route"])}
    codes = {**keys.codes, "route": np.array([place[r] for r in new], dtype=np.int64)[at]}
    number, first = _numbered(labels, codes)
    return Keys(
        labels,
        {name: code[first] for name, code in codes.items()},
        [number[rows] for rows in keys.of_rows],
    )


def _rollup(reader: Reader, path: Path) -> Path | None:
    """The rollup beside a sealed file; None for a live segment or where there is none."""
    if not path.parent.name.startswith("hour="):
        return None
    rollup = reader.store.path / "rollups" / path.parent.name / path.name
    return rollup if looks_whole(rollup) else None


def _number(hour: str) -> int:
    return to_us(hour_start(hour)) // HOUR_US


def _touches(span: Window, hour: int) -> bool:
    return to_us(span.from_ts) < (hour + 1) * HOUR_US and to_us(span.to_ts) > hour * HOUR_US


def _minutes(span: Window) -> tuple[int, int]:
    """From and to in minutes since the epoch, both rounded down as the comparison does."""
    return to_us(span.from_ts) // _MINUTE_US, to_us(span.to_ts) // _MINUTE_US


def _files(paths: Sequence[Path]) -> str:
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def _within(spans: Sequence[Window]) -> str:
    """Whole minutes, so that rows give what a rollup of them gives."""
    stretches = [[from_us(m * _MINUTE_US).isoformat() for m in _minutes(span)] for span in spans]
    return " OR ".join(
        f"(ts >= '{begin}'::TIMESTAMPTZ AND ts < '{end}'::TIMESTAMPTZ)" for begin, end in stretches
    )
