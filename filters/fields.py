"""The fields that a filter can name: where each comes from, and where it can be used.

A field is used at up to three places: Qtap evaluates it for HTTP transactions ("push"), the
recorder sees it in the event ("record"), the store has it in a column ("where").
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias
from typing import Literal as OneOf

Kind: TypeAlias = OneOf["text", "int", "texts"]
Use: TypeAlias = OneOf["push", "record", "where"]

# Qtap reports 422 where it saw no response; filters keep that, so that they mean the same here
NO_RESPONSE: Final = 422
_PID_DIGITS: Final = 18  # what fits in 64 bits whatever the digits


class FieldSpec(NamedTuple):
    """One field: name, kind, how to read it off a row and in SQL, where it can be used.

    `columns` are the columns of `transactions` it needs; `sql` is the expression over them, with
    `{column}` in place of each, null where the field is missing; `read` the same over a
    recorder's Transaction, None where missing. `known_to_qtap`: Qtap's documentation has it.
    `always`: never missing.
    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    sql: str
    read: Callable[[Any], Any]
    uses: frozenset[Use]
    doc: str
    known_to_qtap: bool = False
    always: bool = False


def _column(name: str) -> Callable[[Any], Any]:
    return lambda tx: getattr(tx, name, None)


def _plain(field: str, column: str, doc: str, kind: Kind = "text") -> FieldSpec:
    """A column that only the store filters on."""
    uses: frozenset[Use] = frozenset({"where"})
    return FieldSpec(field, kind, (column,), f"{{{column}}}", _column(column), uses, doc)


def _live(spec: FieldSpec, push: bool = False, qtap: bool = True) -> FieldSpec:
    """A field that the recorder can filter on too, and Qtap where `push`."""
    uses: frozenset[Use] = frozenset({"push", "record", "where"} if push else {"record", "where"})
    return spec._replace(uses=uses, known_to_qtap=qtap)


def _status(tx: Any) -> int:
    status = tx.status
    return NO_RESPONSE if status is None else int(status)


def _binary(tx: Any) -> str | None:
    return None if tx.process_exe is None else tx.process_exe.rpartition("/")[2]


def _pid(tx: Any) -> int | None:
    text = tx.process_id or ""
    number = text.isascii() and text.isdigit() and len(text) <= _PID_DIGITS
    return int(text) if number else None


def _url(tx: Any) -> str | None:
    if tx.host is None or tx.path is None:
        return None
    scheme = f"{tx.scheme}://" if tx.scheme else ""
    return f"{scheme}{tx.host}{tx.path}" + (f"?{tx.query}" if tx.query else "")


def _outcome(tx: Any) -> str:
    if tx.status is None:
        return "no_response"
    if tx.status < 400:
        return "ok"
    return "client_error" if tx.status < 500 else "server_error"


def _body(column: str) -> Callable[[Any], str | None]:
    def read(tx: Any) -> str | None:
        try:
            body = getattr(tx, column)
            return None if body is None else body.decode()
        except UnicodeDecodeError:
            return None

    return read


_PID_SQL = f"""CASE WHEN regexp_full_match({{process_id}}, '[0-9]{{{{1,{_PID_DIGITS}}}}}')
 THEN CAST({{process_id}} AS BIGINT) END"""
_URL_SQL = """CASE WHEN {scheme} <> '' THEN {scheme} || '://' ELSE '' END
 || {host} || {path} || CASE WHEN {query} <> '' THEN '?' || {query} ELSE '' END"""
_OUTCOME_SQL = """CASE WHEN {status} IS NULL THEN 'no_response' WHEN {status} < 400 THEN 'ok'
 WHEN {status} < 500 THEN 'client_error' ELSE 'server_error' END"""
_BINARY_SQL = "regexp_extract({process_exe}, '[^/]*$')"


def _derived(
    name: str, kind: Kind, columns: str, sql: str, read: Callable[[Any], Any], doc: str
) -> FieldSpec:
    uses: frozenset[Use] = frozenset({"where"})
    return FieldSpec(name, kind, tuple(columns.split()), sql, read, uses, doc)


_status_sql = f"coalesce({{status}}, {NO_RESPONSE})"
_all = (
    _live(_plain("req.method", "method", "request method, as sent: GET"), push=True),
    _live(_plain("req.host", "host", "host, lower case, without a default port"), push=True),
    _live(
        _derived("res.status", "int", "status", _status_sql, _status, "status; 422: no response"),
        push=True,
    )._replace(always=True),
    _live(_plain("direction", "direction", "ingress, egress-internal or egress-external")),
    _live(_plain("protocol", "protocol", "http1, http2 or grpc")),
    _live(_plain("process.path", "process_exe", "the program's file: /usr/bin/curl")),
    _live(
        _derived("process.binary", "text", "process_exe", _BINARY_SQL, _binary, "its name: curl")
    ),
    _live(_derived("process.pid", "int", "process_id", _PID_SQL, _pid, "process number")),
    _live(_plain("container.name", "container_name", "container")),
    _live(_plain("container.image", "container_image", "container image")),
    _live(_plain("pod.name", "pod_name", "Kubernetes pod")),
    _live(_plain("pod.namespace", "pod_namespace", "its namespace")),
    _live(_plain("dst.domain", "endpoint_id", "the name connected to, or its address")),
    _plain("req.path", "path", "path, without the query")._replace(known_to_qtap=True),
    _derived(
        "req.url", "text", "scheme host path query", _URL_SQL, _url, "the whole address"
    )._replace(known_to_qtap=True),
    _plain("req.scheme", "scheme", "http or https"),
    _plain("req.query", "query", "what follows the ?"),
    _plain("req.content_type", "req_content_type", "content type of the request"),
    _plain("res.content_type", "res_content_type", "content type of the response"),
    _plain("req.user_agent", "user_agent", "user agent"),
    _derived(
        "req.body", "text", "req_body", "TRY(decode({req_body}))", _body("req_body"),
        "request body, where it is text, as far as it was kept",
    ),
    _derived(
        "res.body", "text", "res_body", "TRY(decode({res_body}))", _body("res_body"),
        "response body, likewise",
    ),
    _plain("req.body_bytes", "req_body_bytes", "size of the request body", "int"),
    _plain("res.body_bytes", "res_body_bytes", "size of the response body", "int"),
    _plain("route", "route", "path with its variable parts named: /v1/customers/{id}"),
    _plain("duration_ms", "duration_ms", "milliseconds from request to response headers", "int"),
    _derived(
        "outcome", "text", "status", _OUTCOME_SQL, _outcome,
        "ok, client_error, server_error or no_response",
    )._replace(always=True),
    _plain("error_signature", "error_signature", "of a failed response: its type, code, message"),
    _plain("grpc_status", "grpc_status", "gRPC status, a number as text"),
    _plain("bytes_sent", "bytes_sent", "bytes of the request side", "int"),
    _plain("bytes_received", "bytes_received", "bytes of the response side", "int"),
    _plain("endpoint_id", "endpoint_id", "same as dst.domain"),
    _plain("connection_id", "connection_id", "Qtap's id of the connection"),
    _plain("request_id", "request_id", "Qtap's id of the transaction"),
    _plain("trace_id", "trace_id", "id of the distributed trace"),
    _derived(
        "findings.kind", "texts", "findings",
        "coalesce(list_transform({findings}, lambda f: f.kind), [])",
        lambda tx: tuple(one.kind for one in tx.findings), "what redaction took out, any of it",
    )._replace(always=True),
    _plain("recorder", "recorder", "name of the recorder"),
    _plain("session", "session", "one run of a recorder"),
)  # fmt: skip

FIELDS: Final[dict[str, FieldSpec]] = {spec.name: spec for spec in _all}
HEADER_PREFIXES: Final = {"req.header.": "req_headers", "res.header.": "res_headers"}

_NO_ADDRESS = "Qtap's HTTP transactions carry no addresses or ports; dst.domain has the name"
_NO_TLS = "Qtap's HTTP transactions carry nothing of TLS; req.scheme is https (with --where)"
_NO_PROCESS = "Qtap's HTTP transactions carry no more of a process than its path and number"
_NO_CONTAINER = "Qtap's HTTP transactions carry no more of a container than name and image"
_NO_POD = "Qtap's HTTP transactions carry no more of a pod than name and namespace"
# names, or beginnings of names, that Qtap documents and that no HTTP transaction ever has
NEVER_CARRIED: Final = {
    "src.": _NO_ADDRESS,
    "dst.ip": _NO_ADDRESS,
    "dst.port": _NO_ADDRESS,
    "tls.": _NO_TLS,
    "type": "HTTP transactions always run over TCP",
    "process.hostname": _NO_PROCESS,
    "process.user.": _NO_PROCESS,
    "container.id": _NO_CONTAINER,
    "container.labels.": _NO_CONTAINER,
    "pod.labels.": _NO_POD,
    "pod.annotations.": _NO_POD,
}
# what people call a field elsewhere; every column name of the store is one, too
_ALIASES = {
    "host": "req.host",
    "domain": "req.host",
    "req.domain": "req.host",
    "status": "res.status",
    "status_code": "res.status",
    "res.status_code": "res.status",
    "code": "res.status",
    "method": "req.method",
    "verb": "req.method",
    "path": "req.path",
    "url": "req.url",
    "duration": "duration_ms",
    "latency": "duration_ms",
    "container": "container.name",
    "image": "container.image",
    "pod": "pod.name",
    "namespace": "pod.namespace",
    "process": "process.binary",
    "binary": "process.binary",
    "exe": "process.path",
    "pid": "process.pid",
    "query": "req.query",
    "error": "error_signature",
    "findings": "findings.kind",
}


def resolve(name: str) -> FieldSpec | None:
    """The field of that name, headers included; None where there is none."""
    return FIELDS.get(name) or _header(name)


_TOKEN = re.compile(r"[a-z0-9_.-]+")  # what a name of a filter can hold, safe inside quotes


@lru_cache(maxsize=256)
def _header(name: str) -> FieldSpec | None:
    prefix, column = next(
        ((one, column) for one, column in HEADER_PREFIXES.items() if name.startswith(one)),
        ("", ""),
    )
    header = name[len(prefix) :].lower()
    if not prefix or not _TOKEN.fullmatch(header):
        return None

    def read(tx: Any) -> str | None:
        found = (value for key, value in getattr(tx, column).items() if key.lower() == header)
        return next(found, None)

    keys = f"list_transform(map_keys({{{column}}}), lambda k: lower(k))"
    sql = f"list_extract(map_values({{{column}}}), list_position({keys}, '{header}'))"
    return _derived(name, "text", column, sql, read, f"the header {header}")


def nearest(name: str, among: Iterable[str]) -> str | None:
    """The name that was probably meant, by other tools' names for it or by spelling."""
    among = list(among)
    if name.lower().startswith(("req.headers.", "res.headers.")):
        return f"{name[:3].lower()}.header.{name[12:]}"
    wanted = name.lower()
    for prefix in ("http.", "request.", "response.", "http.request.", "http.response."):
        wanted = wanted.removeprefix(prefix)
    columns = {column: spec.name for spec in reversed(_all) for column in spec.columns[:1]}
    known = _ALIASES.get(wanted) or columns.get(wanted)
    if known in among:
        return known
    lowered = {one.lower(): one for one in among}
    lowered |= {alias: one for alias, one in _ALIASES.items() if one in among}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


_READERS = {name: spec.read for name, spec in FIELDS.items()}


def row_fields(tx: Any) -> Mapping[str, Any]:
    """The fields of a recorder's Transaction, read when asked for: `row["req"]["method"]`.

    A field without a value (None) is missing, as it would be in Qtap's event.
    """
    return _Row(tx)


class _Row(Mapping[str, Any]):
    """Also answers to whole dotted names, which is what compiled filters ask first."""

    __slots__ = ("_prefix", "_tx")

    def __init__(self, tx: Any, prefix: str = "") -> None:
        self._tx = tx
        self._prefix = prefix

    def get(self, key: str, default: Any = None) -> Any:
        name = self._prefix + key
        read = _READERS.get(name)
        if read is None:
            spec = resolve(name)
            if spec is None:
                return _Row(self._tx, f"{name}.") if name in _BRANCHES else default
            read = spec.read
        value = read(self._tx)
        return default if value is None else value

    def __getitem__(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        below = (name[len(self._prefix) :] for name in FIELDS if name.startswith(self._prefix))
        names = dict.fromkeys(name.partition(".")[0] for name in below)
        return (name for name in names if self.get(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


_BRANCHES = {
    name[:place]
    for name in [*FIELDS, "req.header.", "res.header."]
    for place, char in enumerate(name)
    if char == "."
}
