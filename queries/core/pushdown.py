"""What the statements of a reader need of the recorded tables, found by the tasks of an engine.

Each recorded table, and each selection of its rows, is a view: of all columns and no rows at first.
Before a statement runs, DuckDB's plan for it says which columns of which view it reads; those are
brought here, of the rows that a selection is of, and kept for the statements after it.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import duckdb

from queries.core.engine import Engine, Group, Job
from store.files import FILES, parquet
from store.hours import hour_key, to_us
from store.layout import Store
from store.schema import RECORDED, plain
from store.values import dataclass

# Without them a plan has each scan, although there is nothing to be read yet.
_AS_WRITTEN: Final = "statistics_propagation,empty_result_pullup"
_TASK: Final = 32_000_000  # bytes of files: a second or two, against the 30 ms that a task costs
_PICKED: Final = ("ts", "recorder", "seq")  # of a table of single rows
_Places = Callable[[Sequence[Path]], Mapping[str, str]]
_Label = Callable[[Path], Any]


@dataclass
class _Part:
    """A recorded table, or rows of it under a condition; columns and files: what is here of it."""

    table: str
    condition: str | None = None  # None: the table itself
    params: Mapping[str, Any] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)
    files: list[Path] = field(default_factory=list)
    relation: str = ""


class Pushdown:
    """For one reader and its connection; leave_out: is called with a file that cannot be read."""

    def __init__(self, store: Store, con: Any, leave_out: Callable[[Path], None]) -> None:
        self._store, self._con, self._leave_out = store, con, leave_out
        self._engine = Engine(store.engine, store)
        self._folder = tempfile.TemporaryDirectory(prefix="qrec-engine-")
        self._runs = 0
        self._parts: dict[str, _Part] = {}
        self._paths: dict[str, list[Path]] = {}
        self._picked: dict[str, Mapping[str, tuple[str, Sequence[Any]]]] = {}

    def close(self) -> None:
        self._folder.cleanup()

    def declare(self, table: str, paths: list[Path]) -> None:
        """A recorded table as a view; paths: of its files. Again, when those are others."""
        self._paths[table] = paths
        for part in self._parts.values():
            if part.table == table:
                part.relation, part.columns = "", set()
        self._con.register("none", plain(RECORDED[table]).empty_table())
        self._add(table, _Part(table), "none")

    def select(self, table: str, condition: str, params: Mapping[str, Any]) -> str:
        """The name of a view of the table's rows under a condition with parameters."""
        name = f"selected_{len(self._parts)}"
        self._add(name, _Part(table, condition, dict(params)), f"{table}_none")
        return name

    def _add(self, name: str, part: _Part, like: str) -> None:
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE {name}_none AS FROM {like}")
        self._parts[name] = part
        self._view(name, "")

    def _view(self, name: str, relation: str) -> None:
        text = f"CREATE OR REPLACE TEMP VIEW {name} AS {relation or f'FROM {name}_none'}"
        self._con.execute(text)

    def picked(self, name: str, columns: Mapping[str, tuple[str, Sequence[Any]]]) -> None:
        """A temporary table was made: where it is of single rows, only those are brought to it."""
        if columns.keys() >= set(_PICKED):
            self._picked[name] = columns

    def bring(self, text: str, params: Mapping[str, Any]) -> None:
        """Have here what the statement reads. duckdb.IOException: files have gone, or are broken,
        of a store that a recorder may be writing to."""
        for name in self._parts:
            self._view(name, "")
        for name, columns in self._read_by(text, params).items():
            part = self._parts[name]
            if part.condition is not None:
                self._find(part, columns, self._groups(self._paths[part.table]))
            else:
                self._find_single(part, columns, text)
        for name, part in self._parts.items():
            self._view(name, part.relation)

    def _read_by(self, text: str, params: Mapping[str, Any]) -> dict[str, set[str]]:
        """The columns that a statement reads, by view."""
        self._con.execute(f"SET disabled_optimizers = '{_AS_WRITTEN}'")
        try:
            rows = self._con.execute(f"EXPLAIN (FORMAT json) {text}", params).fetchall()
        finally:
            self._con.execute("SET disabled_optimizers = ''")
        read: dict[str, set[str]] = {}
        for node in _nodes(json.loads(rows[0][1])):
            about = node.get("extra_info") or {}
            name = str(about.get("Table", "")).rpartition(".")[2].strip('"').removesuffix("_none")
            if name in self._parts:
                words = json.dumps([about.get("Projections"), about.get("Filters")])
                names = set(RECORDED[self._parts[name].table].names)
                read.setdefault(name, set()).update(names & set(re.findall(r"\w+", words)))
        return read

    def _find(self, part: _Part, columns: set[str], groups: Sequence[Group]) -> None:
        wanted = part.columns | columns | {"seq"}
        if part.relation and wanted == part.columns:
            return
        kinds = {name: kind for name, kind, *_ in
                 self._con.execute(f"DESCRIBE {part.table}_none").fetchall()}  # fmt: skip
        nulls = ", ".join(f"NULL::{kind} AS {name}" for name, kind in kinds.items())
        chosen = ", ".join(name for name in kinds if name in wanted)
        rows = f"(FROM {FILES} UNION ALL BY NAME SELECT {nulls} WHERE false)"
        select = f"SELECT {chosen} FROM {rows} WHERE {part.condition or 'true'}"
        results = self._run(Job({"rows": select}, params=part.params), groups)
        files = [files["rows"] for files in results if files]
        listed = ", ".join(
            name if name in wanted else f"NULL::{kind} AS {name}" for name, kind in kinds.items()
        )
        part.columns = wanted
        part.relation = f"SELECT {listed} FROM {parquet(files)}" if files else ""

    def _find_single(self, part: _Part, columns: set[str], text: str) -> None:
        """Rows of the table itself: of those that were picked before, or of whole files."""
        names = [name for name in self._picked if re.search(rf"\b{name}\b", text)]
        paths = self._paths[part.table]
        if not names:
            self._store.fetch(paths)
            part.relation = f"FROM {parquet(paths)}" if paths else ""
            return
        values = {column: list(self._picked[names[0]][column][1]) for column in _PICKED}
        hours = {hour_key(to_us(ts)) for ts in values["ts"]}
        groups = self._groups(
            path for path in paths
            if _hour(path) in hours and self._store.recorder_of(path) in values["recorder"]
        )  # fmt: skip
        each = ", ".join(f"unnest(${column})" for column in _PICKED)
        condition = f"({', '.join(_PICKED)}) IN (SELECT ({each}))"
        found = _Part(part.table, condition, values)
        self._find(found, columns, groups)
        part.relation = found.relation

    def results(
        self, paths: Sequence[Path], before: Sequence[str], selects: Mapping[str, str],
        params: Mapping[str, Any], places: _Places, label: _Label,
    ) -> list[tuple[Any, Mapping[str, Path]]]:  # fmt: skip
        """(label, files by name) of each task's results, of statements about {files} with one label
        and whatever `places` says of them. Raises duckdb.IOException as `bring` does."""
        groups = self._groups(paths, places, label)
        results = self._run(Job(selects, before, params), groups)
        return [
            (label(group.files[0]), of) for group, of in zip(groups, results, strict=True) if of
        ]

    def each(self, table: str, select: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement about {files} of a table."""
        results = self._run(Job({"rows": select}), self._groups(self._paths[table]))
        for files in results:
            yield from self._con.execute(f"FROM {parquet(files.values())}").fetchall()

    def _run(self, job: Job, groups: Sequence[Group]) -> list[dict[str, Path]]:
        """The results of each group; nothing of one all of whose files cannot be read."""
        results: list[dict[str, Path]] = [{} for _ in groups]
        waiting = [number for number, group in enumerate(groups) if group.files]
        while waiting:
            folder = Path(self._folder.name) / str(self._runs)
            folder.mkdir()
            self._runs += 1
            done, bad = self._engine.run(job, [groups[number] for number in waiting], folder)
            if bad and self._store.is_local:
                raise duckdb.IOException(f"{bad[0]} cannot be read")
            for path in bad:
                self._leave_out(path)
            for number, files in zip(waiting, done, strict=True):
                results[number] = files
                paths = groups[number].files
                paths[:] = [path for path in paths if path not in bad]
            waiting = [n for n in waiting if groups[n].files and not results[n]]
        return results

    def _groups(
        self, paths: Iterable[Path],
        places: _Places = lambda files: {}, label: _Label = lambda path: "",
    ) -> list[Group]:  # fmt: skip
        """What each task does: files with one label, so many as it is worth to start one for."""
        labelled: dict[Any, list[Path]] = {}
        for path in paths:
            labelled.setdefault(label(path), []).append(path)
        groups = []
        for of in labelled.values():
            of.sort(key=lambda path: (_hour(path), path))
            ends = list(accumulate(map(self._size, of)))
            count = -(-ends[-1] // _TASK) or 1
            tasks: dict[int, list[Path]] = {}
            for path, end in zip(of, ends, strict=True):
                tasks.setdefault((end * count - 1) // (ends[-1] or 1), []).append(path)
            groups += [Group(files, places(files)) for files in tasks.values()]
        return groups

    def _size(self, path: Path) -> int:
        with contextlib.suppress(OSError):  # gone: its task says so
            return self._store.size(path)
        return 0


def _hour(path: Path) -> str:
    return path.parent.name.removeprefix("hour=")


def _nodes(nodes: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in nodes:
        yield node
        yield from _nodes(node.get("children") or [])
