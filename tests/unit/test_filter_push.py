"""Which part of a filter goes to Qtap."""

from __future__ import annotations

import pytest

from filters import parse, pushable


@pytest.mark.parametrize(
    ("text", "pushed"),
    [
        ("res.status >= 400 AND container.name == 'payment'", "res.status >= 400"),
        ("res.status >= 400 or container.name == 'payment'", None),
        ("req.method == 'GET' and req.method == 'GET'", "req.method == 'GET'"),
        (
            "req.method == 'GET' and res.status == 200 or res.status == 204",
            "req.method == 'GET' and (res.status == 200 or res.status == 204)",
        ),
        (
            "(req.method == 'GET' and route) or (req.method == 'PUT' and res.status > 4)",
            "req.method == 'GET' or (req.method == 'PUT' and res.status > 4)",
        ),
        # not does not negate on Qtap's side
        ("not (res.status == 404)", "res.status != 404"),
        ("not (res.status >= 400)", "res.status < 400"),
        ("not (400 <= res.status)", "res.status < 400"),
        ("not (res.status in [404, 500, 'x'])", "res.status != [404, 500]"),
        ("not (req.method =~ /^P/)", "req.method != /^P/"),
        (
            "not (req.method == 'GET' or res.status < 400)",
            "req.method != 'GET' and res.status >= 400",
        ),
        ("not (req.method == 'GET' and direction == 'x')", None),
        ("not not (res.status == 404)", "res.status == 404"),
        ("not req.path", None),
        # Qtap leaves out what is empty, so such a condition would find nothing there
        ("not req.method", None),
        # shapes that nobody writes
        ("not (req.method contains 'P/')", None),
        ("not starts_with(res.status, 5)", None),
        ("'GET' == req.method", None),
        # what can never hold leaves the rest
        ("res.status == '404' or req.method == 'GET'", "req.method == 'GET'"),
        ("res.status == '404'", None),
        ("not (res.status == '404')", None),
        ("req.method in ['GET', 10.1.2.3, /P/]", "req.method == 'GET'"),
        ("not (req.method in ['10.1.2.3'])", None),  # an address equals no text from the left
        # on the wire a host has its case and its port
        ("req.host == 'api.x.com'", "req.host matches /(?i)api\\.x\\.com/"),
        ("req.host in ['a.b', 'c.d']", "req.host matches /(?i)a\\.b|c\\.d/"),
        ("req.host matches /^api\\..*com$/", "req.host matches /(?i)(?:api\\..*com)/"),
        ("req.host matches /[^a-z]/", None),
        ("req.host matches /(?-i)api/", None),
        ("in_zone(req.host, 'x.com')", "req.host matches /(?i)x\\.com/"),
        ("zone(req.host) == 'x.com'", "req.host matches /(?i)x\\.com/"),
        ("starts_with(req.host, 10)", "req.host matches /(?i)10/"),
        # of a gRPC call Qtap's host has no port, and its method is empty
        ("req.host == 'svc.x:8443'", "req.host matches /(?i)svc\\.x/"),
        ("req.host == '[fd00::1]:8443'", "req.host matches /(?i)fd00\\:\\:1/"),
        ("req.host contains 'x:84'", "req.host matches /(?i)x/"),
        ("req.host contains '84'", None),
        (
            "req.host matches /443$/",
            'req.host matches /(?i)(?:443)/ or req.method == ""',
        ),
        ("req.host != 'api.x.com'", "req.host != 'api.x.com' or req.method == \"\""),
        ("req.host != 'API.x.com'", None),
        ("req.host != 'api.x.com:443'", None),
        ("not (req.host contains 'x')", None),
        ("not (req.host != 5)", None),
        ("req.host == 'é.com'", None),
        # Qtap leaves the method of a gRPC call empty, which is a POST here
        ("req.method == 'POST'", "req.method == 'POST' or req.method == \"\""),
        ("not (req.method in ['GET', 'HEAD'])", "req.method != ['GET', 'HEAD']"),
        (
            "req.method matches /^P/ and res.status >= 400",
            '(req.method matches /^P/ or req.method == "") and res.status >= 400',
        ),
        ("req.method", 'req.method or req.method == ""'),
        # more than one field in a comparison, and what a row works out for itself
        ("req.method == req.host", None),
        ("outcome == 'no_response'", None),
        # Qtap does not know missing()
        ("missing(req.host)", None),
        ("not missing(req.method) and res.status == 404", "res.status == 404"),
        ("starts_with(req.path, '/v1') and res.status >= 400", "res.status >= 400"),
    ],
)
def test_the_strongest_safe_condition_is_pushed(text: str, pushed: str | None) -> None:
    assert pushable(parse(text)) == pushed


def test_all_pushes_what_qtap_documents_and_none_nothing() -> None:
    expr = parse("not (container.name != 'a') and direction contains 'egress' and req.path == '/'")
    assert pushable(expr) is None
    assert pushable(expr, "all") == "container.name == 'a' and direction contains 'egress'"
    assert pushable(parse("res.status == 404"), "none") is None
