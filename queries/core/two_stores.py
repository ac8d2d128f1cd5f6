"""Two stores for one comparison: this build's recording against yesterday's.

A comparison reads one store. Here one is made for it, in a temporary folder: the hours of the
window out of the one store, those of the baseline out of the other, as links where they can stand
as they are. Where both lie in the same hours, or were recorded under different names, the
baseline's rows are copied: moved by whole hours to before the window, under the window's name.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from queries.core.answer import Changes, Finding, Note
from queries.core.notes import Seen, received, seen
from queries.core.session import CONFIG, Reader
from queries.core.watch import with_arrow
from queries.core.window import Window, hours_of
from store.derived import ROLLUPS
from store.errors import UsageError
from store.files import make_folder
from store.hours import hour_start, to_us
from store.layout import LIVE, Store
from store.values import dataclass

_HOUR = timedelta(hours=1)


def recorded(store: Store) -> Window:
    """From the first to the last moment at which somebody received. UsageError: nobody did."""
    if whole := received(store):
        return whole
    raise UsageError(
        f"nothing was recorded into the store at {store.name}",
        "Record or replay into it first; `qrec info --store DIR` says what a store holds.",
    )


@dataclass(frozen=True)
class Joined:
    """One store made of two. shift: what was added to the baseline's times; names: what its
    recorder is called here and in its own store, empty where that is the same."""

    store: Store
    window: Window
    baseline: Window
    shift: timedelta
    names: tuple[str, str] | tuple[()]

    def in_place(self, changes: Changes) -> Changes:
        """The answer with the baseline's times and ids as they are in its own store."""
        side = changes.baseline
        moved = replace(side, from_ts=side.from_ts - self.shift, to_ts=side.to_ts - self.shift)
        return replace(
            changes,
            baseline=moved,
            notes=tuple(self._note(note) for note in changes.notes),
            findings=tuple(self._finding(finding) for finding in changes.findings),
        )

    def _note(self, note: Note) -> Note:
        begin, end = note.from_ts, note.to_ts
        if begin is None or end is None or begin >= self.window.from_ts:
            return note
        text = note.text
        for form in ("%H:%M:%S", "%H:%M"):  # whole minutes have no seconds
            was = f"{begin:{form}} to {end:{form}}"
            text = text.replace(was, f"{begin - self.shift:{form}} to {end - self.shift:{form}}")
        return replace(note, text=text, from_ts=begin - self.shift, to_ts=end - self.shift)

    def _finding(self, finding: Finding) -> Finding:
        if not self.names:
            return finding
        here, there = self.names
        ids = tuple(re.sub(f"^{re.escape(here)}:", f"{there}:", one)
                    for one in finding.evidence.baseline)  # fmt: skip
        return replace(finding, evidence=replace(finding.evidence, baseline=ids))


@contextlib.contextmanager
def joined(store: Store, other: Store, window: Window, baseline: Window) -> Iterator[Joined]:
    """A store with `window` of one store and, before it, `baseline` of another, while it is needed.

    Rows of the baseline are copied only where they have to be moved or renamed.
    """
    ours, theirs = _seeing(store, window), _seeing(other, baseline)
    names = _names(ours, theirs)
    shift = _shift(window, baseline)
    with tempfile.TemporaryDirectory(prefix="qrec-") as folder:
        made = Store.create(Path(folder) / "store")
        _Target(made, timedelta(0), (), None).take(store, window)
        _Target(made, shift, names, _group(ours, theirs)).take(other, baseline)
        moved = Window(baseline.from_ts + shift, baseline.to_ts + shift)
        yield Joined(made, window, moved, shift, names)


def _names(ours: Sequence[Seen], theirs: Sequence[Seen]) -> tuple[str, str] | tuple[()]:
    """(the window's recorder, the baseline's), where each side has one, of different names."""
    names = [one.recorder for side in (ours, theirs) for one in side]
    alone = len(ours) == len(theirs) == 1 and len(set(names)) == 2
    return (names[0], names[1]) if alone else ()


def _group(ours: Sequence[Seen], theirs: Sequence[Seen]) -> str | None:
    """The window's group or recorder as the baseline's group, where each side has one of them."""
    groups, others = ({one.population for one in side} for side in (ours, theirs))
    return groups.pop() if len(groups) == len(others) == 1 else None


def _seeing(store: Store, span: Window) -> list[Seen]:
    with Reader(store, [span], tables=()) as reader:
        return [one for one in seen(reader, span) if one.covered_s > 0]


def _shift(window: Window, baseline: Window) -> timedelta:
    """Whole hours that bring the baseline before the window's first hour; none: it lies there.

    An hour lies between them: what only looks adjacent has no onset on the other side.
    """
    last, first = (hour_start(hours_of([w])[at]) for w, at in ((baseline, -1), (window, 0)))
    return timedelta(0) if last < first else first - 2 * _HOUR - last


@dataclass(frozen=True)
class _Target:
    """Where the files of one store go, and what becomes of them on the way."""

    made: Store
    shift: timedelta
    names: tuple[str, str] | tuple[()]
    group: str | None  # under which the coverage is to go

    def take(self, source: Store, span: Window) -> None:
        """The rows of the hours that `span` touches, and what was seen of it."""
        for hour in hours_of([span]):
            visible = list(source.visible("transactions", hour))
            source.fetch(path for _, path in visible)
            for recorder, path in visible:
                place = self._place(source, path, recorder)
                make_folder(place.parent)
                if self.shift or self.names:
                    self._copy(path, place)
                else:
                    place.symlink_to(path.resolve())
                    self._link_rollup(source, path)
        self._take_coverage(source, span)

    def _place(self, source: Store, path: Path, recorder: str) -> Path:
        parts = list(path.relative_to(source.path).parts)
        name = self.names[0] if self.names else recorder
        hour = hour_start(parts[-2].removeprefix("hour=")) + self.shift
        [parts[-2]] = [
            ("hour=" if parts[-2].startswith("hour=") else "") + key
            for key in hours_of([Window(hour, hour + _HOUR)])
        ]
        if parts[0] == LIVE:
            parts[1] = name
        else:
            parts[-1] = name + parts[-1].removeprefix(recorder)
        return self.made.path.joinpath(*parts)

    def _copy(self, path: Path, place: Path) -> None:
        import duckdb

        changed = [f"ts + to_microseconds({_us(self.shift)}) AS ts"]
        changed += [f"'{self.names[0]}' AS recorder"] if self.names else []
        with duckdb.connect(config=CONFIG) as con:
            con.execute("SET TimeZone = 'UTC'")
            source = con.read_parquet(str(path), hive_partitioning=False)
            source.project(f"* REPLACE ({', '.join(changed)})").write_parquet(str(place))

    def _link_rollup(self, source: Store, path: Path) -> None:
        rollups = {t: source.path / t / path.parent.name / path.name for t in ROLLUPS}
        source.fetch(rollups.values())
        for table, rollup in rollups.items():
            if rollup.exists():
                place = self.made.path / table / path.parent.name / path.name
                make_folder(place.parent)
                place.symlink_to(rollup.resolve())

    def _take_coverage(self, source: Store, span: Window) -> None:
        """The stretches, cut at the ends of the span: what else the stores hold is not there."""
        name = f"'{self.names[0]}' AS recorder, " if self.names else ""
        if self.group:  # a text out of a file
            name += "'" + self.group.replace("'", "''") + "' AS group_name, "
        with Reader(source, [span], tables=()) as reader:
            reader.run(
                f"CREATE TEMP TABLE cut AS SELECT * REPLACE ({name}"
                "greatest(from_ts, $a) + to_microseconds($shift) AS from_ts,"
                " least(to_ts, $b) + to_microseconds($shift) AS to_ts)"
                " FROM coverage WHERE from_ts < $b AND to_ts > $a",
                {"a": span.from_ts, "b": span.to_ts, "shift": _us(self.shift)},
            )
            moved = Window(span.from_ts + self.shift, span.to_ts + self.shift)
            for hour in hours_of([moved]):
                folder = make_folder(self.made.sealed_hour("coverage", hour))
                begin = hour_start(hour)
                rows = with_arrow(reader.con).sql(
                    "FROM cut WHERE from_ts >= $a AND from_ts < $b",
                    params={"a": begin, "b": begin + _HOUR},
                )
                rows.write_parquet(str(folder / f"{to_us(span.from_ts)}.parquet"))


def _us(length: timedelta) -> int:
    """Microseconds of a length of time, negative ones too."""
    return length // timedelta(microseconds=1)
