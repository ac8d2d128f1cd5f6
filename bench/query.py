"""How long an answer takes, and what it grows with: `python -m bench.query --json`.

Makes hours of a synthetic host (60 hosts x 20 routes x 25 containers) at several volumes, asks what
changed between the last two, and beside it counts the raw rows with plain DuckDB by the same key.
Each is asked in a fresh process, so that its memory is its own. Times are the best of a few;
compare the ratios, not the seconds: of the clock on an idle machine, of the processor on any.

--hours: stored hours; those before the last two are links to their files, whose rollups count the
minutes of whatever hour they lie in. --live: the last hour lies in segments of 20 seconds, as a
recorder leaves them. --early: the window ends so many minutes before the hour does, and so cuts all
hours in two. --last: the window's minutes, and the baseline's before it. --parts: of the live hour
what is enough for a sealed file is one, as a recorder leaves it; without, all of it is live.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from store.cover import sealed_in, sealed_name, segment_name
from store.derived import ROLLUPS
from store.files import make_folder
from store.hours import HOUR_US, from_us, hour_key, to_us
from store.layout import Store

END = to_us(dt.datetime(2026, 11, 22, 14, tzinfo=dt.UTC))
_MINUTE_US = 60_000_000
_FRESH = 2  # hours that are drawn; older ones are links
_SEGMENTS = 180  # of a live hour
_FAULTS = ("status = 503", "duration_ms = duration_ms * 6", "bytes_received = 12")  # in turn


def make_store(
    path: Path, requests: int, hours: int, live: bool = False, faults: int = 0, parts: bool = False
) -> Store:
    """Hours with rollups and coverage, of `requests` each, up to END; `live`: the last in segments,
    not sealed, but for its `parts`. `faults`: so many endpoints fail, are slow or answer little in
    the last hour."""
    from recorder.write.coverage import Ledger  # pyarrow: 32 MB that who asks does not have
    from recorder.write.rollup import write_rollup
    from recorder.write.seal import Housekeeper
    from recorder.write.segments import live_segments

    store = Store.create(path)
    keeper = Housekeeper(store, "bench", "none")
    ledger = Ledger(store, "bench", "s")
    ledger.connected(END - hours * HOUR_US, 0)
    ledger.alive(hours * HOUR_US)
    ledger.flush()
    for number in range(hours):
        hour = hour_key(END - (number + 1) * HOUR_US)
        start = from_us(END - (number + 1) * HOUR_US).isoformat()
        if live and number == 0:
            _write_live(store, hour, requests, start)
            for sealed in keeper.seal("transactions", hour, whole=False) if parts else ():
                for segment in live_segments(store, "bench", "transactions", hour):
                    if sealed_in([sealed])[0].last >= segment.last:
                        segment.path.unlink()
        elif number < _FRESH + live:
            target = _sealed(store, "transactions", number)
            write_rows(target, requests, start, number, 0 if number else faults)
            write_rollup(store, hour, target, target.name, keeper.footer)
        else:
            for table in ("transactions", *ROLLUPS):
                drawn = _sealed(store, table, number % _FRESH + live)
                os.link(drawn, _sealed(store, table, number))
    return store


def _sealed(store: Store, table: str, number: int) -> Path:
    hour = hour_key(END - (number + 1) * HOUR_US)
    return make_folder(store.sealed_hour(table, hour)) / sealed_name("bench", 1_000_000_000)


def _write_live(store: Store, hour: str, requests: int, start: str) -> None:
    folder = make_folder(store.live_hour("bench", "transactions", hour))
    with _rows(folder, requests, start, 0) as con:
        for number in range(_SEGMENTS):
            first = 2_000_000_000 + number * requests // _SEGMENTS
            last = 2_000_000_000 + (number + 1) * requests // _SEGMENTS - 1
            part = f"epoch_us(ts) % {HOUR_US} // {HOUR_US // _SEGMENTS} = {number}"
            [[times]] = con.execute(
                "SELECT concat(epoch_us(min(ts)), ' ', epoch_us(max(ts))) FROM rows WHERE " + part
            ).fetchall()
            target = folder / segment_name(first, last)
            # as a recorder's segments have it
            told = f", KV_METADATA {{'qrec.redaction': 'none', 'qrec.times': '{times}'}}"
            _copy(con, f"FROM rows WHERE {part} ORDER BY ts", target, told)


def write_rows(target: Path, requests: int, start: str, seed: int, faults: int = 0) -> None:
    with _rows(target.parent, requests, start, seed) as con:
        for number in range(faults):
            fault = _FAULTS[number % len(_FAULTS)]
            place = f"host = 'host-{number}.example.com' AND route = '/v1/things-{number}/{{id}}'"
            con.execute(f"UPDATE rows SET {fault} WHERE {place} AND random() < 0.6")
        _copy(con, "FROM rows ORDER BY host, route, ts", target)


@contextlib.contextmanager
def _rows(folder: Path, requests: int, start: str, seed: int) -> Iterator[Any]:
    """A connection in which the table `rows` has an hour's requests."""
    from store.schema import TRANSACTIONS

    text = (files("bench") / "query_rows.sql").read_text(encoding="utf-8")
    with duckdb.connect() as con:
        con.register("recorded", TRANSACTIONS.empty_table())  # the columns it leaves out
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"SET temp_directory = '{folder.parent}/spill'")
        con.execute(f"SELECT setseed({(seed % 100) / 100})")
        text = text.replace("{requests}", str(requests)).replace("{start}", start)
        con.execute(f"CREATE TEMP TABLE rows AS FROM recorded UNION ALL BY NAME ({text})")
        yield con


def _copy(con: Any, rows: str, target: Path, more: str = "") -> None:
    con.execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet, COMPRESSION zstd{more})")


def plain(store: Store) -> int:
    """What one would do by hand: group the raw rows of both hours by minute and key."""
    paths = [
        str(path)
        for n in (1, 2)
        for _, path in store.visible("transactions", hour_key(END - n * HOUR_US))
    ]
    with duckdb.connect() as con:
        rows = con.execute(
            "SELECT count(*) FROM (SELECT date_trunc('minute', ts), host, method, route, status,"
            " container_name, count(*), quantile_cont(duration_ms, [0.5, 0.95, 0.99])"
            " FROM read_parquet($paths) GROUP BY ALL)",
            {"paths": paths},
        ).fetchone()
    return int(rows[0]) if rows else 0


def diff(store: Store, early: int, last: int = 60) -> Callable[[], Any]:
    from queries.core.window import Baseline, Window
    from queries.diff.what_changed import what_changed

    end, length = END - early * _MINUTE_US, last * _MINUTE_US
    window = Window(from_us(end - length), from_us(end))
    before = Window(from_us(end - 2 * length), from_us(end - length))
    return lambda: what_changed(store, window, Baseline("previous", (before,)))


def ask(path: Path, by_hand: bool, options: argparse.Namespace) -> dict[str, Any]:
    """Times and memory of one of the two ways, of this process alone."""
    store = Store.open(path)
    early, last = options.early, options.last
    work: Callable[[], Any] = (lambda: plain(store)) if by_hand else diff(store, early, last)
    taken, answer = [], None
    for _ in range(options.times):
        begin = time.perf_counter(), time.process_time()
        answer = work()
        taken.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    found = {
        "first_s": round(taken[0][0], 3),
        "s": round(min(wall for wall, _ in taken), 3),
        "cpu_s": round(min(cpu for _, cpu in taken), 3),
        "peak_mb": _peak_mb(),
    }
    if by_hand:
        return {**found, "groups": answer}
    assert answer is not None
    return {**found, "verdict": answer.verdict, "findings": len(answer.findings)}


def _peak_mb() -> int:
    """Of this program alone: what getrusage says includes the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if "VmHWM" in line)


def one(requests: int, options: argparse.Namespace) -> dict[str, Any]:
    """One volume, both ways, in processes of their own."""
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        path = Path(name) / "s"
        make_store(path, requests, options.hours, options.live, parts=options.parts)
        found = {}
        for way in ("ours", "plain"):
            command = [sys.executable, "-m", "bench.query", "--ask", way, "--dir", str(path)]
            for name in ("early", "last", "times"):
                command += [f"--{name}", str(getattr(options, name))]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            found[way] = json.loads(done.stdout)
    return {
        "requests_per_hour": requests,
        "hours_stored": options.hours,
        "live": options.live,
        "parts": options.parts,
        "early": options.early,
        "last": options.last,
        **{f"diff_{key}": value for key, value in found["ours"].items()},
        **{f"plain_{key}": value for key, value in found["plain"].items()},
        "ratio": round(found["ours"]["s"] / found["plain"]["s"], 3),
        "cpu_ratio": round(found["ours"]["cpu_s"] / found["plain"]["cpu_s"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", default="360000,3600000", help="an hour; 36000000 takes long")
    parser.add_argument("--hours", type=int, default=2, help="stored hours, the last two compared")
    parser.add_argument("--early", type=int, default=0, help="minutes; wants one more hour")
    parser.add_argument("--last", type=int, default=60, help="minutes of the window")
    parser.add_argument("--live", action="store_true", help="the last hour is not sealed")
    parser.add_argument("--parts", action="store_true", help="and a part of it is")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--dir", help="where the stores are made")
    parser.add_argument("--ask", choices=("ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(ask(Path(options.dir), options.ask == "plain", options)))
        return
    rows = []
    for volume in options.requests.split(","):
        rows.append(one(int(volume), options))
        if not options.json:
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
