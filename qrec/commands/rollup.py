"""`qrec rollup`: whether each sealed hour has its per-minute cells, and making them again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from shlex import quote
from typing import Any

from qrec.output import Line, emit, say, to_json
from qrec.questions import laid_table
from qrec.run import JSON, STORE, Run, switch, takes
from queries.core.format import plural
from queries.core.question import Argument, Column
from queries.core.window import parse_moment
from recorder.write.rollup import Failed, Rollup, rollups
from recorder.write.rollup import rebuild as rebuilt
from recorder.write.seal import Housekeeper
from store.errors import QrecError, UsageError
from store.hours import hour_key, to_us

_SAID = {
    "ok": "has its cells",
    "missing": "has none",
    "unreadable": "cannot be read",
    "old": "of an older qrec",
}
_COLUMNS = (
    Column("hour (UTC)", "hour"), Column("recorder"), Column("cells", lambda r: _SAID[r.state]),
    Column("size", lambda r: r.size or None, "bytes"),
)  # fmt: skip


@takes(
    switch("rebuild", "Make the cells again from the recorded rows."),
    switch("missing", "Only of hours whose cells are missing, unreadable or old."),
    Argument("from_", "From this hour on. Default: all.", "TIME", flag="--from"),
    Argument("to", "Up to this time. Default: all.", "TIME"),
    switch("dry_run", "Say what would be rebuilt, and write nothing."),
    switch("seal", "First seal the hours left by recorders that run no longer."),
    JSON, *STORE,
)  # fmt: skip
def rollup(
    run: Run,
    rebuild: bool,
    missing: bool,
    from_: str | None,
    to: str | None,
    dry_run: bool,
    seal: bool,
) -> None:
    """The per-minute cells of finished hours, which make `qrec diff` quick: are they there?

    With --rebuild they are made again. Answers never depend on them: an hour without is counted
    from its rows. A recorder may run meanwhile; pinned hours are no different.

    \b
    Examples:
      qrec rollup
      qrec rollup --rebuild --missing
      qrec rollup --seal
      qrec rollup --rebuild --from yesterday --dry-run
    """
    if dry_run and not rebuild:
        raise UsageError("--dry-run goes with --rebuild", "Without --rebuild nothing is written.")
    if seal and not dry_run:
        _seal(run)
    with Line() as line:
        found = _states(run, line, from_, to)
        asked = [one for one in found if one.state != "ok" or not missing]
        done, failed = _rebuild(run, line, asked) if rebuild and not dry_run else ([], [])
    shown = _again(run, asked, done) if missing or rebuild else found
    if run.format == "json":
        emit(to_json(_document(shown, done, dry_run)))
    else:
        if shown:
            emit(laid_table(run, _COLUMNS, shown))
        _tell(run, found, asked, len(done), rebuild, dry_run)
    if failed:
        raise QrecError(
            f"{len(failed)} of {len(asked)} rollups could not be made; the first: "
            f"{failed[0].message}",
            failed[0].hint,
        )


def _seal(run: Run) -> None:
    now_us = int(time.time() * 1e6)
    keeper = Housekeeper(run.folder, recorder="", policy="", note=say, at_once=True)
    sealed = keeper.seal_others(now_us)
    say(f"sealed {plural(len(set(sealed)), 'hour')}")


def _states(run: Run, line: Line, from_: str | None, to: str | None) -> list[Rollup]:
    hours = _hours(run, from_, to)
    found: list[Rollup] = []
    for number, hour in enumerate(hours):
        line.show(f"looking at hour {hour}: {number} of {len(hours)}")
        found += rollups(run.folder, [hour])
    return found


def _hours(run: Run, from_: str | None, to: str | None) -> list[str]:
    """The hours of the store that lie between the two."""
    first, last = (None if text is None else parse_moment(text, run.now, run.tz)
                   for text in (from_, to))  # fmt: skip
    if first is not None and last is not None and first >= last:
        raise UsageError("--from is not before --to", "Swap them, or leave one out.")
    return [
        hour
        for hour in run.folder.hours("transactions")
        if (first is None or hour >= hour_key(to_us(first)))
        and (last is None or hour <= hour_key(to_us(last) - 1))
    ]


def _rebuild(run: Run, line: Line, asked: Sequence[Rollup]) -> tuple[list[Rollup], list[QrecError]]:
    """(what was made, why others were not)."""
    done: list[Rollup] = []
    failed: list[QrecError] = []
    for number, one in enumerate(asked):
        line.show(f"rebuilding hour {one.hour}: {number} of {len(asked)}")
        try:
            done += [one] if rebuilt(run.folder, one) else []
        except Failed as error:
            failed.append(error)
    return done, failed


def _again(run: Run, asked: Sequence[Rollup], done: Sequence[Rollup]) -> list[Rollup]:
    """Those that were asked for; how they stand now, where they were made."""
    now = {one.rows: one for hour in {d.hour for d in done} for one in rollups(run.folder, [hour])}
    made = {one.rows for one in done}
    return [now.get(one.rows, one) if one.rows in made else one for one in asked]


def _document(shown: Sequence[Rollup], done: Sequence[Rollup], dry_run: bool) -> dict[str, Any]:
    made = {one.rows for one in done}
    return {
        "version": 1,
        "dry_run": dry_run,
        "hours": [
            {"hour": one.hour, "recorder": one.recorder, "state": one.state, "bytes": one.size,
             "rebuilt": one.rows in made}
            for one in shown
        ],
    }  # fmt: skip


def _tell(
    run: Run,
    found: Sequence[Rollup],
    asked: Sequence[Rollup],
    done: int,
    rebuild: bool,
    dry_run: bool,
) -> None:
    bad = sum(one.state != "ok" for one in found)
    if rebuild:
        count = len(asked) if dry_run else done
        say(f"{plural(count, 'rollup')} {'would be rebuilt' if dry_run else 'rebuilt'}")
    elif not found:
        say("no sealed hour there: a recorder seals an hour some minutes after its end")
    elif bad:
        say(f"{bad} of {plural(len(found), 'rollup')} missing or not usable: "
            f"qrec rollup --rebuild --missing --store {quote(str(run.folder.path))}")  # fmt: skip
    else:
        say(f"all {plural(len(found), 'rollup')} are in order")
