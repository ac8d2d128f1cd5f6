"""One transaction in full: headers, bodies by what they are, its curl command and its HAR entry."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from pages.ask import Asked, MissingError, href
from pages.render import tree
from queries.core import format as words
from queries.core.answer import Note, document, iso
from queries.diff.explain.breakdown import filter_of
from queries.export import command, entry
from queries.show import DEFAULT_CHARS, MAX_CHARS, Body, Shown, find_row, parse_id, shown_row
from store import __version__
from store.derived import failed
from store.errors import UsageError

_NEAR: Final = timedelta(minutes=5)  # around a transaction are the others of its trace looked for
Row = dict[str, Any]


def one(asked: Asked, text: str) -> dict[str, Any]:
    """The fields of the page of a transaction. MissingError where there is none of that id."""
    row, notes = _found(asked, text)
    shown = shown_row(row, notes, MAX_CHARS)
    key = {"host": shown.host, "method": shown.method, "route": shown.route}
    alike = filter_of({name: value for name, value in key.items() if value})
    when = {"from": iso(shown.ts - _NEAR), "to": iso(shown.ts + _NEAR)}
    first = {"sort": "oldest", "limit": 200}
    return {
        "asked": asked,
        "tz": asked.tz,
        "title": f"{shown.method or '-'} {shown.url[:120]}",
        "shown": shown,
        "failed": failed(shown.status, shown.grpc_status),
        "facts": _facts(asked, shown),
        "notes": [note.text for note in shown.notes],
        "messages": [
            ("Request", shown.request.headers, _body("Request", shown.request.body)),
            ("Response", shown.response.headers, _body("Response", shown.response.body)),
        ],
        "curl": command(_with_headers(row)),
        "har": href(f"/transactions/{shown.id}.har"),
        "json": href(f"/transactions/{shown.id}.json"),
        "alike": href("/search", {"where": alike, **when}) if alike else "",
        "traces": [
            (name, href("/search", {"where": f'{name} == "{value}"', **when, **first}))
            for name, value in (("trace_id", shown.trace_id), ("request_id", shown.request_id))
            if value and value.isprintable() and not set(value) & {'"', "\\"}
        ],
        "command": asked.command(f"show {words.short_id(shown.id)}", {}),
    }


def shown_document(asked: Asked, text: str) -> dict[str, Any]:
    """The same as `qrec show --json` gives."""
    return document(shown_row(*_found(asked, text), DEFAULT_CHARS))


def archive(asked: Asked, text: str) -> dict[str, Any]:
    """An HTTP archive of the one transaction."""
    row, _ = _found(asked, text)
    creator = {"name": "qrec", "version": __version__}
    return {"log": {"version": "1.2", "creator": creator, "pages": [],
                    "entries": [entry(_with_headers(row))]}}  # fmt: skip


def _found(asked: Asked, text: str) -> tuple[Row, list[Note]]:
    """The row of that id, and what could not be read on the way to it."""
    wanted = parse_id(text)
    try:
        return find_row(asked.store, wanted)
    except UsageError as error:
        raise MissingError(error.message, error.hint) from None


def _with_headers(row: Row) -> Row:
    return row | {side: dict(row[side] or ()) for side in ("req_headers", "res_headers")}


def _facts(asked: Asked, shown: Shown) -> Sequence[tuple[str, str]]:
    zone = words.zone_name(shown.ts.astimezone(asked.tz))
    took = [] if shown.duration_ms is None else [("took", words.millis(shown.duration_ms))]
    ended = ("ended", f"{words.clock(shown.ts, asked.tz)} {zone}")
    return [ended, *took, *words.transaction_facts(shown).items()]


def _body(title: str, body: Body) -> dict[str, Any]:
    """A body for people. laid: it as a tree, where it is JSON; said: what there is instead."""
    facts = words.body_facts(body) if body.bytes else []
    facts += [f"{body.cut_chars:,} more characters"] if body.cut_chars else []
    laid, said, text = None, "", body.text
    if body.encoding == "json" and not body.cut_chars:
        try:
            laid = tree(json.loads(body.text))
        except (ValueError, RecursionError):  # what was made visible may be JSON no more
            laid = None
    elif body.encoding == "base64":
        said, text = _binary(body), ""
    elif not body.text:
        said = "not kept" if body.bytes else "none"
    return {"title": f"{title} body", "facts": ", ".join(facts), "text": text, "laid": laid,
            "said": said}  # fmt: skip


def _binary(body: Body) -> str:
    """What a body that is no text is, by its first bytes; it is never shown."""
    try:
        head = base64.b64decode(body.text[: len(body.text) // 4 * 4])
    except ValueError:
        head = b""
    size = image_size(head)
    if size is not None:
        return f"an image of {size[0]:,} x {size[1]:,} pixels, not shown"
    return "no text, not shown; `qrec show ID --raw` gives its bytes"


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, JPEG or WebP by its header; None: it is none."""
    try:
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            wide, high = struct.unpack(">II", data[16:24])
        elif data[:6] in (b"GIF87a", b"GIF89a"):
            wide, high = struct.unpack("<HH", data[6:10])
        elif data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8 ":
            wide, high = (side & 0x3FFF for side in struct.unpack("<HH", data[26:30]))
        elif data[:2] == b"\xff\xd8":
            high, wide = _jpeg(data)
        else:
            return None
    except struct.error:
        return None
    return wide, high


def _jpeg(data: bytes) -> tuple[int, int]:
    """Height and width, from the frame's header. struct.error where there is none."""
    at = 2
    while True:
        marker, length = struct.unpack(">HH", data[at : at + 4])
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            high, wide = struct.unpack(">HH", data[at + 5 : at + 9])
            return high, wide
        at += 2 + length
