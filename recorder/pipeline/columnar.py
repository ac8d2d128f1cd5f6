"""From a batch of the compiled part to rows: what worker.py does for a row, for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recorder.decode.columns import REFINED
from recorder.decode.events import Secret
from recorder.native import BODIES, FEW, TEXTS, Batch
from recorder.normalize.error_text import error_signature
from recorder.normalize.routes import Router
from recorder.options import RecordOptions
from recorder.redact.columns import Cleared, ColumnRedactor
from recorder.redact.redactor import Redactor
from recorder.write.intake import Repeats, Rows
from store.derived import failed
from store.schema import TRANSACTIONS

_REQUEST, _CONNECTION = 2, 1  # kinds of numbers: recorder.write.loss


class Clean(NamedTuple):
    """A part with rows of a batch, clean and in order (as transactions_batch has them), before
    repeats are known; `keys`: (request id, time, place) of each, as they came. `left`: the mask of
    the batch's rows that are to be done row by row."""

    part: Rows
    keys: list[tuple[str | None, int, int]]
    left: Any

    def part_without(self, repeats: Repeats) -> Rows:
        """The part without the rows that came before."""
        rows = self.part.transactions
        again = [
            place
            for request_id, ts, place in self.keys
            if repeats.has("transactions", request_id, ts, place)
        ]
        if again and rows is not None:
            self.part.counts["duplicates"] = len(again)
            fresh = np.isin(rows.column("order").to_numpy(), again, invert=True)
            self.part.transactions = rows.filter(pa.array(fresh))
        return self.part


class Columnar:
    """Makes rows of batches. Any exception means: nothing is done yet, go row by row."""

    def __init__(self, cleaner: Redactor, router: Router, options: RecordOptions) -> None:
        self._redactor = ColumnRedactor(cleaner)
        self._router = router
        self._kept_bodies = options.store_bodies

    def clean(self, batch: Batch, first: int, shift_us: int, shedding: bool) -> Clean:
        """`first`: the place of the batch's first event in its block. Nothing is remembered of the
        rows here, so that they can be done again where this fails."""
        cleared = self._redactor.clear(batch, not shedding)
        rows = np.flatnonzero(~cleared.left)
        made = _Made(batch, cleared, rows, self._routes(batch, rows))
        ts = batch.values["ts"] + shift_us
        made.sort(ts)
        signatures = self._signatures(batch, cleared, shedding)
        columns: dict[str, pa.Array] = {
            "ts": pa.array(ts[made.rows]).cast(REFINED.field("ts").type),
            "route": made.routes,
            "grpc_status": pa.nulls(len(rows), pa.string()),
            "error_signature": made.sparse(signatures, pa.string()).dictionary_encode(),
            "req_headers": made.headers(0),
            "res_headers": made.headers(1),
            "findings": made.findings(),
            "order": pa.array((batch.values["place"][made.rows] + first).astype(np.int32)),
        }
        for side, name in enumerate(BODIES):
            columns[name] = self._bodies(made, side, name, shedding)
        for field in REFINED:
            if field.name not in columns:
                columns[field.name] = made.plain(field.name).cast(field.type)
        arrays = [columns[name] for name in REFINED.names]
        counts = {"events": len(rows)} | ({"bodies_shed": len(rows)} if shedding else {})
        part = Rows(
            (batch.values["broadcast"][rows] + shift_us).tolist(),
            counts,
            pa.RecordBatch.from_arrays(arrays, schema=REFINED),
            numbers=_numbers(batch, ~cleared.left),
        )
        ids = batch.texts["request_id"].take(pa.array(rows)).to_pylist()
        places = (batch.values["place"][rows] + first).tolist()
        return Clean(part, list(zip(ids, ts[rows].tolist(), places, strict=True)), cleared.left)

    def _routes(self, batch: Batch, rows: Any) -> list[str]:
        taken = pa.array(rows)
        paths = batch.texts["path"].take(taken).to_pylist()
        hosts = batch.column("host").take(taken).to_pylist()
        return list(map(self._router.route, paths, hosts))

    def _signatures(self, batch: Batch, cleared: Cleared, shedding: bool) -> dict[int, str]:
        """By row, of those that failed."""
        status = batch.values["status"]
        rows = np.flatnonzero((status >= 400) & ~cleared.left)
        taken, changed = pa.array(rows), cleared.bodies[1]
        bodies = batch.texts["res_body"].take(taken).to_pylist()
        types = batch.column("res_content_type").take(taken).to_pylist()
        signatures: dict[int, str] = {}
        for row, body, content_type in zip(rows.tolist(), bodies, types, strict=True):
            body = None if shedding else changed[row][0] if row in changed else body
            if signature := error_signature(int(status[row]), content_type, body):
                signatures[row] = signature
        return signatures

    def _bodies(self, made: _Made, side: int, name: str, shedding: bool) -> pa.Array:
        batch, changed = made.batch, made.cleared.bodies[side]
        if shedding or self._kept_bodies == "none":
            return pa.nulls(len(made.rows), pa.binary())
        bodies = batch.texts[name]
        if changed:
            mask = np.zeros(batch.rows, bool)
            mask[list(changed)] = True
            values = [changed[row][0] for row in sorted(changed)]
            bodies = pc.replace_with_mask(bodies, pa.array(mask), pa.array(values, pa.binary()))
        bodies = bodies.take(made.taken)
        if self._kept_bodies == "errors":
            status = batch.ints["status"].take(made.taken).to_pylist()
            kept = pa.array([failed(one, None) for one in status], pa.bool_())
            bodies = pc.if_else(kept, bodies, pa.scalar(None, pa.binary()))
        return bodies


class _Made:
    """The columns of some rows of a batch, in the order of `rows`."""

    def __init__(self, batch: Batch, cleared: Cleared, rows: Any, routes: Sequence[str]) -> None:
        self.batch, self.cleared, self.rows = batch, cleared, rows
        self.taken = pa.array(rows)
        self.routes = pa.array(routes, pa.string()).dictionary_encode()

    def sort(self, ts: Any) -> None:
        """By host, route and time; what is alike stays in the order in which it came."""
        numbers, hosts = self.batch.few["host"]
        host = _ranks(hosts)[numbers.fill_null(-1).to_numpy()[self.rows]]
        route = _ranks(self.routes.dictionary)[self.routes.indices.to_numpy()]
        order = np.lexsort([ts[self.rows], route, host])
        self.rows = self.rows[order]
        self.taken = pa.array(self.rows)
        self.routes = self.routes.take(pa.array(order))

    def plain(self, name: str) -> pa.Array:
        """A column as it came."""
        if name in FEW:
            return _compact(*self.batch.few[name], self.taken)
        return (self.batch.texts if name in TEXTS else self.batch.ints)[name].take(self.taken)

    def sparse(self, values: dict[int, str], kind: pa.DataType) -> pa.Array:
        return pa.array([values.get(row) for row in self.rows.tolist()], kind)

    def headers(self, side: int) -> pa.Array:
        batch, pairs, marks = self.batch, self.cleared.pairs, self.cleared.marks
        offsets, numbers = batch.sides[side].offsets, batch.sides[side].pairs
        lengths = np.diff(offsets)[self.rows]
        ends = np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)])
        entries = np.arange(ends[-1]) + np.repeat(offsets[self.rows] - ends[:-1], lengths)
        numbers = numbers[entries]
        places = np.arange(len(batch.tags))  # of the values: those that change stand behind
        own = np.concatenate([marks.pairs, np.fromiter(pairs, np.int64)])
        places[own] = len(batch.tags) + np.arange(len(own))
        changed = pa.array([cleaned.value for cleaned in pairs.values()], pa.string())
        values = pa.concat_arrays([batch.pair_values, marks.values, changed])
        return pa.MapArray.from_arrays(
            pa.array(ends),
            batch.names.take(pa.array(batch.tags[numbers] >> 1)),
            values.take(pa.array(places[numbers])),
        )

    def findings(self) -> pa.Array:
        """What was taken out of each row, in the order in which redactor.py comes upon it: headers
        by their names, headers and then bodies by the scan; the same secret once."""
        told = self.cleared.marks.secrets
        secrets: dict[Secret, int] = {}  # the others, numbered from there

        def number(secret: Secret) -> int:
            return secrets.setdefault(secret, len(told[0]) + len(secrets))

        pieces = self._in_headers(number)  # row, order, secret
        for side, changed in enumerate(self.cleared.bodies):
            marks = [
                (row, 4 + side, number(secret))
                for row, (_, found) in changed.items()
                for secret in found
            ]
            pieces.append(np.array(marks, np.int64).reshape(-1, 3))
        every = np.concatenate(pieces)
        places = np.full(self.batch.rows, -1)
        places[self.rows] = np.arange(len(self.rows))
        every = every[places[every[:, 0]] >= 0]
        place = places[every[:, 0]]
        order = np.lexsort([every[:, 1], place])  # stable
        place, numbers = place[order], every[order, 2]
        most = len(told[0]) + len(secrets) + 1
        first = np.sort(np.unique(place * most + numbers, return_index=True)[1])
        place, numbers = place[first], numbers[first]
        counts = np.bincount(place, minlength=len(self.rows))
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]).astype(np.int32)
        kind = TRANSACTIONS.field("findings").type
        taken = pa.array(numbers)
        columns = [
            pa.concat_arrays([known, pa.array([s[part] for s in secrets], pa.string())]).take(taken)
            for part, known in enumerate(told)
        ]
        struct = pa.StructArray.from_arrays(columns, fields=list(kind.value_type))
        return pa.ListArray.from_arrays(pa.array(ends), struct)

    def _in_headers(self, number: Callable[[Secret], int]) -> list[Any]:
        """(row, order, secret) of the headers, of each side."""
        batch, cleared, marks = self.batch, self.cleared, self.cleared.marks
        one_by_one = [list(map(number, cleaned.secrets)) for cleaned in cleared.pairs.values()]
        numbers = np.concatenate([marks.numbers, np.fromiter(chain(*one_by_one), np.int64)])
        counts, starts, orders = np.zeros((3, len(batch.tags)), np.int64)
        pairs = np.fromiter(cleared.pairs, np.int64)
        own = np.fromiter(map(len, one_by_one), np.int64)
        counts[marks.pairs], starts[marks.pairs] = marks.counts, marks.starts
        counts[pairs], starts[pairs] = own, len(marks.numbers) + np.cumsum(own) - own
        orders[list(cleared.scanned)] = 2
        pieces = []
        for side, headers in enumerate(batch.sides):
            entries = np.flatnonzero(counts[headers.pairs])
            changed = headers.pairs[entries]
            amount = counts[changed]
            inside = np.arange(amount.sum()) - np.repeat(np.cumsum(amount) - amount, amount)
            columns = (
                np.repeat(np.searchsorted(headers.offsets, entries, "right") - 1, amount),
                np.repeat(orders[changed] + side, amount),
                numbers[np.repeat(starts[changed], amount) + inside],
            )
            pieces.append(np.column_stack(columns))
        return pieces


def _ranks(texts: pa.Array) -> Any:
    """The place of each text in order, from 1 on; 0, at the end, for none."""
    values = texts.to_pylist()
    ranks = np.zeros(len(values) + 1, np.int64)
    ranks[sorted(range(len(values)), key=values.__getitem__)] = np.arange(1, len(values) + 1)
    return ranks


def _compact(numbers: pa.Array, texts: pa.Array, rows: pa.Array) -> pa.Array:
    """A dictionary with the values of `rows` alone: what is left out may hold a secret."""
    numbers = numbers.take(rows)
    used = np.unique(numbers.drop_null().to_numpy())
    if len(used) < len(texts):
        places = np.zeros(len(texts), np.int32)
        places[used] = np.arange(len(used))
        numbers, texts = pa.array(places).take(numbers), texts.take(pa.array(used))
    return pa.DictionaryArray.from_arrays(numbers, texts)


def _numbers(batch: Batch, kept: Any) -> dict[int, list[int]]:
    """What recorder.write.loss.Numbers makes of the ids of the rows."""
    codes: dict[int, list[int]] = {}
    for name, kind in (("request", _REQUEST), ("connection", _CONNECTION)):
        came = batch.ints[f"{name}_process"].is_valid().to_numpy(zero_copy_only=False) & kept
        process = batch.values[f"{name}_process"][came].tolist()
        number = (batch.values[f"{name}_number"][came] << 2 | kind).tolist()
        pairs = zip(process, number, strict=True)
        for one, code in dict.fromkeys(pairs) if kind == _CONNECTION else pairs:
            codes.setdefault(one, []).append(code)
    return codes
