"""What lies in the store: who writes it, what was left behind, what cannot be read."""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import pyarrow as pa
import pyarrow.parquet as pq

from qrec.doctor import Check
from qrec.format import plural, size, span
from recorder.write.rollup import rollups
from store.coverage import coverage_file, last_stretch
from store.files import TEMPORARY_SUFFIX
from store.hours import hour_key
from store.layout import Store, holder
from store.manifest import unredacted
from store.schema import RECORDED

_NAMED = 5
_SILENT_S = 300.0  # a healthy recorder's coverage reaches further every ten seconds
_SEALING_US = 3600 * 10**6  # a recorder that is started again within it seals its own
_LEFT_S = 3600.0  # sealing a large hour takes minutes; a temporary file of an hour ago is nobody's
_KEY_BYTES = 32


def recorders(store: Store) -> Iterator[Check]:
    """Who records, and whose recording ended without a word."""
    names = store.live_recorders()
    writing = {name: pid for name in names if (pid := holder(store, name)) is not None}
    for name in names:
        yield from _recorder(store, name, writing.get(name))
    if not writing:
        yield Check(
            "recorders", "warning", "nobody is recording into this store",
            "Start `qrec record --wait`, or for good: `qrec service install`.",
        )  # fmt: skip


def _recorder(store: Store, name: str, pid: int | None) -> Iterator[Check]:
    last = last_stretch(store, name)
    state = last.state if last else "starting"
    facts = {"recorder": name, "pid": pid, "state": state}
    silent_s = _silent_s(store, name) if last else 0.0
    if pid is None:
        if last is not None and state != "stopped":
            yield Check(
                "recorders", "warning",
                f"recorder {name} ended without a word {span(silent_s)} ago: killed, or the "
                "machine died",
                "Start it again; it goes on from there, and coverage shows the gap.", facts,
            )  # fmt: skip
        return
    who = f"recorder {name} (pid {pid})"
    if last is not None and state in ("disconnected", "disk_full", "lagging"):
        yield Check("recorders", "warning", f"{who} is {state}: {last.reason or 'no reason given'}",
                    "`qrec coverage` shows since when; see the other checks.", facts)  # fmt: skip
    elif silent_s > _SILENT_S:
        yield Check("recorders", "warning", f"{who} runs, and last wrote {span(silent_s)} ago",
                    f"If it hangs, restart it: kill {pid}", facts)  # fmt: skip
    else:
        yield Check("recorders", "ok", f"{who} is {state}", facts=facts)


def _silent_s(store: Store, name: str) -> float:
    """Seconds since this recorder last wrote coverage, by the file's own time.

    What stands in the file is the source's time, and the source's clock may be hours behind.
    """
    newest = 0.0
    for hour in store.hours("coverage"):
        with contextlib.suppress(FileNotFoundError):
            newest = max(newest, coverage_file(store, hour, name).stat().st_mtime)
    return max(0.0, time.time() - newest)


def unsealed(store: Store) -> Iterator[Check]:
    """Finished hours that nobody seals, because the recorder that wrote them runs no longer."""
    ended = hour_key(int(time.time() * 1e6) - _SEALING_US)
    left = [
        (name, hour)
        for name in store.live_recorders()
        if holder(store, name) is None
        for hour in sorted({h for table in RECORDED for h in store.live_hours(name, table)})
        if hour < ended and _counts_live(store, name, hour)
    ]
    if not left:
        yield Check("unsealed", "ok", "every finished hour of a recorder that ended is sealed")
        return
    named = ", ".join(f"{hour} ({name})" for name, hour in left[:_NAMED])
    more = f" and {len(left) - _NAMED:,} more" if len(left) > _NAMED else ""
    yield Check(
        "unsealed", "warning",
        f"{plural(len(left), 'finished hour')} of a recorder that runs no longer: {named}{more}; "
        "answers are right, and slow",
        "Any running recorder of this store seals them; to do it now: "
        f"qrec rollup --seal --store {quote(str(store.path))}",
        {"hours": [{"hour": hour, "recorder": name} for name, hour in left[:100]],
         "count": len(left)},
    )  # fmt: skip


def _counts_live(store: Store, name: str, hour: str) -> bool:
    """Whether answers read segments of this recorder's hour; what a seal replaced stays a while."""
    return any(
        path.is_relative_to(store.live(name))
        for table in RECORDED
        for _, path in store.visible(table, hour)
    )


def leftovers(store: Store) -> Iterator[Check]:
    """Temporary files of a crash: they never count, and only take room."""
    old = []
    for path in store.path.rglob(f"*{TEMPORARY_SUFFIX}"):
        try:
            info = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(info.st_mode) and time.time() - info.st_mtime > _LEFT_S:
            old.append((path, info.st_size))
    if not old:
        yield Check("leftovers", "ok", "no temporary files were left behind")
        return
    taken = size(sum(bytes_ for _, bytes_ in old))
    yield Check(
        "leftovers", "warning", f"{plural(len(old), 'temporary file')} of a crash, {taken}",
        f"find {quote(str(store.path))} -type f -name '*{TEMPORARY_SUFFIX}' -mmin +60 -delete",
        {"paths": [str(path) for path, _ in old[:100]], "count": len(old)},
    )  # fmt: skip


def files(store: Store) -> Iterator[Check]:
    """Whether each Parquet file that a query would open has its footer."""
    bad: list[tuple[Path, str]] = []
    count = 0
    for path in _counted(store):
        try:
            pq.read_metadata(path)
        except FileNotFoundError:  # merged or sealed away meanwhile
            continue
        except (OSError, pa.ArrowInvalid) as error:
            bad.append((path, " ".join(str(error).split())[:80]))
        count += 1
    if not bad:
        yield Check("files", "ok", f"{plural(count, 'Parquet file')} readable")
        return
    named = "; ".join(f"{path.relative_to(store.path)}: {why}" for path, why in bad[:_NAMED])
    more = f" and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else ""
    yield Check(
        "files", "problem", f"{len(bad):,} of {count:,} files cannot be read: {named}{more}",
        f"Answers leave them out, and say so. Restore them from a copy, or move them away: "
        f"mv {quote(str(bad[0][0]))} /somewhere/else",
        {"paths": [str(path) for path, _ in bad[:100]], "count": len(bad)},
    )  # fmt: skip


def _counted(store: Store) -> Iterator[Path]:
    for table in RECORDED:
        for hour in store.hours(table):
            yield from (path for _, path in store.visible(table, hour))
    for hour in store.hours("coverage"):
        yield from sorted(store.sealed_hour("coverage", hour).glob("*.parquet"))


def rolled_up(store: Store) -> Iterator[Check]:
    """Whether each sealed hour has per-minute cells, without which a comparison takes long."""
    every = list(rollups(store, whole=False))
    bad = [one for one in every if one.state != "ok"]
    if not bad:
        yield Check("rollups", "ok", f"{plural(len(every), 'finished hour')} rolled up")
        return
    named = ", ".join(f"{one.hour} ({one.state})" for one in bad[:_NAMED])
    more = f" and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else ""
    yield Check(
        "rollups", "warning",
        f"{len(bad):,} of {plural(len(every), 'finished hour')} without usable per-minute cells: "
        f"{named}{more}; answers are right, and slow",
        f"qrec rollup --rebuild --missing --store {quote(str(store.path))}",
        {"hours": [{"hour": one.hour, "recorder": one.recorder, "state": one.state}
                   for one in bad[:100]], "count": len(bad)},
    )  # fmt: skip


def redaction(store: Store) -> Iterator[Check]:
    """The key of the fingerprints, and whether anything was recorded without redaction."""
    mark = unredacted(store)
    if mark is not None:
        yield Check(
            "redaction", "warning",
            f"this store holds traffic recorded without redaction (recorder {mark.recorder}, "
            f"first {mark.since:%Y-%m-%d %H:%M} UTC)",
            "Treat it as a secret. For clean recordings start a new store: --store DIR.",
        )  # fmt: skip
    try:
        length = store.key_file.stat().st_size
    except FileNotFoundError:
        if not any(store.hours(table) for table in RECORDED):
            yield Check("redaction", "ok", "the key is made when recording begins")
            return
        yield Check(
            "redaction", "warning", f"{store.key_file} is gone",
            "Restore it from a copy; else a new one is made, and the fingerprints of before no "
            "longer compare with those of after.",
        )  # fmt: skip
        return
    if length != _KEY_BYTES:
        yield Check("redaction", "problem", f"{store.key_file} is no redaction key",
                    "Restore it from a copy, or remove it to have a new one made.")  # fmt: skip
        return
    yield Check("redaction", "ok", "the key of the fingerprints is there")
