"""A window's transactions as a file: HAR, a stream to replay, JSON lines, CSV, Parquet, curl.

What is written is what the store has: redacted, with bodies as far as they were kept, oldest first,
in pieces that fit memory. Nothing recorded can act on the shell or the terminal that a curl command
is pasted into.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from importlib import import_module
from shlex import quote as shell_quote
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qsl, quote

from queries.core.answer import Note, iso
from queries.core.escape import UNSAFE, visible, visible_json
from queries.core.notes import notes, seen
from queries.core.question import Where
from queries.core.selection import Selection, selection
from queries.core.session import sql_text
from queries.core.window import Window
from queries.show import transaction_id
from store import __version__
from store.errors import check_choice
from store.layout import Store
from store.schema import TRANSACTIONS
from store.values import dataclass

if TYPE_CHECKING:
    import pyarrow as pa

# Format -> endings of files that mean it. write_<format> makes it, that of a stream in sse.py.
FORMATS = {
    "har": (".har",), "sse": (".sse",), "jsonl": (".jsonl", ".ndjson"), "csv": (".csv",),
    "parquet": (".parquet",), "curl": (".sh",),
}  # fmt: skip
_PIECE = 25_000  # rows, with their bodies
_BATCH = 500  # rows as Python objects

Row = dict[str, Any]


@dataclass
class Source:
    """The transactions of a window that match. `given`: how many were read so far."""

    chosen: Selection
    stretches: Sequence[tuple[datetime, datetime]]
    total: int
    limit: int | None
    given: int = 0

    @property
    def window(self) -> Window:
        return self.chosen.window

    def tables(self) -> Iterator[pa.Table]:
        """Arrow tables with every column of the store, in order of time."""
        for start, end in self.stretches:
            table = self.chosen.reader.query(sql_text("export"), {"from_ts": start, "to_ts": end})
            if self.limit is not None:
                table = table.slice(0, self.limit - self.given)
            self.given += table.num_rows
            if table.num_rows:
                yield table
            if self.limit is not None and self.given >= self.limit:
                return

    def rows(self) -> Iterator[Row]:
        """The same one by one; headers as dicts, findings as lists of dicts."""
        for table in self.tables():
            for batch in table.to_batches(max_chunksize=_BATCH):
                for row in batch.to_pylist():
                    for side in ("req_headers", "res_headers"):
                        row[side] = dict(row[side] or ())
                    yield row


def source(chosen: Selection, limit: int | None) -> Source:
    """What is to be written: one cheap pass counts the rows of each second."""
    counts = chosen.rows("export_seconds")
    total = sum(row["requests"] for row in counts)
    return Source(chosen, _stretches(chosen.window, counts), total, limit)


def _stretches(window: Window, counts: Sequence[Row]) -> list[tuple[datetime, datetime]]:
    """The window in half-open pieces of at most _PIECE rows, unless one second has more."""
    found: list[tuple[datetime, datetime]] = []
    start, held = window.from_ts, 0
    for row in counts:
        if held and held + row["requests"] > _PIECE:
            found.append((start, max(row["second"], start)))
            start, held = max(row["second"], start), 0
        held += row["requests"]
    if held:
        found.append((start, window.to_ts))
    return [(a, b) for a, b in found if b - a > timedelta(0)]


@dataclass(frozen=True)
class Exported:
    """What was written: how many transactions, and whether `limit` left some out."""

    transactions: int
    notes: tuple[Note, ...]
    truncated: bool


def format_of(text: str | None, file: str | None) -> str:
    """The format by its name, or by the ending of the file; JSON lines by default."""
    if text is not None:
        check_choice("--format", text, FORMATS)
        return text
    return next((name for name, ends in FORMATS.items() if (file or "").endswith(ends)), "jsonl")


def export(
    store: Store, window: Window, where: Where, kind: str, out: BinaryIO, limit: int | None = None
) -> Exported:
    """Write the window's transactions that match, oldest first, to `out`; at most `limit`."""
    with selection(store, window, where) as chosen:
        rows = source(chosen, limit)
        recorders = seen(chosen.reader, window)
        module = import_module("queries.export.sse" if kind == "sse" else __name__)
        getattr(module, f"write_{kind}")(rows, out)
        qualified = (*chosen.remarks, *notes(chosen.reader, window, recorders))
        return Exported(rows.given, qualified, rows.given < rows.total)


_BODIES = ("req_body", "res_body")
_NESTED = ("req_headers", "res_headers", "findings")
# A cell that begins so is a formula to a spreadsheet, and traffic chooses what cells hold.
_FORMULA = re.compile(r"[=+\-@\t\r]")


def write_jsonl(source: Source, out: BinaryIO) -> None:
    """One object a line, under the column names of the store; binary bodies as base64."""
    for row in source.rows():
        plain = {name: _json(row[name]) for name in TRANSACTIONS.names}
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        out.write(visible_json(text).encode("utf-8", "replace") + b"\n")


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    return iso(value) if hasattr(value, "astimezone") else value


def write_csv(source: Source, out: BinaryIO) -> None:
    """RFC 4180 with a header, without headers and bodies; no cell can run as a formula."""
    names = [name for name in TRANSACTIONS.names if name not in (*_BODIES, *_NESTED)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*names, "findings"])
    for row in source.rows():
        kinds = " ".join(sorted({one["kind"] for one in row["findings"] or ()}))
        writer.writerow([*(_cell(row[name]) for name in names), kinds])
        if text.tell() > 1 << 16:
            _drain(text, out)
    _drain(text, out)


def _drain(text: io.StringIO, out: BinaryIO) -> None:
    out.write(text.getvalue().encode("utf-8", "replace"))
    text.seek(0)
    text.truncate()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        text = visible(value)
        return "'" + text if _FORMULA.match(text) else text
    return iso(value) if hasattr(value, "astimezone") else value


def write_parquet(source: Source, out: BinaryIO) -> None:
    """One file with the columns and types of the store."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(out, TRANSACTIONS, compression="zstd") as writer:
        for table in source.tables():
            columns = [
                table[f.name].cast(f.type) if f.name in table.column_names
                else pa.nulls(table.num_rows, f.type)
                for f in TRANSACTIONS
            ]  # fmt: skip
            writer.write_table(pa.Table.from_arrays(columns, schema=TRANSACTIONS))


_VERSIONS = {"http1": "HTTP/1.1", "http2": "HTTP/2.0", "http3": "HTTP/3.0", "grpc": "HTTP/2.0"}


def write_har(source: Source, out: BinaryIO) -> None:
    """One HTTP Archive (HAR 1.2), as browsers open it; entries are written as they are read."""
    creator = json.dumps({"name": "qrec", "version": __version__})
    out.write(f'{{"log":{{"version":"1.2","creator":{creator},"pages":[],"entries":['.encode())
    between = b"\n"
    for row in source.rows():
        text = json.dumps(entry(row), ensure_ascii=False, separators=(",", ":"))
        out.write(between + visible_json(text).encode("utf-8", "replace"))
        between = b",\n"
    out.write(b"\n]}}\n")


def entry(row: Row) -> dict[str, Any]:
    """An entry of log.entries. Names that begin with _ are qrec's own, as HAR has it.

    A row knows when the exchange ended and how long the response's headers took, so that an entry
    starts that much earlier and all of its time is waiting.
    """
    took = row["duration_ms"] or 0
    ours = {"_id": transaction_id(row), "_direction": row["direction"],
            "_container": row["container_name"], "_process": row["process_exe"],
            "_route": row["route"], "_error": row["error_signature"]}  # fmt: skip
    return {
        "startedDateTime": iso(row["ts"] - timedelta(milliseconds=took)),
        "time": took,
        "request": _request(row),
        "response": _response(row),
        "cache": {},
        "timings": {"send": 0, "wait": took, "receive": 0},
        **({"connection": row["connection_id"]} if row["connection_id"] else {}),
        **{name: value for name, value in ours.items() if value},
    }


def _request(row: Row) -> dict[str, Any]:
    query = f"?{row['query']}" if row["query"] else ""
    found: dict[str, Any] = {
        "method": row["method"] or "GET",
        "url": f"{row['scheme'] or 'http'}://{row['host'] or 'unknown'}{row['path'] or '/'}{query}",
        "httpVersion": _VERSIONS.get(row["protocol"] or "", "HTTP/1.1"),
        "cookies": [],
        "headers": _headers(row["req_headers"]),
        "queryString": [
            {"name": name, "value": value}
            for name, value in parse_qsl(row["query"] or "", keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": -1 if row["req_body_bytes"] is None else row["req_body_bytes"],
    }
    if row["req_body"]:
        text, encoding = _text(row["req_body"])
        found["postData"] = {"mimeType": row["req_content_type"] or "", "text": text, **encoding}
    return found


def _response(row: Row) -> dict[str, Any]:
    status = row["status"] or 0
    size = row["res_body_bytes"] if row["res_body_bytes"] is not None else 0
    content: dict[str, Any] = {"size": size, "mimeType": row["res_content_type"] or "x-unknown"}
    if row["res_body"]:
        text, encoding = _text(row["res_body"])
        content |= {"text": text, **encoding}
    return {
        "status": status,
        "statusText": HTTPStatus(status).phrase if status in set(HTTPStatus) else "",
        "httpVersion": _VERSIONS.get(row["protocol"] or "", "HTTP/1.1"),
        "cookies": [],
        "headers": _headers(row["res_headers"]),
        "content": content,
        "redirectURL": row["res_headers"].get("Location", ""),
        "headersSize": -1,
        "bodySize": -1,
    }


def _headers(headers: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value or ""} for name, value in headers.items()]


def _text(body: bytes) -> tuple[str, dict[str, str]]:
    """HAR 1.2 has base64 for responses only; readers take it for requests too."""
    try:
        return body.decode("utf-8"), {}
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), {"encoding": "base64"}


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
    if not UNSAFE.search(text):
        return shell_quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")

    def in_bytes(found: re.Match[str]) -> str:
        return "".join(f"\\x{byte:02x}" for byte in found[0].encode("utf-8", "replace"))

    return f"$'{UNSAFE.sub(in_bytes, escaped)}'"
