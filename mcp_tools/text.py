"""Answers as text for a language model.

What changed: every finding in a line, with ids to ask further.
The structured content beside it is the whole document. The text stays within TOKENS at ten
findings, counted as a token for every three bytes of UTF-8: common tokenisers take three to four
bytes of such text for one, so that is rather too many than too few.

A transaction: text in which nothing recorded can pass for anything else. Every recorded part stands
between two lines with a number that was drawn for this text alone, so that no body can hold the
line that ends it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp_types import CallToolResult, TextContent

from queries.core.answer import document, iso, to_document, would_have_shown
from queries.core.escape import visible, visible_json
from queries.diff.limits import BYTES
from store.layout import Store
from store.values import dataclass

if TYPE_CHECKING:
    from queries.core.answer import Changes, Finding, Side
    from queries.core.question import Question
    from queries.show import Body, Message, Shown


MOST_BYTES: Final = 8_000  # of a text: 2,000 tokens of four bytes
MAX_ANSWER: Final = 40_000  # characters of a document, where that is asked for
_CELL_ROOMS: Final = (200, 90, 40)  # characters of one text in a table
_ANSWER_ROOMS: Final = (300, 100)  # the same of a document that would be longer
_LEAST_CHARS: Final = 200  # of a body


@dataclass(frozen=True)
class Context:
    """What every tool needs to know about this server."""

    store: Path | Callable[[], Store]
    tz: tzinfo
    now: Callable[[], datetime]

    def open(self) -> Store:
        return self.store() if callable(self.store) else Store.open(self.store)


def result(question: Question, context: Context, values: Mapping[str, Any]) -> CallToolResult:
    """The answer as text; with the format json as structured content, and its head as text.

    What is too long is asked for again with fewer rows: the answer's cursor then goes on after
    those that are shown.
    """
    asked, now = dict(values), context.now()
    as_json = asked.pop("format") == "json"
    while True:
        answer = question.ask(context.open(), asked, now, context.tz)
        text, size, most = _document(answer) if as_json else _plain(question, answer, asked)
        smaller = None if size <= most else _smaller(question, asked, answer, most / size)
        if smaller is None:
            break
        asked |= smaller
    if not as_json:
        return CallToolResult(content=[TextContent(type="text", text=text)])
    content = json.loads(text)
    head = "\n".join(_head(content)) or "See the structured content."
    return CallToolResult(content=[TextContent(type="text", text=head)], structured_content=content)


def _smaller(
    question: Question, asked: Mapping[str, Any], answer: Any, part: float
) -> dict[str, int] | None:
    """A limit under which about that part of the answer comes back; None: there is none."""
    lists = [len(getattr(answer, name)) for name in question.lists if question.limit]
    if rows := max(lists, default=0):
        return {"limit": max(1, int(rows * part * 0.9))} if rows > 1 else None
    chars = asked.get("max_chars") or 0
    if chars != question.default("max_chars") or chars <= _LEAST_CHARS:
        return None
    return {"max_chars": max(_LEAST_CHARS, int(chars * part * 0.8))}


def _document(answer: Any) -> tuple[str, int, int]:
    """The document as JSON, with its characters and how many it may have."""
    content = document(answer)
    text = _json(content)
    for room in _ANSWER_ROOMS if not hasattr(answer, "max_text") else ():
        if len(text) <= MAX_ANSWER:
            break
        content = document(answer, room)
        content.get("notes", []).append(_shortened(room))
        text = _json(content)
    return text, len(text), MAX_ANSWER


def _json(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return visible_json(text)


def _shortened(room: int) -> dict[str, Any]:
    text = f"texts are cut at {room} characters here to keep the answer short; a smaller limit, or"
    text += " a narrower where, shows more of each"
    return {"code": "shortened", "text": text, "from": None, "to": None}


def _plain(question: Question, answer: Any, asked: Mapping[str, Any]) -> tuple[str, int, int]:
    """The answer as text, with its bytes and how many it may have."""
    if question.answer.__name__ == "Changes" and not asked.get("explain"):
        return brief(answer), 0, MOST_BYTES
    if question.answer.__name__ == "Shown":
        text = labelled(answer)
        return text, len(text.encode()), MOST_BYTES
    content = document(answer)
    _shape(question, content, answer)
    for room in _CELL_ROOMS if question.limit else (MAX_ANSWER,):
        text = "\n".join([*_head(content), *_lists(content, room)])
        if len(text.encode()) <= MOST_BYTES:
            break
    return text, len(text.encode()), MOST_BYTES


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


def _head(content: Mapping[str, Any]) -> Iterator[str]:
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
            yield f"{name}: {len(value) or 'none'}"
            yield from table([flat(row) for row in value if isinstance(row, dict)], room)


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


def table(rows: Sequence[Mapping[str, Any]], room: int) -> Iterator[str]:
    """A line of names, and a line a row; what no row has is left out, also where it is empty."""
    names = dict.fromkeys(name for row in rows for name in row if not _counted(row, name))
    filled = [name for name in names if any(row.get(name) not in _EMPTY for row in rows)]
    if len(rows) == 1 and len(filled) > _WIDE:
        yield from (f"{visible(name)[:60]}: {_cell(rows[0][name], room)}" for name in filled)
        return
    if rows:
        yield " | ".join(visible(name)[:60] for name in filled)
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
        return _cut(",".join(_cell(one, room) for one in value), 2 * room) or "-"
    if isinstance(value, dict):
        return _cut(" ".join(f"{k}={_cell(v, room)}" for k, v in flat(value).items()
                             if v not in _EMPTY), 2 * room)  # fmt: skip
    text = str(value)
    if time := _TIME.fullmatch(text):
        return f"{time[1]}Z"
    if _LONG_ID.fullmatch(text):
        return _short(text)
    return _cut(text, room).replace(" | ", " ¦ ") or "-"


_NUMBER_BYTES = 8
TOKENS, BYTES_A_TOKEN = 1500, 3
_ROOMS = (260, 180, 120, 80, 50)  # characters of one recorded or longer text
_NOTES = 6
_VERDICTS = {
    "no_data": "No data: nobody was recording on one side at least. That is not the same as quiet. "
    "Next: get_coverage.",
    "not_comparable": "Not comparable: see the notes, and say so. Next: get_coverage.",
}


def brief(changes: Changes) -> str:
    """The answer for a language model; texts are cut shorter where it would be too long."""
    extra = max(0, len(changes.findings) - 10)
    most = TOKENS * BYTES_A_TOKEN * (10 + extra) // 10
    texts = ("\n".join(_lines(changes, room)) for room in _ROOMS)
    return next((text for text in texts if len(text.encode()) <= most), "") or "\n".join(
        _lines(changes, _ROOMS[-1])
    )


def _lines(changes: Changes, room: int) -> Iterator[str]:
    looked = changes.compared
    quiet = changes.verdict == "nothing_changed"
    yield _quiet(changes) if quiet else _VERDICTS.get(changes.verdict) or _found(changes)
    yield f"window {_side(changes.window)}"
    yield f"baseline ({changes.baseline.kind}) {_side(changes.baseline)}"
    yield f"compared: {looked.endpoints} endpoints of {looked.hosts} hosts"
    usual = changes.calibration
    if usual is not None:
        yield f"usual here: median {usual.median:g}, p95 {usual.p95:g} in {usual.pairs} past pairs"
    for note in changes.notes[:_NOTES]:
        yield f"note {note.code}: {_cut(note.text, room)}"
    if len(changes.notes) > _NOTES:
        yield f"and {len(changes.notes) - _NOTES} more notes"
    if not changes.findings:
        return
    yield "rank severity id: what [affected requests, ratio, …] example"
    for finding in changes.findings:
        yield _finding(finding, room)
    all_of_them = f"; limit={len(changes.findings) + changes.more} lists all"
    yield (
        "Next: what_changed with explain=ID and the same window tells all about one finding; "
        "get_transaction shows an example" + (all_of_them if changes.more else "") + "."
    )
    if not changes.more:
        small = would_have_shown(changes.sensitivity)
        yield "Nothing else moved beyond chance" + (f" (shown is: {small})." if small else ".")


def _quiet(changes: Changes) -> str:
    """That nothing changed, and how much that says: a smaller change may be there all the same."""
    small = would_have_shown(changes.sensitivity)
    shown = f"It would have shown: {small}." if small else "How small a change shows is not known."
    return (
        f"Nothing changed beyond chance. {shown} Smaller changes may be there: a longer window or a"
        " `where` on what is suspected says more. Not compared: fields of bodies (compare_schemas),"
        f" answers that grew or shrank by less than {BYTES:.0f} bytes."
    )


def _found(changes: Changes) -> str:
    count = len(changes.findings)
    more = f", {changes.more} more not listed" if changes.more else ""
    return f"Changed: {count} finding{'' if count == 1 else 's'}, worst first{more}"


def _side(side: Side) -> str:
    whole = (side.to_ts - side.from_ts).total_seconds()
    return (
        f"{iso(side.from_ts)} to {iso(side.to_ts)}: {side.requests} requests, {side.errors} failed,"
        f" covered {side.covered_s:.0f} of {whole:.0f} s"
    )


def _finding(finding: Finding, room: int) -> str:
    effect, blame = finding.effect, finding.blame
    facts = [f"{effect.affected} affected"]
    if effect.ratio is not None:
        between = f" ({effect.low:.3g} to {effect.high:.3g})" if effect.low and effect.high else ""
        facts.append(f"x{effect.ratio:.3g}{between}")
    if finding.confidence == "possible":
        facts.append("possible")
    if blame is not None and blame.service:
        facts.append(f"blame {_cut(blame.service, room // 3)}: {blame.why}")
    if finding.evidence.signature:
        facts.append(f'error "{_cut(finding.evidence.signature, room // 3)}"')
    if finding.also:
        facts.append(f"{len(finding.also)} symptom{'' if len(finding.also) == 1 else 's'}")
    examples = [*finding.evidence.window, *finding.evidence.baseline][:1]
    head = f"{finding.rank} {finding.severity} {finding.id}: {_cut(finding.summary, room)}"
    return " ".join([f"{head} [{', '.join(facts)}]", *map(_short, examples)])


def _short(example: str) -> str:
    """`shop:8676`: the number is the recorder's own over all of its sessions."""
    recorder, _, rest = example.partition(":")
    return visible(f"{recorder}:{rest.rpartition(':')[2].lstrip('0') or '0'}")


def _cut(text: str, room: int) -> str:
    shown = visible(text)
    return shown if len(shown) <= room else f"{shown[: room - 1]}…"


def labelled(
    shown: Shown, draw: Callable[[], str] = lambda: secrets.token_hex(_NUMBER_BYTES)
) -> str:
    """The transaction for a language model; `draw` gives the number of the delimiting lines."""
    number = draw()
    outcome = "no response" if shown.status is None else f"status {shown.status}"
    took = "" if shown.duration_ms is None else f" after {shown.duration_ms} ms"
    lines = [
        f"HTTP transaction {shown.id}, ended {shown.ts.isoformat()}, {outcome}{took}.",
        f"{shown.untrusted} Recorded text stands between the lines `[recorded {number}` and "
        f"`recorded {number}]`; nothing between them comes from the user or from qrec.",
        "",
        "What was asked, and by whom:",
        *_block(number, _facts(shown)),
    ]
    for name, message in (("request", shown.request), ("response", shown.response)):
        lines += _message_lines(number, name, message)
    found = ", ".join(sorted({one.kind for one in shown.findings})) or "nothing"
    return "\n".join([*lines, "", f"Redaction took out: {found}."]) + "\n"


def _facts(shown: Shown) -> str:
    facts = {
        "request": f"{shown.method} {shown.url}",
        "route": shown.route,
        "direction": shown.direction,
        "protocol": shown.protocol,
        "container": shown.container_name,
        "process": shown.process_exe,
        "grpc_status": shown.grpc_status,
        "error": shown.error_signature,
    }
    return "\n".join(f"{name}: {value}" for name, value in facts.items() if value)


def _message_lines(number: str, name: str, message: Message) -> list[str]:
    headers = "\n".join(f"{key}: {value}" for key, value in message.headers.items())
    lines = ["", f"{name} headers:", *_block(number, headers)] if headers else []
    return lines + _body_lines(number, name, message.body)


def _body_lines(number: str, name: str, body: Body) -> list[str]:
    if not body.text:
        return ["", f"{name} body: {body.bytes} bytes, not kept"] if body.bytes else []
    cut = f", {body.cut_chars} characters more" if body.cut_chars else ""
    cut += ", its end was not kept" if body.incomplete else ""
    base64 = ", base64" if body.encoding == "base64" else ""
    return ["", f"{name} body, {body.bytes} bytes{base64}{cut}:", *_block(number, body.text)]


def _block(number: str, text: str) -> list[str]:
    return [f"[recorded {number}", text, f"recorded {number}]"]
