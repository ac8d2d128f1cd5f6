"""A filter as SQL: parameters bound, columns where they are, no surprise by NULL."""

from __future__ import annotations

import duckdb
import pytest

from filters import FilterError, parse, prepare, to_sql

ROWS = """
SELECT * FROM (VALUES
  ('GET', 'api.x.com', '/v1', 200::SMALLINT, 'shop', MAP {'X-Id': 'a'}, '14'),
  ('POST', 'b.y.co.uk', '/it''s<3', 500, NULL, MAP {}, NULL),
  ('GET', NULL, NULL, NULL, 'api', NULL, NULL)
) AS t(method, host, path, status, container_name, req_headers, grpc_status)
"""


def picked(text: str, columns: dict[str, str] | None = None) -> list[str | None]:
    """The methods and hosts of the rows that pass, in order."""
    con = duckdb.connect()
    sql = to_sql(parse(text), columns)
    prepare(con, sql.text)
    found = con.execute(f"SELECT host FROM ({ROWS}) WHERE {sql.text}", sql.params).fetchall()
    return [host for (host,) in found]


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("req.method == 'GET'", ["api.x.com", None]),
        ('req.path == "/it\'s<3"', ["b.y.co.uk"]),
        ("res.status >= 400", ["b.y.co.uk", None]),
        ("outcome == 'no_response'", [None]),
        ("outcome == 'server_error'", ["api.x.com", "b.y.co.uk"]),  # gRPC's 14, too
        ("missing(container.name)", ["b.y.co.uk"]),
        ("not missing(req.header.x-id)", ["api.x.com"]),
        ("container.name != 'shop' or missing(container.name)", ["b.y.co.uk", None]),
        ("missing(res.status)", []),
        ("container.name != 'shop'", [None]),
        ("not (container.name == 'shop')", [None]),
        ("not (container.name == 'shop' and req.method == 'GET')", ["b.y.co.uk", None]),
        ("req.host != 'x' or container.name == 'api'", ["api.x.com", "b.y.co.uk", None]),
        ("zone(req.host) == 'y.co.uk'", ["b.y.co.uk"]),
        ("in_zone(req.host, 'x.com')", ["api.x.com"]),
        ("req.header.x-id == 'a'", ["api.x.com"]),
        ("req.host in ['b.y.co.uk', container.name]", []),
        ("res.status == '200'", []),
        ("req.path contains 2f", ["api.x.com", "b.y.co.uk"]),  # as bytes: a slash
        ("req.path contains c3", []),  # no text as such, and 3c 33 ("<3") does not hold it
        ("req.path contains 69:74", ["b.y.co.uk"]),
        ("not (res.status == '200')", ["api.x.com", "b.y.co.uk", None]),
    ],
)
def test_rows_are_picked(text: str, hosts: list[str | None]) -> None:
    assert picked(text) == hosts


def test_values_are_bound_never_written_into_the_text() -> None:
    sql = to_sql(parse("req.path == \"'; DROP TABLE x; --\" and req.header.x-y == 'v'"))
    assert "DROP" not in sql.text
    assert sorted(map(str, sql.params.values())) == ["'; DROP TABLE x; --", "v"]


def test_two_filters_can_share_a_query() -> None:
    first, second = (
        to_sql(parse("req.method == 'a'")),
        to_sql(parse("req.method == 'b'"), prefix="q"),
    )
    assert not set(first.params) & set(second.params)


def test_another_view_says_where_its_columns_are() -> None:
    assert picked("req.host == 'GET'", {"host": "method"}) == ["api.x.com", None]
    with pytest.raises(FilterError, match=r"req\.path cannot be used here"):
        to_sql(parse("req.path == '/'"), {"host": "host"})


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(FilterError, match="there is no field"):
        to_sql(parse("nope == 1"))


def test_preparing_twice_does_no_harm() -> None:
    con = duckdb.connect()
    sql = to_sql(parse("zone('a.b.com') == zone(req.host)"))
    prepare(con, sql.text)
    prepare(con.cursor(), sql.text)
    assert con.cursor().execute(
        f"SELECT {sql.text} FROM (SELECT 'x.b.com' AS host)", sql.params
    ).fetchall() == [(True,)]


def test_a_filter_of_a_thousand_terms_runs() -> None:
    assert picked(" or ".join(["req.method == 'GET'"] * 700)) == ["api.x.com", None]
    hosts = ", ".join(f"'h{number}'" for number in range(500))
    assert picked(f"req.host in [{hosts}, 'api.x.com']") == ["api.x.com"]
    assert picked(f"req.host != [{hosts}, 'api.x.com', 5]") == ["b.y.co.uk"]
