"""Commands that record and serve, run as a person runs them; the stand-in plays Qtap."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.files import bundled_stream
from fixtures.standin import running
from qrec.__main__ import main

ROOT = Path(__file__).parents[2]
Qrec = Callable[..., tuple[int, str, str]]


@pytest.fixture
def qrec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Qrec:
    for name in [name for name in os.environ if name.startswith("QREC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("QREC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("QREC_TIMEZONE", "UTC")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for processes that are started from elsewhere
    monkeypatch.chdir(tmp_path)

    def call(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_record_until_the_end_then_ask(qrec: Qrec) -> None:
    with running([bundled_stream("checkout-incident")], keep_times=True, patience=30.0) as source:
        code, out, err = qrec("record", source.url, "--until-end", "--recorder", "shop")
    assert (code, out) == (0, "")
    assert re.search(r"recorded [\d,]+ transactions in .*; stopped the source ended", err)
    code, out, _ = qrec("hosts", "--json", "--now", "2026-11-22T14:00Z")
    assert code == 0
    assert {"api.stripe.com", "api.segment.io"} <= {h["host"] for h in json.loads(out)["hosts"]}


def test_record_what_a_filter_lets_through_and_say_so_ever_after(qrec: Qrec) -> None:
    with running([bundled_stream("quiet")], keep_times=True, patience=30.0) as source:
        assert qrec("record", source.url, "--until-end", "--filter", "res.status >= 400")[0] == 0
    _, out, err = qrec("statuses", "--json", "--now", "2026-11-22T14:00Z")
    document = json.loads(out)
    assert document["statuses"]
    assert all(s["status"] is None or s["status"] >= 400 for s in document["statuses"])
    assert "filtered" in {note["code"] for note in document["notes"]}
    assert err == ""


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["record", "http://127.0.0.1:1"], 3, "qrec serve FILE"),
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
def test_recording_held_wrong(qrec: Qrec, argv: list[str], code: int, said: str) -> None:
    got, out, err = qrec(*argv)
    assert (got, out) == (code, "")
    assert said in err
    assert "bug in qrec" not in err


def test_replaying_twice_adds_nothing_and_says_so(qrec: Qrec) -> None:
    code, _, err = qrec("replay", "quiet")
    assert code == 0
    assert "transactions written" in err
    assert "qrec diff --now 2026-11-22T14:00Z" in err
    before = json.loads(qrec("info", "--json")[1])["store"]["tables"]
    assert "nothing added (--again" in qrec("replay", "quiet")[2]
    assert json.loads(qrec("info", "--json")[1])["store"]["tables"] == before


def test_replay_moved_to_a_time(qrec: Qrec) -> None:
    assert qrec("replay", "quiet", "--shift-to", "2026-06-01T12:00Z")[0] == 0
    tables = json.loads(qrec("info", "--json")[1])["store"]["tables"]
    assert tables[0]["last_hour"] in ("2026-06-01T11", "2026-06-01T12")


def test_the_demo_names_the_incident_and_what_to_type_next(qrec: Qrec, tmp_path: Path) -> None:
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
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert err.startswith("sent ")
