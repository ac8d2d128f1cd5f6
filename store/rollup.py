"""The rollup of a sealed hour: its requests counted by key, minute and duration.

A rollup is one row a key (columns KEY) and says for the whole hour how many `requests` it had and
in which minutes it was `active` (a bit a minute). Lists give the same minute by minute (`minutes`
and `minute_*`, of one length) and by duration (`duration_*`). A key may come more than once: such
rows add up. Rollups of an older shape lack some of COLUMNS; rows are then counted instead.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

# Finer than 10 % steps costs space and gains nothing: the comparison's floor is 25 %.
BUCKET_BASE = 1.1
CODES = 256  # codes of durations a minute: code = CODES * minute of the hour + bucket

KEY = (
    "recorder", "session", "direction", "host", "method", "route", "status", "container",
    "process", "signature",
)  # fmt: skip
COLUMNS = (
    *KEY, "requests", "active", "minutes", "minute_requests", "minute_bytes_sent",
    "minute_bytes_received", "minute_seq", "duration_codes", "duration_requests",
)  # fmt: skip
# The columns of `transactions` that a rollup is made of.
SOURCES = (
    "ts", "duration_ms", "recorder", "session", "seq", "direction", "host", "method", "route",
    "status", "container_name", "process_exe", "error_signature", "bytes_sent", "bytes_received",
)  # fmt: skip
TEXTS = (
    "recorder", "session", "direction", "host", "method", "route", "container_name",
    "process_exe", "error_signature",
)  # fmt: skip


@cache
def rollup_sql() -> str:
    """The SELECT that rolls up the relation `rows`: transactions of one hour."""
    return (files("store") / "sql" / "rollup.sql").read_text(encoding="utf-8")
