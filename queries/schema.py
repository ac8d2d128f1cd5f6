"""What JSON an endpoint takes and gives: a schema of the bodies that went by, and its changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from queries.core.answer import BaselineSide, Note, Side
from queries.core.escape import visible
from queries.core.question import DEFAULT_LIMIT, VERSION, Asking, asking
from queries.core.window import Baseline, Window
from queries.shape_changes import Difference, differences
from queries.shapes import Shape, add_body, schema_of

if TYPE_CHECKING:
    from filters import Expr
    from store import Store

_SAMPLE = 60  # bodies of an endpoint and class of status
_COMPARED = 100  # endpoints that two windows are compared in
Endpoint = tuple[str, str, str]  # method, host, route; missing text is ''
Side_ = tuple[str, str]  # request or response, and the class of the status: 2xx


@dataclass(frozen=True)
class EndpointSchema:
    """An endpoint's JSON. request and responses (by class of status) are JSON Schemas.

    sampled: JSON bodies that were looked at; null and {} where there was none.
    """

    method: str
    host: str
    route: str
    requests: int
    sampled: int
    request: Mapping[str, Any] | None
    responses: Mapping[str, Any]


@dataclass(frozen=True)
class Schemas:
    """The schemas of a window's busiest endpoints."""

    window: Side
    notes: tuple[Note, ...]
    endpoints: tuple[EndpointSchema, ...]
    truncated: bool
    version: int = field(default=VERSION)


@dataclass(frozen=True)
class SchemaChange:
    """A field of an endpoint's bodies that appeared, vanished or changed its type.

    part: request, or response with the class of its status: `response 2xx`.
    """

    method: str
    host: str
    route: str
    part: str
    path: str
    change: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    before_share: float | None
    after_share: float | None


@dataclass(frozen=True)
class SchemaChanges:
    """Changes between a baseline and a window; compared: endpoints with JSON on both sides."""

    window: Side
    baseline: BaselineSide
    notes: tuple[Note, ...]
    compared: int
    changes: tuple[SchemaChange, ...]
    truncated: bool
    version: int = field(default=VERSION)


@dataclass
class _Looked:
    """What one stretch showed."""

    window: Side
    notes: tuple[Note, ...]
    requests: dict[Endpoint, int]
    shapes: dict[Endpoint, dict[Side_, Shape]]
    more: bool


def schema(
    store: Store, window: Window, where: Expr | None = None, limit: int = DEFAULT_LIMIT
) -> Schemas:
    """The schemas of the `limit` busiest endpoints with bodies in what matches."""
    looked = _look(store, window, where, limit)
    rows = [
        _endpoint(key, count, looked.shapes.get(key, {})) for key, count in looked.requests.items()
    ]
    return Schemas(looked.window, looked.notes, tuple(rows), looked.more)


def compare_schemas(
    store: Store,
    window: Window,
    baseline: Baseline,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
) -> SchemaChanges:
    """What changed in the bodies of the window's endpoints against the baseline."""
    now = _look(store, window, where, _COMPARED)
    before = [_look(store, span, where, 2 * _COMPARED) for span in baseline.spans]
    old: dict[Endpoint, dict[Side_, Shape]] = {}
    for looked in before:
        for key, parts in looked.shapes.items():
            old.setdefault(key, {}).update(parts)  # of several days the last that had it
    shared = [key for key in now.requests if key in now.shapes and key in old]
    changes = [change for key in shared for change in _changes(key, old[key], now.shapes[key])]
    return SchemaChanges(
        window=now.window,
        baseline=_baseline_side(baseline, [looked.window for looked in before]),
        notes=tuple(dict.fromkeys(note for one in (now, *before) for note in one.notes)),
        compared=len(shared),
        changes=tuple(changes[:limit]),
        truncated=len(changes) > limit,
    )


def _look(store: Store, window: Window, where: Expr | None, limit: int) -> _Looked:
    with asking(store, window, where) as asked:
        rows = asked.rows("schema_endpoints", {"rows": limit + 1})
        totals = (rows[0]["all_requests"], rows[0]["all_errors"]) if rows else (0, 0)
        found = asked.found([row for row in rows if row["bodies"]], limit, totals)
        counts = {_key(row): row["requests"] for row in found.rows}
        return _Looked(found.window, found.notes, counts, _shapes(asked, counts), found.truncated)


def _shapes(asked: Asking, wanted: Iterable[Endpoint]) -> dict[Endpoint, dict[Side_, Shape]]:
    import pyarrow as pa

    columns = list(zip(*wanted, strict=True)) or [(), (), ()]
    names = ("method", "host", "route")
    table = {name: pa.array(columns[at], pa.string()) for at, name in enumerate(names)}
    asked.reader.con.register("wanted", pa.table(table))
    found: dict[Endpoint, dict[Side_, Shape]] = {}
    for row in asked.rows("schema_bodies", {"sample": _SAMPLE}):
        parts = found.setdefault(_key(row), {})
        answer = ("response", "none" if row["status"] is None else f"{row['status'] // 100}xx")
        for part, body in ((("request", ""), row["req_body"]), (answer, row["res_body"])):
            shape = parts.get(part) or Shape()
            if add_body(shape, body):
                parts[part] = shape
    return {key: parts for key, parts in found.items() if parts}


def _key(row: Mapping[str, Any]) -> Endpoint:
    return row["method"] or "", row["host"] or "", row["route"] or ""


def _endpoint(key: Endpoint, requests: int, parts: Mapping[Side_, Shape]) -> EndpointSchema:
    request = parts.get(("request", ""))
    method, host, route = map(visible, key)
    return EndpointSchema(
        method=method,
        host=host,
        route=route,
        requests=requests,
        sampled=sum(shape.seen for shape in parts.values()),
        request=None if request is None else schema_of(request),
        responses={
            status: schema_of(shape)
            for (side, status), shape in sorted(parts.items())
            if side == "response"
        },
    )


def _changes(
    key: Endpoint, old: Mapping[Side_, Shape], new: Mapping[Side_, Shape]
) -> Iterable[SchemaChange]:
    for part in sorted(old.keys() & new.keys()):
        for one in differences(old[part], new[part]):
            yield _change(key, " ".join(part).strip(), one)


def _change(key: Endpoint, part: str, one: Difference) -> SchemaChange:
    method, host, route = map(visible, key)
    return SchemaChange(method=method, host=host, route=route, part=part, **vars(one))


def _baseline_side(baseline: Baseline, sides: list[Side]) -> BaselineSide:
    return BaselineSide(
        from_ts=baseline.from_ts,
        to_ts=baseline.to_ts,
        covered_s=sum(side.covered_s for side in sides),
        requests=sum(side.requests for side in sides),
        errors=sum(side.errors for side in sides),
        kind=baseline.kind,
    )
