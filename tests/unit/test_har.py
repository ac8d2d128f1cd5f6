"""HAR files of several dialects as transactions."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.decode.events import Transaction
from recorder.source.har import read_har
from store.errors import QrecError, UnavailableError

NOON = 1_764_072_000_000_000  # 2025-11-25T12:00Z


def entry(**changes: Any) -> dict[str, Any]:
    """As Chromium writes one; `a__b=…` changes what is deeper."""
    found: dict[str, Any] = {
        "_initiator": {"type": "script"},
        "connection": "443",
        "pageref": "page_1",
        "request": {
            "method": "POST",
            "url": "https://API.example.com:443/v1/charges?expand=all",
            "httpVersion": "http/2.0",
            "headers": [
                {"name": ":authority", "value": "api.example.com"},
                {"name": "content-type", "value": "application/json"},
                {"name": "user-agent", "value": "Chrome"},
                {"name": "cookie", "value": "a=1"},
                {"name": "cookie", "value": "b=2"},
            ],
            "queryString": [],
            "cookies": [],
            "headersSize": -1,
            "bodySize": 12,
            "postData": {"mimeType": "application/json", "text": '{"amount":1}'},
        },
        "response": {
            "status": 402,
            "statusText": "",
            "httpVersion": "http/2.0",
            "headers": [
                {"name": "content-type", "value": "application/json; charset=utf-8"},
                {"name": "accept-ranges", "value": "bytes"},
                {"name": "accept-ranges", "value": "none"},
                {"name": "set-cookie", "value": "s=1; Path=/"},
                {"name": "set-cookie", "value": "t=2; Path=/"},
            ],
            "cookies": [],
            "content": {"size": 17, "mimeType": "application/json", "text": '{"error":"né"}'},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "_transferSize": 321,
            "_error": None,
        },
        "serverIPAddress": "93.184.216.34",
        "startedDateTime": "2025-11-25T12:00:00.000Z",
        "time": 150.5,
        "timings": {"blocked": 1.5, "dns": -1, "connect": -1, "ssl": -1, "send": 0.4,
                    "wait": 120.2, "receive": 28.4, "_blocked_queueing": 1},
    }  # fmt: skip
    for path, value in changes.items():
        *outer, last = path.split("__")
        place = found
        for name in outer:
            place = place[name]
        place[last] = value
    return found


def har(*entries: Any) -> dict[str, Any]:
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "WebInspector", "version": "537.36"},
            "pages": [{"id": "page_1", "startedDateTime": "2025-11-25T12:00:00Z"}],
            "entries": list(entries),
        }
    }


def read(tmp_path: Path, document: Any, **how: Any) -> list[Transaction]:
    path = tmp_path / "a.har"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return list(read_har(path, **{"on_bad": pytest.fail, **how}))


def one(tmp_path: Path, **changes: Any) -> Transaction:
    (tx,) = read(tmp_path, har(entry(**changes)))
    return tx


def test_an_entry_becomes_a_transaction(tmp_path: Path) -> None:
    tx = one(tmp_path)
    assert tx.ts == NOON + 150_500  # the end, as everywhere
    assert (tx.method, tx.status, tx.duration_ms) == ("POST", 402, 121)
    assert (tx.scheme, tx.host, tx.path, tx.query) == (
        "https", "api.example.com", "/v1/charges", "expand=all",
    )  # fmt: skip
    assert (tx.protocol, tx.direction, tx.connection_id) == ("http2", "egress-external", "443")
    assert tx.user_agent == "Chrome"
    assert tx.req_content_type == "application/json"
    assert tx.res_content_type == "application/json; charset=utf-8"
    assert tx.req_body == b'{"amount":1}'
    assert tx.res_body == '{"error":"né"}'.encode()
    assert (tx.req_body_bytes, tx.res_body_bytes) == (12, 17)
    assert (tx.bytes_sent, tx.bytes_received) == (12, 321)


def test_headers_have_the_names_that_a_live_recording_has(tmp_path: Path) -> None:
    tx = one(tmp_path)
    assert tx.req_headers[":authority"] == "api.example.com"
    assert tx.req_headers["Cookie"] == "a=1; b=2"
    assert tx.res_headers["Accept-Ranges"] == "bytes, none"
    assert tx.res_headers["Set-Cookie"] == "s=1; Path=/"


def test_headers_may_be_an_object_or_missing(tmp_path: Path) -> None:
    tx = one(tmp_path, request__headers={"X-A": "1", "x-b": None}, response__headers=None)
    assert tx.req_headers == {"X-A": "1", "X-B": ""}
    assert tx.res_headers == {}
    assert tx.res_content_type == "application/json"  # of the content, then


def test_a_request_without_a_response(tmp_path: Path) -> None:
    tx = one(tmp_path, response__status=0, response__content={"size": 0, "mimeType": "x-unknown"},
             response__headers=[])  # fmt: skip
    assert (tx.status, tx.duration_ms, tx.res_body, tx.res_content_type) == (None,) * 4


@pytest.mark.parametrize(
    ("changes", "ts", "duration"),
    [
        ({"timings": None}, 150_500, 150),
        ({"timings": {"send": -1, "wait": -1, "receive": -1}}, 150_500, 150),
        ({"time": -1}, 150_500, 121),
        ({"time": None, "timings": None}, 0, None),
        ({"time": "30", "timings": {"wait": "20"}}, 30_000, 20),
        ({"time": 0.2, "timings": {"send": 0, "wait": 0.1, "receive": 0.1}}, 200, 1),
        ({"startedDateTime": "2025-11-25T13:00:00.0000000+01:00", "time": 0}, 0, 121),
        ({"startedDateTime": "2025-11-25T12:00:00", "time": 0}, 0, 121),
        ({"startedDateTime": 1_764_072_000_000, "time": 0}, 0, 121),
    ],
)
def test_times_that_are_missing_or_odd(
    tmp_path: Path, changes: dict[str, Any], ts: int, duration: int | None
) -> None:
    tx = one(tmp_path, **changes)
    assert tx.ts - NOON == ts
    assert tx.duration_ms == duration


def test_bodies_in_base64_and_forms(tmp_path: Path) -> None:
    content = {"text": base64.b64encode(b"\x89PNG\x00").decode(), "encoding": "base64", "size": 5}
    assert one(tmp_path, response__content=content).res_body == b"\x89PNG\x00"
    content["text"] = "not base64!"
    assert one(tmp_path, response__content=content).res_body == b"not base64!"
    form = {"mimeType": "application/x-www-form-urlencoded", "params": [
        {"name": "a b", "value": "1&2"}, {"name": "file", "fileName": "x.png"}]}  # fmt: skip
    assert one(tmp_path, request__postData=form).req_body == b"a+b=1%262&file=x.png"


def test_sizes_that_are_not_known_are_none(tmp_path: Path) -> None:
    tx = one(tmp_path, request__bodySize=-1, request__postData=None, response___transferSize=-1,
             response__content={"size": -1})  # fmt: skip
    assert (tx.req_body_bytes, tx.res_body_bytes, tx.bytes_sent, tx.bytes_received) == (None,) * 4
    tx = one(tmp_path, response__content={"size": 9000, "comment": "not kept"})
    assert (tx.res_body, tx.res_body_bytes) == (None, 9000)


@pytest.mark.parametrize(
    ("server", "url", "direction"),
    [
        ("192.168.0.7", "http://web/", "egress-internal"),
        ("[fd00::1]", "http://web/", "egress-internal"),
        ("[::1]", "http://localhost:8080/", "egress-external"),  # as Qtap has it
        (None, "http://10.1.2.3:8080/", "egress-internal"),
        ("", "http://example.com/", "egress-external"),
    ],
)
def test_inside_and_outside(tmp_path: Path, server: str | None, url: str, direction: str) -> None:
    tx = one(tmp_path, serverIPAddress=server, request__url=url)
    assert tx.direction == direction


def test_what_is_no_http_is_passed_over(tmp_path: Path) -> None:
    urls = ["data:text/plain,hi", "blob:https://a/b", "chrome-extension://x/y.js", "wss://a/b"]
    found = read(tmp_path, har(*(entry(request__url=url) for url in urls)))
    assert [(tx.scheme, tx.host, tx.path) for tx in found] == [("wss", "a", "/b")]


def test_the_same_exchange_has_the_same_id_in_every_export(tmp_path: Path) -> None:
    twice = read(tmp_path, har(entry(), entry(), entry(request__method="GET")))
    again = read(tmp_path, har(entry(request__method="GET"), entry()))
    ids = [tx.request_id for tx in twice]
    assert len(set(ids)) == 3
    assert [tx.request_id for tx in again] == [ids[2], ids[0]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gzip"])
def test_how_the_file_is_written_does_not_matter(tmp_path: Path, encoding: str) -> None:
    text = json.dumps(har(entry()), ensure_ascii=False, indent=1)
    data = gzip.compress(text.encode()) if encoding == "gzip" else text.encode(encoding)
    (tx,) = read(tmp_path, data)
    assert tx.res_body == '{"error":"né"}'.encode()


def test_half_a_character_costs_no_more_than_itself(tmp_path: Path) -> None:
    text = "cut \ud83d here, \U0001f600 whole"
    tx = one(tmp_path, response__content={"text": text})
    assert tx.res_body == text.replace("\ud83d", "\ufffd").encode()


def test_a_log_without_its_wrapper_is_read_too(tmp_path: Path) -> None:
    assert len(read(tmp_path, har(entry())["log"])) == 1
    assert read(tmp_path, har()) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"log": {\n  "entries": [}', "a.har, line 2, column 15, is no HAR"),
        (b'{"log": {"entries": [', "a.har, line 1, column 22, is no HAR"),
        ('{\n"é": x'.encode(), "a.har, line 2, column 6, is no HAR"),
        (b"event: system.connected\n", "a.har, line 1, column 1, is no HAR"),
        (b"[]", "a.har is no HAR"),
        (b"{}", "a.har is no HAR: it has no log.entries"),
        (b"", "a.har, line 1, column 1, is no HAR"),
        (b"[" * 10**6, "a.har"),
        (b"\x1f\x8b\x08\x00garbage", "a.har is a"),
        (gzip.compress(b"{}" * 999, mtime=0)[:-9], "a.har is a gzip file that was cut short"),
    ],
)
def test_what_is_no_har_is_refused_with_its_place(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(QrecError) as refused:
        read(tmp_path, data)
    assert said in refused.value.message
    assert refused.value.hint


def test_a_bad_entry_is_named_and_can_be_passed_over(tmp_path: Path) -> None:
    bad: list[Any] = [
        entry(startedDateTime="yesterday"),
        entry(startedDateTime=None),
        entry(request__url=""),
        entry(request__url="http://[::1"),
        entry(request=None),
        entry(startedDateTime="9999-12-31T23:59:59Z", time=1e9),
        7,
    ]
    for index, wrong in enumerate(bad):
        told: list[str] = []
        read(tmp_path, har(*[entry()] * index, wrong), on_bad=told.append)
        assert [line.startswith(f"a.har: entry {index} of log.entries: ") for line in told] == [
            True
        ]
    lines: list[str] = []
    assert len(read(tmp_path, har(entry(), *bad, entry()), on_bad=lines.append)) == 2
    assert len(lines) == len(bad)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        list(read_har(tmp_path / "none.har", pytest.fail))


LOOSE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
PLACES = st.sampled_from(
    [
        "request", "response", "startedDateTime", "time", "timings", "serverIPAddress",
        "connection", "request__url", "request__method", "request__headers", "request__postData",
        "request__bodySize", "response__status", "response__headers", "response__content",
        "response__httpVersion", "response___transferSize", "timings__wait",
    ]
)  # fmt: skip


@given(PLACES, LOOSE)
def test_only_our_own_errors_come_out(place: str, value: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        lines: list[str] = []
        found = read(Path(folder), har(entry(**{place: value})), on_bad=lines.append)
        assert len(found) + len(lines) <= 1
