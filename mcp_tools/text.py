"""Answers as text for a language model.

What changed: every finding in a line, with ids to ask further. It stays within TOKENS at ten
findings, counted as a token for every three bytes of UTF-8: common tokenisers take three to four
bytes of such text for one, so that is rather too many than too few.

A transaction: text in which nothing recorded can pass for anything else. Every recorded part stands
between two lines with a number that was drawn for this text alone, so that no body can hold the
line that ends it.

An error: what is wrong with which argument and what to write; never a path of the machine, never a
page of a library's own words, never over MAX_ERROR characters.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp_types import CallToolResult, TextContent
from pydantic import ValidationError

from mcp_tools.tables import cut, head, outline
from queries.core.answer import document, iso, would_have_shown
from queries.core.escape import visible, visible_json
from queries.core.format import affected_text, blame_text, details, short_id
from queries.core.question import tools
from queries.diff.explain.breakdown import filter_of
from queries.diff.limits import BAND, BYTES
from store.errors import QrecError, did_you_mean
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


def result(
    question: Question, context: Context, values: Mapping[str, Any], structured: bool = False
) -> CallToolResult:
    """The answer as text; with the format json as structured content beside it: some clients show
    a model the one, some the other.

    structured: whatever the format, for a tool that has promised a schema. What is too long is
    asked for again with fewer rows: the answer's cursor then goes on after those that are shown.
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
    if not as_json and not structured:
        return CallToolResult(content=[TextContent(type="text", text=text)])
    whole = json.loads(text if as_json else _document(answer)[0])
    said, size, most = _plain(question, answer, asked)
    if size > most:  # a document may hold more
        said = "\n".join(["The rows are in the structured content.", *head(whole)])
    return CallToolResult(content=[TextContent(type="text", text=said)], structured_content=whole)


def _smaller(
    question: Question, asked: Mapping[str, Any], answer: Any, part: float
) -> dict[str, int] | None:
    """A limit under which about that part of the answer comes back; None: there is none."""
    lists = [len(getattr(answer, name)) for name in question.lists if question.limit]
    if question.lines:  # of each row so many
        lists = [min(len(question.rows_of(answer)), asked.get("limit") or question.limit)]
    if rows := max(lists, default=0):
        return {"limit": max(1, int(rows * part * 0.9))} if rows > 1 else None
    chars = asked.get("max_chars") or 0
    if chars != question.default("max_chars") or chars <= _LEAST_CHARS:
        return None
    return {"max_chars": max(_LEAST_CHARS, int(chars * part * 0.8))}


def _document(answer: Any) -> tuple[str, int, int]:
    """The document as JSON, with its characters and how many it may have."""
    content = document(answer)
    text = to_json(content)
    for room in _ANSWER_ROOMS if not hasattr(answer, "max_text") else ():
        if len(text) <= MAX_ANSWER:
            break
        content = document(answer, room)
        content.get("notes", []).append(_shortened(room))
        text = to_json(content)
    return text, len(text), MAX_ANSWER


def to_json(content: Any) -> str:
    """The content as JSON, harmless on a terminal."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return visible_json(text)


def _shortened(room: int) -> dict[str, Any]:
    text = f"texts are cut at {room} characters here to keep the answer short; a smaller limit, or"
    text += " a narrower where, shows more of each"
    return {"code": "shortened", "text": text, "from": None, "to": None}


def _plain(question: Question, answer: Any, asked: Mapping[str, Any]) -> tuple[str, int, int]:
    """The answer as text, with its bytes and how many it may have."""
    if question.answer.__name__ == "Changes":
        texts = iter([explained(answer) if asked.get("explain") else brief(answer)])
    elif question.answer.__name__ == "Shown":
        texts = iter([labelled(answer)])
    else:
        rooms = _CELL_ROOMS if question.limit else (MAX_ANSWER,)
        texts = (outline(question, answer, document(answer), room) for room in rooms)
    for text in texts:
        if len(text.encode()) <= MOST_BYTES:
            break
    return text, len(text.encode()), MOST_BYTES


_NUMBER_BYTES = 8
TOKENS, BYTES_A_TOKEN = 1500, 3
_ROOMS = (260, 180, 120, 80, 50)  # characters of one recorded or longer text
_NOTES = 6
_WIDE_RANGE = 100
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
    notes = Counter((note.code, note.text) for note in changes.notes)
    for (code, text), count in list(notes.items())[:_NOTES]:
        yield f"note {code}: {cut(text, room)}{f' ({count} times)' if count > 1 else ''}"
    if len(notes) > _NOTES:
        yield f"and {len(notes) - _NOTES} more notes"
    if not changes.findings:
        return
    yield "rank severity id: what, counted since it began [affected requests, ratio, …] example"
    for finding in changes.findings:
        yield _finding(finding, room)
    all_of_them = f"; limit={len(changes.findings) + changes.more} lists all"
    if changes.next_cursor:
        all_of_them = f"; the next page has cursor={changes.next_cursor}"
    yield (
        "Next: what_changed with explain=ID and the same window tells all about one finding; "
        "get_transaction shows an example" + (all_of_them if changes.more else "") + "."
    )
    if not changes.more:
        small = would_have_shown(changes.sensitivity)
        yield "Nothing else moved beyond chance" + (f" (shown is: {small})." if small else ".")


def explained(changes: Changes) -> str:
    """The one finding of an answer, with what the list leaves out."""
    [finding] = changes.findings
    lines = [
        f"{finding.rank} {finding.severity}: {visible(finding.summary)}",
        f"window {_side(changes.window)}",
        f"baseline ({changes.baseline.kind}) {_side(changes.baseline)}",
        *(f"{name}: {text}" for name, text in details(finding, (), UTC) if name != "where"),
    ]
    for name, values in (
        ("baseline", finding.minutes_baseline),
        ("window", finding.minutes_window),
    ):
        if any(values):
            drawn = " ".join(f"{value:.3g}" for value in values)
            lines.append(f"course of the {name}, {finding.slot_s:.0f} s each: {drawn}")
    if only := filter_of(finding.key):
        lines.append(f"where: {only}")
    return "\n".join([*lines, *(f"note {one.code}: {visible(one.text)}" for one in changes.notes)])


def _quiet(changes: Changes) -> str:
    """That nothing changed, and how much that says: a smaller change may be there all the same."""
    if not changes.window.requests + changes.baseline.requests:
        return (
            "Nothing matched: 0 requests on both sides, which says nothing of changes. See the"
            " notes for names that nobody has, or ask without `where`."
        )
    small = would_have_shown(changes.sensitivity)
    shown = f"It would have shown: {small}." if small else "How small a change shows is not known."
    return (
        f"Nothing changed beyond chance. {shown} Smaller changes may be there: a longer window and"
        " more history show smaller ones. Not compared: fields of bodies (compare_schemas),"
        f" answers whose size moved by less than {BYTES:.0f} bytes or x{exp(BAND):g}."
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
    facts = affected_text(finding)
    if effect.ratio is not None and facts:
        facts[-1] += _range(effect.low, effect.high)
    if finding.confidence == "possible":
        facts.append("possible")
    if blame is not None:
        facts.append(f"blame {cut(blame_text(finding), room)}")
    if finding.evidence.signature:
        facts.append(f'error "{cut(finding.evidence.signature, room // 3)}"')
    if finding.also:
        facts.append(f"{len(finding.also)} symptom{'' if len(finding.also) == 1 else 's'}")
    examples = [*finding.evidence.window, *finding.evidence.baseline][:1]
    head = f"{finding.rank} {finding.severity} {finding.id}: {cut(finding.summary, room)}"
    return " ".join([f"{head} [{', '.join(facts)}]", *map(visible, map(short_id, examples))])


def _range(low: float | None, high: float | None) -> str:
    """Between which two the ratio lies; of a wide range only the end that is sure."""
    if not low or not high:
        return ""
    return f" ({low:.3g} to {high:.3g})" if high < _WIDE_RANGE * low else f" (at least {low:.3g})"


def labelled(shown: Shown) -> str:
    """The transaction for a language model, between lines with a number that nobody foresees."""
    number = secrets.token_hex(_NUMBER_BYTES)
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


MAX_ERROR = 500
# The flag of the command line that an error may speak of -> the argument's name here.
_ARGUMENTS = {"from": "from_time", "to": "to_time"}


def told(error: QrecError) -> str:
    """The error with argument names for flags and without paths."""
    text = f"{error.message}. {error.hint}" if error.hint else error.message
    text = re.sub(r"`qrec ([a-z]+)[^`]*`", _tool, text)
    text = re.sub(r"--([a-z][a-z-]*)", lambda m: _ARGUMENTS.get(m[1], m[1].replace("-", "_")), text)
    return capped(without_paths(text))


def without_paths(text: str) -> str:
    """The text without this machine's paths: those that begin in a folder of its root."""
    roots = "|".join(re.escape(path.name) for path in sorted(Path("/").iterdir()) if path.is_dir())
    return re.sub(rf"/(?:{roots})(?:/[^\s'\":;,]*)?(?=[\s'\":;,]|$)", "…", text)


def invalid(error: ValidationError, known: list[str]) -> str:
    """What is wrong with the arguments, one sentence each."""
    return " ".join(_sentence(detail, known) for detail in error.errors()[:3])


def _sentence(detail: Any, known: list[str]) -> str:
    name = str(detail["loc"][0])[:60] if detail["loc"] else "arguments"
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        hint = did_you_mean(name, known, f"Arguments: {', '.join(known)}.")
        return f"There is no argument {name}. {hint}"
    return f"{name}: {detail['msg']}."


def _tool(command: re.Match[str]) -> str:
    """What an assistant has for a command: a tool, or else the command, for a person to run."""
    if command[1] == "marks":
        return "The resource qrec://marks"
    return next((t for t, one in tools().items() if one.name == command[1]), command[0])


def capped(text: str) -> str:
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"
