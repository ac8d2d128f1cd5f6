"""What is news, look after look, and that a message arrives once, or again until it is taken."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from qrec.commands.alert import Outbox, wanted
from qrec.watch import Event, Memory, News, every
from store.errors import UsageError
from tests.contract.stored import build, minute, row
from tests.kit import Cli

AT = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def finding(id: str = "f1", severity: str = "low", value: float = 0.1, **more: Any) -> Any:
    return {"id": id, "severity": severity, "direction": "up", "summary": f"{id} failing",
            "effect": {"window": value}, "until": None, **more}  # fmt: skip


def answer(*findings: Any, verdict: str = "", truncated: bool = False) -> dict[str, Any]:
    verdict = verdict or ("changed" if findings else "nothing_changed")
    return {"verdict": verdict, "findings": list(findings), "truncated": truncated,
            "notes": [{"text": "no recorder was receiving"}]}  # fmt: skip


def told(memory: Memory, *answers: dict[str, Any], step: int = 1) -> list[list[str]]:
    """The events of each answer, a minute (or `step`) apart."""
    return [[news.event for news in memory.look(one, AT + timedelta(minutes=step * at))]
            for at, one in enumerate(answers)]  # fmt: skip


def test_a_finding_is_new_once_worse_when_it_grows_and_gone_after_two_looks() -> None:
    high = answer(finding(severity="high", value=0.16))
    looks = [answer(finding()), answer(finding()), answer(finding(value=0.14)),
             answer(finding(value=0.16)), high, answer(), high,
             answer(), answer(), answer()]  # fmt: skip
    assert told(Memory(), *looks) == [
        ["new"], [], [], ["worse"], ["worse"], [], [], [], ["gone"], [],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "least", "gone", "sent"),
    [("new", "low", False, True), ("worse", "low", False, True), ("worse", "high", False, False),
     ("gone", "low", False, False), ("gone", "low", True, True), ("back", "low", True, False)],
)  # fmt: skip
def test_an_alert_is_of_what_is_new_or_worse_and_of_what_is_over_if_asked_for(
    event: Event, least: str, gone: bool, sent: bool
) -> None:
    assert wanted(News(event, AT, finding(), "text"), least, gone) is sent


def test_one_that_comes_back_is_not_new_before_it_is_forgotten() -> None:
    looks = [answer(finding()), answer(), answer(), answer(finding())]
    assert told(Memory(), *looks) == [["new"], [], ["gone"], ["back"]]
    assert told(Memory(), *looks[:3], answer(), looks[0], step=40)[-1] == ["new"]


def test_one_that_is_over_is_gone_while_it_is_still_listed() -> None:
    over = finding(until="2026-11-22T13:58:00Z")
    looks = [answer(finding()), answer(over), answer(over), answer(), answer(), answer(finding())]
    assert told(Memory(), *looks) == [["new"], ["gone"], [], [], [], ["back"]]


def test_what_the_list_has_no_room_for_is_not_gone() -> None:
    cut = answer(finding("f2"), truncated=True)
    assert told(Memory(), answer(finding()), cut, cut, cut) == [["new"], ["new"], [], []]


def test_deaf_is_told_once_and_is_not_quiet() -> None:
    deaf = answer(verdict="no_data")
    memory = Memory()
    assert told(memory, answer(finding()), deaf, deaf, answer(finding()), deaf) == [
        ["new"], ["no_data"], [], [], ["no_data"],
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["0", "-3", "often", "nan", "1e9", ""])
def test_no_number_of_seconds(text: str) -> None:
    with pytest.raises(UsageError, match="no number of seconds"):
        every(text)


def test_what_waits_and_what_was_told_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    first = Outbox(path, lambda message: "nobody there")
    first.add([News("new", AT, finding(), "f1 failing")])
    first.memory.look(answer(finding()), AT)
    first.add([])
    first.send_due()
    got: list[dict[str, Any]] = []

    def take(message: dict[str, Any]) -> str:
        got.append(message)
        return ""

    again = Outbox(path, take)
    again.send_due()
    assert [message["finding"]["id"] for message in got] == ["f1"]
    assert again.memory.look(answer(finding()), AT) == []
    assert path.stat().st_mode & 0o777 == 0o600
    assert Outbox(path, lambda message: "").waiting == []


def test_a_torn_state_is_begun_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"known": {')
    assert Outbox(path, lambda message: "").waiting == []
    assert "may be told again" in capsys.readouterr().err


@pytest.fixture
def run(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """qrec over a store whose last hour fails as the hour before did not."""
    rows = [row(minute(at / 20 - 60), status=500 if at >= 1800 and at % 3 == 0 else 200)
            for at in range(2400)]  # fmt: skip
    build(tmp_path / "store", rows)
    monkeypatch.setenv("QREC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("QREC_NOW", AT.isoformat())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return cli


@contextmanager
def hook(*statuses: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web hook that answers with these statuses, then 200: its address, and what it got."""
    got: list[dict[str, Any]] = []
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append(json.loads(body))
            self.send_response(left.pop(0) if left else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/secret", got
    finally:
        server.shutdown()
        server.server_close()


def test_a_hook_that_fails_first_gets_it_again_and_then_no_more(run: Cli) -> None:
    with hook(503) as (url, got):
        code, out, err = run("alert", "--webhook", url, "--once", "--last", "30m")
        assert (code, out) == (0, "")
        assert "127.0.0.1 answered 503" in err
        assert "secret" not in err
        count = len(got)
        assert count >= 2
        assert got[0] == got[1]
        assert got[0]["event"] == "new"
        assert got[0]["text"] == got[0]["finding"]["summary"]
        assert run("alert", "--webhook", url, "--once", "--last", "30m")[0] == 0
        assert len(got) == count


def test_a_hook_that_never_takes_it_is_exit_1_and_a_redirect_is_not_followed(
    run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qrec.commands.alert._FIRST_S", 0.01)
    with hook(*[307] * 50) as (url, got):
        assert run("alert", "--webhook", url, "--once", "--last", "30m")[0] == 1
        assert len(got) == 4


def test_a_program_gets_it_on_stdin(run: Cli, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text(f"import sys; open({str(tmp_path / 'got')!r}, 'a').write(sys.stdin.read())")
    assert run("alert", "--exec", f"{sys.executable} {script}", "--once", "--last", "30m")[0] == 0
    lines = (tmp_path / "got").read_text().splitlines()
    assert {json.loads(line)["event"] for line in lines} == {"new"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "one of them"),
        (("--exec", "x", "--webhook", "http://a"), "one of them"),
        (("--webhook", "ftp://a/b"), "no http address"),
        (("--exec", "'x"), "quotes"),
        (("--exec", " "), "names no program"),
        (("--exec", "x", "--every", "0"), "no number of seconds"),
        (("--exec", "x", "--least", "bad"), "low, medium, high"),
    ],
)
def test_mistakes_are_usage_errors(run: Cli, words: tuple[str, ...], said: str) -> None:
    code, out, err = run("alert", *words)
    assert (code, out) == (2, "")
    assert said in err


def test_watch_prints_the_list_and_then_only_news(
    run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) >= 3:
            raise KeyboardInterrupt

    # not time.sleep itself: another thread's would count
    monkeypatch.setattr("qrec.watch.looks.__defaults__", (sleep,))
    code, out, _ = run("diff", "--watch")
    assert code == 130
    assert "failing" in out
    assert out.count("\n 1  ") == 1
    assert 0 < pauses[0] <= 30
    pauses.clear()
    code, out, _ = run("diff", "--watch", "5", "--json")
    assert code == 130
    assert {json.loads(line)["event"] for line in out.splitlines()} == {"new"}
    assert run("diff", "--watch", "--explain", "1")[0] == 2
    assert run("diff", "--watch=0")[0] == 2
