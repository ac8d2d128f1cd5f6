"""A transaction as text in which nothing recorded can pass for anything else.

Every recorded part stands between two lines with a number that was drawn for this text alone, so
that no body can hold the line that ends it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queries.bodies import Body
    from queries.show import Message, Shown

_NUMBER_BYTES = 8


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
        lines += _message(number, name, message)
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


def _message(number: str, name: str, message: Message) -> list[str]:
    headers = "\n".join(f"{key}: {value}" for key, value in message.headers.items())
    lines = ["", f"{name} headers:", *_block(number, headers)] if headers else []
    return lines + _body(number, name, message.body)


def _body(number: str, name: str, body: Body) -> list[str]:
    if not body.text:
        return ["", f"{name} body: {body.bytes} bytes, not kept"] if body.bytes else []
    cut = f", {body.cut_chars} characters more" if body.cut_chars else ""
    cut += ", its end was not kept" if body.incomplete else ""
    base64 = ", base64" if body.encoding == "base64" else ""
    return ["", f"{name} body, {body.bytes} bytes{base64}{cut}:", *_block(number, body.text)]


def _block(number: str, text: str) -> list[str]:
    return [f"[recorded {number}", text, f"recorded {number}]"]
