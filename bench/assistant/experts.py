"""Two that solve the tasks without a model: with the tools, and with SELECTs alone.

Both follow one rule for every task and read nothing but what a tool's text says: no more than a
model could, and nothing of the answer keys. They are the yardstick of how few calls are enough.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from bench.assistant.tasks import NOW, Task

Ask = Callable[..., Awaitable[str]]  # a tool's name and its arguments: the text of its answer
_FINDING: Final = re.compile(r"^(\d+) (\w+) ([0-9a-f]{6,}): (.*) \[([^\[\]]*)\] ?(\S*)$", re.M)
_SINCE: Final = re.compile(r"since (\d\d:\d\d)")


async def with_tools(task: Task, ask: Ask) -> str:
    """What changed, then all about the first finding, then what its example says."""
    around = {"around": task.mark} if task.mark else {}
    told = await ask("what_changed", **around)
    findings = _FINDING.findall(told)
    if not findings:
        return "CAUSE: nothing changed beyond chance\n"
    _, _, id, summary, facts, example = findings[0]
    await ask("what_changed", explain=id, **around)
    if example:
        await ask("get_transaction", id=example, max_chars=400)
    blame = re.search(r"blame ([^:,]+)", facts)
    since = _SINCE.search(summary)
    return (
        f"CAUSE: {summary}{f' ({blame[1]})' if blame else ''}\n"
        f"SINCE: {since[1] if since else 'unknown'}\n"
    )


_SPLIT: Final = (NOW - timedelta(hours=1)).isoformat()
_BY_ENDPOINT: Final = f"""
WITH t AS (
  SELECT coalesce(host, '') AS host, method, route, ts >= TIMESTAMPTZ '{_SPLIT}' AS after,
         (coalesce(status, 599) >= 400)::INT AS bad, duration_ms AS ms, res_body_bytes AS size,
         status, container_name AS who
  FROM transactions)
SELECT host, method, route, any_value(who) AS who,
       count(*) FILTER (NOT after) AS before_n, count(*) FILTER (after) AS after_n,
       round(avg(bad) FILTER (NOT after), 3) AS before_bad,
       round(avg(bad) FILTER (after), 3) AS after_bad,
       mode(status) FILTER (bad = 1 AND after) AS bad_status,
       median(ms) FILTER (NOT after) AS before_ms,
       quantile_cont(ms, 0.9) FILTER (after) AS after_ms,
       median(size) FILTER (NOT after) AS before_size, median(size) FILTER (after) AS after_size
FROM t GROUP BY ALL HAVING count(*) >= 20 ORDER BY count(*) DESC LIMIT 100
"""
_BY_MINUTE: Final = """
SELECT strftime(time_bucket(INTERVAL 5 MINUTE, ts), '%H:%M') AS bucket, count(*) AS n,
       round(avg((coalesce(status, 599) >= 400)::INT), 3) AS bad, median(duration_ms) AS ms,
       median(res_body_bytes) AS size
FROM transactions WHERE coalesce(host, '') = '{host}' AND method = '{method}' AND route = '{route}'
GROUP BY 1 ORDER BY 1
"""
_EXAMPLE: Final = """
SELECT status, duration_ms, decode(res_body)[:200] AS body FROM transactions
WHERE coalesce(host, '') = '{host}' AND method = '{method}' AND route = '{route}'
ORDER BY (coalesce(status, 599) >= 400) DESC, ts DESC LIMIT 3
"""


async def with_sql(task: Task, ask: Ask) -> str:
    """Every endpoint before and after, the one that moved most, its course, three examples."""
    rows: list[dict[str, str]] = []
    told = await ask("query_sql", sql=_BY_ENDPOINT, last="2h", limit=100)
    while True:
        rows += _rows(told)
        if "truncated" not in told:
            break
        more = f"{_BY_ENDPOINT} OFFSET {len(rows)}"
        told = await ask("query_sql", sql=more, last="2h", limit=100)
    moved = max(rows, key=_moved)
    if _moved(moved) < 3:
        return "CAUSE: nothing changed that much\n"
    course = _rows(await ask("query_sql", sql=_BY_MINUTE.format(**moved), last="2h"))
    await ask("query_sql", sql=_EXAMPLE.format(**moved), last="2h")
    return f"CAUSE: {_said(moved)}\nSINCE: {_begin(moved, course)}\n"


def _rows(told: str) -> list[dict[str, str]]:
    lines = [line.split(" | ") for line in told.splitlines() if " | " in line]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]] if lines else []


def _number(text: str) -> float:
    return 0.0 if text == "-" else float(text)


def _moved(row: dict[str, str]) -> float:
    """How much an endpoint moved, as a person would judge by eye: a factor of some kind."""
    values = {name: _number(row.get(name, "-")) for name in (
        "before_n", "after_n", "before_bad", "after_bad", "before_ms", "after_ms", "before_size",
        "after_size")}  # fmt: skip
    ratios = [
        (values["after_bad"] + 0.05) / (values["before_bad"] + 0.05),
        (values["before_n"] + 10) / (values["after_n"] + 10),
        (values["after_n"] + 10) / (values["before_n"] + 10),
        values["after_ms"] / (3 * values["before_ms"] + 20),
        (values["before_size"] + 20) / (values["after_size"] + 20),
    ]
    return max(ratios)


def _said(row: dict[str, str]) -> str:
    where = f"{row['method']} {row['host']} {row['route']} ({row['who']})"
    return (
        f"{where}: {row['after_n']} requests (was {row['before_n']}), {row['after_bad']} failing"
        f" (was {row['before_bad']}) with {row.get('bad_status', '-')}, {row['after_ms']} ms (was"
        f" {row['before_ms']}), {row['after_size']} bytes (was {row['before_size']})"
        + (", gone" if _number(row["after_n"]) < _number(row["before_n"]) / 2 else "")
    )


def _begin(moved: dict[str, str], course: list[dict[str, str]]) -> str:
    """The first five minutes after the old hour in which the endpoint was not as before."""
    for one in course:
        late = one["bucket"] >= f"{NOW - timedelta(hours=1):%H:%M}"
        bad = _number(one["bad"]) > _number(moved["before_bad"]) + 0.2
        slow = _number(one["ms"]) > 3 * _number(moved["before_ms"]) + 20
        small = _number(one["size"]) < _number(moved["before_size"]) / 3
        if late and (bad or slow or small):
            return one["bucket"]
    return course[-1]["bucket"] if course else "unknown"
