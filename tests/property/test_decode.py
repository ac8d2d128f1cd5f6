"""Whatever the wire says, decoding gives a row or a reason, and never an exception."""

from __future__ import annotations

import base64
import json

from hypothesis import example, given
from hypothesis import strategies as st

from recorder.decode.events import decode

NAMES = st.sampled_from(
    ["request.http_transaction", "request.grpc", "request.database", "connection.updated",
     "system.connected", "process.started", "error", "something.else", ""]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["data", "ts", "request", "response", "metadata", "status", "headers", "method", "url",
             "path", "body", "duration_ms", "transaction_time", "timestamp", "source", "process"]
        ) | st.text(max_size=5),
        inner,
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


@given(NAMES, st.text())
@example("request.http_transaction", "")
@example("error", "plain text")
def test_any_text_is_decoded_or_refused(name: str, data: str) -> None:
    decoded = decode(name, data)
    assert decoded.row is None or decoded.reason is None


@given(NAMES, JSON)
def test_any_json_is_decoded_or_refused(name: str, value: object) -> None:
    decode(name, json.dumps(value))


@given(JSON, st.text(max_size=30))
def test_any_inner_transaction_is_decoded_or_refused(inner: object, ts: str) -> None:
    packed = base64.b64encode(json.dumps(inner).encode()).decode()
    data = json.dumps({"data": {"data": {"data": packed}}, "ts": ts})
    decoded = decode("request.http_transaction", data)
    assert (decoded.row is None) == (decoded.reason is not None)


def test_numbers_that_fit_no_column_are_left_out() -> None:
    moment = '"2026-11-22T12:00:00Z"'
    call = f'{{"ts":{moment},"data":{{"data":{{"url":"http://a/b","status":70000}}}}}}'
    assert decode("request.grpc", call).row.status is None
    end = '{"address":{"ip":"10.0.0.1","port":99999999999}}'
    opened = f'{{"ts":{moment},"data":{{"data":{{"source":{end}}}}}}}'
    assert decode("connection.opened", opened).row["source_port"] is None
