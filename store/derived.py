"""What is derived from a recorded transaction, said once: place, who, outcome and failed.

Questions, rollup and comparison read the view of `derived_sql`; filters, body keeping and error
signatures ask the functions. Both say the same where both do (tests/property/test_derived.py).
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
