"""The texts of a row: where each belongs, how it is read, and how a clean one is put back."""

from __future__ import annotations

from recorder.decode.row import Secret, Transaction
from recorder.redact.looks import other_number
from recorder.redact.replace import Mark
from recorder.redact.text import FORM, NO_CARD

HEADER, COLUMN, BODY = range(3)

# Headers that hold an address, whose query is read as a query.
_ADDRESSES = frozenset(
    ("referer", "location", "content-location", "origin", ":path", "link", "x-original-url",
     "x-forwarded-uri", "x-rewrite-url", "refresh")
)  # fmt: skip


class Slot:
    """A header, column or body of a row. `place` names it in the row's secrets; `misses` counts how
    often a header's value had not been seen before."""

    __slots__ = ("flags", "misses", "name", "place", "side", "what")

    def __init__(self, what: int, side: str, name: str, place: str, flags: int = 0) -> None:
        self.what = what
        self.side = side
        self.name = name
        self.place = place
        self.flags = flags
        self.misses = 0


def header_slot(side: str, name: str) -> Slot:
    """The slot of a header that its name does not make a secret."""
    lower = name.lower()
    place = "request.query" if lower == ":path" else f"{side}.header.{lower}"
    flags = FORM if lower in _ADDRESSES else 0
    return Slot(
        HEADER,
        side,
        name,
        place,
        flags | (NO_CARD if other_number(name.encode("utf-8", "surrogatepass")) else 0),
    )


PATH = Slot(COLUMN, "request", "path", "request.path")
QUERY = Slot(COLUMN, "request", "query", "request.query", FORM)
TRACE = Slot(COLUMN, "request", "trace_id", "trace_id")
# How to read a body decides its flags, so there is a slot for each.
REQUEST_BODY = [Slot(BODY, "request", "req_body", "request.body", flags) for flags in range(8)]
RESPONSE_BODY = [Slot(BODY, "response", "res_body", "response.body", flags) for flags in range(8)]

# Columns of few different values: once clean together, always clean together.
FEW = [
    Slot(COLUMN, "request", "method", "request.method"),
    Slot(COLUMN, "request", "host", "request.host"),
    Slot(COLUMN, "request", "authority", "request.host"),
    Slot(COLUMN, "request", "user_agent", "request.header.user-agent"),
    Slot(COLUMN, "request", "req_content_type", "request.header.content-type"),
    Slot(COLUMN, "response", "res_content_type", "response.header.content-type"),
    Slot(COLUMN, "request", "endpoint_id", "endpoint_id"),
    Slot(COLUMN, "response", "grpc_status", "response.header.grpc-status"),
    Slot(COLUMN, "request", "route", "request.path"),
    Slot(COLUMN, "response", "error_signature", "response.body"),
]

Few = tuple[str | None, ...]


def few(tx: Transaction) -> Few:
    """The values of the columns in FEW."""
    return (
        tx.method, tx.host, tx.authority, tx.user_agent, tx.req_content_type, tx.res_content_type,
        tx.endpoint_id, tx.grpc_status, tx.route, tx.error_signature,
    )  # fmt: skip


def secrets(marks: list[Mark], place: str) -> list[Secret]:
    """The secrets that marks at a place stand for."""
    return [
        Secret(mark.kind, f"{place}.{mark.name}" if mark.name else place, mark.fingerprint)
        for mark in marks
    ]


def emptied(tx: Transaction) -> None:
    """Keep what a row needs to be counted; nothing that came out of the traffic itself."""
    tx.path, tx.route, tx.query, tx.user_agent, tx.trace_id = "/", None, None, None, None
    tx.req_headers, tx.res_headers = {}, {}
    tx.req_body = tx.res_body = tx.error_signature = None
    tx.req_content_type = tx.res_content_type = tx.endpoint_id = tx.authority = None
    tx.findings = [Secret("unreadable", "transaction", "")]
