"""A long question over MCP: it tells how it goes, and ends when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import duckdb
import pytest
from mcp import Client

from mcp_tools import server as mcp_server
from mcp_tools.server import build as build_server
from queries.core.session import Reader
from queries.core.watch import StoppedError, Watch, watched
from queries.core.window import Window
from queries.hosts import HOSTS, Hosts
from store.layout import Store
from tests.contract.stored import NOW, build, minute, row
from tests.kit import PATIENCE_S

# Minutes of work, if nobody stops it.
LONG = "SELECT sum(a.range * b.range) FROM range(3000000) AS a, range(3000000) AS b"


class Work:
    """A question that would take minutes, and how it ended."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def question(self, store: Store, window: Window) -> Hosts:
        """It takes for ever."""
        try:
            with Reader(store, [window]) as reader:
                self.begun.set()
                reader.query(LONG)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended.set()
        raise AssertionError("nobody stopped it")


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    work = Work()
    wait = replace(HOSTS, tool="wait", title="Wait", function=work.question, arguments=())
    offered = {"wait": wait, "get_hosts": HOSTS}
    monkeypatch.setattr(mcp_server, "tools", lambda sql: offered)
    monkeypatch.setattr(mcp_server, "FIRST_WORD_S", 0.05)
    monkeypatch.setattr(mcp_server, "_EVERY_S", 0.05)
    yield work
    assert work.ended.wait(PATIENCE_S)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return build(tmp_path / "store", [row(minute(1))]).path


def test_progress_is_told_and_cancelling_stops_the_query(store: Path, work: Work) -> None:
    told: list[tuple[float, str | None]] = []

    async def run() -> None:
        heard = asyncio.Event()

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, message))
            if len(told) > 2 and work.begun.is_set():
                heard.set()

        async with Client(build_server(store, UTC, lambda: NOW)) as client:
            call = asyncio.create_task(client.call_tool("wait", {}, progress_callback=hear))
            await asyncio.wait_for(heard.wait(), PATIENCE_S)
            call.cancel()
            await asyncio.wait([call], timeout=PATIENCE_S)
            assert await asyncio.to_thread(work.ended.wait, PATIENCE_S)
            result = await client.call_tool("get_hosts", {})  # the server lives on
            assert not result.is_error

    asyncio.run(run())
    assert isinstance(work.error, StoppedError)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert all(message and message.startswith("scanning") for _, message in told)


def test_a_server_that_is_closed_leaves_no_query_behind(store: Path, work: Work) -> None:
    async def run() -> None:
        async with Client(build_server(store, UTC, lambda: NOW)) as client:
            call = asyncio.create_task(client.call_tool("wait", {}))
            assert await asyncio.to_thread(work.begun.wait, PATIENCE_S)
            call.cancel()
            await asyncio.wait([call], timeout=PATIENCE_S)

    asyncio.run(run())
    assert work.ended.wait(PATIENCE_S)
    assert isinstance(work.error, StoppedError)


def test_a_question_that_is_withdrawn_while_it_opens_says_so(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch()

    def interrupted(reader: Reader) -> None:
        assert not watch.stop()
        reader.con.execute("SELECT 1")
        raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")

    monkeypatch.setattr(Reader, "_open_views", interrupted)
    window = Window(minute(0), minute(5))
    with watched(watch), pytest.raises(StoppedError), Reader(Store(store), [window]):
        raise AssertionError("it was opened")
    assert watch.stop()  # and no connection is left
