"""`qrec prune`: whole hours go, oldest first; what a pin holds stays (qrec.commands.pins)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from qrec.output import emit, narrate, say, to_json
from qrec.questions import laid_table
from qrec.run import HOUSE, JSON, STORE, Run, switch, takes
from queries.core.format import plural, size
from queries.core.question import Column
from recorder.write.retention import Hour, Plan, apply, plan
from store.errors import QrecError, UsageError
from store.hours import hour_start

_COLUMNS = (
    Column("goes (UTC)", lambda run: " to ".join(dict.fromkeys((run[0].hour, run[-1].hour)))),
    Column("hours", len, "count"), Column("size", lambda run: sum(h.size for h in run), "bytes"),
)  # fmt: skip


@takes(
    switch("dry_run", "Say what would go, and delete nothing."),
    switch("yes", "Do not ask. Needed where nobody can be asked."),
    JSON, *HOUSE, *STORE,
)  # fmt: skip
def prune(run: Run, dry_run: bool, yes: bool) -> None:
    """Delete whole hours, oldest first: those too old, or beyond a size. Never a pinned one.

    `qrec record --keep 14d` does the same by itself while it runs.

    \b
    Examples:
      qrec prune --keep 14d --dry-run
      qrec prune --keep 14d --max-size 20GB --yes
    """
    age, largest = run.settings.keep, run.settings.max_size
    if age is None and largest is None:
        raise UsageError(
            "prune needs to know how much to keep",
            "Give --keep 14d, --max-size 20GB or both, or set keep or max_size in qrec.toml.",
        )
    # A clock that is set ahead (--now) must not make young hours old.
    found = plan(run.folder, min(run.now, datetime.now(UTC)), age, largest)
    if found.delete and run.format != "json":
        emit(laid_table(run, _COLUMNS, _runs(found.delete)))
    if found.delete and not dry_run:
        _agree(yes)
        _delete(found)
    if run.format == "json":
        emit(to_json(_document(found, dry_run)))
    _tell(found, largest, dry_run)


def _document(found: Plan, dry_run: bool) -> dict[str, Any]:
    return {
        "version": 1,
        "dry_run": dry_run,
        "hours": [{"hour": hour.hour, "bytes": hour.size} for hour in found.delete],
        "pinned": list(found.pinned),
        "bytes_before": found.size_before,
        "bytes_after": found.size_after,
        "bytes_freed": found.size_before - found.size_after,
    }


def _runs(hours: Sequence[Hour]) -> list[list[Hour]]:
    """The runs of hours without a hole, each a line of the table."""
    runs: list[list[Hour]] = []
    for hour in hours:
        before = hour_start(runs[-1][-1].hour) if runs else None
        if before is not None and hour_start(hour.hour) - before == timedelta(hours=1):
            runs[-1].append(hour)
        else:
            runs.append([hour])
    return runs


def _agree(yes: bool) -> None:
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "nothing was deleted: there is nobody here to ask",
            "Give --yes to delete, or --dry-run to look.",
        )
    narrate("Delete these hours? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise QrecError("nothing was deleted", "--yes deletes without asking.")


def _delete(found: Plan) -> None:
    apply(found.delete)
    left = [folder for hour in found.delete for folder in hour.folders if folder.exists()]
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise QrecError(
            f"{left[0]}{more} cannot be deleted", "Check the permissions: `qrec doctor`."
        )


def _tell(found: Plan, largest: int | None, dry_run: bool) -> None:
    freed = size(found.size_before - found.size_after)
    if found.delete:
        verb = "would be deleted" if dry_run else "deleted"
        say(f"{plural(len(found.delete), 'hour')} {verb}, {freed} freed; "
            f"{size(found.size_after)} left")  # fmt: skip
    else:
        say(f"nothing to delete: {size(found.size_after)} within the limits")
    if found.pinned:
        say(f"note: {plural(len(found.pinned), 'pinned hour')} spared "
            f"({found.pinned[0]} …); `qrec pins` lists the pins")  # fmt: skip
    if found.waiting:
        say(f"note: {plural(len(found.waiting), 'hour')} stay until they are shipped "
            f"({found.waiting[0]} …): `qrec ship URL`")  # fmt: skip
    if largest is not None and found.size_after > largest:
        say("note: that is still more than --max-size: what is left is pinned or still written to")
