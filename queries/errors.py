"""What fails: by endpoint, status and what the error says, with one answer of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from queries.bodies import Body, body_of
from queries.core.answer import Note, Side
from queries.core.escape import UNTRUSTED
from queries.core.paging import page_of
from queries.core.question import DEFAULT_LIMIT, VERSION, Asking, Place, asking, share
from queries.core.window import Window

if TYPE_CHECKING:
    from filters import Expr
    from store import Store

_BODY = 600  # characters of an example's body
_BODIES = 24_000  # characters of all of them together
_PEOPLE = 5
_KINDS = 5  # kinds of error that are shown of one container
_ANY = "NULL::VARCHAR"


@dataclass(frozen=True)
class Example:
    """One transaction of a kind: its id, for `qrec show`, its time, and what was answered."""

    transaction: str
    ts: datetime
    body: Body


@dataclass(frozen=True)
class ErrorRow:
    """One kind of failure. status null: no response at all. share: of all failures asked about.

    containers: the busiest five of those that met it (executables where there is no container).
    """

    place: Place
    method: str | None
    host: str | None
    route: str | None
    status: int | None
    grpc_status: str | None
    signature: str | None
    errors: int
    share: float
    first_seen: datetime
    last_seen: datetime
    containers: tuple[str, ...]
    containers_total: int
    example: Example


@dataclass(frozen=True)
class Errors:
    """The failures of a window, the most frequent first; gRPC calls that fail with 200 included."""

    window: Side
    untrusted: str
    notes: tuple[Note, ...]
    errors: tuple[ErrorRow, ...]
    next_cursor: str | None
    truncated: bool
    version: int = field(default=VERSION)


@dataclass(frozen=True)
class ContainerErrors:
    """What fails in one container: how much, of how many kinds, and the most frequent five."""

    container: str | None
    requests: int
    errors: int
    error_share: float
    kinds: int
    top: tuple[ErrorRow, ...]


@dataclass(frozen=True)
class ErrorsByContainer:
    """The containers in which requests fail, those with the most failures first."""

    window: Side
    untrusted: str
    notes: tuple[Note, ...]
    containers: tuple[ContainerErrors, ...]
    truncated: bool
    version: int = field(default=VERSION)


def errors(
    store: Store,
    window: Window,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    container: str | None = None,
    cursor: str | None = None,
) -> Errors:
    """The kinds of failure among the window's transactions that match; at most `limit` rows."""
    page = page_of(cursor, window, limit, "errors", where and where.text, container)
    with asking(store, page.window, where, container=container) as asked:
        asked.collapse()
        rows = asked.rows("errors", {"rows": page.rows}, side=_ANY)
        whole = asked.rows("error_totals", side=_ANY)
        counts = (whole[0]["requests"], whole[0]["errors"]) if whole else (0, 0)
        found = asked.found(rows[page.offset :], limit, counts, page=page)
        kinds = _rows(asked, found.rows, counts[1], _room(len(found.rows)))
    return Errors(
        window=found.window,
        untrusted=UNTRUSTED,
        notes=found.notes,
        errors=tuple(kinds),
        next_cursor=found.next_cursor,
        truncated=found.truncated,
    )


def errors_by_container(
    store: Store, window: Window, where: Expr | None = None, limit: int = DEFAULT_LIMIT
) -> ErrorsByContainer:
    """The same by container; at most `limit` containers, with five kinds of failure each."""
    with asking(store, window, where) as asked:
        asked.collapse()
        whole = asked.rows("error_totals", side="who")
        counts = (sum(row["requests"] for row in whole), sum(row["errors"] for row in whole))
        failing = [row for row in whole if row["errors"]]
        found = asked.found(failing, limit, counts)
        kinds: dict[str | None, list[dict[str, Any]]] = {}
        for row in asked.rows("errors", {"rows": 1_000_000}, side="who"):
            kinds.setdefault(row["side"], []).append(row)
        room = _room(len(found.rows) * _KINDS)
        containers = [_container(asked, row, kinds[row["side"]], room) for row in found.rows]
    return ErrorsByContainer(
        found.window, UNTRUSTED, found.notes, tuple(containers), found.truncated
    )


def _container(
    asked: Asking, row: dict[str, Any], kinds: list[dict[str, Any]], room: int
) -> ContainerErrors:
    return ContainerErrors(
        container=row["side"],
        requests=row["requests"],
        errors=row["errors"],
        error_share=share(row["errors"], row["requests"]),
        kinds=len(kinds),
        top=tuple(_rows(asked, kinds[:_KINDS], row["errors"], room)),
    )


def _room(rows: int) -> int:
    """Characters of each body: fewer where there are many, so that an answer stays readable."""
    return max(min(_BODY, _BODIES // max(rows, 1)), 120)


def _rows(asked: Asking, rows: Sequence[dict[str, Any]], whole: int, room: int) -> list[ErrorRow]:
    examples = _examples(asked, [row["one"] for row in rows], room)
    return [_row(row, whole, example) for row, example in zip(rows, examples, strict=True)]


def _row(row: dict[str, Any], whole: int, example: Example) -> ErrorRow:
    row = {name: value for name, value in row.items() if name not in ("side", "one")}
    who = row.pop("who")
    return ErrorRow(
        share=share(row["errors"], whole),
        containers=tuple(who[:_PEOPLE]),
        containers_total=len(who),
        example=example,
        **row,
    )


def _examples(asked: Asking, ones: list[dict[str, Any]], room: int) -> list[Example]:
    import pyarrow as pa

    from store.schema import TRANSACTIONS

    names = ("ts", "recorder", "session", "seq")
    text = {"recorder": pa.string(), "session": pa.string()}
    schema = pa.schema([(n, text.get(n, TRANSACTIONS.field(n).type)) for n in names])
    table = pa.table({n: [one[n] for one in ones] for n in names}, schema=schema)
    asked.reader.con.register("chosen", table)
    bodies = {_id(row): row for row in asked.rows("bodies")} if ones else {}
    found = []
    for one in ones:
        row = bodies.get(_id(one), {})
        body = body_of(
            row.get("res_content_type"), row.get("res_body"), row.get("res_body_bytes"), room
        )
        found.append(Example(_id(one), one["ts"], body))
    return found


def _id(row: dict[str, Any]) -> str:
    return f"{row['recorder']}:{row['session']}:{row['seq']}"
