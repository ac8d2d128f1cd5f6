"""Following a recording: what was flushed since the last look, by its sequence numbers.

A recorder writes a segment a flush (a second by default) whose name says which numbers it holds,
so that a look costs one listing of folders, and a file is read once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from queries.core.answer import Side
from queries.core.question import condition, document, remarks
from queries.core.session import sql_text
from queries.search import Line, Search, line_of
from store import cover
from store.hours import from_us
from store.lock import holder

if TYPE_CHECKING:
    from filters import Expr
    from queries.core.answer import Note
    from store import Store

_NOWHERE = Side(from_us(0), from_us(0), 0.0, 0, 0)
_SHUT = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}


class Follower:
    """Gives the transactions that match `where` and were written after it was made."""

    def __init__(self, store: Store, where: Expr | None = None) -> None:
        self.store = store
        self.notes: list[Note] = remarks(where)
        self._con = duckdb.connect(config={**_SHUT, "threads": 1})
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
        listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
        text = sql_text("follow").replace("{files}", listed).replace("{where}", self._where)
        params = {**self._params, "after": self._reached.get(name, 0)}
        rows = self._con.sql(text, params=params).to_arrow_table().to_pylist()
        return [line_of(row) for row in rows]


def line_document(line: Line) -> dict[str, Any]:
    """One line as it stands in the document of a search."""
    found: dict[str, Any] = document(Search(_NOWHERE, (), (line,), None, False))
    first: dict[str, Any] = found["transactions"][0]
    return first
