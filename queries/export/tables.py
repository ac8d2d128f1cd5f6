"""Rows as JSON lines, CSV and Parquet."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from typing import Any, BinaryIO

from queries.core.answer import iso
from queries.core.escape import visible, visible_json
from queries.export.rows import Source
from store.schema import TRANSACTIONS

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
