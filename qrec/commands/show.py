"""`qrec show`: one transaction with all that was kept of it, or the bodies of a few."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from qrec.output import emit, emit_bytes, say, to_json, to_jsonl
from qrec.questions import note_text
from qrec.run import FORM, Run, switch
from queries.core import format as words
from queries.core.answer import document
from queries.core.escape import visible_lines
from queries.core.format import clock, millis, size, zone_name
from queries.core.question import REQUIRED, Argument, Question
from queries.show import (
    DEFAULT_CHARS,
    MAX_CHARS,
    MAX_IDS,
    Body,
    Message,
    Shown,
    payloads,
    raw_body,
    transaction,
)
from store.derived import failed
from store.errors import UsageError

_SIDES = {"request": "req", "response": "res"}
ARGUMENTS = (
    Argument("ids", "RECORDER:SESSION:SEQ, or RECORDER:SEQ.", "ID", 160, REQUIRED, list),
    Argument("chars", "Characters to show of each body.", "N", default=DEFAULT_CHARS, kind=int),
    Argument("offset", "With --bodies: begin so far into each.", "N", default=0, kind=int),
    switch("bodies", "Only the bodies."),
    Argument("raw", "The stored bytes of the request or response body.", "SIDE"),
    *FORM,
)


def respond(run: Run, question: Question, values: Mapping[str, Any]) -> None:
    """The transactions, their bodies alone, or one body as it is stored."""
    ids, raw = values["ids"], values["raw"]
    chars, offset = values["chars"], values["offset"]
    if not 0 < chars <= MAX_CHARS or offset < 0:
        raise UsageError(
            "--chars and --offset take numbers of characters",
            f"--chars from 1 to {MAX_CHARS}; --offset from 0. --raw gives a body as a whole.",
        )
    if len(ids) > MAX_IDS:
        raise UsageError(f"{len(ids)} ids are too many at once", f"Give up to {MAX_IDS}.")
    if raw is not None:
        _raw(run, ids, raw)
    elif values["bodies"]:
        _bodies(run, ids, chars, offset)
    else:
        _transactions(run, ids, chars)


def _raw(run: Run, ids: Sequence[str], side: str) -> None:
    if side not in _SIDES or len(ids) != 1:
        raise UsageError("--raw gives one body", "For instance: qrec show ID --raw response")
    body = raw_body(run.store, ids[0], _SIDES[side])
    if not body:
        say(f"qrec: no {side} body was kept")
    elif sys.stdout is not None and sys.stdout.isatty():
        emit(visible_lines(body.decode("utf-8", "replace")).rstrip("\n") + "\n")
        say("note: control characters are shown as escapes on a terminal; redirect for the bytes")
    else:
        emit_bytes(body)


def _transactions(run: Run, ids: Sequence[str], chars: int) -> None:
    shown = [transaction(run.store, one, chars) for one in ids]
    documents = [document(one) for one in shown]
    text = "\n\n".join(_text(run, one) for one in shown)
    more = f"--chars {min(chars * 5, 50_000)} shows more, --raw SIDE what was kept as a whole"
    _write(run, documents, text, more)


def _bodies(run: Run, ids: Sequence[str], chars: int, offset: int) -> None:
    answer = payloads(run.store, ids, chars, offset)
    parts = []
    for one in answer.payloads:
        parts += [run.paint(one.id, "bold"), *_body(run, "request", one.request),
                  *_body(run, "response", one.response), ""]  # fmt: skip
    _write(run, [document(answer)], "\n".join(parts).rstrip(), f"--offset {offset + chars} goes on")


def _write(run: Run, documents: list[dict[str, Any]], text: str, more: str) -> None:
    """A document a transaction where programs read; text where people do."""
    if run.format == "json":
        if len(documents) != 1:
            raise UsageError("--json is one document", "Use --format jsonl, or give one id.")
        emit(to_json(documents[0]))
        return
    if run.format not in ("jsonl", "table"):
        raise UsageError(
            f"a transaction has no form as {run.format}", "Use --format json, jsonl or table."
        )
    emit(to_jsonl(documents) if run.format == "jsonl" else text + "\n")
    for note in {note_text(run, note): None for found in documents for note in found["notes"]}:
        say(f"note: {note}")
    if any(found["truncated"] for found in documents):
        say(f"note: not all of a body is shown; {more}")


def _text(run: Run, shown: Shown) -> str:
    when = f"{clock(shown.ts, run.tz)} {zone_name(shown.ts.astimezone(run.tz))}"
    outcome = "no response" if shown.status is None else str(shown.status)
    if shown.grpc_status not in (None, "0"):
        outcome += f", gRPC {shown.grpc_status}"
    line = f"{shown.method or '-'} {shown.url}"
    took = "" if shown.duration_ms is None else f" in {millis(shown.duration_ms)}"
    facts = [*words.transaction_facts(shown).items()]
    facts += [("redacted", f"{f.kind} in {f.place} ({f.hint})") for f in shown.findings]
    color = "red" if failed(shown.status, shown.grpc_status) else "green"
    lines = [
        f"{run.paint(line, 'bold')}",
        f"{run.paint(outcome, color)}{took}, {when}",
        *(f"  {name:<8}  {text}" for name, text in facts),
        *_message(run, "request", shown.request),
        *_message(run, "response", shown.response),
    ]
    return "\n".join(lines)


def _message(run: Run, name: str, message: Message) -> list[str]:
    lines = ["", run.paint(f"{name} headers", "bold")] if message.headers else []
    lines += [f"  {header}: {value}" for header, value in message.headers.items()]
    return lines + _body(run, name, message.body)


def _body(run: Run, name: str, body: Body) -> list[str]:
    """Recorded lines begin with a bar, so that none passes for a line of qrec's own."""
    if not body.text:
        lost = f", {size(body.bytes)}, not kept" if body.bytes else ", none"
        return [run.paint(f"{name} body{lost}", "bold")] if body.bytes else []
    facts = [f"{name} body", *words.body_facts(body)]
    if body.encoding == "base64":
        facts.append("base64")
    lines = [
        run.paint(", ".join(facts), "bold"),
        *(f"  | {line}" for line in body.text.split("\n")),
    ]
    if body.cut_chars:
        lines.append(f"  {body.cut_chars:,} more characters")
    return lines
