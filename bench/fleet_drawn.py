"""Hours of a large fleet of unlike hosts, drawn as they are once they are compacted.

To record five hundred hosts takes longer than to count what they did: so requests are drawn and
counted here, and stand in the bucket as merged rollups under the names that compaction gives them.
Coverage is each host's own, merged by compaction; files of rows are empty. Single rollups are drawn
of the last hour alone.

A kind of host runs services of its own, each of which calls and is called by its own endpoints, of
which few are busy. Requests are Poisson an hour, endpoint and host. In the last hour one endpoint
of one service fails on TROUBLE hosts.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.query import END
from recorder.write.compact import compact
from recorder.write.coverage import Ledger
from store.bucket import Bucket, Limits
from store.cover import sealed_name
from store.derived import COLUMNS, DURATIONS, KEYS, MINUTES, NAMES
from store.files import make_folder
from store.hours import HOUR_US, hour_key
from store.layout import Store
from store.remote import Remote
from store.schema import TRANSACTIONS, plain

KINDS: Final = 25
TROUBLE: Final = 3  # hosts of kind 0
_SERVICES, _CALLS, _SERVES = 12, 25, 8  # of a kind; endpoints of a service
_LAST = 1_000_000_000
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


class Fleet:
    """endpoints: a row for each of a service's, all services behind one another; each has a share
    of the requests of its kind. pods: whether each service has a pod of its own on each host."""

    def __init__(self, recorders: int, requests: int, pods: bool, seed: int = 1) -> None:
        self.recorders, self.requests, self.pods = recorders, requests, pods
        self.hosts = recorders // KINDS  # of a kind
        rng = np.random.default_rng(seed)
        size = _CALLS + _SERVES
        services = KINDS * _SERVICES
        shares = rng.zipf(1.6, (services, size)).clip(max=200).astype(float)
        by_kind = shares.reshape(KINDS, -1)
        self.share = (by_kind / by_kind.sum(1, keepdims=True)).ravel()
        self.failing = rng.beta(0.3, 30, services * size)
        self.slow = rng.normal(45, 12, services * size)  # the bucket of the median
        self.names = [_endpoint(place // size, place % size) for place in range(services * size)]

    def drawn(self, end: int, back: int) -> dict[str, Any]:
        """The entries of an hour: endpoint, host (of its kind), bad, minute, bucket, requests."""
        rng = np.random.default_rng(10_000 + back)
        level = 1 + 0.3 * np.sin((end // HOUR_US - back) % 24 / 24 * 2 * np.pi)
        rate = self.share * self.requests * level
        per_host = rng.poisson(rate[:, None], (rate.size, self.hosts))
        place, host = np.nonzero(per_host)
        times = per_host[place, host]
        place, host = np.repeat(place, times), np.repeat(host, times)
        chance = self.failing[place]
        if back == 0:
            chance = np.where((place == self.worst) & (host < TROUBLE), 0.4, chance)
        bad = rng.random(place.size) < chance
        bucket = rng.normal(self.slow[place], 6).clip(0, 150).astype(np.int64)
        minute = rng.integers(0, 60, place.size)
        code = ((((place * self.hosts + host) * 2 + bad) * 60 + minute) << 8) | bucket
        code, requests = np.unique(code, return_counts=True)
        cell = code >> 8
        return {
            "place": cell // 60 // 2 // self.hosts, "host": cell // 60 // 2 % self.hosts,
            "bad": cell // 60 % 2, "minute": cell % 60, "bucket": code & 255, "requests": requests,
        }  # fmt: skip

    @property
    def worst(self) -> int:
        """The endpoint that fails on the hosts in TROUBLE: the busiest of kind 0."""
        return int(np.argmax(self.share[: self.share.size // KINDS]))

    def tables(self, entries: Mapping[str, Any], recorder: str) -> dict[str, pa.Table]:
        """The tables of a rollup of some entries."""
        pod = entries["host"] if self.pods else np.zeros_like(entries["host"])
        name = (entries["place"] * self.hosts + pod) * 2 + entries["bad"]
        order = np.argsort((name * 60 + entries["minute"]) << 8 | entries["bucket"], kind="stable")
        name, minute = name[order], entries["minute"][order]
        bucket, requests = entries["bucket"][order], entries["requests"][order]
        first = np.flatnonzero(np.diff(name, prepend=-1))
        key = np.cumsum(np.diff(name, prepend=-1) != 0) - 1
        cell = (key * 60 + minute) << 8 | bucket
        at = np.flatnonzero(np.diff(cell, prepend=-1))
        starts = np.flatnonzero(np.diff(cell >> 8, prepend=-1))
        counts = np.add.reduceat(requests, starts)
        mean = 400.0 + 40 * ((name[starts] // 2 * 2654435761) % 100)
        received = (counts * mean).astype(np.int64)
        bits = np.left_shift(np.int64(1), minute[starts])
        ends = np.searchsorted(starts, first)
        keys = {
            "key": np.arange(first.size, dtype=np.int32),
            **self.texts(name[first], recorder),
            "failed": name[first] % 2 == 1,
            "requests": np.add.reduceat(counts, ends),
            "bytes_sent": np.add.reduceat(received, ends) // 3,
            "bytes_received": np.add.reduceat(received, ends),
            "active": np.bitwise_or.reduceat(bits, ends),
        }
        minutes = {
            "key": key[starts].astype(np.int32), "minute": minute[starts].astype(np.int16),
            "requests": counts.astype(np.int32), "bytes_sent": received // 3,
            "bytes_received": received, "seq": np.ones(starts.size, dtype=np.int64),
        }  # fmt: skip
        quarter = np.lexsort((minutes["minute"], minutes["key"], minutes["minute"] // 15))
        durations = {
            "key": key[at].astype(np.int32), "minute": minute[at].astype(np.int16),
            "bucket": bucket[at].astype(np.int16),
            "requests": np.add.reduceat(requests, at).astype(np.int32),
        }  # fmt: skip
        columns = {
            KEYS: keys,
            MINUTES: {name: column[quarter] for name, column in minutes.items()},
            DURATIONS: durations,
        }
        return {table: pa.table({name: of[name] for name in COLUMNS[table]})
                for table, of in columns.items()}  # fmt: skip

    def texts(self, name: Any, recorder: str) -> dict[str, Any]:
        place, host, bad = name // 2 // self.hosts, name // 2 % self.hosts, name % 2 == 1
        of = {column: np.array(values)[place] for column, values in
              zip(("direction", "host", "method", "route", "container"),
                  zip(*self.names, strict=True), strict=True)}  # fmt: skip
        services = np.array([[_pod(self.names[p][4], h) for h in range(self.hosts)]
                             for p in range(0, len(self.names), _CALLS + _SERVES)])  # fmt: skip
        of["pod"] = services[place // (_CALLS + _SERVES), host] if self.pods else ""
        of |= {"recorder": recorder, "session": "", "grpc_status": "", "process": "/app/server"}
        of["status"] = np.where(bad, 503, 200).astype(np.int16)
        of["signature"] = np.where(bad, "unavailable", "")
        return {column: np.broadcast_to(of[column], name.shape) for column in NAMES}


def _endpoint(service: int, number: int) -> tuple[str, str, str, str, str]:
    """(direction, host, method, route, container)"""
    name = _service(service)
    method = ("GET", "POST", "PUT")[number % 3]
    if number >= _CALLS:
        return "ingress", name, method, f"/v1/{name}/op-{number}", name
    other = (service * 7 + number) % (KINDS * _SERVICES)
    host = f"api-{other}.example.com" if number % 5 == 0 else _service(other)
    return "egress", host, method, f"/v1/{host}/thing-{number}/{{id}}", name


def _service(number: int) -> str:
    """No digits at its end: those would be of a replica."""
    return f"svc{number // _SERVICES}-{'abcdefghijkl'[number % _SERVICES]}"


@cache
def _pod(service: str, host: int) -> str:
    rng = np.random.default_rng(host * 977 + len(service))
    tail = "".join(_SAFE[i] for i in rng.integers(0, len(_SAFE), 5))
    return f"{service}-7d9f8b6c5d-{tail}{host}"[:60]


def recorder_name(kind: int, host: int) -> str:
    return f"node-{kind:02d}-{host:02d}"


def make_hosts(path: Path, fleet: Fleet, end: int, hours: int) -> Store:
    """A store with what tells of each host alone: empty rows, and coverage."""
    store = Store.create(path)
    first = recorder_name(0, 0)
    ledger = Ledger(store, first, "s", group="fleet")
    ledger.connected(end - hours * HOUR_US, 0)
    ledger.alive(hours * HOUR_US)
    ledger.flush()
    empty = path.with_name("empty.parquet")
    pq.write_table(plain(TRANSACTIONS).empty_table(), empty)
    for back in range(hours):
        hour = hour_key(end - (back + 1) * HOUR_US)
        folder, rows = (
            make_folder(store.sealed_hour(t, hour)) for t in ("coverage", "transactions")
        )
        seen = pq.read_table(folder / f"{first}.parquet")
        place = seen.schema.get_field_index("recorder")
        for number in range(fleet.recorders):
            name = recorder_name(number // fleet.hosts, number % fleet.hosts)
            os.link(empty, rows / sealed_name(name, _LAST))
            owner = pa.array([name] * seen.num_rows, seen.schema.field(place).type)
            pq.write_table(seen.set_column(place, seen.schema.field(place), owner),
                           folder / f"{name}.parquet")  # fmt: skip
    return store


def upload(store: Store, url: str) -> int:
    """All of its files, as they are; how many."""
    remote = Remote(url)
    files = [p for p in store.path.rglob("*") if p.suffix == ".parquet" or p == store.manifest]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda p: remote.put_new(p.relative_to(store.path).as_posix(), p), files))
    return len(files)


def singles(store: Store, fleet: Fleet, end: int) -> None:
    """The rollup of each host of the last hour."""
    hour, entries = hour_key(end - HOUR_US), fleet.drawn(end, 0)
    kind = entries["place"] // (fleet.share.size // KINDS)
    number = kind * fleet.hosts + entries["host"]
    order = np.argsort(number, kind="stable")
    edges = np.searchsorted(number[order], np.arange(fleet.recorders + 1))
    for one in range(fleet.recorders):
        part = order[edges[one] : edges[one + 1]]
        name = recorder_name(one // fleet.hosts, one % fleet.hosts)
        tables = fleet.tables({n: column[part] for n, column in entries.items()}, name)
        for table, rows in tables.items():
            place = make_folder(store.sealed_hour(table, hour)) / sealed_name(name, _LAST)
            pq.write_table(rows, place, compression="lz4", store_schema=False)


def merge(store: Store, fleet: Fleet, end: int, backs: Sequence[int], scratch: Path) -> int:
    """Put the merged rollups of hours where compaction would have put them, and have it merge their
    coverage; bytes of the rollups."""
    make_folder(store.path)
    size = 0
    groups = {recorder_name(n // fleet.hosts, n % fleet.hosts): "fleet"
              for n in range(fleet.recorders)}  # fmt: skip
    for back in backs:
        hour = hour_key(end - (back + 1) * HOUR_US)
        rows = [path for _, path in store.visible("transactions", hour)]
        places = store.rollup_places(hour, rows, groups)
        for table, drawn in fleet.tables(fleet.drawn(end, back), "fleet").items():
            file = scratch / "merged.parquet"
            pq.write_table(drawn, file, compression="zstd", store_schema=False)
            size += file.stat().st_size
            store.add(places[table], file)
            file.unlink(missing_ok=True)
        list(compact(store, [hour]))
    return size


def main() -> None:
    """Fill a bucket: recorders, hours, requests an hour and recorder, its URL, a folder, pods."""
    recorders, hours, requests = map(int, sys.argv[1:4])
    url, folder = sys.argv[4], Path(sys.argv[5])
    fleet = Fleet(recorders, requests, "pods" in sys.argv)
    store = make_hosts(folder / "fleet", fleet, END, hours)
    singles(store, fleet, END)
    files = upload(store, url)
    bucket = Bucket.at(url, Limits(folder / "maker", 1 << 40, 1 << 40))
    size = merge(bucket, fleet, END, range(hours), folder)
    print(json.dumps({"files": files, "merged_mb_an_hour": round(size / hours / 1e6, 1)}))


if __name__ == "__main__":
    main()
