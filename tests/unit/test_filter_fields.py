"""Which fields there are, where each can be used, and what is said when one cannot."""

from __future__ import annotations

import pytest

from filters import FIELDS, FilterError, Row, check, parse, predicate, remarks
from filters.fields import Place
from recorder.decode.events import Secret, Transaction
from store.schema import TRANSACTIONS

TX = Transaction(
    ts=0,
    method="POST",
    scheme="https",
    host="api.stripe.com",
    path="/v1/charges",
    query="expand=a",
    status=402,
    duration_ms=120,
    process_id="4242",
    process_exe="/usr/bin/node",
    container_name="payment",
    req_headers={"X-Request-Id": "r-1", ":path": "/v1/charges"},
    res_body=b'{"error": "card_declined"}',
    findings=[Secret("jwt", "req.header.Authorization", "eyJ…")],
)


def holds(text: str, tx: Transaction = TX) -> bool:
    return predicate(parse(text))(Row(tx))


@pytest.mark.parametrize(
    "text",
    [
        'req.method == "POST" and req.host == "api.stripe.com" and res.status == 402',
        'req.url == "https://api.stripe.com/v1/charges?expand=a"',
        'process.binary == "node" and process.path == "/usr/bin/node" and process.pid == 4242',
        'outcome == "client_error"',
        'req.header.x-request-id == "r-1"',
        'req.header.X-REQUEST-ID == "r-1"',
        'res.body contains "card_declined"',
        'secrets.kind == "jwt"',
        'findings.kind == "jwt"',  # its name of before
    ],
)
def test_a_transaction_answers_by_field(text: str) -> None:
    assert holds(text)


def test_a_row_is_read_by_whole_names() -> None:
    row = Row(TX)
    assert row.get("req.method") == "POST"
    assert row.get("pod.name", "none") == "none"
    assert row.get("req", "none") == "none"


def test_no_response_is_422_as_qtap_has_it_and_an_outcome_of_its_own() -> None:
    silent = Transaction(ts=0, method="GET", status=None)
    assert holds('res.status == 422 and outcome == "no_response"', silent)
    assert not holds('outcome == "no_response"', Transaction(ts=0, method="GET", status=422))


@pytest.mark.parametrize("text", ["pod.name != 'x'", "not (pod.name == 'x')", "req.header.x == ''"])
def test_what_is_not_there_matches_nothing(text: str) -> None:
    assert not holds(text)


def test_binary_bodies_and_odd_process_numbers_count_as_missing() -> None:
    odd = Transaction(ts=0, method="GET", res_body=b"\xff\xfe", process_id="x1")
    assert not holds("res.body != 'x' or process.pid != 1", odd)


def test_every_field_comes_from_columns_that_exist() -> None:
    for spec in FIELDS.values():
        known = {*TRANSACTIONS.names, "group_name"}  # the group stands in coverage
        assert set(spec.columns) <= known, spec.name
        assert spec.doc
        assert "where" in spec.uses


LIVE = ["req.method", "req.host", "res.status", "direction", "protocol", "process.binary"]
LIVE += ["process.path", "process.pid", "container.name", "container.image", "pod.name"]
LIVE += ["pod.namespace", "dst.domain"]
STORED = ["req.path", "req.url", "duration_ms", "route", "outcome", "error_signature"]
STORED += ["req.header.accept", "res.header.x", "res.body", "trace_id", "recorder", "group"]


@pytest.mark.parametrize("name", LIVE)
def test_what_the_event_tells_can_decide_what_is_recorded(name: str) -> None:
    check(parse(f"{name} == 'x'"), "record")
    check(parse(f"{name} == 'x'"), "where")


@pytest.mark.parametrize("name", STORED)
def test_what_only_the_store_tells_is_refused_live_with_reason_and_remedy(name: str) -> None:
    check(parse(f"{name} == 'x'"), "where")
    with pytest.raises(FilterError) as caught:
        check(parse(f"res.status == 500 and {name} == 'x'"), "record")
    assert caught.value.reason.startswith(f"{name} cannot decide what is recorded: ")
    assert "--where" in caught.value.hint
    assert caught.value.column == 23


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("req.methd == 'GET'", "there is no field req.methd", "did you mean req.method?"),
        ("Req.Method == 'GET'", "there is no field Req.Method", "did you mean req.method?"),
        ("status >= 500", "there is no field status", "did you mean res.status?"),
        ("http.res.status >= 500", "there is no field http.res.status", "did you mean res.status?"),
        (
            "container_name == 'x'",
            "there is no field container_name",
            "did you mean container.name?",
        ),
        ("req.headers.accept == 'x'", "there is no field req.headers.accept", "did you mean req.h"),
        ("req.method == POST", "there is no field POST", 'write "POST" if it is text'),
        (
            "req.host in [api.x.com]",
            "there is no field api.x.com",
            'write "api.x.com" if it is text',
        ),
        ("req.method == req.methd", "there is no field req.methd", "did you mean req.method?"),
        ("xyzzy == 1", "there is no field xyzzy", "such as req.method"),
        (
            "startswith(req.host, 'a')",
            "there is no function startswith",
            "did you mean starts_with",
        ),
        ("shout(req.host)", "there is no function shout", "there are starts_with, zone, in_zone"),
        ("ends_with(req.host, 'a')", "there is no function ends_with", "write req.host matches /"),
        ("exists(req.host)", "there is no function exists", "write not missing(req.host)"),
        ("missing('x')", "missing() takes one field", "missing(container.name)"),
        ("missing(req.host) == true", "missing() takes one field", "missing(container.name)"),
        ("missing(req.hots)", "there is no field req.hots", "did you mean req.host?"),
        ("failed", "there is no field failed", 'outcome != "ok" takes all that failed'),
        ("req.host == null", "there is no field null", "write missing(req.host)"),
        ("zone(req.host, 1) == 'a'", "zone takes 1 argument(s), not 2", "zone(req.host) =="),
        ("src.ip == 10.0.0.1", "src.ip is never there: Qtap's HTTP transactions carry no addr", ""),
        ("container.labels.app == 'x'", "container.labels.app is never there: Qtap's", ""),
    ],
)
@pytest.mark.parametrize("where", ["record", "where"])
def test_a_wrong_name_is_answered_with_the_right_one(
    text: str, reason: str, hint: str, where: Place
) -> None:
    with pytest.raises(FilterError) as caught:
        check(parse(text), where)
    assert caught.value.reason.startswith(reason)
    assert caught.value.hint.startswith(hint)
    assert bool(caught.value.hint) == bool(hint)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "res.status == 500 or protocol == 'grpc' and req.method",
            "AND and OR mixed: read as (res.status == 500 or protocol == 'grpc') and req.method",
        ),
        (
            "res.status == '404'",
            "res.status == '404' never holds: res.status is a number, '404' is text",
        ),
        (
            "req.host in 10.0.0.0/8",
            "10.0.0.0/8 is compared as text, not as a network: write matches /^10\\./",
        ),
        (
            "req.host in ['10.1.2.3', 'a.com']",
            "'10.1.2.3' equals no text inside in […]: write == […] instead",
        ),
        (
            "req.host in ['10.1.2.3']",
            "req.host in ['10.1.2.3'] never holds: "
            "inside in […] an address equals no text; write == […] instead",
        ),
        ("req.method != 5", "req.method != 5 never holds: req.method is text, 5 is a number"),
        (
            "req.host in ['API.x.com']",
            "req.host is never 'API.x.com': hosts are in lower case, without scheme and default "
            'port; write "api.x.com"',
        ),
        (
            "req.method == 'GET' or 'POST' or 'PUT'",
            "'POST', 'PUT' stand alone and always hold: write req.method in ['GET', 'POST', 'PUT']",
        ),
        (
            "res.status == 404 or 500",
            "500 stands alone and always holds: write res.status in [404, 500]",
        ),
        (
            "req.path matches /a/ or /b/",
            "/b/ stands alone and always holds: write req.path matches /a|b/",
        ),
        (
            "500",
            "500 stands alone and always holds: compare it with a field, such as res.status == 500",
        ),
        ("ab == 'x'", "ab == 'x' never holds: ab is a hex value, no field"),
        ("res.status == 0620", "0620 is octal, that is 400"),
        (
            "direction == 'egress'",
            "direction is never 'egress': it is one of ingress, egress-internal, "
            'egress-external; direction contains "egress" takes both',
        ),
        ("protocol == 'HTTP/2'", "protocol is never 'HTTP/2': it is one of http1, http2, grpc"),
        ("req.method == 'get'", "req.method is never 'get': methods are in capitals"),
        (
            "req.host == '*.x.com'",
            "req.host is never '*.x.com': write in_zone(req.host, \"x.com\")",
        ),
        (
            "res.status == 0",
            "res.status is never 0: without a response it is 422; "
            'outcome == "no_response" takes just those',
        ),
        (
            "res.status contains 4",
            "res.status contains 4 never holds: contains is for text and lists, "
            "res.status is a number",
        ),
        (
            "not container.name",
            "not container.name takes only what has it empty; "
            "missing(container.name) takes what has none",
        ),
        (
            "container.name != 'a'",
            "this leaves out what has no container.name; to keep it: … or missing(container.name)",
        ),
    ],
)
def test_what_a_filter_does_that_its_author_may_not_expect_is_said(text: str, said: str) -> None:
    assert remarks(parse(text)) == [said]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("req.host == 'x.com:443'", '"x.com"'),
        ("req.host == 'https://x.com/a'", '"x.com"'),
        ("req.host matches /API/", "lower case"),
        ("starts_with(req.host, 'API')", "lower case"),
        ("in_zone(req.host, '.x.com')", 'in_zone(req.host, "x.com")'),
        ("process.binary == '/usr/bin/curl'", "process.path"),
        ("process.path == 'curl'", "process.binary"),
        ("outcome == 'error'", 'outcome != "ok"'),
        ("direction contains 'outbound'", "egress-external"),
        ("grpc_status == 'UNAVAILABLE'", '"14"'),
        ("req.path == 'v1'", "begins with /"),
    ],
)
def test_a_value_that_never_occurs_is_told_with_the_right_one(text: str, meant: str) -> None:
    (said,) = remarks(parse(text))
    assert " never " in said
    assert meant in said


@pytest.mark.parametrize(
    "text",
    [
        "direction contains 'egress'", "req.host matches /(?i)API/", "req.host matches /\\Dx/",
        "in_zone(req.host, 'x.com')", "req.method != 'GET'", "process.path contains 'curl'",
        "container.name != 'a' or missing(container.name)", "req.host != 'x.com:8443'",
        "not missing(container.name)", "grpc_status == '14'", "req.path == '/'",
    ],
)  # fmt: skip
def test_what_can_be_meant_needs_no_remark(text: str) -> None:
    assert remarks(parse(text)) == []


def test_a_call_that_failed_by_its_grpc_status_is_no_success() -> None:
    failed = Transaction(ts=0, method="POST", status=200, grpc_status="14")
    assert holds("outcome == 'server_error'", failed)
    assert holds("outcome == 'ok'", Transaction(ts=0, method="POST", status=200, grpc_status="0"))


def test_a_plain_filter_needs_no_remark() -> None:
    assert remarks(parse("res.status >= 400 and container.name == 'payment'")) == []
