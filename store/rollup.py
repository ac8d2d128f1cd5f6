"""The rollup of a sealed hour: its requests counted by key, minute and duration.

Three tables of plain columns, joined by `key`, a number that means something only inside one hour
and file: `rollups/keys` (a row a key: its names, and sums of the hour), `rollups/minutes` and
`rollups/durations`. A key may come more than once: such rows add up. A rollup counts once its keys
are there; they are written last and deleted first. In merged
ones (store/layout.py) `recorder` is the group of recorders, or the one that has none, and sessions
are not told apart. What stands in `rollups/hour=…` itself is of a qrec that kept lists; it is not
read any more.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from store.derived import SQL, derived_sql

# Finer than 10 % steps costs space and gains nothing: the comparison's floor is 25 %.
BUCKET_BASE: Final = 1.1

KEYS: Final = "rollups/keys"
MINUTES: Final = "rollups/minutes"
DURATIONS: Final = "rollups/durations"
ROLLUPS: Final = (DURATIONS, MINUTES, KEYS)  # in the order in which they are written
OLD_ROLLUPS: Final = "rollups"

NAMES: Final = (
    "recorder", "session", "direction", "host", "method", "route", "status", "grpc_status",
    "container", "pod", "process", "signature",
)  # fmt: skip
COLUMNS: Final = {
    KEYS: ("key", *NAMES, "failed", "requests", "bytes_sent", "bytes_received", "active"),
    MINUTES: ("key", "minute", "requests", "bytes_sent", "bytes_received", "seq"),
    DURATIONS: ("key", "minute", "bucket", "requests"),
}
# The columns of `transactions` that a rollup is made of.
SOURCES: Final = (
    "ts", "duration_ms", "recorder", "session", "seq", "direction", "host", "method", "route",
    "status", "grpc_status", "container_name", "pod_name", "process_exe", "error_signature",
    "bytes_sent", "bytes_received",
)  # fmt: skip


def populations_sql(coverage: str) -> str:
    """A SELECT of recorders in a group (recorder, hour, population) from a relation of coverage."""
    text = (SQL / "populations.sql").read_text(encoding="utf-8")
    return text.replace("{coverage}", coverage)


@cache
def named_sql(rows: str) -> str:
    """A SELECT of the relation `rows`, transactions, under the names of keys."""
    text = (SQL / "named.sql").read_text(encoding="utf-8")
    derived = derived_sql().replace("{rows}", rows)
    return text.replace("{derived}", derived).replace("{base}", str(BUCKET_BASE))
