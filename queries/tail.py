"""Follow a running recording: transactions as they are written, until Ctrl-C.

A recorder writes a segment about once a second whose name says which numbers it holds, so that a
look costs one listing of folders, and a row is told once.
"""

from __future__ import annotations

from typing import Any

import duckdb

from queries.core.answer import Note, Side, document
from queries.core.question import CURSOR, LIMIT, Question, Where
from queries.core.selection import condition, remarks
from queries.core.session import CONFIG, dicts, sql_text
from queries.search import Line, Search, line_of, search
from store import cover
from store.cover import Segment
from store.errors import UsageError
from store.files import parquet
from store.hours import from_us
from store.layout import Store, holder

_NOWHERE = Side(from_us(0), from_us(0), 0.0, 0, 0)


class Follower:
    """Gives the transactions that match `where` and were written after it was made."""

    def __init__(self, store: Store, where: Where = None) -> None:
        if not store.is_local:
            raise UsageError(
                f"nothing runs in a bucket that could be followed: {store.name}",
                "Run `qrec tail` on the host that records, or ask `qrec search --last 10m`.",
            )
        if where is not None and "group" in where.fields():
            raise UsageError(
                "what is followed here is not told apart by group",
                'Name recorders, as in recorder == "web-1" (`qrec coverage --by recorder`).',
            )
        self.store = store
        self.notes: list[Note] = remarks(where)
        self._con = duckdb.connect(config={**CONFIG, "threads": 1})
        self._con.execute("SET TimeZone = 'UTC'")
        self._where, self._params = condition(where, self._con)
        self._read: dict[tuple[str, str], list[Segment]] = {}
        for place, segment in self._new():
            self._read.setdefault(place, []).append(segment)

    def poll(self) -> list[Line]:
        """What is new since the last look, oldest first."""
        lines: list[Line] = []
        for place, segment in self._new():
            before = self._read.get(place, [])
            try:
                rows = self._rows(segment)
            except duckdb.IOException:  # merged away meanwhile: the next look finds it anew
                continue
            lines += [
                line_of(row) for row in rows
                if not any(old.first <= row["seq"] <= old.last for old in before)
            ]  # fmt: skip
            wider = [old for old in before if not segment.first <= old.first <= segment.last]
            self._read[place] = [*wider, segment]
        return sorted(lines, key=lambda line: line.ts)

    def recording(self) -> bool:
        """Whether anybody is writing to the store now."""
        return any(holder(self.store, name) for name in self.store.live_recorders())

    def close(self) -> None:
        self._con.close()

    def _new(self) -> list[tuple[tuple[str, str], Segment]]:
        """Live segments that were not read, with their recorder and hour. Several processes write:
        one that begins with a lower number may come later. Of one that was merged its parts are
        taken, while they stand."""
        new = []
        for name in self.store.live_recorders():
            for hour in cover.list_folder(self.store.live(name) / "transactions"):
                segments = cover.segments_in(cover.list_folder(hour))
                before = self._read.get((name, hour.name), [])
                for one in segments:
                    if any(old.first <= one.first and one.last <= old.last for old in before):
                        continue
                    if not any(one.first <= o.first and o.last <= one.last and o != one
                               for o in segments):  # fmt: skip
                        new.append(((name, hour.name), one))
        return new

    def _rows(self, segment: Segment) -> list[dict[str, Any]]:
        rows = parquet([segment.path])
        text = sql_text("lines", rows=rows, where=self._where, order="ts, seq")
        return dicts(self._con.execute(text, self._params))


def line_document(line: Line) -> dict[str, Any]:
    """One line as it stands in the document of a search."""
    return dict(document(Search(_NOWHERE, (), (line,), truncated=False))["transactions"][0])


NEWEST = Question(
    name="tail",
    tool="get_traffic",
    title="Newest transactions",
    summary="follow a recording",
    group="transactions",
    function=search,
    answer=Search,
    rows="transactions",
    arguments=(LIMIT, CURSOR),
    filter_first=True,
    help="""
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
