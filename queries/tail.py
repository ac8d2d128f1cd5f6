"""Following a recording: what was flushed since the last look, by its sequence numbers.

A recorder writes a segment a flush (a second by default) whose name says which numbers it holds,
so that a look costs one listing of folders, and a file is read once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from queries.core.answer import Side, document
from queries.core.question import CURSOR, DEFAULT_LIMIT, LIMIT, Question
from queries.core.selection import condition, remarks
from queries.core.session import CONFIG, parquet, sql_text
from queries.search import Line, Search, line_of, search
from store import cover
from store.hours import from_us
from store.layout import holder

if TYPE_CHECKING:
    from filters.nodes import Expr
    from queries.core.answer import Note
    from queries.core.window import Window
    from store.layout import Store

_NOWHERE = Side(from_us(0), from_us(0), 0.0, 0, 0)


class Follower:
    """Gives the transactions that match `where` and were written after it was made."""

    def __init__(self, store: Store, where: Expr | None = None) -> None:
        self.store = store
        self.notes: list[Note] = remarks(where)
        self._con = duckdb.connect(config={**CONFIG, "threads": 1})
        self._con.execute("SET TimeZone = 'UTC'")
        self._where, self._params = condition(where, self._con)
        self._reached = {name: last for name, last, _ in self._segments({})}

    def poll(self) -> list[Line]:
        """What is new since the last look, oldest first."""
        found: dict[str, tuple[int, list[Path]]] = {}
        for name, last, path in self._segments(self._reached):
            before, paths = found.get(name, (0, []))
            found[name] = (max(before, last), [*paths, path])
        lines: list[Line] = []
        for name, (last, paths) in found.items():
            try:
                lines += self._read(name, paths)
            except duckdb.IOException:  # merged away meanwhile: the next look finds it anew
                continue
            self._reached[name] = last
        return sorted(lines, key=lambda line: line.ts)

    def recording(self) -> bool:
        """Whether anybody is writing to the store now."""
        return any(holder(self.store, name) for name in self.store.live_recorders())

    def close(self) -> None:
        self._con.close()

    def _segments(self, reached: dict[str, int]) -> list[tuple[str, int, Path]]:
        """(recorder, last number, file) of live segments beyond `reached`, in their order."""
        found = []
        for name in self.store.live_recorders():
            for hour in cover.list_folder(self.store.live(name) / "transactions"):
                segments = cover.segments_in(cover.list_folder(hour))
                for one in cover.maximal_cover(segments):
                    if one.last > reached.get(name, 0):
                        found.append((name, one.last, one.path))
        return sorted(found, key=lambda one: one[1])

    def _read(self, name: str, paths: list[Path]) -> list[Line]:
        text = sql_text("tail", files=parquet(paths), where=self._where)
        params = {**self._params, "after": self._reached.get(name, 0)}
        result = self._con.execute(text, params)
        names = [column[0] for column in result.description]
        return [line_of(dict(zip(names, row, strict=True))) for row in result.fetchall()]


def line_document(line: Line) -> dict[str, Any]:
    """One line as it stands in the document of a search."""
    found: dict[str, Any] = document(Search(_NOWHERE, (), (line,), truncated=False))
    first: dict[str, Any] = found["transactions"][0]
    return first


def newest(
    store: Store, window: Window, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Search:
    """The newest `limit` transactions of the window, whatever they are."""
    return search(store, window, None, limit, cursor)


NEWEST = Question(
    name="tail",
    tool="get_traffic",
    title="Newest transactions",
    summary="follow a recording",
    group="transactions",
    function=newest,
    answer=Search,
    rows="transactions",
    arguments=(LIMIT, CURSOR),
    filter_first=True,
    help="""
    Follow a running recording: transactions as they are written, until Ctrl-C.

    \b
    Examples:
      qrec tail
      qrec tail 'res.status >= 500 AND container.name == "shop"'
      qrec tail --format jsonl | jq .url
    """,
    guide="""
    The newest transactions of a window, whatever they are, one line each with its id.

    Use it to get a feeling for what a host does; it answers from the recording at once, no capture
    is started. For anything in particular search_traffic finds it by a filter, and get_hosts and
    get_endpoints sum it up in far fewer words. Next: get_transaction on an id, or search_traffic.
    """,
)
