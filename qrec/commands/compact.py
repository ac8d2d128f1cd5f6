"""`qrec compact`: the counts of an hour's many recorders become those of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from qrec.output import Line, emit, say, to_json
from qrec.questions import laid_table
from qrec.run import JSON, STORE, Run, switch, takes
from queries.core.format import plural, size
from queries.core.question import Argument, Column
from queries.core.window import parse_duration
from recorder.write.compact import Compacted
from recorder.write.compact import compact as compacted
from store.errors import QrecError
from store.hours import hour_end

_SAID = {
    "merged": "merged", "ready": "was merged", "single": "nothing to merge",
    "waiting": "not all is there yet", "failed": "cannot be read",
}  # fmt: skip
_COLUMNS = (
    Column("hour (UTC)", "hour"), Column("recorders", kind="count"),
    Column("counts", lambda c: _SAID[c.state]),
    Column("made", lambda c: c.bytes if c.files else None, "bytes"),
)  # fmt: skip


@takes(
    Argument("last", "The hours that ended so lately.", "DURATION", default="2d"),
    switch("clean", "Delete what has counted no more for an hour."),
    JSON, *STORE,
)  # fmt: skip
def compact(run: Run, last: str, clean: bool) -> None:
    """Merge the counts of many recorders, an hour at a time, so that `qrec diff` stays quick.

    Answers are the same with and without. Any number may run, anywhere, as often as they like:
    what is there already is left alone, and what came late is merged anew. With --clean merged
    files that late ones made useless are deleted, and in a bucket what was told of hours before
    they were over.

    \b
    Examples:
      qrec compact --store s3://acme-qrec/prod
      qrec compact --store s3://acme-qrec/prod --last 30d
      20 * * * *  qrec compact --clean --store s3://acme-qrec/prod   # in a crontab: at 20 past
    """
    run = replace(run, defaults={"max_fetch": "1TB"})
    begin = run.now - parse_duration(last)
    hours = [h for h in run.store.hours("coverage") if begin < hour_end(h) <= run.now]
    done: list[Compacted] = []
    with Line() as line:
        for one in compacted(run.store, hours, clean):
            done.append(one)
            line.show(f"hour {one.hour} {_SAID[one.state]}: {len(done)} of {len(hours)}")
    if run.format == "json":
        emit(to_json({"version": 1, "hours": [asdict(one) for one in done]}))
    else:
        _show(run, done)
    failed = [one for one in done if one.state == "failed"]
    if failed:
        raise QrecError(
            f"{plural(len(failed), 'hour')} could not be merged; of {failed[0].hour}: "
            f"{failed[0].reason}",
            "Their answers come from the single files. `qrec doctor` looks at the store.",
        )


def _show(run: Run, done: Sequence[Compacted]) -> None:
    if done:
        emit(laid_table(run, _COLUMNS, done))
    made = [one for one in done if one.state == "merged"]
    ready = sum(one.state == "ready" for one in done)
    deleted = sum(one.deleted for one in done)
    say(f"merged {plural(len(made), 'hour')}, {size(sum(one.bytes for one in made))}; "
        f"{ready} of {plural(len(done), 'hour')} had been merged before"
        + (f"; deleted {plural(deleted, 'file')}" if deleted else ""))  # fmt: skip
