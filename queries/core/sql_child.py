"""The process in which foreign SQL runs: started for one statement, given files, nothing else.

It stands alone (standard library, duckdb and pyarrow) and is run by its path in an isolated
interpreter with an empty environment. It may read the listed Parquet files and write nothing. What
it is asked comes as JSON on stdin; rows or the reason why there are none go to stdout.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import resource
import sys
from collections.abc import Iterator
from typing import Any

_TABLE_FUNCTIONS = {"unnest", "range", "generate_series"}
# Functions that tell of the machine, run text as SQL or reach beyond the views.
_REFUSED = re.compile(
    r"(pg_|duckdb_|pragma_|read_|parquet_|sniff_|json_execute|json_serialize|json_deserialize"
    r"|write_|nextval|currval|set_|enable_|disable_|force_|create_|add_)\w*"
    r"|query|query_table|glob|getenv|getvariable|current_setting|current_database|current_schemas?"
    r"|current_user|current_role|current_catalog|current_query|session_user|user|version|shobj\w*"
    r"|has_\w+_privilege|in_search_path|txid_current|sleep\w*|repeat|repeat_row|checkpoint\w*"
)


class Refused(Exception):
    """The statement is none that may run; the text says why."""


def limits(memory: int, seconds: int) -> None:
    """Bound this process: address space, processor time, and not one byte into any file."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def check(con: Any, text: str, tables: set[str]) -> None:
    """Exactly one SELECT, over the views and its own sub-queries. Raises Refused."""
    import duckdb

    statements = con.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise Refused("only one SELECT statement is allowed")
    [(tree,)] = con.execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    tree = json.loads(tree)
    if tree.get("error"):
        raise Refused("only one SELECT statement is allowed")
    nodes = list(_nodes(tree))
    named = (one for node in nodes for one in (node.get("cte_map") or {}).get("map", ()))
    known = tables | {str(one["key"]).lower() for one in named}
    for node in nodes:
        _check_node(node, known)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree; a stack, for its depth is the sender's."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _check_node(node: dict[str, Any], known: set[str]) -> None:
    kind = node.get("type")
    if kind == "BASE_TABLE":
        path = (node.get("qualified_name") or {}).get("path") or [node.get("table_name", "")]
        name = str(path[-1]).lower()
        if len(path) > 1 or name not in known:
            raise Refused(f"there is no table {'.'.join(map(str, path))[:60]}")
    elif kind == "TABLE_FUNCTION":
        inner = node.get("function") or {}
        name = str(inner.get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise Refused(f"the table function {name[:60]} is not allowed")
    elif kind in ("SHOW_REF", "COLUMN_DATA", "DELIM_GET"):
        raise Refused("only one SELECT statement is allowed")
    elif node.get("class") == "FUNCTION":
        name = str(node.get("function_name", "")).lower()
        if _REFUSED.fullmatch(name):
            raise Refused(f"the function {name[:60]} is not allowed")


def connect(asked: dict[str, Any]) -> Any:
    """A connection with the views, shut off from everything else."""
    import duckdb

    shut = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    con = duckdb.connect(config={**shut, "threads": 2})
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET temp_directory = ''")
    con.execute(f"SET memory_limit = '{int(asked['memory_mb'])}MB'")
    paths = [path for view in asked["views"].values() for path in view["paths"]]
    for name, view in asked["views"].items():
        con.execute(f"CREATE VIEW {name} AS {_source(view)}")
    listed = ", ".join(map(_literal, paths))
    con.execute(f"SET allowed_paths = [{listed}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def _source(view: dict[str, Any]) -> str:
    if not view["paths"]:
        columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in view["columns"].items())
        return f"SELECT {columns} WHERE false"
    listed = ", ".join(map(_literal, view["paths"]))
    return (
        f"SELECT * FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
        f" WHERE {view['where']}"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Columns, rows and whether there were more, or an error."""
    con = connect(asked)
    check(con, asked["sql"], set(asked["views"]))
    relation = con.sql(asked["sql"]).limit(asked["rows"] + 1)
    table = relation.to_arrow_table()
    columns = [{"name": f.name, "type": str(f.type)} for f in table.schema]
    rows, size = [], 0
    for at in range(min(table.num_rows, asked["rows"])):
        row = [plain(column[at].as_py(), asked["cell"]) for column in table.columns]
        size += len(json.dumps(row))
        if size > asked["chars"]:
            break
        rows.append(row)
    return {"columns": columns, "rows": rows, "truncated": len(rows) < table.num_rows}


def plain(value: Any, most: int, depth: int = 0) -> Any:
    """A value as JSON has it, texts cut at `most` characters."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes | bytearray):
        value = bytes(value[: 4 * most]).decode("utf-8", "backslashreplace")
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if depth < 8 and isinstance(value, dict):
        return {str(k)[:100]: plain(v, most, depth + 1) for k, v in list(value.items())[:100]}
    if depth < 8 and isinstance(value, list | tuple):
        return [plain(item, most, depth + 1) for item in value[:100]]
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} more characters)"


def main() -> None:
    """One question, one answer."""
    asked = json.load(sys.stdin)
    import duckdb
    import pyarrow  # noqa: F401 - before the limits, which its loading may not fit into

    limits(asked["process_mb"] << 20, asked["cpu_s"])
    try:
        answer = run(asked)
    except Refused as error:
        answer = {"refused": str(error)}
    except MemoryError:
        answer = {"memory": True}
    except duckdb.Error as error:
        text = str(error)
        memory = isinstance(error, duckdb.OutOfMemoryException) or "allocat" in text
        answer = {"memory": True} if memory else {"error": text.partition("\n")[0][:400]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
