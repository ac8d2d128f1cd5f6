"""What is derived from recorded transactions, said once: of each its place, who, outcome and
failed, of an hour its rollup.

Questions, rollup and comparison read the view of `derived_sql`; filters, body keeping and error
signatures ask the functions. Both say the same where both do (tests/property/test_derived.py).

The rollup of a sealed hour is its requests, counted by key, minute and duration: three tables of
plain columns, joined by `key`, a number that means something only inside one hour and file:
`rollups/keys` (a row a key: its names, and sums of the hour), `rollups/minutes` and
`rollups/durations`. A key may come more than once: such rows add up. A rollup counts once its keys
are there; they are written last and deleted first. In merged ones (store/layout.py) `recorder` is
the group of recorders, or the one that has none, and sessions are not told apart. What stands in
`rollups/hour=…` itself is of a qrec that kept lists; it is not read any more.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, Literal

SQL: Final = Path(__file__).parent / "sql"
# Where a call goes: outside (it leaves this machine's network), inside, here (served).
Place = Literal["outside", "inside", "here", "unknown"]
Outcome = Literal["ok", "client_error", "server_error", "no_response"]

GRPC_OK: Final = ("", "0", "OK")
# The statuses that OpenTelemetry's conventions for RPC lay at a server's door: UNKNOWN,
# DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. Others are the caller's.
GRPC_SERVER_ERRORS: Final = ("2", "4", "12", "13", "14", "15")
GRPC_NAMES: Final = {
    "1": "CANCELLED", "2": "UNKNOWN", "3": "INVALID_ARGUMENT", "4": "DEADLINE_EXCEEDED",
    "5": "NOT_FOUND", "6": "ALREADY_EXISTS", "7": "PERMISSION_DENIED", "8": "RESOURCE_EXHAUSTED",
    "9": "FAILED_PRECONDITION", "10": "ABORTED", "11": "OUT_OF_RANGE", "12": "UNIMPLEMENTED",
    "13": "INTERNAL", "14": "UNAVAILABLE", "15": "DATA_LOSS", "16": "UNAUTHENTICATED",
}  # fmt: skip


@cache
def derived_sql() -> str:
    """A SELECT over the relation {rows}, transactions as they are stored, that adds place, who,
    outcome and failed to the columns."""
    return (SQL / "derived.sql").read_text(encoding="utf-8")


def outcome(status: int | None, grpc_status: str | None) -> Outcome:
    """How a request ended: an HTTP status of 400 or more, a gRPC status other than OK, no status
    at all (no response), or well."""
    if status is None:
        return "no_response"
    if status >= 500:
        return "server_error"
    if status >= 400:
        return "client_error"
    if (grpc_status or "") in GRPC_OK:
        return "ok"
    return "server_error" if grpc_status in GRPC_SERVER_ERRORS else "client_error"


def failed(status: int | None, grpc_status: str | None) -> bool:
    """Whether a request failed: its outcome is not ok."""
    return outcome(status, grpc_status) != "ok"


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
