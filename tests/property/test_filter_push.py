"""What is pushed to Qtap never costs an event that the whole filter accepts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import Row, parse, predicate, pushable
from filters.fields import check
from recorder.decode.events import Transaction
from tests.property.filter_strategies import FIELDS, PUSHED, filters, transactions

PROBES = [*PUSHED * 3, *FIELDS]


def on_the_wire(tx: Transaction, spelling: int) -> dict[str, dict[str, object]]:
    """The event as Qtap's filter sees it: status a float, the host as the client wrote it."""
    if tx.protocol == "grpc":  # by the call's address, without port and brackets
        name = (tx.host or "").removesuffix(":8443").strip("[]")
        return {"req": {"method": "", "host": name, "path": "/x"}, "res": {"status": 200.0}}
    host = tx.host
    if host is not None:
        host = [host, host.upper(), host.title(), f"{host}:443", f"{host.upper()}:443"][spelling]
    request = {"method": tx.method, "host": host}
    status = 422.0 if tx.status is None else float(tx.status)
    return {
        "req": {name: value for name, value in request.items() if value is not None},
        "res": {"status": status},
    }


@given(filters(PROBES), st.lists(transactions, min_size=5, max_size=5), st.integers(0, 4))
def test_nothing_accepted_is_lost(text: str, rows: list[Transaction], spelling: int) -> None:
    expr = parse(text)
    pushed = pushable(expr)
    if pushed is None:
        return
    accepts, delivered = predicate(expr), predicate(parse(pushed), "qtap")
    for tx in rows:
        if accepts(Row(tx)):
            assert delivered(on_the_wire(tx, spelling)), (pushed, tx)


SPELLINGS = [
    "api",
    "API",
    "Api",
    "api:443",
    "api.b.c",
    "api.b.c:8443",
    "443",
    "c:8",
    "[",
    "API.STRIPE.COM",
    "10.1.2.3",
    "stripe.com",
    "5",
]
hosts = st.sampled_from(SPELLINGS).map(lambda host: f"'{host}'")
over_hosts = st.one_of(
    st.tuples(st.sampled_from(["==", "!=", "contains"]), hosts).map(" ".join),
    st.sampled_from(
        [
            "/^api$/",
            "/API/",
            "/(?i)API/",
            "/[^A-Z]{3}$/",
            "/ap.|x/",
            "/(?-i)api/",
            "/i$/",
            "/[0-9]$/",
            "/c.8|i/",
        ]
    ).flatmap(lambda one: st.sampled_from(["matches", "==", "!="]).map(lambda op: f"{op} {one}")),
    st.tuples(st.sampled_from(["in", "==", "!="]), hosts, hosts).map(
        lambda part: f"{part[0]} [{part[1]}, {part[2]}, 5, 10.1.2.3]"
    ),
).map(lambda rest: f"req.host {rest}")
calls_of_hosts = st.one_of(
    st.tuples(st.sampled_from(["starts_with", "in_zone"]), hosts).map(
        lambda part: f"{part[0]}(req.host, {part[1]})"
    ),
    hosts.map(lambda host: f"zone(req.host) == {host}"),
)


grpc_calls = st.builds(
    lambda host: Transaction(ts=0, method="POST", protocol="grpc", host=host, status=200),
    st.sampled_from(["api.b.c:8443", "[fd00::1]:8443", "api.b.c"]),
)
rows_with_hosts = st.one_of(transactions, grpc_calls)


@given(st.one_of(over_hosts, calls_of_hosts), st.booleans(), rows_with_hosts, st.integers(0, 4))
def test_no_spelling_of_a_host_is_lost(
    text: str, negated: bool, tx: Transaction, spelling: int
) -> None:
    expr = parse(f"not ({text})" if negated else text)
    pushed = pushable(expr)
    if pushed is not None and predicate(expr)(Row(tx)):
        assert predicate(parse(pushed), "qtap")(on_the_wire(tx, spelling)), pushed


@given(filters(PROBES))
def test_what_is_pushed_is_plain(text: str) -> None:
    pushed = pushable(parse(text))
    if pushed is not None:
        again = parse(pushed)
        check(again, "record")
        assert again.fields() <= set(PUSHED)
        assert not again.mixes
        assert again.pretty() == pushed
        assert "not" not in pushed.split()


@pytest.mark.parametrize("text", ["req.method == 'GET'", "res.status >= 400"])
def test_the_property_is_not_empty(text: str) -> None:
    assert pushable(parse(text)) is not None
