"""Which events pass: rulekit's rules, each as it was seen to behave, and our own `not`."""

from __future__ import annotations

from typing import Any

import pytest

from filters import parse, predicate
from filters.values import compile_regex, go_text, parse_hex, parse_ip, parse_net

EVENT: dict[str, Any] = {
    "n": 5,
    "t": True,
    "f": False,
    "s": "hello",
    "ip": "10.1.2.3",
    "arr": ["a", 3],
    "tags": ("db-svc", "internal"),
    "res": {"status": 404.0},
    "host": "Api.Example.com",
    "nothing": None,
    "empty": "",
    "map": {},
    "container": {"labels": {"com.docker.compose.service": "web"}},
    "hw": "AB:CD:EF:01:02:03",
    "big": 9007199254740993,
    "real": 9007199254740992.0,
}

PASS = """
5 == n
n == 5.0
n == [1,5]
n in [-5, +5, 5.0]
n in [n]
n in[5]
n ==5 and(t)
s =~ /^h/
s MATCHES |^h|
s == /^h/
s contains /l+/
"say hello" contains s
ip == 10.1.2.3
ip == "10.1.2.3"
ip contains "10."
ip != 10.0.0.0/8
arr contains 3
arr != 9
arr > 2
res.status >= 400
"POST" == 50:4f:53:54
t == tRuE
t || !missing
starts_with (s, 'he')
starts_with(n, 5)
10.1.2.3 in 10.0.0.0/8
/* c */ n == 5 -- c
missing or t
n != [1,2]
s != /z/
s == 68:65:6c:6c:6f
ip == ["10.1.2.3","1.1.1.1"]
10.0.0.0/8 contains 10.1.2.3
10.0.0.0/8 != 11.1.2.3
2001:db8::1 in 2001:db8::/32
'ab:cd:ef:01:02:03' == hw
'ab:cd:ef:01:02:03' == ab:cd:ef:01:02:03
tags == "db-svc"
tags != "db-svc"
tags contains "db-svc"
tags =~ /^int/
container.labels.com.docker.compose.service == 'web'
map
real == 9007199254740993
starts_with(arr, '[a')
starts_with(nothing, '<nil>')
zone("a.b.s3-website.us-west-1.amazonaws.com") == "b.s3-website.us-west-1.amazonaws.com"
zone("localhost.") == "localhost"
zone(host) == "Example.com"
in_zone("api.example.com", "example.com")
in_zone(zone("a.b.example.com"), "example.com")
starts_with(s, "he") == true
"""

FAIL = """
n == "5"
n != "5"
n != s
s != 5
s >= 1
s == "HELLO"
n =~ /5/
arr =~ /a/
s in [/^h/]
s contains ['hello']
ip in 10.0.0.0/8
ip in ["10.1.2.3"]
host =~ /example/
t == 1
n contains 5
50:4f:53:54 == "POST"
n == 010
10.1.2.3 == ip
"10.1.2.3" == ip
n != [1,5]
missing and f
f and missing
nothing
nothing == nothing
empty
tags contains "db"
tags == 5
tags in ["db-svc"]
arr in ["a"]
arr contains ["a"]
map == map
hw == ab:cd:ef:01:02:03
2001:db8::1 in 10.0.0.0/8
10.1.2.3 == 2001:db8::1
t < 2
in_zone("notexample.com", "example.com")
in_zone("API.example.com", "api.example.com")
n-1 == 4 and f
"""

ERROR = """
missing
n == missing
n in [missing, n]
nope(s)
STARTS_WITH(s,'he')
n-1 == 4
missing != 1
missing and t
missing or f
not missing
zone(n) == "x"
zone("10.1.2.3") == "x"
zone(s, s) == "x"
in_zone(s)
starts_with(missing, "a")
s.missing == 1
n.missing == 1
container.labels.missing == 1
"""


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def outcome(text: str) -> str:
    """Tell fail from error, though neither lets an event through: `or not` tells in ours."""
    expr = parse(text)
    if predicate(expr, "qtap")(EVENT):
        return "pass"
    failed = predicate(parse(f"not ({text.split(' --')[0]})"), "qrec")(EVENT)
    return "fail" if failed else "error"


@pytest.mark.parametrize("text", lines(PASS))
def test_passes(text: str) -> None:
    assert predicate(parse(text), "qtap")(EVENT) is True


@pytest.mark.parametrize("text", lines(FAIL))
def test_fails(text: str) -> None:
    assert outcome(text) == "fail"


@pytest.mark.parametrize("text", lines(ERROR))
def test_is_an_error_and_lets_nothing_through(text: str) -> None:
    assert outcome(text) == "error"


@pytest.mark.parametrize(
    ("text", "qtap", "qrec"),
    [
        ("not t", True, False),
        ("!f", False, True),
        ("not (n == 6)", False, True),
        ("!!t", True, True),
        ("not missing", False, False),
        ("not (missing or t)", True, False),
        ("not (missing and f)", False, True),
        ("not (t and f)", False, True),
        ("t and not f", False, True),
    ],
)
def test_not_negates_in_our_meaning_and_does_nothing_in_qtaps(
    text: str, qtap: bool, qrec: bool
) -> None:
    expr = parse(text)
    assert (predicate(expr, "qtap")(EVENT), predicate(expr, "qrec")(EVENT)) == (qtap, qrec)
    assert predicate(expr)(EVENT) is qrec


def test_missing_asks_for_what_is_not_there_and_is_unknown_to_qtap() -> None:
    for text, holds in [("missing(x)", True), ("missing(n)", False), ("not missing(n)", True),
                        ("n == 6 or missing(x.y)", True), ("missing(nothing)", False)]:  # fmt: skip
        assert predicate(parse(text))(EVENT) is holds
        assert not predicate(parse(text), "qtap")(EVENT)


def test_a_dotted_key_goes_before_a_nested_one() -> None:
    test = predicate(parse("a.b.c == 1"))
    assert test({"a.b.c": 1, "a": {"b": {"c": 2}}})
    assert test({"a": {"b.c": 1, "b": {"c": 2}}})
    assert test({"a": {"b": {"c": 1}}})
    assert not test({"a.b": {"c": 1}})  # the first dot decides where to step in


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (503.0, "503"),
        (999999.0, "999999"),
        (1000000.0, "1e+06"),
        (1234567.5, "1.2345675e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-0.25, "-0.25"),
        (0.0, "0"),
        (True, "true"),
        (None, "<nil>"),
        ({"b": 1, "a": [1, "x"]}, "map[a:[1 x] b:1]"),
        (b"ab", "[97 98]"),
        (parse_ip("2001:DB8::1"), "2001:db8::1"),
        (parse_net("10.1.2.3/8"), "10.0.0.0/8"),
        (parse_hex("AB:cd"), "AB:cd"),
        (compile_regex("a+"), "a+"),
    ],
)
def test_starts_with_sees_values_as_go_prints_them(value: object, text: str) -> None:
    assert go_text(value) == text


def test_a_pattern_that_would_hang_a_backtracking_engine_is_quick() -> None:
    assert not predicate(parse("s =~ /^(a+)+$/"))({"s": "a" * 5000 + "b"})


def test_a_deep_filter_and_a_long_one_evaluate() -> None:
    assert predicate(parse("(" * 100 + "t" + ")" * 100))(EVENT)
    assert predicate(parse("not (" * 100 + "t" + ")" * 100))(EVENT)
    assert predicate(parse(" or ".join(["n == 6"] * 1000 + ["t"])))(EVENT)
