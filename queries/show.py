"""One transaction with all that was kept of it, and the bodies of a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from queries.bodies import DEFAULT_CHARS, MAX_CHARS, Body, body_of
from queries.core.answer import Note
from queries.core.escape import UNTRUSTED, visible
from queries.core.question import VERSION
from queries.find import find_row, parse_id

if TYPE_CHECKING:
    from store import Store

MAX_TOTAL = 100_000
_HEADER_CHARS = 1_000
_MOST_HEADERS = 100


@dataclass(frozen=True)
class Message:
    """A request or a response: headers in their order, and the body as far as it was kept."""

    headers: Mapping[str, str]
    body: Body


@dataclass(frozen=True)
class Found:
    """What redaction took out: which kind of secret, where, and its fingerprint."""

    kind: str
    place: str
    hint: str


@dataclass(frozen=True)
class Shown:
    """One transaction. `ts` is its end; durations in ms; status null: no response was seen."""

    id: str
    ts: datetime
    duration_ms: int | None
    direction: str | None
    method: str | None
    url: str
    host: str | None
    route: str | None
    protocol: str | None
    status: int | None
    grpc_status: str | None
    error_signature: str | None
    process_id: str | None
    process_exe: str | None
    container_name: str | None
    container_image: str | None
    pod_name: str | None
    pod_namespace: str | None
    bytes_sent: int | None
    bytes_received: int | None
    connection_id: str | None
    request_id: str | None
    trace_id: str | None
    findings: tuple[Found, ...]
    untrusted: str
    request: Message
    response: Message
    notes: tuple[Note, ...]
    truncated: bool
    version: int = field(default=VERSION)

    max_text: ClassVar[int] = MAX_CHARS


@dataclass(frozen=True)
class Payload:
    """The bodies of one transaction."""

    id: str
    request: Body
    response: Body


@dataclass(frozen=True)
class Payloads:
    """The bodies of the transactions asked for, in that order."""

    untrusted: str
    payloads: tuple[Payload, ...]
    notes: tuple[Note, ...]
    truncated: bool
    version: int = field(default=VERSION)

    max_text: ClassVar[int] = MAX_CHARS


def transaction(store: Store, text: str, max_chars: int = DEFAULT_CHARS) -> Shown:
    """The transaction with that id; at most `max_chars` characters of each body.

    UsageError, with the nearest id, when there is none.
    """
    row, notes = find_row(store, parse_id(text))
    request = _message(row, "req", max_chars)
    response = _message(row, "res", max_chars)
    plain: dict[str, Any] = {
        name: _short(visible(row[name])) if isinstance(row[name], str) else row[name]
        for name in Shown.__dataclass_fields__
        if name in row and name != "findings"
    }
    return Shown(
        id=transaction_id(row),
        url=url_of(row),
        findings=tuple(Found(**one) for one in row["findings"] or ()),
        untrusted=UNTRUSTED,
        request=request,
        response=response,
        notes=tuple(notes),
        truncated=request.body.cut or response.body.cut,
        **plain,
    )


def payloads(
    store: Store, texts: Sequence[str], max_chars: int = DEFAULT_CHARS, offset: int = 0
) -> Payloads:
    """The bodies of these transactions: `max_chars` characters of each from `offset` on.

    All of them together stay under MAX_TOTAL, so many ids get fewer characters each.
    """
    max_chars = min(max_chars, MAX_TOTAL // (2 * max(len(texts), 1)))
    found: list[Payload] = []
    notes: list[Note] = []
    for text in texts:
        row, noted = find_row(store, parse_id(text))
        sides = (_body(row, side, max_chars, offset) for side in ("req", "res"))
        found.append(Payload(transaction_id(row), *sides))
        notes += noted
    cut = any(side.cut for one in found for side in (one.request, one.response))
    return Payloads(UNTRUSTED, tuple(found), tuple(dict.fromkeys(notes)), cut)


def raw_body(store: Store, text: str, side: str) -> bytes:
    """The stored bytes of one body, as they are; `side` is req or res."""
    row, _ = find_row(store, parse_id(text))
    body: bytes | None = row[f"{side}_body"]
    return body or b""


def transaction_id(row: Mapping[str, Any]) -> str:
    return f"{row['recorder']}:{row['session']}:{row['seq']}"


def url_of(row: Mapping[str, Any]) -> str:
    """The address asked for, as far as it is known."""
    scheme = f"{row['scheme']}://" if row["scheme"] else ""
    query = f"?{row['query']}" if row["query"] else ""
    return visible(f"{scheme}{row['host'] or ''}{row['path'] or ''}{query}")


def _message(row: Mapping[str, Any], side: str, most: int) -> Message:
    headers = row[f"{side}_headers"] or []
    shown = {visible(name): _short(visible(value or "")) for name, value in headers[:_MOST_HEADERS]}
    if len(headers) > _MOST_HEADERS:
        shown["…"] = f"{len(headers) - _MOST_HEADERS} more headers"
    return Message(shown, _body(row, side, most, 0))


def _body(row: Mapping[str, Any], side: str, most: int, offset: int) -> Body:
    kind = row[f"{side}_content_type"]
    return body_of(kind and visible(kind), row[f"{side}_body"], row[f"{side}_body_bytes"], most,
                   offset)  # fmt: skip


def _short(value: str) -> str:
    more = len(value) - _HEADER_CHARS
    return value if more <= 0 else f"{value[:_HEADER_CHARS]}… ({more} more characters)"
