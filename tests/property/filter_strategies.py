"""Filters as text, and rows that they have a fair chance of telling apart."""

from __future__ import annotations

from hypothesis import strategies as st

from recorder.decode.events import Secret, Transaction

HOSTS = [
    "api",
    "api.stripe.com",
    "stripe.com",
    "10.1.2.3",
    "shop.example.co.uk",
    "b.c",
    "api.b.c:8443",
    "[fd00::1]:8443",
]
METHODS = ["GET", "POST", "10.1.2.3", "get", "ab:cd:ef:01:02:03"]
STATUSES = [200, 204, 301, 404, 422, 500, 503]
NAMES = ["payment", "api", "web-1", ""]
PATHS = ["/", "/v1/charges", "/v1/ÄÖ", "/a'b", "/x\ny"]
BODIES = [b"", b"card_declined", "é".encode(), b"\xff\xfe", b"a\x00b", "\u20ac".encode()]

_words = st.sampled_from(
    [
        *HOSTS,
        *METHODS[:2],
        *NAMES,
        "egress",
        "stripe",
        "com",
        "O",
        "card",
        "é",
        "API",
        "Api",
        "API.STRIPE.COM",
        "api:443",
        "443",
        "c:8",
        "POS",
        "jwt",
    ]
)
_text_literals = st.one_of(
    _words.map(lambda word: f'"{word}"'),
    _words.map(lambda word: f"'{word}'"),
    st.sampled_from(
        [
            "/^api/",
            r"/\.com$/",
            "|/v1/|",
            "/(?i)GET|post/",
            "/[^a-z]/",
            "/a.*b/",
            "/^$/",
            "/(?i)^API/",
            "/443$/",
            "/c.8+/",
        ]
    ),
    st.sampled_from(
        ["10.1.2.3", '"10.1.2.3"', "10.0.0.0/8", "'::1'", "47:45:54", "c3", "c3:a9", "ff"]
    ),
)
_numbers = st.one_of(
    st.sampled_from(STATUSES).map(str),
    st.sampled_from(["0", "-1", "010", "404.0", "422.5", "5", "7", "18446744073709551615"]),
)
_odd = st.sampled_from(["true", "FALSE", "'ab:cd:ef:01:02:03'", '""', "'404'"])
# what rows often have in a field, so that comparisons hold now and then
LIKELY = {
    "req.method": ['"GET"', '"POST"', "/^G/"],
    "req.host": ['"api"', '"stripe.com"', "10.1.2.3"],
    "res.status": ["404", "422", "500.0"],
    "container.name": ["'payment'", '""'],
    "duration_ms": ["404", "5"],
    "findings.kind": ["'jwt'", "'card'"],
    "outcome": ["'ok'", "'server_error'"],
}
_likely = st.sampled_from([value for values in LIKELY.values() for value in values])
# mapped, since Hypothesis would take alternatives of alternatives as so many equal ones
literals = st.one_of(_likely, _text_literals.map(str), _numbers.map(str), _odd).map(str)

PUSHED = ["req.method", "req.host", "res.status"]
FIELDS = [
    *PUSHED,
    "direction",
    "container.name",
    "process.binary",
    "process.pid",
    "req.path",
    "req.url",
    "duration_ms",
    "outcome",
    "req.header.X-Id",
    "res.body",
    "findings.kind",
    "secrets.kind",
]


def values(fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Operands: literals, fields, and calls over them."""
    simple = st.one_of(fields, literals)
    calls = st.one_of(
        st.tuples(simple, simple).map(lambda args: f"starts_with({args[0]}, {args[1]})"),
        st.tuples(fields, _words).map(lambda args: f"in_zone({args[0]}, '{args[1]}')"),
        simple.map(lambda arg: f"zone({arg})"),
    )
    return st.one_of(fields, literals, calls.map(str)).map(str)


def _arrays(fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.lists(st.one_of(literals, fields), min_size=1, max_size=3)
    return items.map(lambda one: f"[{', '.join(one)}]")


def _apt(fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Comparisons that hold for many rows, also in lists and beside fields that are missing."""

    def shapes(name: str) -> st.SearchStrategy[str]:
        value = st.sampled_from(LIKELY[name])
        listed = st.tuples(value, fields).flatmap(st.permutations).map(", ".join)
        op = st.sampled_from(["==", "!=", "contains"])
        return st.one_of(
            st.tuples(op, value).map(lambda part: f"{name} {part[0]} {part[1]}"),
            listed.map(lambda items: f"{name} in [{items}]"),
            st.tuples(op, listed).map(lambda part: f"{name} {part[0]} [{part[1]}]"),
            st.tuples(op, listed).map(lambda part: f"[{part[1]}] {part[0]} {name}"),
        )

    known = fields.filter(lambda name: name in LIKELY)
    return known.flatmap(shapes)


def predicates(fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Single comparisons over those fields, all operators and shapes."""
    either = st.one_of(values(fields), _arrays(fields))
    ops = st.sampled_from(["==", "!=", "contains"])
    orders = st.sampled_from(["<", "<=", ">", ">="])
    patterns = st.sampled_from(["/^api/", r"|\.com$|", "/GET|POST/", "/(?i)API/", "/[45]..$/"])

    def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.tuples(*parts).map(" ".join)

    numeric = st.one_of(fields, _numbers)
    return st.one_of(
        _apt(fields).map(str),
        _apt(fields).map(str),
        joined(fields, ops, literals),
        joined(either, ops, either),
        joined(numeric, orders, numeric),
        joined(fields, st.just("matches"), patterns),
        joined(either, st.just("in"), _arrays(fields)),
        joined(fields, st.just("in 10.0.0.0/8")),
        fields.map(lambda name: f"missing({name})"),
        values(fields),
    )


def filters(fields: list[str]) -> st.SearchStrategy[str]:
    """Whole filters: predicates under AND, OR, NOT and parentheses."""

    def wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        chains = st.tuples(inner, st.sampled_from([" and ", " or ", " OR "]), inner)
        return st.one_of(
            chains.map("".join),
            inner.map(lambda one: f"not ({one})"),
            inner.map(lambda one: f"({one})"),
            inner.map(lambda one: f"!{one}"),
        )

    return st.recursive(predicates(st.sampled_from(fields)), wider, max_leaves=6)


def _maybe(choices: list[str]) -> st.SearchStrategy[str | None]:
    return st.one_of(st.sampled_from(choices), st.none())


def _as_decoded(tx: Transaction) -> Transaction:
    """A gRPC call has no method and seldom a host; decoding knows that it is a POST."""
    if tx.protocol == "grpc":
        tx.method, tx.status = "POST", 200
    return tx


transactions = st.builds(
    Transaction,
    ts=st.just(0),
    method=st.one_of(st.just("GET"), st.sampled_from(METHODS)),
    host=st.one_of(_maybe(["api"]), _maybe(HOSTS)),
    path=_maybe(PATHS),
    query=_maybe(["", "a=1"]),
    scheme=_maybe(["", "https"]),
    status=st.one_of(st.just(404), st.sampled_from(STATUSES), st.none()),
    direction=_maybe(["egress-external", "ingress"]),
    protocol=_maybe(["http1", "http2", "grpc"]),
    grpc_status=_maybe(["0", "OK", "", "5", "14"]),
    duration_ms=st.one_of(st.sampled_from([0, 5, 404]), st.none()),
    container_name=_maybe(["payment", *NAMES]),
    process_exe=_maybe(["/usr/bin/curl", "api", "/opt/", ""]),
    process_id=_maybe(["7", "007", "x", "", "9" * 30, "٣"]),
    req_headers=st.dictionaries(
        st.sampled_from(["X-Id", "x-id", "Accept"]), st.sampled_from(HOSTS)
    ),
    res_body=st.one_of(st.sampled_from(BODIES), st.none(), st.binary(max_size=4)),
    findings=st.lists(
        st.sampled_from(["jwt", "api", "card"]).map(lambda kind: Secret(kind, "body", "***"))
    ),
).map(_as_decoded)
