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
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_types import CallToolResult, TextContent

from queries.core.answer import document, iso, would_have_shown
from queries.core.escape import visible, visible_json
from store.layout import Store
from store.values import dataclass

if TYPE_CHECKING:
    from queries.core.answer import Changes, Finding, Side
    from queries.show import Body, Message, Shown


MAX_ANSWER = 150_000  # characters of one answer
_ANSWER_ROOMS = (300, 100)  # characters of one text, where the answer would be longer


@dataclass(frozen=True)
class Context:
    """What every tool needs to know about this server."""

    store: Path | Callable[[], Store]
    tz: tzinfo
    now: Callable[[], datetime]

    def open(self) -> Store:
        return self.store() if callable(self.store) else Store.open(self.store)


def result(answer: Any, told: str | None = None) -> CallToolResult:
    """The document as structured content, and as text for clients that only read text.

    told: the text, where it is not the document; in it, characters that nobody sees but a language
    model reads are written as escapes. Where long texts make the whole too long to be read, they
    are cut shorter, and a note says so.
    """
    content = document(answer)
    text = _text(content)
    for room in _ANSWER_ROOMS if not hasattr(answer, "max_text") else ():
        if len(text) <= MAX_ANSWER:
            break
        content = document(answer, room)
        content.get("notes", []).append(_shortened(room))
        text = _text(content)
    said = TextContent(type="text", text=text if told is None else told)
    return CallToolResult(content=[said], structured_content=content)


def _text(content: dict[str, Any]) -> str:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return visible_json(text)


def _shortened(room: int) -> dict[str, Any]:
    text = f"texts are cut at {room} characters here to keep the answer short; a smaller limit, or"
    text += " a narrower where, shows more of each"
    return {"code": "shortened", "text": text, "from": None, "to": None}


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
        " `where` on what is suspected says more."
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
