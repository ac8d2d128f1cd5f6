"""Transactions written straight into a store, in bulk: no stream, no recorder.

A `Batch` holds rows as arrays: what most of them share (host, route, status and so on) stands once
as a name, a mapping of columns of `transactions`, and every row has the number of its name. For
tests and evaluations that need hours of traffic in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recorder.write.segments import metadata
from store.cover import sealed_name
from store.coverage import Stretch, coverage_file, write_stretches
from store.files import make_folder
from store.hours import HOUR_US, hour_key
from store.layout import Store
from store.schema import TRANSACTIONS

Ints = NDArray[np.int64]
Name = Mapping[str, Any]

SESSION: Final = "s"
_TOPICS: Final = ["http"]
_ORDER: Final = ("host", "route", "method", "container_name", "pod_name")


@dataclass(frozen=True)
class Batch:
    """Rows: the number of each row's name, its end in µs, its duration in ms (below 0: none),
    the bytes of its answer."""

    names: Sequence[Name]
    name: Ints
    ts: Ints
    ms: Ints
    size: Ints

    def __len__(self) -> int:
        return int(self.ts.size)

    def where(self, mask: Any) -> Batch:
        """The rows that `mask` (or an array of places) picks, under the same names."""
        return Batch(self.names, self.name[mask], self.ts[mask], self.ms[mask], self.size[mask])

    def between(self, from_us: int, to_us: int) -> Batch:
        return self.where((self.ts >= from_us) & (self.ts < to_us))

    def of(self, column: str) -> NDArray[Any]:
        """A column of names, a value a row; what is missing is None."""
        values = np.array([name.get(column) for name in self.names], dtype=object)
        return values[self.name]


def joined(batches: Iterable[Batch]) -> Batch:
    """The rows of all batches, each name once."""
    kept = [batch for batch in batches if batch.names]
    names: Sequence[Name] = kept[0].names if kept else ()
    numbers = [batch.name for batch in kept]
    if any(batch.names is not names for batch in kept):
        known: dict[tuple[Any, ...], int] = {}
        places = [[known.setdefault(tuple(n.items()), len(known)) for n in b.names] for b in kept]
        names = [dict(name) for name in known]
        numbers = [np.array(p, dtype=np.int64)[n] for p, n in zip(places, numbers, strict=True)]

    def whole(arrays: list[Ints]) -> Ints:
        return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)

    times, ms, size = ([getattr(b, name) for b in kept] for name in ("ts", "ms", "size"))
    return Batch(names, whole(numbers), whole(times), whole(ms), whole(size))


def write_rows(store: Store, recorder: str, batch: Batch, first_seq: int = 1) -> list[Path]:
    """Seal the rows, an hour a file, in the order of their time numbered from `first_seq` on.
    Returns the files, in time's order."""
    order = np.argsort(batch.ts, kind="stable")
    batch = batch.where(order)
    hours = batch.ts // HOUR_US
    files = []
    for hour in np.unique(hours).tolist():
        low, high = np.searchsorted(hours, [hour, hour + 1]).tolist()
        seq = np.arange(first_seq + low, first_seq + high)
        rows = table(batch.where(slice(low, high)), recorder, seq)
        folder = make_folder(store.sealed_hour("transactions", hour_key(hour * HOUR_US)))
        files.append(folder / sealed_name(recorder, first_seq + high - 1))
        with pq.ParquetWriter(
            files[-1], rows.schema, compression="zstd", compression_level=1, store_schema=False
        ) as writer:
            writer.add_key_value_metadata(metadata(recorder, "none"))
            writer.write_table(rows)
    return files


def cover(
    store: Store,
    recorder: str,
    spans: Iterable[tuple[int, int]],
    state: str = "receiving",
    **more: Any,
) -> None:
    """Say that the recorder was in `state` during the spans (µs); replaces the hours' files."""
    hours: dict[int, list[Stretch]] = {}
    for begin, end in spans:
        for hour in range(begin // HOUR_US, (end - 1) // HOUR_US + 1):
            part = max(begin, hour * HOUR_US), min(end, (hour + 1) * HOUR_US)
            stretch = Stretch(recorder, SESSION, *part, state, topics=_TOPICS, **more)
            hours.setdefault(hour, []).append(stretch)
    for hour, stretches in hours.items():
        write_stretches(coverage_file(store, hour_key(hour * HOUR_US), recorder), stretches)


def table(batch: Batch, recorder: str, seq: Ints) -> pa.Table:
    """The rows as `transactions` has them, in the order of a sealed file."""
    used, place = np.unique(batch.name, return_inverse=True)
    names = [batch.names[number] for number in used]
    batch = Batch(names, place, batch.ts, batch.ms, batch.size)
    rank = _ranks(names)
    order = np.lexsort((batch.ts, rank[batch.name]))
    batch, seq = batch.where(order), seq[order]
    size = len(batch)
    shared = {
        "protocol": "http1",
        "scheme": "https",
        "recorder": recorder,
        "session": SESSION,
    }
    columns = {
        "ts": pa.array(batch.ts, pa.timestamp("us", tz="UTC")),
        "duration_ms": pa.array(batch.ms.astype(np.int32), mask=batch.ms < 0),
        "bytes_sent": pa.array(np.full(size, 400)),
        "bytes_received": pa.array(batch.size),
        "res_body_bytes": pa.array(batch.size),
        "seq": pa.array(seq),
    }
    for field in TRANSACTIONS:
        if field.name not in columns:
            columns[field.name] = _column(batch, field, shared.get(field.name))
    return pa.table([columns[name] for name in TRANSACTIONS.names], names=TRANSACTIONS.names)


def _ranks(names: Sequence[Name]) -> Ints:
    """The place of each name in the order of a sealed file."""
    keys = [tuple(str(name.get(column) or "") for column in _ORDER) for name in names]
    ranks = np.zeros(len(names), dtype=np.int64)
    ranks[sorted(range(len(names)), key=keys.__getitem__)] = np.arange(len(names))
    return ranks


def _column(batch: Batch, field: pa.Field, usual: str | None) -> pa.Array:
    values = [name.get(field.name, usual) for name in batch.names]
    plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if all(value is None for value in values):
        return pa.nulls(len(batch), plain)
    if plain == pa.int16():
        small = np.array([value or 0 for value in values], dtype=np.int16)
        missing = np.array([value is None for value in values])
        return pa.array(small[batch.name], mask=missing[batch.name])
    texts = sorted({str(value) for value in values if value is not None})
    code = {text: number for number, text in enumerate(texts)}
    codes = np.array([-1 if v is None else code[str(v)] for v in values], dtype=np.int32)
    numbers = codes[batch.name]
    return pa.DictionaryArray.from_arrays(
        pa.array(np.maximum(numbers, 0), mask=numbers < 0), pa.array(texts)
    )
