"""From the two views to arrays: the keys of all spans, and their requests a block of minutes.

Everything is counted in DuckDB; what arrives here has one row a key and block. A *key* is the
finest thing that is told apart (side, host, method, route, status, container, process,
signature); a *level* is a coarser one, such as the endpoint, and is summed from keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.compare.names import rolled
from queries.compare.spans import Span
from queries.compare.stats import Floats, Ints, Mask

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SQL = Path(__file__).parent.parent / "sql"
BLOCKS = 12  # a window has about that many; five minutes each in an hour
SLOTS = 60
DIMS = ("side", "host", "method", "route", "status", "container", "process", "signature")
FIRST_BUCKET, LAST_BUCKET = -8, 160  # of durations: 0.5 ms to 70 minutes


@dataclass(frozen=True)
class Level:
    """A coarser key: the group of each key and each group's values."""

    dims: tuple[str, ...]
    group: Ints
    values: list[tuple[Any, ...]]

    @property
    def size(self) -> int:
        return len(self.values)

    @cached_property
    def order(self) -> Ints:
        """The keys, those of one group next to each other."""
        return np.argsort(self.group, kind="stable")

    def sum(self, per_key: Floats) -> Floats:
        heap = np.bincount(self.group, weights=per_key, minlength=self.size)
        return heap.astype(np.float64)


@dataclass
class Frame:
    """All that the comparison works on.

    window [keys, blocks] and baseline [keys, blocks of all baseline spans]: requests.
    seconds_w, seconds_b: covered recorder-seconds of those blocks.
    slots_w, slots_b [keys], slots_h [keys, history spans]: bit sets of active slots.
    anyhow_w, anyhow_b: requests of all minutes, compared or not, to refute "new" and "gone".
    history [keys, history spans]: requests, and seconds_h the covered recorder-seconds.
    """

    columns: dict[str, list[Any]]
    codes: dict[str, Ints]
    labels: dict[str, list[Any]]
    window: Floats
    baseline: Floats
    received_w: Floats
    received_b: Floats
    seconds_w: Floats
    seconds_b: Floats
    slots_w: Any
    slots_b: list[Any]
    slots_h: list[Any]
    anyhow_w: Floats
    anyhow_b: Floats
    history: Floats
    seconds_h: Floats
    places: list[int]
    starts: Ints  # column of each span's first block
    slot_minutes: int
    block_minutes: int
    aligned: bool
    levels: dict[tuple[str, ...], Level] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.columns["host"])

    @property
    def scale(self) -> float:
        """Window seconds over baseline seconds: what baseline counts are multiplied by."""
        return float(self.seconds_w.sum() / self.seconds_b.sum())

    @cached_property
    def status(self) -> Ints:
        return np.asarray(self.columns["status"], dtype=np.int64)

    @cached_property
    def failed(self) -> Mask:
        """Keys of failed requests: no response, or a status of 400 and more."""
        failed: Mask = (self.status == 0) | (self.status >= 400)
        return failed

    @cached_property
    def incoming(self) -> Mask:
        """Keys seen by the callee; all others were seen by the caller."""
        return np.array([side == "in" for side in self.columns["side"]], dtype=bool)

    @cached_property
    def unit_incoming(self) -> Mask:
        """The same for the finest places (side, endpoint, container)."""
        unit = self.level(("side", "host", "method", "route", "container"))
        return np.array([value[0] == "in" for value in unit.values], dtype=bool)

    def level(self, dims: tuple[str, ...]) -> Level:
        if dims not in self.levels:
            self.levels[dims] = _level(self, dims)
        return self.levels[dims]


def _level(frame: Frame, dims: tuple[str, ...]) -> Level:
    combined = np.zeros(frame.size, dtype=np.int64)
    for dim in dims:
        combined = combined * len(frame.labels[dim]) + frame.codes[dim]
    _, first, group = np.unique(combined, return_index=True, return_inverse=True)
    values = [tuple(frame.columns[dim][i] for dim in dims) for i in first.tolist()]
    return Level(dims, group.astype(np.int64), values)


@cache
def statement(name: str) -> str:
    return (SQL / f"compare_{name}.sql").read_text()


def rows(con: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> pa.Table:
    """The result of queries/sql/compare_<name>.sql."""
    return con.sql(statement(name), params=parameters or None).to_arrow_table()


def arrays(con: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> dict[str, Any]:
    """The same as numpy arrays."""
    table = rows(con, name, **parameters)
    return {column: table.column(column).to_numpy() for column in table.column_names}


def prepare(
    con: duckdb.DuckDBPyConnection, window: Span, baseline: Sequence[Span], history: Sequence[Span]
) -> bool:
    """Leave compare_minutes in the connection; say whether the spans are compared by offset."""
    con.execute("set timezone = 'UTC'")
    con.execute(
        "create or replace temp table compare_spans"
        " (span integer, role varchar, from_ts timestamptz, to_ts timestamptz)"
    )
    roles = [("window", window), *(("baseline", s) for s in baseline)]
    roles += [("history", s) for s in history]
    rows = [(i, role, s.from_ts, s.to_ts) for i, (role, s) in enumerate(roles)]
    con.executemany("insert into compare_spans values (?, ?, ?, ?)", rows)
    aligned = all(s.minutes == window.minutes for s in baseline)
    con.execute(statement("minutes"), {"aligned": aligned})
    return aligned


def load(
    con: duckdb.DuckDBPyConnection, window: Span, baselines: int, histories: int, aligned: bool
) -> Frame:
    block = max(1, round(window.minutes / BLOCKS))
    slot = max(1, -(-window.minutes // SLOTS))
    con.execute(statement("cells"))
    con.execute(statement("keys"))
    con.execute(statement("rows"))
    columns = _columns(con)
    size = len(columns["host"])
    codes, labels = _codes(columns)
    blocks = arrays(con, "blocks", block=block)
    seconds = _seconds(con, block)
    n_w = -(-window.minutes // block)
    shape = [(n_w if s == 0 else _blocks_of(seconds, s)) for s in range(1 + baselines)]
    starts = np.concatenate([[0], np.cumsum(shape)])
    requests, received, covered = _spread(blocks, seconds, starts, size)
    totals = _totals(con, slot, size, 1 + baselines + histories)
    seconds_h = _history_seconds(seconds, baselines, histories)
    return Frame(
        columns=columns,
        codes=codes,
        labels=labels,
        window=requests[:, :n_w],
        baseline=requests[:, n_w:],
        received_w=received[:, :n_w],
        received_b=received[:, n_w:],
        seconds_w=covered[:n_w],
        seconds_b=covered[n_w:],
        slots_w=totals["slots"][0],
        slots_b=totals["slots"][1 : 1 + baselines],
        slots_h=totals["slots"][1 + baselines :],
        anyhow_w=totals["anyhow"][0],
        anyhow_b=np.sum(totals["anyhow"][1 : 1 + baselines], axis=0),
        history=np.array(totals["requests"][1 + baselines :]).reshape(histories, size).T,
        seconds_h=seconds_h,
        places=columns["place"],
        starts=starts,
        slot_minutes=slot,
        block_minutes=block,
        aligned=aligned,
    )


def _columns(con: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    table = con.sql("from compare_keys order by key").to_arrow_table()
    columns = {name: table.column(name).to_pylist() for name in (*DIMS, "place")}
    columns["service"] = [rolled(name) for name in columns["container"]]
    return columns


def _codes(columns: dict[str, list[Any]]) -> tuple[dict[str, Ints], dict[str, list[Any]]]:
    codes: dict[str, Ints] = {}
    labels: dict[str, list[Any]] = {}
    for name in (*DIMS, "service"):
        labels[name] = sorted(set(columns[name]))
        place = {value: i for i, value in enumerate(labels[name])}
        codes[name] = np.array([place[v] for v in columns[name]], dtype=np.int64)
    return codes, labels


def _seconds(con: duckdb.DuckDBPyConnection, block: int) -> dict[tuple[int, int], float]:
    rows = con.execute(
        "select span, (nth // $block)::integer, sum(seconds) from compare_minutes"
        " where kept group by all order by all",
        {"block": block},
    ).fetchall()
    return {(span, number): float(seconds) for span, number, seconds in rows}


def _blocks_of(seconds: dict[tuple[int, int], float], span: int) -> int:
    return max((block + 1 for s, block in seconds if s == span), default=0)


def _spread(
    column: dict[str, Any], seconds: dict[tuple[int, int], float], starts: Ints, size: int
) -> tuple[Floats, Floats, Floats]:
    width = int(starts[-1])
    place = column["key"].astype(np.int64) * width + starts[column["span"]] + column["block"]
    spread: list[Floats] = [
        np.bincount(place, weights=column[name], minlength=size * width)
        .astype(np.float64)
        .reshape(size, width)
        for name in ("requests", "received")
    ]
    covered = np.zeros(width)
    for (span, block), value in seconds.items():
        if span < starts.size - 1:
            covered[starts[span] + block] = value
    return spread[0], spread[1], covered


def _totals(
    con: duckdb.DuckDBPyConnection, slot: int, size: int, spans: int
) -> dict[str, list[Any]]:
    column = arrays(con, "totals", slot=slot)
    result: dict[str, list[Any]] = {}
    for name, kind in (("requests", np.float64), ("anyhow", np.float64), ("slots", np.uint64)):
        grid = np.zeros((spans, size), dtype=kind)
        grid[column["span"], column["key"]] = column[name]
        result[name] = list(grid)
    return result


def _history_seconds(
    seconds: dict[tuple[int, int], float], baselines: int, histories: int
) -> Floats:
    result = np.zeros(histories)
    for (span, _), value in seconds.items():
        if span > baselines:
            result[span - baselines - 1] += value
    return result
