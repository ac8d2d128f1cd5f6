"""Commands that record and serve, run as a person runs them; the stand-in plays Qtap."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from mcp import Client

from fixtures import bundled_stream
from fixtures.standin.server import running
from qrec.__main__ import main
from tests.kit import PATIENCE_S, Cli, wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture
def qrec(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for processes that are started from elsewhere
    return cli


def test_record_until_the_end_then_ask(qrec: Cli) -> None:
    with running([bundled_stream("checkout-incident")], keep_times=True, patience=30.0) as source:
        code, out, err = qrec("record", source.url, "--until-end", "--recorder", "shop")
    assert (code, out) == (0, "")
    assert re.search(
        r"recorded 6,288 transactions and 144 database calls in [^;]* s; stopped the source", err
    )
    code, out, _ = qrec("hosts", "--json", "--now", "2026-11-22T14:00Z")
    assert code == 0
    assert {"api.stripe.com", "api.segment.io"} <= {h["host"] for h in json.loads(out)["hosts"]}


def test_record_what_a_filter_lets_through_and_say_so_ever_after(qrec: Cli) -> None:
    with running([bundled_stream("quiet")], keep_times=True, patience=30.0) as source:
        assert qrec("record", source.url, "--until-end", "--filter", "res.status >= 400")[0] == 0
    _, out, err = qrec("statuses", "--json", "--now", "2026-11-22T14:00Z")
    document = json.loads(out)
    assert document["statuses"]
    assert all(s["status"] is None or s["status"] >= 400 for s in document["statuses"])
    assert "filtered" in {note["code"] for note in document["notes"]}
    assert err == ""


DATABASE = ("database", "--json", "--now", "2026-11-22T14:00Z", "--last", "2h")


def test_a_filter_on_containers_keeps_their_database_calls_and_no_others(qrec: Cli) -> None:
    expression = 'container.name == "payment-service"'
    with running([bundled_stream("checkout-incident")], keep_times=True, patience=30.0) as source:
        assert qrec("record", source.url, "--until-end", "--filter", expression)[0] == 0
    document = json.loads(qrec(*DATABASE)[1])
    assert document["statements"]
    assert {tuple(one["containers"]) for one in document["statements"]} == {("payment-service",)}
    assert "filtered_calls" in {note["code"] for note in document["notes"]}


def test_a_pushed_filter_keeps_database_calls_away_and_that_is_said(qrec: Cli) -> None:
    expression = 'res.status >= 100 or res.status == "404" and req.method != "NONE"'
    with running([bundled_stream("quiet")], keep_times=True, patience=30.0) as source:
        code, _, err = qrec("record", source.url, "--until-end", "--filter", expression)
    assert code == 0
    assert "AND and OR mixed: read as" in err
    assert 'res.status == "404" never holds' in err
    assert "no calls of databases then (--push none" in err
    document = json.loads(qrec(*DATABASE)[1])
    assert document["statements"] == []
    assert "filtered_calls" in {note["code"] for note in document["notes"]}


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["record", "http://127.0.0.1:1"], 3, "qrec serve FILE"),
        (["record", "htp://localhost:10001"], 2, "Did you mean http://localhost:10001?"),
        (["record", "--filter", "res.statu > 1"], 2, "res.status"),
        (["record", "--filter", "req.path == '/'"], 2, "--where"),
        (["record", "--recorder", "a/b"], 2, "letters"),
        (["record", "--duration", "soon"], 2, "90s, 15m"),
        (["record", "--store-bodies", "some"], 2, "all, errors, none"),
        (["replay", "nowhere.sse"], 3, "nowhere.sse"),
        (["serve", "quiet", "--port", "99999"], 3, "--port"),
        (["mcp", "--http", "99999"], 3, "--http"),
    ],
)
def test_recording_held_wrong(qrec: Cli, argv: list[str], code: int, said: str) -> None:
    got, out, err = qrec(*argv)
    assert (got, out) == (code, "")
    assert said in err
    assert "bug in qrec" not in err


def test_replaying_twice_adds_nothing_and_says_so(qrec: Cli) -> None:
    code, _, err = qrec("replay", "quiet")
    assert code == 0
    assert "6,200 transactions and 144 database calls written" in err
    assert "qrec diff --now 2026-11-22T14:00Z" in err
    before = json.loads(qrec("info", "--json")[1])["store"]["tables"]
    assert "nothing added (--again" in qrec("replay", "quiet")[2]
    assert json.loads(qrec("info", "--json")[1])["store"]["tables"] == before


def test_replay_moved_to_a_time(qrec: Cli) -> None:
    assert qrec("replay", "quiet", "--shift-to", "2026-06-01T12:00Z")[0] == 0
    tables = json.loads(qrec("info", "--json")[1])["store"]["tables"]
    assert tables[0]["last_hour"] in ("2026-06-01T11", "2026-06-01T12")


def test_the_demo_names_the_incident_and_what_to_type_next(qrec: Cli, tmp_path: Path) -> None:
    code, out, _ = qrec("demo", "--store", str(tmp_path / "demo"))
    assert code == 0
    assert "POST api.stripe.com /v1/charges failing" in out
    assert f"qrec diff --explain 1 --store {tmp_path / 'demo'}" in out


def test_serve_tells_its_address_and_ends_in_good_order(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "qrec", "serve", "quiet", "--port", "0", "--hold"],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        assert re.search(r"qrec record http://127\.0\.0\.1:\d+$", said.strip())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 0
    assert err.startswith("sent ")


def test_mcp_on_a_terminal_ends_with_ctrl_c(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "qrec", "mcp", "--store", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        hello = {"protocolVersion": "2025-06-18", "capabilities": {},
                 "clientInfo": {"name": "t", "version": "1"}}  # fmt: skip
        call = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        process.stdin.write(json.dumps(call) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "qrec"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 130
    finally:
        process.kill()
        process.communicate()


def test_mcp_over_http_answers_this_machine_and_no_other(tmp_path: Path) -> None:
    """The same tools on 127.0.0.1; a page in a browser cannot reach them by a name of its own."""
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "qrec", "mcp", "--http", str(port), "--store", str(tmp_path)],
        stderr=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    try:
        wait_for(lambda: _answers(port))
        assert len(asyncio.run(_tool_names(f"http://127.0.0.1:{port}/mcp"))) >= 5
        forged = {"Host": "attacker.example", "Accept": "application/json, text/event-stream"}
        refused = httpx.post(f"http://127.0.0.1:{port}/mcp", json={}, headers=forged)
        assert refused.status_code in (403, 421)
        assert main(["mcp", "--http", str(port), "--store", str(tmp_path)]) == 3
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


async def _tool_names(url: str) -> list[str]:
    async with Client(url) as client:
        return [tool.name for tool in (await client.list_tools()).tools]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
