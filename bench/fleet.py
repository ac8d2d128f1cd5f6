"""What a fleet in one bucket costs: `python -m bench.fleet --json`.

Makes a store of many recorders of one group, each with rows of its own (and containers, without
--alike) in the last two hours (with --engine: in all) and links to those before, ships it, and asks
what changed: of the
folder, of the bucket with an empty cache, and of the bucket again. Each question is a process of
its own.

--compacted: the bucket is compacted first, and asked of the folder that it was before.
--latency MS: the bucket is moto's, behind a proxy that holds each request back so long.
--drawn: hours are drawn as they are once they are compacted (bench/fleet_drawn.py), for fleets that
are too large to be recorded: five hundred hosts. --pods: each of their pods has a name of its own.
With --latency their bucket is a folder behind bench/s3.py: moto takes longer than the question.
--counted: asks for the hosts of all hours instead, where the rows are more than may be fetched.
--in-folder: compacts the folder itself, and asks it alone.
--engine: asks the folder instead, with a filter, so that rows are counted: in this machine, and by
Sail's workers in a process of its own, twice.
--url: the bucket; by default a folder beside the stores. With AWS_ENDPOINT_URL it may be any S3.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import psutil

from bench.query import END, write_rows
from recorder.write.coverage import Ledger
from recorder.write.rollup import write_rollup
from recorder.write.segments import metadata
from recorder.write.ship import Shipper
from store.bucket import Bucket, Limits
from store.cover import sealed_name
from store.derived import ROLLUPS
from store.files import make_folder
from store.hours import HOUR_US, from_us, hour_key
from store.layout import MERGED, Store
from tests.buckets import CREDENTIALS, Way, s3_server

_FRESH = 2
_LAST = 1_000_000_000


def make_fleet(
    path: Path, recorders: int, requests: int, hours: int, distinct: int = 0,
    group: str = "fleet", alike: bool = False, fresh: int = _FRESH,
) -> Store:  # fmt: skip
    """A store of several recorders, as if all had written to one.

    distinct: how many of them have rows of their own (0: all), the others have links to theirs.
    alike: containers have the same names on all hosts; else each has its own. fresh: hours with
    rows of their own.
    """
    parts = distinct or recorders
    store = Store.create(path)
    for back in range(fresh):
        _draw(store, back, requests, parts, alike)
    for number in range(recorders):
        name = f"node-{number:03d}"
        ledger = Ledger(store, name, "s", group=group or None)
        ledger.connected(END - hours * HOUR_US, 0)
        ledger.alive(hours * HOUR_US)
        ledger.flush()
        footer = metadata(name, "none")
        for back in range(hours):
            key = _hour(back)
            target = _file(store, "transactions", back, name)
            if distinct and number >= distinct:
                for table in ("transactions", *ROLLUPS):
                    source = _file(store, table, back, f"node-{number % distinct:03d}")
                    os.link(source, _file(store, table, back, name))
                continue
            if back < fresh:
                write_rollup(store, key, target, target.name, footer)
                continue
            for table in ("transactions", *ROLLUPS):
                os.link(_file(store, table, back % fresh, name), _file(store, table, back, name))
    return store


def _hour(back: int) -> str:
    return hour_key(END - (back + 1) * HOUR_US)


def _file(store: Store, table: str, back: int, recorder: str) -> Path:
    return make_folder(store.sealed_hour(table, _hour(back))) / sealed_name(recorder, _LAST)


def _draw(store: Store, back: int, requests: int, parts: int, alike: bool) -> None:
    """The rows of an hour, each of which goes to one of so many recorders."""
    folder = make_folder(store.path.with_name(f"drawn-{back}"))
    start = from_us(END - (back + 1) * HOUR_US).isoformat()
    write_rows(folder / "all.parquet", requests * parts, start, back)
    container = "container_name" if alike else "container_name || '-' || number"
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"SET partitioned_write_max_open_files = {parts}")
        con.execute(
            f"COPY (SELECT * REPLACE (printf('node-%03d', number) AS recorder,"
            f" {container} AS container_name)"
            f" FROM (SELECT *, (hash(seq) % {parts})::INTEGER AS number"
            f" FROM '{folder}/all.parquet'))"
            f" TO '{folder}/parts' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (number))"
        )
    for number in range(parts):
        [file] = (folder / "parts" / f"number={number}").iterdir()
        file.rename(_file(store, "transactions", back, f"node-{number:03d}"))
    shutil.rmtree(folder)


def ship(store: Store, url: str) -> dict[str, Any]:
    """All of it, in this process."""
    shipper, begin, cpu = Shipper(store, url), time.perf_counter(), time.process_time()
    due = shipper.due()
    for one in due:
        shipper.ship(one)
    return {
        "shipped_files": len(due),
        "shipped_mb": round(sum(one.size for one in due) / 1e6),
        "ship_s": round(time.perf_counter() - begin, 2),
        "ship_cpu_s": round(time.process_time() - cpu, 2),
    }


def run(place: str, cache: Path, *words: str) -> tuple[dict[str, Any], Any]:
    """A command of a store, as it is typed: (time, processor time, memory; its document)."""
    words = (*words, "--store", place, "--now", from_us(END).isoformat(), "--json")
    environ = {**os.environ, "QREC_CACHE": str(cache), "QREC_MAX_FETCH": "100GB"}
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "qrec", *words], env=environ, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    document = json.loads(process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return {
        "s": round(time.perf_counter() - begin, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": used.ru_maxrss // 1024,
    }, document


def compact(place: str, cache: Path, last: str = "90d") -> dict[str, Any]:
    """Of the last hours, and of one as their mean."""
    figures, document = run(place, cache, "compact", "--last", last)
    hours = [one for one in document["hours"] if one["state"] == "merged"]
    size = sum(one["bytes"] for one in hours)
    figures |= {"hours": len(hours), "mb_an_hour": round(size / 1e6 / max(len(hours), 1), 2)}
    figures |= {f"{key}_an_hour": round(figures[key] / max(len(hours), 1), 2)
                for key in ("s", "cpu_s")}  # fmt: skip
    return figures


def in_folder(recorders: int, options: argparse.Namespace) -> dict[str, Any]:
    """A folder that all have written to, compacted: of the hours that are links the merged rollups
    are links as well. Then what changed, twice."""
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        cache = Path(name) / "cache"
        store = make_fleet(
            Path(name) / "fleet", recorders, options.requests, options.hours,
            options.distinct, options.group, options.alike,
        )  # fmt: skip
        place = str(store.path)
        figures: dict[str, Any] = {"recorders": recorders, "hours": options.hours}
        figures |= prefixed("compact", compact(place, cache, f"{_FRESH}h"))
        for back in range(_FRESH, options.hours):
            folder = make_folder(store.sealed_hour(MERGED, _hour(back)))
            for merged in store.sealed_hour(MERGED, _hour(back % _FRESH)).iterdir():
                if not merged.name.startswith("coverage"):
                    os.link(merged, folder / merged.name)
        figures["links_s"] = compact(place, cache, "90d")["s"]
        for turn in ("first", "second"):
            used, document = run(place, cache, "diff")
            figures |= prefixed(turn, used)
        figures |= {key: document[key] for key in ("verdict", "window", "compared")}
        return {**figures, "findings": len(document["findings"])}


@contextlib.contextmanager
def sail() -> Iterator[tuple[str, psutil.Process]]:
    """(address of Sail as a server of Spark Connect, its process)."""
    code = (
        "from pysail.spark import SparkConnectServer as S; s = S('127.0.0.1', 0)\n"
        "s.start(background=True); print(s.listening_address[1], flush=True); input()"
    )
    command = [sys.executable, "-c", code]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL, **pipes) as process:
        assert process.stdout is not None
        yield f"sc://127.0.0.1:{process.stdout.readline().strip()}", psutil.Process(process.pid)
        process.kill()


def on_engine(recorders: int, options: argparse.Namespace) -> dict[str, Any]:
    """A comparison of filtered rows here and on an engine; cpu_s: of both processes together."""
    words = ("diff", "--where", "res.status >= 100", "--limit", "20")
    with tempfile.TemporaryDirectory(dir=options.dir) as name, sail() as (url, server):
        cache = Path(name) / "cache"
        store = make_fleet(
            Path(name) / "fleet", recorders, options.requests, options.hours,
            options.distinct, options.group, options.alike, options.hours,
        )  # fmt: skip
        figures: dict[str, Any] = {"recorders": recorders, "hours": options.hours}
        documents = []
        for turn in ("here", "engine_first", "engine_second"):
            more = () if turn == "here" else ("--engine", url)
            before = sum(server.cpu_times()[:2])
            used, document = run(str(store.path), cache, *words, *more)
            used["cpu_s"] = round(used["cpu_s"] + sum(server.cpu_times()[:2]) - before, 2)
            figures |= prefixed(turn, used)
            documents.append(document)
        figures["engine_mb"] = server.memory_info().rss >> 20
    return {**figures, "same": all(document == documents[0] for document in documents)}


@contextlib.contextmanager
def bucket(folder: Path, latency_ms: float | None) -> Iterator[tuple[str, Way | None]]:
    """(URL of an empty bucket, the way to it)."""
    if latency_ms is None:
        yield (folder / "bucket").as_uri(), None
        return
    with s3_server() as address:
        way = Way(address)
        os.environ.update({**CREDENTIALS, "AWS_ENDPOINT_URL": way.address})
        yield "s3://acme/fleet", way
        way.close()


def one(recorders: int, options: argparse.Namespace) -> dict[str, Any]:
    """A fleet of so many."""
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        folder = Path(name)
        store = make_fleet(
            folder / "fleet", recorders, options.requests, options.hours,
            options.distinct, options.group, options.alike,
        )  # fmt: skip
        with bucket(folder, options.latency) as (url, way):
            url = f"{options.url}/{recorders}" if options.url else url
            figures = {"recorders": recorders, "hours": options.hours, **ship(store, url)}
            answers = {}
            if not options.no_folder:
                answers["folder"] = run(str(store.path), folder / "cache", "diff")
            if way is not None:
                way.delay_s = options.latency / 1000
            if options.compacted:
                figures |= prefixed("compact", compact(url, folder / "compactor"))
            for turn in ("first", "second"):
                before = len(way.seen) if way else 0
                answers[turn] = run(url, folder / "cache", "diff")
                if way is not None:
                    answers[turn][0]["requests"] = len(way.seen) - before
    documents = [
        {key: document[key] for key in ("verdict", "findings", "window")}
        for _, document in answers.values()
    ]
    for turn, (used, _) in answers.items():
        figures |= prefixed(turn, used)
    return {**figures, "same": all(document == documents[0] for document in documents)}


def as_counted(recorders: int, options: argparse.Namespace) -> dict[str, Any]:
    """Hosts of a bucket, of which no rows may be fetched: by rollups."""
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        folder = Path(name)
        store = make_fleet(
            folder / "fleet", recorders, options.requests, options.hours,
            options.distinct, options.group, options.alike,
        )  # fmt: skip
        figures: dict[str, Any] = {"recorders": recorders, "hours": options.hours}
        with bucket(folder, options.latency) as (url, _):
            ship(store, url)
            there = Bucket.at(url, Limits(folder / "cache", 1 << 40, 1 << 40))
            rollups = store.path.glob("rollups/**/*.parquet")
            there.fetch(there.path / path.relative_to(store.path) for path in rollups)
            words = ("hosts", "--last", f"{options.hours}h", "--max-fetch", "1MB")
            for turn in ("first", "second"):
                used, document = run(url, folder / "cache", *words)
                figures |= prefixed(turn, used)
    rounded = any(note["code"] == "rounded" for note in document["notes"])
    return {**figures, "requests": document["window"]["requests"], "rounded": rounded}


def as_drawn(recorders: int, options: argparse.Namespace) -> dict[str, Any]:
    """A bucket whose hours are drawn. It is filled by a process of its own, as whoever asks is told
    the memory of the process that started it; with --made a folder that this did before."""
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        folder = Path(options.made or name)
        url = options.url or (folder / "bucket").as_uri()
        figures: dict[str, Any] = {"recorders": recorders, "hours": options.hours}
        if not (folder / "bucket").exists():
            command = [sys.executable, "-m", "bench.fleet_drawn", str(recorders)]
            command += [str(options.hours), str(options.requests), url, str(make_folder(folder))]
            begin = time.perf_counter()
            made = subprocess.run(
                [*command, *(["pods"] if options.pods else [])], check=True, stdout=subprocess.PIPE
            )
            figures |= json.loads(made.stdout)
            figures["made_s"] = round(time.perf_counter() - begin)
        with lean_s3(folder / "bucket", options.latency) as server:
            url = "s3://acme" if server else url
            for turn in ("first", "second"):
                used, document = run(url, Path(name) / "cache", "diff", *options.where)
                figures |= prefixed(turn, {**used, **(server() if server else {})})
    figures |= {key: document[key] for key in ("verdict", "window", "compared")}
    return {**figures, "findings": [finding["summary"] for finding in document["findings"]]}


@contextlib.contextmanager
def lean_s3(
    folder: Path, latency_ms: float | None
) -> Iterator[Callable[[], dict[str, Any]] | None]:
    """The folder as S3 (bench/s3.py); gives its requests and processor time since it was asked
    last. None without a latency."""
    if latency_ms is None:
        yield None
        return
    command = [sys.executable, "-m", "bench.s3", str(folder), str(latency_ms)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout is not None
        address = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        os.environ.update({**CREDENTIALS, "AWS_ENDPOINT_URL": address})
        before = [0.0, sum(psutil.Process(process.pid).cpu_times()[:2])]

        def since() -> dict[str, Any]:
            with urllib.request.urlopen(f"{address}/requests") as answer:
                now = [float(answer.read()), sum(psutil.Process(process.pid).cpu_times()[:2])]
            requests, cpu_s = (b - a for a, b in zip(before, now, strict=True))
            before[:] = now
            return {"requests": round(requests), "server_cpu_s": round(cpu_s, 2)}

        yield since
        process.kill()


def prefixed(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}_{key}": value for key, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recorders", default="1,8,50")
    parser.add_argument("--requests", type=int, default=24_000, help="an hour and recorder")
    parser.add_argument("--hours", type=int, default=26)
    parser.add_argument("--distinct", type=int, default=0, help="with rows of their own; 0: all")
    parser.add_argument("--alike", action="store_true", help="containers' names on all hosts")
    parser.add_argument("--group", default="fleet", help="of all; empty: each by itself")
    parser.add_argument("--no-folder", action="store_true", help="ask the bucket alone")
    parser.add_argument("--compacted", action="store_true")
    parser.add_argument("--in-folder", action="store_true", help="no bucket, but compacted")
    parser.add_argument("--drawn", action="store_true", help="as if recorded and compacted")
    parser.add_argument("--pods", action="store_true", help="drawn ones have names of their own")
    parser.add_argument("--made", metavar="DIR", help="where drawn ones are kept, or are already")
    parser.add_argument("--where", nargs="*", default=[], help="more words of the question")
    parser.add_argument("--counted", action="store_true", help="hosts, by rollups alone")
    parser.add_argument("--engine", action="store_true", help="Sail against one process")
    parser.add_argument("--latency", type=float, metavar="MS")
    parser.add_argument("--url", help="a bucket, empty below this prefix")
    parser.add_argument("--dir", help="where stores are made")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for count in options.recorders.split(","):
        measure = on_engine if options.engine else in_folder if options.in_folder else one
        measure = as_drawn if options.drawn else measure
        measure = as_counted if options.counted else measure
        rows.append(measure(int(count), options))
        if not options.json:
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
