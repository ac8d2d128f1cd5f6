"""Which fields there are, where each can be used, and what is said when one cannot."""

from __future__ import annotations

import pytest

from filters import FIELDS, FilterError, check, parse, predicate, remarks, row_fields
from filters.check import Place
from recorder.decode.row import Secret, Transaction
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
    return predicate(parse(text))(row_fields(tx))


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
        'findings.kind == "jwt"',
        "req and req.header",  # as maps, which hold whatever is in them
    ],
)
def test_a_transaction_answers_by_field(text: str) -> None:
    assert holds(text)


def test_a_transaction_reads_as_a_nested_mapping() -> None:
    row = row_fields(TX)
    assert row["req"]["method"] == "POST"
    assert "pod" in row
    assert "name" not in row["pod"]
    assert sorted(row["container"]) == ["name"]
    assert len(row["process"]) == 3
    with pytest.raises(KeyError):
        row["nothing"]


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
        assert set(spec.columns) <= set(TRANSACTIONS.names), spec.name
        assert spec.doc
        assert "where" in spec.uses


LIVE = ["req.method", "req.host", "res.status", "direction", "protocol", "process.binary"]
LIVE += ["process.path", "process.pid", "container.name", "container.image", "pod.name"]
LIVE += ["pod.namespace", "dst.domain"]
STORED = ["req.path", "req.url", "duration_ms", "route", "outcome", "error_signature"]
STORED += ["req.header.accept", "res.header.x", "res.body", "trace_id"]


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
            "res.status == 500 or direction == 'x' and req.method",
            "AND and OR mixed: read as (res.status == 500 or direction == 'x') and req.method",
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
            "hosts are kept in lower case: write 'api.x.com', not 'API.x.com'",
        ),
    ],
)
def test_what_a_filter_does_that_its_author_may_not_expect_is_said(text: str, said: str) -> None:
    assert remarks(parse(text)) == [said]


def test_a_plain_filter_needs_no_remark() -> None:
    assert remarks(parse("res.status >= 400 and container.name == 'payment'")) == []
