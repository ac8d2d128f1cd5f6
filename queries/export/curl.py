"""Rows as curl commands, to send a request again. Nothing recorded can act on shell or terminal."""

from __future__ import annotations

import re
from typing import BinaryIO
from urllib.parse import quote

from queries.core.answer import iso
from queries.core.escape import UNSAFE, visible
from queries.export.tables import Row, Source
from queries.show import transaction_id

_PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_-]+")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # what a header's name may hold
_HOST = re.compile(r"[A-Za-z0-9._~%\[\]:-]+")
# What curl makes itself, or what belongs to the connection that is gone.
_LEFT_OUT = frozenset(
    {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}
)
_HEAD = b"""# Written by qrec: requests as they were recorded, oldest first. Secrets were redacted:
# fill in what stands as [redacted:kind:fingerprint] before you send one again.
"""


def write_curl(source: Source, out: BinaryIO) -> None:
    """A command a transaction, each after a comment that tells what came of it then."""
    out.write(_HEAD)
    for row in source.rows():
        status = "no response" if row["status"] is None else str(row["status"])
        about = f"{transaction_id(row)}  {iso(row['ts'])}  {row['container_name'] or ''}  {status}"
        out.write(f"\n# {visible(about)}\n{command(row)}\n".encode("utf-8", "replace"))


def command(row: Row) -> str:
    """The curl command of one transaction; a comment where its address is not known."""
    host = row["host"] or ""
    if row["scheme"] not in ("http", "https") or not _HOST.fullmatch(host):
        return "# its address was not recorded"
    path = quote(row["path"] or "/", safe="/:@!$&'()*+,;=~%-._[]")
    query = quote(row["query"] or "", safe="/:@!$&'()*+,;=~%-._?[]")
    url = f"{row['scheme']}://{host}{'' if path.startswith('/') else '/'}{path}"
    method = row["method"] if row["method"] and _TOKEN.fullmatch(row["method"]) else "GET"
    parts = ["curl --globoff", f"--request {_quoted(method)}",
             f"--url {_quoted(f'{url}?{query}' if query else url)}"]  # fmt: skip
    for name, value in row["req_headers"].items():
        # A header that begins with @ would have curl read a file.
        if _TOKEN.fullmatch(name) and name.lower() not in _LEFT_OUT:
            parts.append(f"--header {_quoted(f'{name}: {value}' if value else f'{name};')}")
    body = row["req_body"]
    if body:
        try:
            parts.append(f"--data-raw {_quoted(body.decode('utf-8'))}")
        except UnicodeDecodeError:
            parts.append(f"# and a body of {len(body)} bytes that is no text (qrec show --raw)")
    return " \\\n  ".join(parts)


def _quoted(text: str) -> str:
    """The text as one word of a shell; control and unseen characters as escapes of $'…'."""
    if _PLAIN.fullmatch(text):
        return text
    if not UNSAFE.search(text):
        return "'" + text.replace("'", "'\\''") + "'"
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + UNSAFE.sub(lambda found: _bytes(found[0]), escaped) + "'"


def _bytes(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "replace"))
