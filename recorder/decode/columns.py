"""From rows to an Arrow table of the store's schema, sorted so that pruning and zstd do well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import pyarrow as pa

from recorder.decode.events import Transaction
from store.hours import HOUR_US, hour_key
from store.schema import RECORDED, TRANSACTIONS

_ADDED = {"recorder", "session", "seq"}
# A row as a worker makes it: `order` is its event's place in the block. Who recorded it, and as
# which one, is added where it is written.
REFINED = pa.schema(
    [*(field for field in TRANSACTIONS if field.name not in _ADDED), ("order", pa.int32())]
)


def transactions_batch(
    rows: Sequence[Transaction], places: Sequence[int] | None = None
) -> pa.RecordBatch:
    """`rows` in columns, sorted by host, route and time. `places`: those of their events."""
    order = sorted(range(len(rows)), key=lambda i: _sort_key(rows[i]))
    rows = [rows[i] for i in order]
    if places is not None:
        order = [places[i] for i in order]
    plain = zip(*map(_plain_values, rows), strict=True)
    arrays = [
        _SPECIAL[field.name](rows) if field.name in _SPECIAL else _array(next(plain), field.type)
        for field in REFINED
        if field.name != "order"
    ]
    return pa.RecordBatch.from_arrays([*arrays, pa.array(order, pa.int32())], schema=REFINED)


def numbered(table: str, rows: Sequence[Any], first: int, who: Who) -> pa.Table:
    """Rows of one hour (batches of transactions, or other rows) in the store's schema, numbered
    from `first` on by the places of their events."""
    schema = RECORDED[table]
    if table == "transactions":
        alone = pa.Table.from_batches(rows)
        *columns, order = (alone if len(rows) == 1 else alone.unify_dictionaries()).columns
        seqs = [first + place for place in order.to_pylist()]
    else:
        names = [field for field in schema if field.name not in _ADDED]
        columns = [_array([row.get(field.name) for row in rows], field.type) for field in names]
        seqs = [first + row["order"] for row in rows]
    columns += [who.column(field.name, seqs) for field in schema if field.name in _ADDED]
    return pa.Table.from_arrays(columns, schema=schema)


def by_hour(batch: pa.RecordBatch) -> dict[str, pa.RecordBatch]:
    """The rows of a batch by the hour that they belong to; mostly there is one."""
    hours = [ts // HOUR_US for ts in batch.column("ts").view(pa.int64()).to_pylist()]
    found = sorted(set(hours))
    if len(found) == 1:
        return {hour_key(found[0] * HOUR_US): batch}
    masks = {hour: pa.array([one == hour for one in hours]) for hour in found}
    return {hour_key(hour * HOUR_US): batch.filter(mask) for hour, mask in masks.items()}


class Who:
    """Which recorder, in which session, wrote a row: the columns that every table ends with."""

    def __init__(self, recorder: str, session: str) -> None:
        self.recorder = recorder
        self.session = session

    def column(self, name: str, seqs: Sequence[int]) -> pa.Array:
        if name == "seq":
            return pa.array(seqs, pa.int64())
        value = self.recorder if name == "recorder" else self.session
        zeros = pa.repeat(pa.scalar(0, pa.int32()), len(seqs))
        return pa.DictionaryArray.from_arrays(zeros, pa.array([value], pa.string()))


def _sort_key(tx: Transaction) -> tuple[str, str, int]:
    return tx.host or "", tx.route or "", tx.ts


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return _strings(values, kind)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).view(kind)  # a cast loads 5 MB of Arrow
    return pa.array(values, kind)


def _strings(values: Sequence[Any], kind: pa.DataType | None = None) -> pa.Array:
    kind = kind or pa.string()
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # a lone surrogate out of a \ud800 escape: not text on any disk
        return pa.array([_clean(value) for value in values], kind)


def _clean(value: str | None) -> str | None:
    return value.encode(errors="replace").decode() if value is not None else None


def _headers(
    get: Callable[[Transaction], dict[str, str]],
) -> Callable[[Sequence[Transaction]], pa.Array]:
    def column(rows: Sequence[Transaction]) -> pa.Array:
        names: list[str] = []
        values: list[str] = []
        offsets = [0]
        for row in rows:
            headers = get(row)
            names.extend(headers)
            values.extend(headers.values())
            offsets.append(len(names))
        return pa.MapArray.from_arrays(
            pa.array(offsets, pa.int32()), _strings(names), _strings(values)
        )

    return column


def _findings(rows: Iterable[Transaction]) -> pa.Array:
    kind = TRANSACTIONS.field("findings").type
    flat = []
    offsets = [0]
    for row in rows:
        flat.extend(row.findings)
        offsets.append(len(flat))
    columns = [_strings(values) for values in zip(*flat, strict=True)] or 3 * [_strings([])]
    struct = pa.StructArray.from_arrays(columns, fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), struct)


_SPECIAL: dict[str, Callable[[Sequence[Transaction]], pa.Array]] = {
    "req_headers": _headers(attrgetter("req_headers")),
    "res_headers": _headers(attrgetter("res_headers")),
    "findings": _findings,
}
_plain_values = attrgetter(
    *(field.name for field in REFINED if field.name not in (*_SPECIAL, "order"))
)
