"""Per-minute cells: the same counting for a sealed hour's rollup and for rows still live."""

from __future__ import annotations

from importlib.resources import files

# Finer than 10 % steps costs space and gains nothing: the comparison's floor is 25 %.
BUCKET_BASE = 1.1

COLUMNS = (
    "recorder", "minute", "direction", "host", "method", "route", "status", "container",
    "process", "signature", "requests", "bytes_sent", "bytes_received", "durations", "sample",
)  # fmt: skip


def cells_sql(rows: str) -> str:
    """The SELECT that makes cells of the relation `rows` (a view's name or a subquery)."""
    text = (files("store") / "sql" / "cells.sql").read_text(encoding="utf-8")
    return text.replace("FROM rows", f"FROM {rows}")
