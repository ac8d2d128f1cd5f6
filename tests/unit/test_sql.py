"""Foreign SQL: what it may ask, and every way out of its cell that we could think of, shut."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from mcp_tools.server import build as build_server
from qrec.__main__ import main
from queries.core.sql_child import Refused, check, connect, run
from queries.core.window import Window
from queries.sql import query_sql
from store.errors import QrecError, TimedOutError, UsageError
from store.layout import Store
from tests.contract.stored import NOW, build, minute, row

HOUR = Window(NOW - timedelta(hours=1), NOW)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    rows = [row(minute(number), res_body=b'{"a": "\x1b[31m"}') for number in range(-30, 30)]
    made = build(tmp_path_factory.mktemp("sql") / "store", rows)
    made.key_file.write_bytes(b"k" * 32)
    return made


@pytest.fixture(scope="module")
def asked(store: Store) -> dict[str, Any]:
    """What the child is told, for asking it without a process of its own."""
    folder = store.sealed_hour("transactions", "2026-11-22T13")
    view = {"paths": [str(path) for path in folder.iterdir()], "columns": {}, "where": "true"}
    return {"views": {"transactions": view}, "memory_mb": 256, "rows": 5, "chars": 1000,
            "cell": 50, "sql": ""}  # fmt: skip


def test_it_answers_over_the_window_alone(store: Store) -> None:
    answer = query_sql(store, HOUR, "SELECT count(*) AS n, min(host) FROM transactions;")
    assert answer.rows == ((30, "api.example.com"),)
    assert [column.name for column in answer.columns] == ["n", "min(host)"]
    assert not answer.truncated


def test_tables_without_rows_are_there(store: Store) -> None:
    text = "SELECT (SELECT count(*) FROM connections), (SELECT count(*) FROM coverage)"
    assert query_sql(store, HOUR, text).rows == ((0, 1),)


def test_rows_and_characters_are_capped(store: Store) -> None:
    answer = query_sql(store, HOUR, "SELECT seq FROM transactions ORDER BY seq", limit=7)
    assert (len(answer.rows), answer.truncated) == (7, True)
    wide = query_sql(store, HOUR, "SELECT list(host) FROM transactions, range(1000) t", limit=5)
    assert len(str(wide.rows)) < 100_000
    long = "SELECT string_agg(host, '') FROM transactions, range(1000) t"
    assert len(query_sql(store, HOUR, long).rows[0][0]) < 1_100


WAYS_OUT = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    "FROM read_csv('/etc/passwd')",
    "FROM read_blob('{key}')",
    "FROM read_parquet('{store}/transactions/*/*.parquet')",
    "FROM parquet_metadata('{store}/x')",
    "FROM glob('/etc/*')",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM transactions t, LATERAL (FROM read_text('/etc/passwd'))",
    "WITH a AS (FROM read_text('/etc/passwd')) FROM a",
    "SELECT * FROM transactions WHERE host IN (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT 1 UNION ALL SELECT content FROM read_text('/etc/passwd')",
    "COPY (SELECT 1) TO '{store}/x.csv'",
    "COPY transactions TO '/tmp/x.parquet'",
    "ATTACH '/tmp/x.db'",
    "EXPORT DATABASE '/tmp/x'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "SET memory_limit = '64GB'",
    "SET VARIABLE x = 1",
    "RESET enable_external_access",
    "CREATE TABLE x AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "DROP VIEW transactions",
    "INSERT INTO transactions SELECT * FROM transactions",
    "DELETE FROM transactions",
    "PREPARE p AS SELECT 1",
    "EXPLAIN SELECT 1",
    "DESCRIBE transactions",
    "SHOW TABLES",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP VIEW transactions",
    "SELECT getenv('HOME')",
    "SELECT current_setting('allowed_paths')",
    "SELECT getvariable('x')",
    "FROM duckdb_settings()",
    "SELECT sql FROM duckdb_views()",
    "FROM duckdb_secrets()",
    "FROM query('SELECT 1')",
    "FROM query_table('transactions')",
    "FROM information_schema.tables",
    "FROM main.transactions",
    "FROM sqlite_master",
    "FROM pg_catalog.pg_class",
    "SELECT write_log('x')",
    "SELECT json_execute_serialized_sql('x')",
    "SELECT repeat('a', 2000000000)",
    "",
    "--",
    "selec 1",
]


@pytest.mark.parametrize("text", WAYS_OUT)
def test_no_way_out(store: Store, asked: dict[str, Any], text: str) -> None:
    import duckdb

    text = text.replace("{store}", str(store.path)).replace("{key}", str(store.key_file))
    with connect(asked) as con, pytest.raises((Refused, duckdb.Error)):
        check(con, text, {"transactions"})


@pytest.mark.parametrize("text", [way for way in WAYS_OUT if "/etc/passwd" in way or "key" in way])
def test_the_connection_alone_holds_too(store: Store, asked: dict[str, Any], text: str) -> None:
    """Were the check of the statement to miss something, DuckDB itself refuses files."""
    import duckdb

    text = text.replace("{key}", str(store.key_file))
    with connect(asked) as con, pytest.raises(duckdb.Error):
        con.sql(text).to_arrow_table()


@pytest.mark.parametrize(
    "text",
    [
        "WITH a AS (SELECT host FROM transactions), b AS (FROM a) SELECT count(*) FROM b",
        "SELECT host, count(*) FROM Transactions GROUP BY ALL ORDER BY 2 DESC -- the busiest",
        "SELECT * FROM range(3), unnest([1, 2])",
        "SELECT decode(res_body), req_headers['Accept'] FROM transactions",
        "WITH read_text AS (SELECT 1) FROM read_text",
        "FROM transactions WHERE host NOT LIKE '%read_text(%'",
        "SELECT quantile_cont(duration_ms, 0.5), current_date, now() FROM transactions",
        "VALUES (1), (2)",
    ],
)
def test_plain_questions_pass(asked: dict[str, Any], text: str) -> None:
    assert run({**asked, "sql": text})["rows"]


@pytest.mark.parametrize(
    "text",
    [
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        "SELECT count(*) FROM range(1000000000000)",
        "SELECT count(*) FROM range(1000000) a, range(1000000) b",
    ],
)
def test_what_never_ends_is_ended(store: Store, text: str) -> None:
    with pytest.raises(TimedOutError):
        query_sql(store, HOUR, text, timeout_s=1.5)


@pytest.mark.parametrize(
    "text",
    ["SELECT list_sum(range(1000000000))", "SELECT list(x) FROM range(2000000000) t(x)",
     "SELECT lpad('a', 1900000000, 'x') || lpad('b', 1900000000, 'y')"],
)  # fmt: skip
def test_what_eats_memory_is_stopped(store: Store, text: str) -> None:
    with pytest.raises((QrecError, TimedOutError)):
        query_sql(store, HOUR, text, timeout_s=4)


def test_a_deep_statement_is_refused_not_a_crash(store: Store) -> None:
    with pytest.raises(UsageError):
        query_sql(store, HOUR, "SELECT " + "(" * 4000 + "1" + ")" * 4000)
    with pytest.raises(UsageError):
        query_sql(store, HOUR, "SELECT 1" + " + 1" * 5_000)


def test_the_environment_is_not_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QREC_SECRET", "hunter2")
    assert "hunter2" in os.environ.values()
    with pytest.raises(UsageError):
        query_sql(store, HOUR, "FROM read_text('/proc/self/environ')")


def tools(store: Store, allow_sql: bool) -> set[str]:
    async def ask() -> set[str]:
        async with Client(build_server(store.path, UTC, lambda: NOW, allow_sql)) as client:
            return {tool.name for tool in (await client.list_tools()).tools}

    return asyncio.run(ask())


def test_the_tool_is_off_unless_allowed(store: Store) -> None:
    assert "query_sql" not in tools(store, False)
    assert "query_sql" in tools(store, True)


def test_both_faces_give_the_same_document(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    text = "SELECT host, status, decode(res_body) FROM transactions ORDER BY seq"

    async def call() -> Any:
        async with Client(build_server(store.path, UTC, lambda: NOW, True, "all")) as client:
            return await client.call_tool("query_sql", {"sql": text, "limit": 2})

    place = ["--store", str(store.path), "--now", NOW.isoformat(), "--timezone", "UTC"]
    assert main(["sql", text, "--limit", "2", "--json", *place]) == 0
    assert asyncio.run(call()).structured_content == json.loads(capsys.readouterr().out)
    assert main(["sql", text, "--limit", "2", *place]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_errors_name_no_path(store: Store, tmp_path: Path) -> None:
    async def call() -> Any:
        async with Client(build_server(store.path, UTC, lambda: NOW, True, "all")) as client:
            return await client.call_tool("query_sql", {"sql": "SELECT nope FROM transactions"})

    result = asyncio.run(call())
    assert result.is_error
    assert str(store.path) not in result.content[0].text
    assert "nope" in result.content[0].text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT started_at FROM transactions", "transactions has ts, duration_ms"),
        ("DESCRIBE coverage", "coverage has recorder, session, from_ts"),
        ("SELECT * FROM requests", "Tables: transactions, connections, database, coverage."),
    ],
)
def test_what_cannot_be_asked_tells_what_can(store: Store, text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        query_sql(store, HOUR, text)
    assert caught.value.hint.startswith(told)


def test_a_store_by_a_relative_path_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that runs the statement stands in the root of the file system."""
    monkeypatch.chdir(store.path.parent)
    relative = Store.open(Path(store.path.name))
    assert query_sql(relative, HOUR, "SELECT count(*) FROM transactions").rows == ((30,),)
