"""Database statements: what was asked stays, the values go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.normalize.statements import MAX_STATEMENT, normalise


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 1", "SELECT ?"),
        ("SELECT * FROM users WHERE id = 42", "SELECT * FROM users WHERE id = ?"),
        ("select * from t where a='it''s' and b > 1.5e3;", "select * from t where a=? and b > ?"),
        (r"SELECT 'a\'b', x FROM t2", "SELECT ?, x FROM t2"),
        ("SELECT * FROM t WHERE id IN (1, 2,3)", "SELECT * FROM t WHERE id IN (?)"),
        ("SELECT * FROM t WHERE id IN ( $1,$2 , $3 )", "SELECT * FROM t WHERE id IN (?)"),
        ("SELECT ARRAY[1, 2]", "SELECT ARRAY[?]"),
        (
            "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'),(3,'z')",
            "INSERT INTO t (a, b) VALUES (?)",
        ),
        (
            "INSERT INTO t (a, b) VALUES (1, now()), (2, now())",
            "INSERT INTO t (a, b) VALUES (?, now())",
        ),
        ("UPDATE t SET a = -5, b=:name, c = %s LIMIT 10", "UPDATE t SET a = ?, b=?, c = ? LIMIT ?"),
        ("SELECT a::int, 0xFF FROM t", "SELECT a::int, ? FROM t"),
        ("SELECT $$it's$$, $x$ 1 $x$", "SELECT ?, ?"),
        ("/* trace=00-4bf92f */ SELECT a -- why\n FROM t", "SELECT a FROM t"),
        ("SELECT *\n  FROM\tt", "SELECT * FROM t"),
        ("SELECT 'cut off in the mid", "SELECT ?"),
        ("SAVEPOINT sa_savepoint_12", "SAVEPOINT ?"),
        ("SELECT * FROM orders_20240512", "SELECT * FROM orders_{id}"),
        ("ALTER USER bob IDENTIFIED BY 'hunter2'", "ALTER USER bob IDENTIFIED BY ?"),
        ("SELECT n'x', x'ff', _utf8mb4'y'", "SELECT ?, ?, ?"),
    ],
)
def test_sql_loses_its_literals(statement: str, expected: str) -> None:
    assert normalise("mysql", statement) == expected
    assert normalise("postgres", statement) == expected


def test_double_quotes_are_names_where_the_database_says_so() -> None:
    statement = 'SELECT "userId" FROM "Orders" WHERE a = "b"'
    assert normalise("postgres", statement) == statement
    assert normalise("mysql", statement) == "SELECT ? FROM ? WHERE a = ?"
    assert normalise("something else", statement) == "SELECT ? FROM ? WHERE a = ?"
    assert normalise("mysql", "SELECT `user` FROM `t`") == "SELECT `user` FROM `t`"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("GET user:42", "GET user:{id}"),
        ("get user:42:profile", "GET user:{id}:profile"),
        ("SET session:9s6XKzkNRiz8i3 secret EX 60", "SET session:{id}"),
        ('"SET" "cart:550e8400-e29b-41d4-a716-446655440000" "{\\"a\\": 1}"', "SET cart:{uuid}"),
        ("MGET user:1 user:2 user:3", "MGET user:{id}"),
        ("MSET a:1 x b:2 y", "MSET a:{id} b:{id}"),
        ("HSET user:42 name alice", "HSET user:{id}"),
        ("EVALSHA a9b8c7d6e5f4a3b2c1d0a9b8c7d6e5f4a3b2c1d0 1 lock:7 10", "EVALSHA lock:{id}"),
        ("EVAL 'return redis.call()' 2 a:1 b:2 secret", "EVAL a:{id} b:{id}"),
        ("XREADGROUP GROUP g c COUNT 1 STREAMS orders >", "XREADGROUP orders"),
        ("BLPOP jobs:high jobs:low 5", "BLPOP jobs:high jobs:low"),
        ("AUTH default hunter2", "AUTH"),
        ("CONFIG SET requirepass hunter2", "CONFIG SET"),
        ("CLIENT SETNAME web-1", "CLIENT SETNAME"),
        ("OBJECT ENCODING user:1", "OBJECT ENCODING user:{id}"),
        ("GET mail:alice@example.com", "GET mail:{email}"),
        ("PING", "PING"),
        ("GET a:1\nGET a:2\nDEL b", "GET a:{id}; DEL b"),
        ("*2\r\n$3\r\nGET\r\n$6\r\nuser:1\r\n", "GET user:{id}"),
        ("\x01\x02 binary", "?"),
        ("*", "?"),
    ],
)
def test_redis_keeps_the_command_and_the_form_of_its_keys(statement: str, expected: str) -> None:
    assert normalise("redis", statement) == expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("Produce orders-events", "Produce orders-events"),
        ("FETCH orders.v1, payments", "FETCH orders.v1 payments"),
        ('PRODUCE orders {"id": 7, "card": "4111"}', "PRODUCE orders ?"),
    ],
)
def test_kafka_keeps_the_topic_and_no_message(statement: str, expected: str) -> None:
    assert normalise("kafka", statement) == expected


def test_nothing_stays_nothing() -> None:
    assert normalise("mysql", None) is None
    assert normalise("mysql", "") == ""


def test_long_statements_are_cut() -> None:
    statement = normalise("mysql", "SELECT " + ", ".join(f"column_{n % 97}x" for n in range(10**5)))
    assert statement is not None
    assert len(statement) == MAX_STATEMENT
    assert statement.endswith("…")
    assert normalise("mysql", "SELECT * FROM t WHERE id IN (" + "1," * 10**6) is not None


SQL_BITS = st.sampled_from(
    ["SELECT", "'", '"', "`", "$$", "/*", "*/", "--", "(", ")", ",", "?", "\\", "7", " ", "\n", "x"]
)


@given(
    st.sampled_from(["mysql", "postgres", "redis", "kafka", "mongodb", ""]),
    st.one_of(st.text(), st.lists(SQL_BITS, max_size=200).map("".join)),
)
def test_any_text_is_bounded_and_raises_nothing(kind: str, statement: str) -> None:
    assert len(normalise(kind, statement) or "") <= MAX_STATEMENT


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1))
def test_no_quoted_value_survives(value: str) -> None:
    literal = "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    assert normalise("mysql", f"SELECT a FROM t WHERE b = {literal}") == (
        "SELECT a FROM t WHERE b = ?"
    )
