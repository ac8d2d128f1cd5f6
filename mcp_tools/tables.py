"""Any document as text for a language model: what it says of itself, then its lists as tables.

A table has a line of names and a line a row, which takes a third of what JSON takes. Columns are
called as filters call their fields, so that what is read can be asked for; what no row has is left
out, and a call within the machine stands there once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from queries.core.answer import to_document
from queries.core.escape import visible
from queries.core.format import short_id

if TYPE_CHECKING:
    from queries.core.question import Question


def outline(question: Question, answer: Any, content: dict[str, Any], room: int) -> str:
    """The answer's document as text; room: characters of one text in a table. Changes `content`."""
    _shape(question, content, answer)
    return "\n".join([*head(content), *_lists(content, room)])


def _shape(question: Question, content: dict[str, Any], answer: Any) -> None:
    """Make rows of what is none in a document: buckets, stretches, schemas, cells of SQL; and
    leave out of rows what they say twice."""
    kind = question.answer.__name__
    if question.lines is not None:
        for one in content[question.rows]:
            one.pop("stretches", None)
        content["stretches"] = [to_document(line) for line in question.lines(answer)]
    elif kind == "Search":
        for one in content["transactions"]:
            one.pop("host")  # it is in the url
            one["secrets"] = one.pop("findings") or None
    elif kind == "Errors":
        for one in content["errors"]:
            body = one.pop("example")
            one |= {
                "example": body["transaction"],
                "says": " ".join((body["body"]["text"] or "").split()),
            }
    elif kind == "Timeline":
        starts, covered = content.pop("starts"), content.pop("covered_s")
        total = content.pop("total")
        content["buckets"] = [
            dict(zip(("starts", "requests", "failed", "p95_ms"), row, strict=True))
            for row in zip(starts, total["counts"], total["failed"], total["p95_ms"], strict=True)
        ]
        if all(seconds >= content["every_s"] for seconds in covered[1:-1]):
            covered = None
        for row, seconds in zip(content["buckets"], covered or (), strict=False):
            row["covered_s"] = seconds
        for one in content["series"]:
            one["counts"] = " ".join("-" if n is None else str(n) for n in one["counts"])
            failed = " ".join("-" if n is None else str(n) for n in one.pop("failed"))
            one["failed"] = failed if one["errors"] else None
        if len(content["series"]) == 1 and not content["truncated"]:
            content["series"][0].pop("counts"), content["series"][0].pop("failed")
        content["series"] = content.pop("series")  # after the buckets that they count in
    elif kind == "Schemas":
        from queries.schema import fields

        for one, endpoint in zip(content["endpoints"], answer.endpoints, strict=True):
            one.pop("request"), one.pop("responses")
            parts: dict[str, list[str]] = {}
            for part, path, types in fields(endpoint):
                parts.setdefault(part, []).append(f"{path} {types}")
            one.update({part: "; ".join(lines) for part, lines in parts.items()})
    elif kind == "SqlAnswer":
        names = [one["name"] for one in content.pop("columns")]
        content["rows"] = [dict(zip(names, row, strict=True)) for row in content["rows"]]


def head(content: Mapping[str, Any]) -> Iterator[str]:
    """What an answer says of itself: window, notes, single values, how to read on."""
    for name in ("window", "baseline"):
        if name in content:
            yield f"{name} {_facts_of(content[name])}"
    for note in content.get("notes", ()):
        where = " ".join(_cell(note[key], 40) for key in ("from", "to") if note[key])
        yield f"note {note['code']}: {visible(note['text'])[:300]}{where and f' [{where}]'}"
    for name, value in content.items():
        if name in _TOLD or isinstance(value, list) or value is None:
            continue
        yield f"{name}: {_facts_of(value) if isinstance(value, dict) else _cell(value, 300)}"
    if content.get("truncated"):
        cursor = content.get("next_cursor")
        yield (
            f"truncated: the next page has cursor={cursor}"
            if cursor
            else ("truncated: narrow with a shorter window, `where` or a higher limit")
        )


_TOLD: Final = ("window", "baseline", "notes", "version", "truncated", "next_cursor", "untrusted")


def _lists(content: Mapping[str, Any], room: int) -> Iterator[str]:
    for name, value in content.items():
        if name != "notes" and isinstance(value, list):
            rows = [flat(row) for row in value if isinstance(row, dict)]
            once = _once(rows)
            yield f"{name}: {len(value) - len(rows) + len(once) or 'none'}"
            yield from table(once, room, _spelling() if name != "rows" else {})
            if len(once) < len(rows):
                yield _BOTH_ENDS


def _facts_of(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{k} {_cell(v, 200)}" for k, v in flat(facts).items() if v is not None)


def flat(row: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """The row with what lies in inner objects under dotted names; counts of classes in one cell."""
    cells: dict[str, Any] = {}
    for name, value in row.items():
        if name == "statuses" and isinstance(value, dict):
            cells[name] = " ".join(f"{kind}={count}" for kind, count in value.items() if count)
        elif isinstance(value, dict) and "encoding" in value:  # a body
            cells[before + name] = value["text"]
            cells[f"{before}{name}.next_offset"] = (
                value["offset"] + value["shown_chars"] if value["cut_chars"] else None
            )
        elif isinstance(value, dict):
            cells.update(flat(value, f"{before}{name}."))
        else:
            cells[before + name] = value
    return cells


_BOTH_ENDS: Final = (
    "place inside: seen at both ends, told once as its callee saw it; the counts of all have both,"
    " but under where='direction != \"egress-internal\"'"
)


def _once(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, a call within the machine once: as the one that served it saw it."""
    ends = [tuple(row.get(name) for name in ("method", "host", "route", "status", "signature"))
            for row in rows]  # fmt: skip
    here = {end for end, row in zip(ends, rows, strict=True) if row.get("place") == "here"}
    inside = {end for end, row in zip(ends, rows, strict=True) if row.get("place") == "inside"}
    both = {end for end in here & inside if end[1]}
    return [
        {**row, "place": "inside"} if end in both else row
        for end, row in zip(ends, rows, strict=True)
        if end not in both or row["place"] == "here"
    ]


@cache
def _spelling() -> dict[str, str]:
    """Columns as filters call them, so that what is read can be asked for."""
    import filters

    plain = {spec.columns[0]: name for name, spec in reversed(filters.FIELDS.items())
             if len(spec.columns) == 1 and spec.kind != "texts"}  # fmt: skip
    del plain["path"]  # a place in a body as well
    return {**plain, "container": "container.name", "status": "res.status"}


def table(
    rows: Sequence[Mapping[str, Any]], room: int, spelling: Mapping[str, str]
) -> Iterator[str]:
    """A line of names, and a line a row; what no row has is left out, also where it is empty."""
    names = dict.fromkeys(name for row in rows for name in row if not _counted(row, name))
    filled = [name for name in names if any(row.get(name) not in _EMPTY for row in rows)]
    if len(rows) == 1 and len(filled) > _WIDE:
        for name in filled:
            yield f"{visible(spelling.get(name, name))[:60]}: {_cell(rows[0][name], room)}"
        return
    if rows:
        yield " | ".join(visible(spelling.get(name, name))[:60] for name in filled)
    for row in rows:
        yield " | ".join(_cell(row.get(name), room) for name in filled)


def _counted(row: Mapping[str, Any], name: str) -> bool:
    """Whether it only counts what stands beside it."""
    if name == "per_s":
        return True
    beside = row.get(name.removesuffix("_total"))
    return name.endswith("_total") and isinstance(beside, list) and len(beside) == row[name]


_WIDE: Final = 16  # columns; one row of more is easier to read from top to bottom
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z")
_LONG_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*:\d{8}T[A-Za-z0-9._-]*:\d+")


def _cell(value: Any, room: int) -> str:
    """One value: on its line, without what an assistant has no use for."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, list):
        return cut(",".join(_cell(one, room) for one in value), 2 * room) or "-"
    if isinstance(value, dict):
        return cut(" ".join(f"{k}={_cell(v, room)}" for k, v in flat(value).items()
                             if v not in _EMPTY), 2 * room)  # fmt: skip
    text = str(value)
    if time := _TIME.fullmatch(text):
        return f"{time[1]}Z"
    if _LONG_ID.fullmatch(text):
        return visible(short_id(text))
    return cut(text, room).replace(" | ", " ¦ ") or "-"


def cut(text: str, room: int) -> str:
    shown = visible(text)
    return shown if len(shown) <= room else f"{shown[: room - 1]}…"
