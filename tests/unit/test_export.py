"""What an export promises: other tools read it, a replay gives an equal store, no surprise."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import filters
from fixtures import bundled_stream
from queries.core.window import Window
from queries.export import command, export, format_of
from recorder.options import RecordOptions
from recorder.replay import replay
from recorder.source.har import read_har
from store.errors import UsageError
from store.hours import hour_start
from store.layout import Store
from store.schema import TRANSACTIONS
from tests.contract.stored import NOW, build, minute, row, stretch

HOUR = Window(NOW - timedelta(hours=1), NOW)
ODD = 'it\'s $(touch x) `id` \\ "q" \x1b[2J\u202e\nnext'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    rows = [row(minute(number), query=None) for number in range(10)]
    rows[1] |= {
        "method": "POST", "path": "/v1/charges", "query": "a=1&b=%20x",
        "req_headers": [("Content-Type", "application/json"), ("X-Odd", ODD), ("@/etc/passwd", "x"),
                        ("Host", "api.example.com")],
        "req_body": b'{"a": "@/etc/passwd"}', "req_body_bytes": 21, "status": 402,
        "res_headers": [("Content-Type", "application/json")],
        "res_body": b'{"error": "card_declined"}', "res_body_bytes": 26,
        "res_content_type": "application/json", "user_agent": "=HYPERLINK(1)",
        "findings": [{"kind": "card", "place": "request.body.card", "hint": "ab"}],
    }  # fmt: skip
    rows[2] |= {"status": None, "duration_ms": None}
    rows[3] |= {"res_body": b"\x00\xff\xfe", "res_body_bytes": 3}
    stretches = [stretch(minute(0), minute(20)), stretch(minute(40), minute(60))]
    return build(tmp_path_factory.mktemp("export") / "store", rows, stretches)


def written(store: Store, kind: str, where: str | None = None, limit: int | None = None) -> bytes:
    out = io.BytesIO()
    export(store, HOUR, filters.parse(where) if where else None, kind, out, limit)
    return out.getvalue()


def test_the_format_comes_from_the_file() -> None:
    assert format_of(None, "a/b.har") == "har"
    assert format_of("sse", "b.har") == "sse"
    assert format_of(None, None) == "jsonl"
    with pytest.raises(UsageError) as caught:
        format_of("parkett", None)
    assert "Did you mean 'parquet'?" in caught.value.hint


def test_json_lines_are_the_rows(store: Store) -> None:
    lines = [json.loads(line) for line in written(store, "jsonl").splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, 11))
    assert list(lines[0]) == TRANSACTIONS.names
    assert lines[1]["req_headers"]["X-Odd"] == ODD
    assert lines[3]["res_body"] == {"base64": "AP/+"}
    assert b"\x1b" not in written(store, "jsonl")


def test_a_filter_and_a_limit_narrow_it(store: Store) -> None:
    assert len(written(store, "jsonl", "res.status >= 400").splitlines()) == 2
    out = io.BytesIO()
    done = export(store, HOUR, None, "jsonl", out, 4)
    assert (done.transactions, done.truncated, len(out.getvalue().splitlines())) == (4, True, 4)
    assert not export(store, HOUR, None, "jsonl", io.BytesIO(), 10).truncated


def test_no_cell_of_a_csv_is_a_formula(store: Store) -> None:
    rows = list(csv.DictReader(io.StringIO(written(store, "csv").decode())))
    assert rows[1]["user_agent"] == "'=HYPERLINK(1)"
    assert rows[1]["findings"] == "card"
    assert rows[2]["status"] == ""


def test_parquet_has_the_columns_of_the_store(store: Store) -> None:
    table = pq.read_table(io.BytesIO(written(store, "parquet")))
    assert table.schema.names == TRANSACTIONS.names
    assert table["seq"].to_pylist() == list(range(1, 11))


def test_a_har_is_complete_and_reads_back(store: Store, tmp_path: Path) -> None:
    raw = written(store, "har")
    log = json.loads(raw)["log"]
    assert (log["version"], log["creator"]["name"]) == ("1.2", "qrec")
    for entry in log["entries"]:
        _check_entry(entry)
    assert log["entries"][2]["response"]["status"] == 0
    path = tmp_path / "x.har"
    path.write_bytes(raw)
    charge = list(read_har(path, pytest.fail))[1]
    assert (charge.method, charge.path, charge.query, charge.status) == (
        "POST", "/v1/charges", "a=1&b=%20x", 402)  # fmt: skip
    assert charge.req_body == b'{"a": "@/etc/passwd"}'
    assert charge.duration_ms == 100
    assert [tx.ts for tx in read_har(path, pytest.fail)][1] == int(
        minute(1).timestamp()
    ) * 1_000_000


def _check_entry(entry: dict[str, Any]) -> None:
    """What HAR 1.2 demands of an entry."""
    assert datetime.fromisoformat(entry["startedDateTime"]).tzinfo is not None
    assert {"time", "request", "response", "cache", "timings"} <= set(entry)
    assert entry["time"] == sum(entry["timings"].values())
    request, response = entry["request"], entry["response"]
    assert {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize",
            "bodySize"} <= set(request)  # fmt: skip
    assert {"status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL",
            "headersSize", "bodySize"} <= set(response)  # fmt: skip
    assert {"size", "mimeType"} <= set(response["content"])
    for header in (*request["headers"], *response["headers"], *request["queryString"]):
        assert set(header) == {"name", "value"}


def test_a_curl_command_is_one_command_with_those_words(store: Store) -> None:
    script = written(store, "curl", 'req.path == "/v1/charges"').decode()
    assert "\x1b" not in script
    counted = "curl() { printf '%s\\0' \"$@\"; }\n"
    done = subprocess.run(["bash", "-c", counted + script], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == [
        "--globoff", "--request", "POST", "--url", "https://api.example.com/v1/charges?a=1&b=%20x",
        "--header", "Content-Type: application/json", "--header", f"X-Odd: {ODD}",
        "--data-raw", '{"a": "@/etc/passwd"}',
    ]  # fmt: skip


@pytest.mark.parametrize("host", ["", "a b", "-x; id", "$(id)", "file:///etc"])
def test_no_command_is_made_of_what_is_no_address(host: str) -> None:
    assert command({**row(minute(1)), "host": host}).startswith(("#", "curl --globoff"))
    assert command({**row(minute(1)), "scheme": "file"}).startswith("#")


def _columns(store: Store) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for hour in store.hours("transactions"):
        for _, path in store.visible("transactions", hour):
            rows += pq.read_table(path, partitioning=None).to_pylist()
    ours = {"recorder", "session", "seq"}
    plain = [{name: row[name] for name in row if name not in ours} for row in rows]
    return sorted(plain, key=lambda one: (one["ts"], one["request_id"]))


@pytest.mark.parametrize("name", ["leaks", "hostile"])
def test_record_export_and_replay_end_in_an_equal_store(name: str, tmp_path: Path) -> None:
    first = tmp_path / "first"
    replay([bundled_stream(name)], RecordOptions(store=first))
    store = Store.open(first)
    hours = store.hours("transactions")
    window = Window(hour_start(hours[0]), hour_start(hours[-1]) + timedelta(hours=1))
    stream = tmp_path / "x.sse"
    with stream.open("wb") as out:
        export(store, window, None, "sse", out)
    [done] = replay([stream], RecordOptions(store=tmp_path / "second"))
    assert done.rejected == 0
    again, before = _columns(Store.open(tmp_path / "second")), _columns(store)
    assert len(again) == len(before)
    for one, other in zip(again, before, strict=True):
        assert one == other


def test_a_stream_keeps_its_gaps(store: Store, tmp_path: Path) -> None:
    stream = tmp_path / "x.sse"
    stream.write_bytes(written(store, "sse"))
    replay([stream], RecordOptions(store=tmp_path / "s"))
    from queries.coverage import coverage

    [recorder] = coverage(Store.open(tmp_path / "s"), HOUR).recorders
    assert recorder.covered_s == pytest.approx(40 * 60, abs=1)
    assert (recorder.gaps[0].from_ts, recorder.gaps[0].to_ts) == (minute(20), minute(40))
