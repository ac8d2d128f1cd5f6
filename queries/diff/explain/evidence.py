"""A few transactions that show a finding: the failed ones, the slow ones, and those of before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from queries.core.session import sql_text
from queries.core.window import Window, hours_of, meeting
from queries.diff.axis import hour_of, inside
from queries.diff.coverage import named
from queries.diff.rollups import if_readable, keys_relation, rollups_of, whole_parquet
from queries.diff.stats import add_up
from store.cover import is_early
from store.derived import KEYS, MINUTES
from store.files import parquet
from store.hours import to_us
from store.values import dataclass

if TYPE_CHECKING:
    from queries.core.session import Reader
    from queries.diff.counts import Counts
    from queries.diff.frame import Frame
    from queries.diff.stats import Floats, Mask

Order = Literal["first", "last", "slowest", "smallest", "largest"]
_MOST = 3  # examples a side
_PLENTY = 100  # requests in which they are looked for first, where there are many times as many
_BETWEEN = "\x1f"  # the parts of a name
_WANTED = ("names", "hosts", "routes", "places", "starts", "ends")  # of compare_named.sql
_NAMES = 20  # raw names of a finding's keys that are looked for


@dataclass(frozen=True)
class Wanted:
    """Transactions of some keys in some spans. weights [keys]: which of the keys tell most.
    recorders: in whose rows to look, of all where there are none."""

    keys: Mask
    weights: Floats
    spans: list[Window]
    order: Order = "first"
    recorders: Collection[str] = ()


@dataclass(frozen=True)
class Rows:
    """Where the rows of a comparison are; condition and params: under which they were counted."""

    reader: Reader
    counts: Counts
    condition: str | None
    params: Mapping[str, Any]

    def ask(self, name: str, wanted: Sequence[Wanted], **params: Any) -> list[tuple[Any, ...]]:
        """What queries/sql/<name>.sql says of rows of the busiest names of what is wanted, whose
        place is its number there.

        Nothing where a file cannot be read (any more): a finding stands without its rows.
        """
        owner = self.reader.store.recorder_of
        some = {
            path
            for one in wanted
            for path in meeting(self.reader.rows_of(hours_of(one.spans)), one.spans)
            if not is_early(path) and (not one.recorders or owner(path) in one.recorders)
        }
        paths = [path for path in self.reader.files["transactions"] if path in some]
        rows = [
            (raw, *raw.split(_BETWEEN)[:3:2], place, span.from_ts, span.to_ts)
            for place, one in enumerate(wanted)
            for raw in self._names(one)
            for span in one.spans
        ]
        if not rows or not paths:
            return []
        columns = zip(_WANTED, zip(*rows, strict=True), strict=True)
        values = {**self.params, **params, **{name: list(of) for name, of in columns}}
        near = sorted(set(values["hosts"]))
        named = sql_text(
            "compare_named",
            rows=parquet(paths),
            near="host IN $near" if all(near) else "host IS NULL OR host IN $near",
            times=inside(span for one in wanted for span in one.spans),
            where=self.condition or "true",
        )
        values["near"] = near

        def read() -> list[tuple[Any, ...]]:
            self.reader.store.fetch(paths)
            return self.reader.con.execute(sql_text(name, named=named), values).fetchall()

        return if_readable(read, [])

    def _names(self, wanted: Wanted) -> list[str]:
        """The names under which the busiest of the keys were recorded."""
        counts = self.counts
        chosen = np.flatnonzero(wanted.keys[counts.keys.of])
        order = np.argsort(-wanted.weights[counts.keys.of[chosen]], kind="stable")
        busiest = map(counts.names.of, chosen[order[:_NAMES]].tolist())
        return sorted({_BETWEEN.join(str(name[part]) for part in _COLUMNS) for name in busiest})


def examples(rows: Rows, wanted: Sequence[Wanted]) -> list[tuple[str, ...]]:
    """Ids of transactions of each of these, by its order, with one pass over the rows for all of
    them; with a second one over all of the time of those of which the first few minutes had not
    enough."""
    soon = [_soon(one) for one in wanted]
    found = _examples(rows, soon)
    short = [i for i, ids in enumerate(found) if len(ids) < _MOST and soon[i] is not wanted[i]]
    for i, ids in zip(short, _examples(rows, [wanted[i] for i in short]), strict=True):
        found[i] = ids
    return found


def _soon(wanted: Wanted) -> Wanted:
    """The same in the first (or last) part of its time, where that has many of its requests: what
    is found there comes before all that lies behind it."""
    requests = float(wanted.weights[wanted.keys].sum())
    if wanted.order not in ("first", "last") or requests < 10 * _PLENTY:
        return wanted
    last = wanted.order == "last"
    first = sorted(wanted.spans, reverse=last)[0]
    length = min(first.length * (_PLENTY / requests * len(wanted.spans)), first.length)
    begin = first.to_ts - length if last else first.from_ts
    return replace(wanted, spans=[Window(begin, begin + length)])


def _examples(rows: Rows, wanted: Sequence[Wanted]) -> list[tuple[str, ...]]:
    """The same in all of their time; each by itself, where a file that some of them lie in cannot
    be read."""
    sorts = [one.order for one in wanted]
    pairs = rows.ask("compare_examples", wanted, sorts=sorts, most=_MOST)
    if not pairs and len(wanted) > 1:
        return [ids for one in wanted for ids in _examples(rows, [one])]
    return [tuple(id for at, id, _ in pairs if at == place) for place in range(len(wanted))]


def minutes(
    rows: Rows, scope: Mask, part: Mask, weights: Floats, span: Window
) -> tuple[Floats, Floats]:
    """(requests of the part, of the scope) of each minute of a span of past hours: by their
    rollups, where they all have one and no filter is set, since the rows of a fleet are many."""
    if not rows.condition:
        told = _rolled_up(rows, scope, part, span)
        if told is not None:
            return told
    wanted = [Wanted(keys, weights, [span]) for keys in (part, scope)]
    counted = rows.ask("compare_onset", wanted, begin=span.from_ts)
    place, at, requests = np.array(counted, dtype=np.int64).reshape(-1, 3).T
    of_part, of_scope = (
        add_up(at[mine], requests[mine], span.minutes) for mine in (place == 0, place == 1)
    )
    return of_part, of_scope


def _rolled_up(rows: Rows, scope: Mask, part: Mask, span: Window) -> tuple[Floats, Floats] | None:
    reader = rows.reader
    files = reader.rows_of(hours_of([span]))
    of = rollups_of(reader.store, files, reader.groups())
    if not files or len(of) < len(files):
        return None
    tables = list({of[path][KEYS]: of[path] for path in files}.values())
    begins = [hour_of(one[KEYS]) * 60 - to_us(span.from_ts) // _MINUTE_US for one in tables]
    keys = sql_text("compare_rows", keys=keys_relation(t[KEYS] for t in tables), place="0")
    reader.con.register("wanted", {"names": rows.counts.hashes[scope[rows.counts.keys.of]]})
    text = (
        "SELECT names, file, minute, sum(m.requests)::DOUBLE AS requests FROM (SELECT"
        f" file_index AS file, * FROM {whole_parquet(t[MINUTES] for t in tables)}) AS m"
        f" JOIN (FROM ({keys}) SEMI JOIN wanted USING (names)) USING (file, key) GROUP BY ALL"
    )
    columns: dict[str, Any] = if_readable(lambda: reader.con.execute(text).fetchnumpy(), {})
    if not columns:
        return None
    key, same = named(rows.counts, columns["names"])
    at = np.array(begins)[columns["file"]] + columns["minute"]
    inside = same & (at >= 0) & (at < span.minutes)
    of_part, of_scope = (
        add_up(at[mine], columns["requests"][mine], span.minutes)
        for mine in (inside & chosen[key] for chosen in (part, scope))
    )
    return of_part, of_scope


_MINUTE_US = 60_000_000
_COLUMNS = ("host", "method", "route", "status", "grpc_status", "container", "pod", "signature")


def around(frame: Frame, since: datetime | None, until: datetime | None) -> Window:
    """The time in which the change shows."""
    window = frame.axis.spans[0]
    begin = max(since, window.from_ts) if since else window.from_ts
    end = min(until, window.to_ts) if until else window.to_ts
    return type(window)(begin, end) if begin < end else window
