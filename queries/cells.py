"""Per-minute cells of the spans a comparison asks for, from rollups where there are any.

A sealed hour carries its cells as a rollup of the same name; only what is still live (or has no
rollup, or must pass a filter) is counted from its rows. Both ways give the same cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from queries.collapse import collapse
from queries.reader import Reader, looks_whole
from queries.windows import Window
from store.cells import cells_sql


def load_cells(
    reader: Reader,
    spans: Sequence[Window],
    where: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Make the table `cells` on the reader's connection: columns as in store/cells.py.

    where: a DuckDB condition over `transactions`, with parameters; it forces the way over rows.
    """
    paths = reader.files["transactions"]
    rollups = {} if where else {p: r for p in paths if (r := _rollup(reader, p)) is not None}
    try:
        _make(reader, spans, rollups, where, params)
    except duckdb.Error:
        # A rollup that breaks in the middle: the rows that it was made of are still there.
        _make(reader, spans, {}, where, params)
    _collapse_routes(reader)


def _make(
    reader: Reader,
    spans: Sequence[Window],
    rollups: Mapping[Path, Path],
    where: str | None,
    params: Mapping[str, Any] | None,
) -> None:
    raw = [path for path in reader.files["transactions"] if path not in rollups]
    parts = []
    if rollups:
        files = _files(list(rollups.values()))
        parts.append(f"SELECT * FROM {files} WHERE {_within('minute', spans)}")
    if raw:
        condition = _within("ts", spans) + (f" AND ({where})" if where else "")
        parts.append(cells_sql(f"(FROM {_files(raw)} WHERE {condition})"))
    if not parts:
        parts.append(cells_sql("transactions") + " LIMIT 0")
    text = " UNION ALL BY NAME ".join(f"({part})" for part in parts)
    reader.query(f"CREATE OR REPLACE TEMP TABLE cells AS {text}", params)


def _collapse_routes(reader: Reader) -> None:
    """Levels of a path with too many values over all spans together become one route."""
    counts = reader.query(
        "SELECT host, route, sum(requests)::BIGINT AS requests FROM cells"
        " WHERE route IS NOT NULL GROUP BY ALL"
    ).to_pylist()
    mapping = collapse({(row["host"] or "", row["route"]): row["requests"] for row in counts})
    changed = {key: route for key, route in mapping.items() if key[1] != route}
    if not changed:
        return
    rows = [{"host": host, "old": old, "new": new} for (host, old), new in changed.items()]
    reader.con.register("renamed", pa.Table.from_pylist(rows))
    reader.con.execute(
        "UPDATE cells SET route = new FROM renamed"
        " WHERE coalesce(cells.host, '') = renamed.host AND cells.route = renamed.old"
    )


def _rollup(reader: Reader, path: Path) -> Path | None:
    """The rollup beside a sealed file; None for a live segment or where there is none."""
    if not path.parent.name.startswith("hour="):
        return None
    rollup = reader.store.path / "rollups" / path.parent.name / path.name
    return rollup if looks_whole(rollup) else None


def _files(paths: Sequence[Path]) -> str:
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def _within(column: str, spans: Sequence[Window]) -> str:
    return (
        "("
        + " OR ".join(
            f"({column} >= '{span.from_ts.isoformat()}'::TIMESTAMPTZ"
            f" AND {column} < '{span.to_ts.isoformat()}'::TIMESTAMPTZ)"
            for span in spans
        )
        + ")"
    )
