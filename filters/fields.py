"""The fields that a filter can name: where each comes from, where it can be used, and whether a
filter asks for what there is.

A field is used at up to three places: Qtap evaluates it for HTTP transactions ("push"), the
recorder sees it in the event ("record"), the store has it in a column ("where").
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias
from typing import Literal as OneOf

from filters.nodes import (
    Call,
    Compare,
    Expr,
    Field,
    FilterError,
    Leaf,
    field_nodes,
    leaves,
    missing_of,
    operands,
    parts,
    render,
)
from filters.values import FUNCTIONS
from store.derived import derived_sql, outcome

Kind: TypeAlias = OneOf["text", "int", "texts"]
Use: TypeAlias = OneOf["push", "record", "where"]

# Qtap reports 422 where it saw no response; filters keep that, so that they mean the same here
NO_RESPONSE: Final = 422
_PID_DIGITS: Final = 18  # what fits in 64 bits whatever the digits


class FieldSpec(NamedTuple):
    """One field: name, kind, how to read it off a row and in SQL, where it can be used.

    `columns` are the columns of `transactions` it needs; `sql` is the expression over them, with
    `{column}` in place of each, null where the field is missing; `read` the same over a
    recorder's Transaction, None where missing. `always`: never missing.
    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    sql: str
    read: Callable[[Any], Any]
    uses: frozenset[Use]
    doc: str
    always: bool = False


def _field(
    name: str,
    columns: str,
    doc: str,
    *,
    kind: Kind = "text",
    sql: str = "",
    read: Callable[[Any], Any] | None = None,
    uses: str = "where",
    always: bool = False,
) -> FieldSpec:
    """A field over `columns` (with blanks between); without `sql`, `read` it is the first one."""
    needed = tuple(columns.split())
    places = frozenset(use for use in _USES if use in uses.split())
    plain = needed[0]
    return FieldSpec(
        name, kind, needed, sql or f"{{{plain}}}",
        read or (lambda tx: getattr(tx, plain, None)),
        places, doc, always,
    )  # fmt: skip


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


def _body(column: str) -> Callable[[Any], str | None]:
    def read(tx: Any) -> str | None:
        try:
            body = getattr(tx, column)
            return None if body is None else body.decode()
        except UnicodeDecodeError:
            return None

    return read


def _outcome_sql() -> str:
    """The expression that store/sql/derived.sql has for outcome, over names of columns."""
    cases = derived_sql().partition("END AS outcome")[0].rpartition("CASE\n")[2]
    return re.sub(r"\b(grpc_)?status\b", r"{\g<0>}", f"CASE {cases} END")


_USES: Final[tuple[Use, ...]] = ("push", "record", "where")
_LIVE: Final = "record where"
_PID_SQL: Final = f"""CASE WHEN regexp_full_match({{process_id}}, '[0-9]{{{{1,{_PID_DIGITS}}}}}')
 THEN CAST({{process_id}} AS BIGINT) END"""
_URL_SQL: Final = """CASE WHEN {scheme} <> '' THEN {scheme} || '://' ELSE '' END
 || {host} || {path} || CASE WHEN {query} <> '' THEN '?' || {query} ELSE '' END"""
_all = (
    _field("req.method", "method", "request method, as sent: GET", uses="push record where"),
    _field(
        "req.host", "host", "host, lower case, without a default port", uses="push record where"
    ),
    _field(
        "res.status", "status", "status; 422: no response", kind="int", always=True,
        sql=f"coalesce({{status}}, {NO_RESPONSE})", read=_status, uses="push record where",
    ),
    _field("direction", "direction", "ingress, egress-internal or egress-external", uses=_LIVE),
    _field("protocol", "protocol", "http1, http2 or grpc", uses=_LIVE),
    _field("process.path", "process_exe", "the program's file: /usr/bin/curl", uses=_LIVE),
    _field(
        "process.binary", "process_exe", "its name: curl", uses=_LIVE,
        sql="regexp_extract({process_exe}, '[^/]*$')", read=_binary,
    ),
    _field(
        "process.pid", "process_id", "process number", kind="int", uses=_LIVE,
        sql=_PID_SQL, read=_pid,
    ),
    _field("container.name", "container_name", "container", uses=_LIVE),
    _field("container.image", "container_image", "container image", uses=_LIVE),
    _field("pod.name", "pod_name", "Kubernetes pod", uses=_LIVE),
    _field("pod.namespace", "pod_namespace", "its namespace", uses=_LIVE),
    _field("dst.domain", "endpoint_id", "the name connected to, or its address", uses=_LIVE),
    _field("req.path", "path", "path, without the query"),
    _field("req.url", "scheme host path query", "the whole address", sql=_URL_SQL, read=_url),
    _field("req.scheme", "scheme", "http or https"),
    _field("req.query", "query", "what follows the ?"),
    _field("req.content_type", "req_content_type", "content type of the request"),
    _field("res.content_type", "res_content_type", "content type of the response"),
    _field("req.user_agent", "user_agent", "user agent"),
    _field(
        "req.body", "req_body", "request body, where it is text, as far as it was kept",
        sql="TRY(decode({req_body}))", read=_body("req_body"),
    ),
    _field(
        "res.body", "res_body", "response body, likewise",
        sql="TRY(decode({res_body}))", read=_body("res_body"),
    ),
    _field("req.body_bytes", "req_body_bytes", "size of the request body", kind="int"),
    _field("res.body_bytes", "res_body_bytes", "size of the response body", kind="int"),
    _field("route", "route", "path with its variable parts named: /v1/customers/{id}"),
    _field(
        "duration_ms", "duration_ms", "milliseconds from request to response headers", kind="int"
    ),
    _field(
        "outcome", "status grpc_status", "ok, client_error, server_error or no_response",
        sql=_outcome_sql(), read=lambda tx: outcome(tx.status, tx.grpc_status), always=True,
    ),
    _field("error_signature", "error_signature", "of a failed response: its type, code, message"),
    _field("grpc_status", "grpc_status", "gRPC status, a number as text"),
    _field("bytes_sent", "bytes_sent", "bytes of the request side", kind="int"),
    _field("bytes_received", "bytes_received", "bytes of the response side", kind="int"),
    _field("endpoint_id", "endpoint_id", "same as dst.domain"),
    _field("connection_id", "connection_id", "Qtap's id of the connection"),
    _field("request_id", "request_id", "Qtap's id of the transaction"),
    _field("trace_id", "trace_id", "id of the distributed trace"),
    _field(
        "secrets.kind", "findings", "what redaction took out, any of it", kind="texts",
        sql="coalesce(list_transform({findings}, lambda f: f.kind), [])",
        read=lambda tx: tuple(one.kind for one in tx.findings), always=True,
    ),
    _field("recorder", "recorder", "name of the recorder"),
    _field(
        "group", "group_name", "its group, by coverage; empty where it has none",
        read=lambda _: "", always=True,
    ),
    _field("session", "session", "one run of a recorder"),
)  # fmt: skip

FIELDS: Final[dict[str, FieldSpec]] = {spec.name: spec for spec in _all}
WHOSE: Final = frozenset({"recorder", "group"})  # the same for all rows of a file
# names of before, which go on working
_FORMER: Final = {"findings.kind": "secrets.kind"}
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
    "host": "req.host", "domain": "req.host", "req.domain": "req.host", "status": "res.status",
    "status_code": "res.status", "res.status_code": "res.status", "code": "res.status",
    "method": "req.method", "verb": "req.method", "path": "req.path", "url": "req.url",
    "duration": "duration_ms", "latency": "duration_ms", "container": "container.name",
    "image": "container.image", "pod": "pod.name", "namespace": "pod.namespace",
    "process": "process.binary", "binary": "process.binary", "exe": "process.path",
    "pid": "process.pid", "query": "req.query", "error": "error_signature",
    "findings": "secrets.kind", "secrets": "secrets.kind",
}  # fmt: skip


def resolve(name: str) -> FieldSpec | None:
    """The field of that name, headers included; None where there is none."""
    return FIELDS.get(_FORMER.get(name, name)) or _header(name)


_TOKEN = re.compile(r"[a-z0-9_.-]+")  # what a name of a filter can hold, safe inside quotes


@lru_cache(maxsize=256)
def _header(name: str) -> FieldSpec | None:
    prefix, column = next(
        ((one, column) for one, column in HEADER_PREFIXES.items() if name.startswith(one)), ("", "")
    )
    header = name[len(prefix) :].lower()
    if not prefix or not _TOKEN.fullmatch(header):
        return None

    def read(tx: Any) -> str | None:
        values = (value for key, value in getattr(tx, column).items() if key.lower() == header)
        return next(values, None)

    keys = f"list_transform(map_keys({{{column}}}), lambda k: lower(k))"
    sql = f"list_extract(map_values({{{column}}}), list_position({keys}, '{header}'))"
    return _field(name, column, f"the header {header}", sql=sql, read=read)


def known_as(name: str) -> str | None:
    """The field that other tools, or the store's columns, call by that name."""
    wanted = name.lower()
    for prefix in ("http.", "request.", "response.", "http.request.", "http.response."):
        wanted = wanted.removeprefix(prefix)
    columns = {column: spec.name for spec in reversed(_all) for column in spec.columns[:1]}
    return _ALIASES.get(wanted) or columns.get(wanted)


def nearest(name: str, among: Iterable[str]) -> str | None:
    """The name that was probably meant, by other tools' names for it or by spelling."""
    among = list(among)
    if name.lower().startswith(("req.headers.", "res.headers.")):
        return f"{name[:3].lower()}.header.{name[12:]}"
    if (known := known_as(name)) in among:
        return known
    lowered = {one.lower(): one for one in among}
    lowered |= {alias: one for alias, one in _ALIASES.items() if one in among}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


class Row(NamedTuple):
    """A recorder's Transaction as the event that a filter sees, which reads fields by their dotted
    names. One without a value (None) is missing."""

    tx: Any

    def get(self, name: str, default: Any = None) -> Any:
        read = _READERS.get(name)
        if read is None:
            spec = resolve(name)
            if spec is None:
                return default
            read = spec.read
        value = read(self.tx)
        return default if value is None else value


_READERS = {name: spec.read for name, spec in FIELDS.items()}


Place: TypeAlias = OneOf["record", "where"]


def check(expr: Expr, where: Place = "record") -> None:
    """FilterError for a field or function that does not exist or cannot be used there.

    "record" is `record --filter`, which sees one event as it comes; "where" is `--where`, which
    asks the store.
    """
    for leaf in leaves(expr.root):
        _check_calls(expr, leaf)
    for field in field_nodes(expr.root):
        spec = resolve(field.name)
        if spec is None:
            raise _unknown(expr, field)
        if where not in spec.uses:
            raise _not_live(expr, field)


def _check_calls(expr: Expr, leaf: Leaf) -> None:
    for call in (part for operand in operands(leaf) for part in parts(operand)):
        if not isinstance(call, Call) or missing_of(leaf):
            continue
        function = FUNCTIONS.get(call.name)
        if call.name == "missing":
            reason, hint = "missing() takes one field, and stands alone", "missing(container.name)"
        elif function is None:
            reason, hint = f"there is no function {call.name}", _function_meant(call)
        elif function.arity != len(call.args):
            reason = f"{call.name} takes {function.arity} argument(s), not {len(call.args)}"
            hint = function.example
        else:
            continue
        raise FilterError(expr.text, reason, call.start, call.start + len(call.name), hint)


# functions of other languages, and how to say it here; {} is the first argument
_FOREIGN: Final = {
    "endswith": "write {} matches /…$/",
    "contains": 'write {} contains "…"',
    "matches": "write {} matches /…/",
    "regexmatch": "write {} matches /…/",
    "lower": "write {} matches /(?i)…/ for any case; hosts are in lower case",
    "upper": "write {} matches /(?i)…/ for any case",
    "exists": "write not missing({})",
    "has": "write not missing({})",
    "isnull": "write missing({})",
    "isempty": 'write missing({0}), or {0} == ""',
    "empty": 'write missing({0}), or {0} == ""',
}


def _function_meant(call: Call) -> str:
    argument = render(call.args[0]) if call.args else "FIELD"
    if foreign := _FOREIGN.get(call.name.lower().replace("_", "")):
        return foreign.format(argument)
    close = nearest(call.name, [*FUNCTIONS, "missing"])
    if close == "missing":
        return f"did you mean missing({argument})?"
    if close:
        return f"did you mean {FUNCTIONS[close].example}?"
    return "there are " + ", ".join([*FUNCTIONS, "missing"])


def _unknown(expr: Expr, field: Field) -> FilterError:
    name = field.name
    close = nearest(name, FIELDS)
    never = next((why for prefix, why in NEVER_CARRIED.items() if _under(name, prefix)), "")
    reason = f"there is no field {name}"
    if never:
        reason, hint = f"{name} is never there: {never}", ""
    elif name.lower() in ("null", "nil", "none", "undefined"):
        left = next((leaf.left for leaf in leaves(expr.root) if isinstance(leaf, Compare)
                     and leaf.right is field), None)  # fmt: skip
        hint = f"write missing({render(left)})" if left else "write missing(FIELD)"
    elif name.lower() in ("failed", "failure", "is_error"):
        hint = 'outcome != "ok" takes all that failed, with --where'
    elif _is_value(expr, field) and not (close and close[:4] == name[:4]):
        hint = f'write "{name}" if it is text'
    elif close:
        hint = f"did you mean {close}?"
    else:
        hint = "such as req.method, req.host, res.status, container.name, process.binary"
    return FilterError(expr.text, reason, field.start, field.end, hint)


def _under(name: str, prefix: str) -> bool:
    return name == prefix or (prefix.endswith(".") and name.startswith(prefix))


def _is_value(expr: Expr, field: Field) -> bool:
    """Whether the field stands where people write a value: right of an operator, in a list."""
    for leaf in leaves(expr.root):
        right = operands(leaf)[1:]
        if any(part is field for operand in right for part in parts(operand)):
            return True
    return False


def _not_live(expr: Expr, field: Field) -> FilterError:
    hint = "record without this part and ask for it afterwards with --where"
    if field.name == "outcome":
        hint = "res.status >= 400 goes by the status alone; outcome works afterwards with --where"
    if field.name in ("req.path", "req.url"):
        why = "Qtap cannot filter on it"
    elif field.name in ("route", "error_signature", "outcome"):
        why = "qrec works it out when it stores a transaction"
    elif field.name in ("recorder", "group", "session"):
        why = "it is the same of all that one recorder records"
        hint = "name it with --recorder or --group, and ask for it afterwards with --where"
    else:
        why = "Qtap has no such filter field"
    reason = f"{field.name} cannot decide what is recorded: {why}"
    return FilterError(expr.text, reason, field.start, field.end, hint)
