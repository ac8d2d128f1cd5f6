"""Counting questions of what only rollups tell: rows with a weight, in the place of requests.

Every row of transactions has the column n, the requests that it stands for: 1 of a row as it was
recorded. A question that counts says requests(n), requests(n, condition) and took(duration_ms, n,
share), which is a quantile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from queries.core.answer import Note
from queries.core.session import Reader, sql_text
from queries.core.watch import duckdb
from store.cover import is_early
from store.derived import BUCKET_BASE, ROLLUPS
from store.errors import TooMuchError
from store.files import file_list, is_readable, looks_whole, parquet
from store.hours import hour_end, hour_start

COUNTED: Final = "counted"
_QUANTILE: Final = "qrec_quantile"
_RECORDED: Final = (
    "requests(n) AS count(*), (n, which) AS count(*) FILTER (WHERE which)",
    "took(ms, n, share) AS quantile_cont(ms, share)",
)
_WEIGHED: Final = (
    "requests(n) AS coalesce(sum(n), 0)::BIGINT,"
    " (n, which) AS coalesce(sum(n) FILTER (WHERE which), 0)::BIGINT",
    f"took(ms, n, share) AS {_QUANTILE}(list(ms) FILTER (WHERE ms IS NOT NULL),"
    " list(n) FILTER (WHERE ms IS NOT NULL), share::DOUBLE)",
)


def count_rows(con: Any, weighed: bool = False) -> None:
    """Have `requests` and `took` count rows, or what they weigh."""
    for macro in _WEIGHED if weighed else _RECORDED:
        con.execute(f"CREATE OR REPLACE TEMP MACRO {macro}")


def make_shapes(con: Any, text: str) -> None:
    """Have those of sql/shapes.sql that a statement names: each takes half a millisecond."""
    for macro in sql_text("shapes").split(";\n")[:-1]:
        if f"{macro.partition('(')[0].split()[-1]}(" in text:
            con.execute(macro)


def have_counted(reader: Reader, files: Sequence[Path], sizes: bool) -> list[Note]:
    """Make the view of all transactions, with those that only the rollups of these files tell of.

    sizes: with bytes. Where a rollup cannot be read, its rows are. TooMuchError: they are too many.
    """
    store, con = reader.store, cast(Any, reader.con)
    rollups = {path: store.rollup(path) for path in files}
    store.fetch(path for rollup in rollups.values() for path in rollup.values())
    broken = _made(reader, rollups, sizes)
    if broken:  # it may be what is kept here alone
        again = [one for path in broken for one in rollups[path].values()]
        for one in again:
            one.unlink(missing_ok=True)
        store.fetch(again)
        broken = _made(reader, rollups, sizes)
    rows = [path for path in broken if not is_early(path)]
    try:
        store.fetch(rows)
    except TooMuchError as error:
        names = ", ".join(path.name for path in rows[:3])
        text = f"rollups cannot be read ({names}), and their rows are too many: {error.message}"
        raise TooMuchError(text, error.hint) from None
    told = (
        "SELECT * EXCLUDE (file, key, hour, minute, requests), hour + to_minutes(minute) AS ts,"
        f" requests AS n FROM {COUNTED}_keys JOIN {COUNTED}_cells USING (file, key)"
    )
    until = f" WHERE ts < to_timestamp({reader.early.until})" if reader.early.until else ""
    parts = ["SELECT *, 1 AS n FROM transactions", f"FROM ({told}){until}"]
    parts += [f"SELECT *, 1 AS n FROM {parquet(rows)}"] if rows else []
    con.execute(f"CREATE VIEW {COUNTED} AS {' UNION ALL BY NAME '.join(parts)}")
    con.create_function(
        _QUANTILE, _quantiles, ["INTEGER[]", "BIGINT[]", "DOUBLE"], "DOUBLE", type="arrow"
    )
    count_rows(con, weighed=True)
    hours = sorted(path.parent.name.removeprefix("hour=") for path in files)
    text = "counted by rollups: times are those of minutes, durations within 5 %"
    notes = [Note("rounded", text, hour_start(hours[0]), hour_end(hours[-1]))]
    for path in broken:
        what = "is missing from this answer" if is_early(path) else "was counted from its rows"
        hour = path.parent.name.removeprefix("hour=")
        text = f"the rollup of {path.name} cannot be read; what it tells {what}"
        notes.append(Note("unreadable_file", text, hour_start(hour), hour_end(hour)))
    return notes


def _made(reader: Reader, rollups: Mapping[Path, Mapping[str, Path]], sizes: bool) -> list[Path]:
    """Make the tables of keys and cells; of which files there is no rollup that can be read."""
    whole = {path: of for path, of in rollups.items() if all(map(looks_whole, of.values()))}
    try:
        _read(reader, list(whole.values()), sizes)
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error:
        left = {path: of for path, of in whole.items() if all(map(is_readable, of.values()))}
        if len(left) == len(whole):
            raise
        whole = left
        _read(reader, list(whole.values()), sizes)
    return [path for path in rollups if path not in whole]


def _read(reader: Reader, rollups: Sequence[Mapping[str, Path]], sizes: bool) -> None:
    places = {t.rpartition("/")[2]: file_list(of[t] for of in rollups) for t in ROLLUPS}
    places["wanted"] = str(sizes)
    for name in ("keys", "cells"):
        text = sql_text(f"{COUNTED}_{name}", base=str(BUCKET_BASE), **places)
        reader.con.execute(f"CREATE OR REPLACE TEMP TABLE {COUNTED}_{name} AS {text}")


def _quantiles(values: Any, weights: Any, shares: Any) -> Any:
    """Arrow arrays of lists, of their weights, and of shares: the quantile of each list, between
    the two next to it as quantile_cont has it."""
    import numpy as np  # 50 ms, and nobody else who asks needs it
    import pyarrow as pa

    values, weights, shares = (
        one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one
        for one in (values, weights, shares)
    )
    lengths = values.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    flat, n = (one.flatten().to_numpy(zero_copy_only=False) for one in (values, weights))
    of = np.repeat(np.arange(lengths.size), lengths)
    order = np.lexsort((flat, of))
    flat, upto = flat[order], np.cumsum(n[order])
    ends = np.concatenate([[0], upto])[np.cumsum(lengths)]
    begins = np.concatenate([[0], ends[:-1]])
    known = ends > begins
    at = begins + shares.to_numpy(zero_copy_only=False) * np.maximum(ends - begins - 1, 0)
    low = np.floor(at)
    low_value, high_value = (
        flat[np.minimum(np.searchsorted(upto, place, "right"), flat.size - 1)] if flat.size else at
        for place in (low, np.ceil(at))
    )
    return pa.array(low_value + (at - low) * (high_value - low_value), pa.float64(), mask=~known)
