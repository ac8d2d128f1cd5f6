"""What parses, how it is read, and what a person is told when it does not."""

from __future__ import annotations

import pytest

from filters import FilterError, parse
from filters.nodes import Compare, Literal
from filters.values import Hex, Ip, Mac, Net


def literal(text: str) -> Literal:
    root = parse(f"f == {text}").root
    assert isinstance(root, Compare)
    assert isinstance(root.right, Literal)
    return root.right


def refused(text: str) -> FilterError:
    with pytest.raises(FilterError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a and b or c", "a and (b or c)"),
        ("a or b and c", "(a or b) and c"),
        ("a AND b OR c AND d", "a and (b or c) and d"),
        ("not a or b", "not a or b"),
        ("!a && b", "not a and b"),
        ("not (a or b)", "not (a or b)"),
        ("not n == 5", "not (n == 5)"),
        ("(a and b) or c", "(a and b) or c"),
        ("((a))", "a"),
        ("n eq 5 And s NE 'x'", "n == 5 and s != 'x'"),
        ("n in[5]", "n in [5]"),
        ("x in 10.0.0.0/8", "x == 10.0.0.0/8"),
        ("starts_with (s, [1,'b'])", "starts_with(s, [1, 'b'])"),
        ("a -- comment\n  and /* another */ b", "a and b"),
        ("s =~ |a/b|", "s matches |a/b|"),
    ],
)
def test_every_filter_reads_back_with_all_its_parentheses(text: str, read: str) -> None:
    assert parse(text).pretty() == read
    assert parse(read).pretty() == read


@pytest.mark.parametrize(
    ("text", "mixes"),
    [
        ("a and b or c", True),
        ("a or b and c", True),
        ("not (a or b and c)", True),
        ("a and (b or c)", False),
        ("(a or b) and (c or d)", False),
        ("a and b and c", False),
        ("not a or not b", False),
    ],
)
def test_bare_mixtures_of_and_and_or_are_noticed(text: str, mixes: bool) -> None:
    assert parse(text).mixes is mixes


def test_the_fields_of_a_filter_are_known() -> None:
    expr = parse("req.method in ['GET', other.one] and in_zone(req.host, z) or n > m and !t")
    assert expr.fields() == {"req.method", "other.one", "req.host", "z", "n", "m", "t"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("+5", 5),
        ("010", 8),
        ("0", 0),
        ("18446744073709551615", 2**64 - 1),
        ("5.25", 5.25),
        (".5", 0.5),
        ("tRuE", True),
        ("'a\"b'", 'a"b'),
        (r"'it\'s'", "it's"),
        (r'"a\tb\x41\101\u00e9\"\\"', 'a\tbAAé"\\'),
        (r'"\xc3\xa9"', "é"),
        ("10.1.2.3", Ip(4, 0x0A010203, "10.1.2.3")),
        ("'10.1.2.3'", Ip(4, 0x0A010203, "10.1.2.3")),
        ("'::FFFF:10.1.2.3'", Ip(4, 0x0A010203, "10.1.2.3")),
        ("'010.1.2.3'", "010.1.2.3"),
        ("'fe80::1%eth0'", "fe80::1%eth0"),
        ("2001:DB8::1", Ip(6, 0x20010DB8 << 96 | 1, "2001:db8::1")),
        ("1:2:3:4:5:6:7:8", Ip(6, 0x00010002000300040005000600070008, "1:2:3:4:5:6:7:8")),
        ("10.1.2.3/8", Net(4, 10 << 24, 8, "10.0.0.0/8")),
        ("'10.0.0.0/255.0.0.0'", "10.0.0.0/255.0.0.0"),
        ("2001:db8::/32", Net(6, 0x20010DB8 << 96, 32, "2001:db8::/32")),
        ("'AB:cd:ef:01:02:03'", Mac(bytes.fromhex("abcdef010203"), "ab:cd:ef:01:02:03")),
        ("'AB-cd-ef-01-02-03'", "AB-cd-ef-01-02-03"),
        ("ab", Hex(b"\xab", "ab")),
        ("50:4F:53:54", Hex(b"POST", "50:4F:53:54")),
    ],
)
def test_values_are_read_as_go_reads_them(text: str, value: object) -> None:
    found = literal(text).value
    assert (type(found), found) == (type(value), value)


def test_longer_words_than_keywords_and_hex_are_names() -> None:
    text = "inx and not_x and true_x and a1b and _ab and n-1 and a.b-c.d"
    assert parse(text).fields() == {"inx", "not_x", "true_x", "a1b", "_ab", "n-1", "a.b-c.d"}


def test_a_double_minus_begins_a_comment() -> None:
    assert parse("n == 5--5").pretty() == "n == 5"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "*",
        "n = 5",
        'n > "4"',
        "n > starts_with(a, 'b')",
        "n > [1]",
        "n in []",
        "n in 5",
        "n in other",
        "n in [1,]",
        "[[1]] == n",
        "[f(x)] == n",
        's =~ "^h"',
        "s =~ other",
        "s not contains 'z'",
        "n == 1e3",
        "n == - 5",
        "n == 5.",
        "n == 0x5",
        "n == 08",
        "n == 1.2.3",
        "n == 10.0.0.0/33",
        "n == ::/128",
        "starts_with(s)",
        "foo.bar(s)",
        "(n == 5) == true",
        "n == (5)",
        "1 < n < 5",
        "n == 5 & t",
        "5and x",
        "()",
        "lt == 1",
        "== true",
        "ip << 1",
        "label/x == 1",
        "ñ == 1",
        "s == 'bad qu\\\"ote'",
        r's == "\q"',
        's == "\\xc3"',
        's == "a\nb"',
        "s == ''''",
        "s =~ /(a/",
        "s =~ /(?=a)/",
        "s =~ /a/i",
        "n == 18446744073709551616",
        "n == -9223372036854775809",
    ],
)
def test_what_rulekit_does_not_take_is_refused(text: str) -> None:
    refused(text)


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("res.status = 404", (1, 12), "write == to compare"),
        ("a === 5", (1, 5), "write == to compare"),
        ("a == 1 & b", (1, 8), "write and, or &&"),
        ("s not contains 'z'", (1, 3), "write not (s contains 'z')"),
        ("n not in [1, 2]", (1, 3), "write not (n in [1, 2])"),
        ("p matches /^/v1/", (1, 16), "a slash in a pattern is written \\/; or put bars around"),
        ("p matches /api/v1", (1, 16), "a slash in a pattern is written \\/; or put bars around"),
        ("n > 1e3", (1, 5), "write the number out, without exponent or unit"),
        ("n > 2s", (1, 6), "write the number out, without exponent or unit"),
        ("ip == 10.0.0.256", (1, 16), "an IP address has four parts, each 0 to 255"),
        ("a.b is null", (1, 5), "write missing(a.b)"),
        ("a.b is not null", (1, 5), "write not missing(a.b)"),
        ("status:500", (1, 7), "write == to compare"),
        ("p == /v1/charges", (1, 10), 'write text in quotes: "/v1/charges"'),
        ("a.b exists", (1, 5), "write not missing(a.b)"),
        ("m in (GET, POST)", (1, 6), 'write in ["GET", "POST"]'),
        ("m in ['GET' 'PUT']", (1, 13), "put a comma between 'GET' and 'PUT'"),
        ("host ~ 'x'", (1, 6), "write matches /…/, or contains"),
        ("s =~ 'a/b'", (1, 6), "write a pattern between slashes: matches /a\\/b/"),
        ("res.status >= '400'", (1, 15), "only numbers can be ordered: write >= 400"),
        ("n in 5", (1, 6), "write in [5]"),
        ("n <> 5", (1, 4), "write != for unequal"),
        ("res.status == 5xx", (1, 16), "write res.status >= 500 and res.status < 600"),
        ("req.host like 'x'", (1, 10), "write contains, or matches /…/ instead of like"),
        ("req.host startswith 'x'", (1, 10), "write starts_with(req.host, 'x')"),
        ("(n == 5) == true", (1, 10), "an expression in parentheses cannot be compared"),
        ("a\n  and b = 5", (2, 9), "write == to compare"),
        ("req.host == 'a", (1, 13), "add the closing '"),
        ("n == 08", (1, 6), ""),
        ("a == 1 and", (1, 11), ""),
        ("*", (1, 1), "leave the filter out to take everything; use matches /…/ for patterns"),
        ("", (1, 1), 'for example: req.method == "POST"'),
    ],
)
def test_a_mistake_has_its_place_and_its_remedy(
    text: str, place: tuple[int, int], hint: str
) -> None:
    error = refused(text)
    assert (error.line, error.column) == place
    assert error.hint.startswith(hint)
    assert bool(error.hint) == bool(hint)


def test_the_message_shows_the_line_and_a_caret() -> None:
    error = refused("req.method == 'GET' and\nn not in [1]")
    assert error.message.splitlines() == [
        "filter 2:3: unexpected 'not': expected an operator (== != < <= > >= contains matches in),"
        " AND, OR or the end",
        "  n not in [1]",
        "    ^^^",
    ]
    assert error.exit_code == 2


def test_a_long_line_is_cut_around_the_mistake() -> None:
    error = refused("x" * 3000 + " = 5 " + "y" * 3000)
    _, line, carets = error.message.splitlines()
    assert len(error.message) < 300
    assert line[carets.index("^")] == "="


def test_a_pattern_with_bare_slashes_is_shown_between_bars() -> None:
    assert refused("p matches /^/v1/").hint.endswith("|^/v1|")
    assert refused("p matches /api/v1 and n").hint.endswith("|/api/v1|")
    assert parse("p matches |/api/v1| and p matches /\\/api/").fields() == {"p"}


def test_the_first_of_two_mistakes_is_told() -> None:
    assert refused("s =~ /(a/ and and").column == 6
    assert refused("a b and s =~ /(a/").column == 3


def test_a_second_comment_is_refused_because_qtap_would_swallow_what_is_between() -> None:
    assert "one comment" in refused("/* a */ n == 5 /* b */ and t").reason


@pytest.mark.parametrize(
    "text",
    ["(" * 2000 + "a" + ")" * 2000, "not " * 2000 + "a", "a or " * 4000 + "a", "a == '\udc80'"],
)
def test_more_than_anyone_writes_is_refused_kindly(text: str) -> None:
    refused(text)


def test_a_filter_of_a_thousand_terms_parses() -> None:
    assert len(parse(" or ".join(["n == 5"] * 1000)).fields()) == 1
