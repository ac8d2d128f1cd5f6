"""What a row on disk looks like. These Arrow schemas are the truth; everything else follows.

Times are UTC; durations are milliseconds; sizes are bytes. Names follow OpenTelemetry's HTTP
conventions where those have one. A column may be added in a later version (readers union by
name), none is renamed or dropped without a new FORMAT_VERSION.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Final

import pyarrow as pa


def _no_pandas(name: str, *_: object) -> None:
    if name == "pandas":
        raise ImportError(name)


# Arrow imports pandas with the first array that it makes, where that is installed for others: 27 MB
# and half a second. Here it finds none, and looks again only for what needs it.
sys.meta_path.insert(0, _finder := SimpleNamespace(find_spec=_no_pandas))
pa.array([])
sys.meta_path.remove(_finder)

_TS = pa.timestamp("us", tz="UTC")
_LOW = pa.dictionary(pa.int32(), pa.string())  # few different values: stored once a row group
_HEADERS = pa.map_(pa.string(), pa.string())
_FINDINGS = pa.list_(
    pa.struct([("kind", pa.string()), ("place", pa.string()), ("hint", pa.string())])
)
# What the recorded tables share: whose traffic it was, and which row of which recorder it is.
_WHO = (
    ("process_id", pa.string()), ("process_exe", _LOW), ("container_name", _LOW),
    ("container_image", _LOW), ("pod_name", _LOW), ("pod_namespace", _LOW),
)  # fmt: skip
_NUMBER = (
    ("recorder", _LOW),
    ("session", _LOW),  # one run of a recorder
    ("seq", pa.int64()),  # counts up over all sessions of a recorder
)

TRANSACTIONS: Final = pa.schema(
    [
        ("ts", _TS),  # the end of the transaction, Qtap's transaction_time
        ("duration_ms", pa.int32()),  # request headers to response headers; null: no response
        ("direction", _LOW),  # ingress | egress-internal | egress-external
        ("method", _LOW),
        ("scheme", _LOW),
        ("host", _LOW),  # lower case, without a default port
        ("path", pa.string()),  # without the query
        ("route", _LOW),  # the path with its variable parts named: /v1/customers/{id}
        ("query", pa.string()),
        ("protocol", _LOW),  # http1 | http2 | grpc
        ("grpc_status", pa.string()),
        ("status", pa.int16()),  # null where no response was seen
        ("req_content_type", _LOW),
        ("res_content_type", _LOW),
        ("user_agent", _LOW),
        ("req_headers", _HEADERS),
        ("res_headers", _HEADERS),
        ("req_body", pa.binary()),  # cut at a limit; *_body_bytes keeps the captured size
        ("res_body", pa.binary()),
        ("req_body_bytes", pa.int64()),
        ("res_body_bytes", pa.int64()),
        ("error_signature", _LOW),  # of a failed response: its type, code, message
        *_WHO,
        ("bytes_sent", pa.int64()),  # the request side, for ingress too
        ("bytes_received", pa.int64()),
        ("connection_id", pa.string()),
        ("endpoint_id", _LOW),
        ("request_id", pa.string()),
        ("trace_id", pa.string()),
        ("findings", _FINDINGS),  # what redaction took out: kind, place, fingerprint
        *_NUMBER,
    ]
)

COVERAGE: Final = pa.schema(
    [
        ("recorder", pa.string()),
        ("session", pa.string()),
        ("from_ts", _TS),
        ("to_ts", _TS),
        ("filter", pa.string()),  # the whole expression, applied by the recorder
        ("pushed", pa.string()),  # the part of it that the source applied
        ("topics", pa.list_(pa.string())),
        ("state", pa.string()),  # receiving lagging disconnected disk_full stopped lost
        ("reason", pa.string()),  # for people
        ("reason_code", pa.string()),  # for programs: store/coverage.py; null in older files
        ("events", pa.int64()),
        ("rejected", pa.int64()),
        ("duplicates", pa.int64()),
        ("filtered", pa.int64()),  # seen, and not let through by the filter
        ("other", pa.int64()),  # seen, of a kind that is not kept
        ("bodies_shed", pa.int64()),  # rows kept without their bodies, under pressure
        ("dropped", pa.int64()),  # events that this recorder itself had to let go
        ("max_lag_ms", pa.int64()),
        ("dropped_estimate", pa.int64()),  # what Qtap seems to have dropped; null: not known
        ("dropped_basis", pa.string()),  # how good a guess that is: firm | weak
        ("group_name", pa.string()),  # of recorders that are one population; null: by itself
    ]
)

CONNECTIONS: Final = pa.schema(
    [
        ("ts", _TS),
        ("event", _LOW),  # opened | updated | closed
        ("connection_id", pa.string()),
        ("endpoint_id", _LOW),
        ("direction", _LOW),
        ("socket_protocol", _LOW),
        ("l7_protocol", _LOW),
        ("tls_version", _LOW),
        ("source_ip", pa.string()),
        ("source_port", pa.int32()),
        ("destination_ip", pa.string()),
        ("destination_port", pa.int32()),
        *_WHO,
        ("bytes_sent", pa.int64()),
        ("bytes_received", pa.int64()),
        ("opened_ts", _TS),
        ("closed_ts", _TS),
        *_NUMBER,
    ]
)

DATABASE: Final = pa.schema(
    [
        ("ts", _TS),
        ("duration_ms", pa.int32()),
        ("direction", _LOW),
        ("database_type", _LOW),  # redis | mysql | kafka | postgresql
        ("statement", _LOW),  # with its literals taken out
        ("is_error", pa.bool_()),
        ("error_message", pa.string()),
        ("affected_count", pa.int64()),
        ("result_count", pa.int64()),
        *_WHO,
        ("bytes_sent", pa.int64()),
        ("bytes_received", pa.int64()),
        ("connection_id", pa.string()),
        ("request_id", pa.string()),
        *_NUMBER,
    ]
)

# The tables that are recorded as rows of segments and sealed hours.
RECORDED: Final = {"transactions": TRANSACTIONS, "connections": CONNECTIONS, "database": DATABASE}


def plain(schema: pa.Schema) -> pa.Schema:
    """A schema as it stands in a file: without dictionaries, which are how Arrow holds a column in
    memory, and which other engines may refuse. (Parquet packs few values small all the same.)"""
    few = pa.types.is_dictionary
    types = [
        _HEADERS if pa.types.is_map(t) else t.value_type if few(t) else t for t in schema.types
    ]
    return pa.schema(list(zip(schema.names, types, strict=True)))
