"""What is said of a fleet: `python -m bench.quality.fleets --seeds 10 --json`.

The rows of a made-up system (bench/quality/world.py) are those of forty recorders of one group. A
request is seen by the node of its pod; where `pods` is off by any node, as if every service ran on
each. Quiet pairs, of which nothing should be said:

still: nothing happens. come_and_go: a node lives eight hours in the mean, and another takes its
place. moving: half of the pods move to other nodes, with new names, within the window. deaf: one
node is cut off for the whole window.

few: on three nodes 60 % of the requests to one of the busier routes fail in the window. It is found
where a finding names the route, or its service alone, and told rightly where it names the three
nodes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.quality.stage import FAILING, Stage, new_pods
from bench.quality.world import MINUTE_US, Fault, World
from queries.core.answer import to_document
from queries.core.window import Baseline, Window
from queries.diff.what_changed import what_changed
from store.coverage import Stretch, coverage_file, write_stretches
from store.hours import HOUR_US, from_us, hour_key
from store.layout import Store
from tests.world.rows import SESSION, Batch, cover, write_rows

NODES, FEW, GROUP = 40, 3, "fleet"
QUIET = ("still", "come_and_go", "moving", "deaf")
_LIFE_US = 8 * HOUR_US
_SHARE = 0.6


def _mixed(values: Any, salt: int) -> Any:
    """The number of a node for each number, the same each time."""
    mixed = (values.astype(np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed >> np.uint64(33)) % np.uint64(NODES)).astype(np.int64)


class Nodes:
    """Which node saw each row, and when each was there: by name, (rows, from and to)."""

    def __init__(self, kind: str, seed: int, begin: int, middle: int, end: int) -> None:
        self.kind, self.seed = kind, seed
        self.begin, self.middle, self.end = begin, middle, end

    def split(self, rows: Batch) -> dict[str, tuple[Batch, tuple[int, int]]]:
        node = self._node(rows)
        parts = {}
        for number in range(NODES):
            mine = rows.where(node == number)
            for name, begin, end in self._lives(number):
                parts[name] = mine.between(begin, end), (begin, end)
        return parts

    def _node(self, rows: Batch) -> Any:
        if self.kind == "few":
            return _mixed(rows.ts, self.seed)
        pods = {pod: i for i, pod in enumerate(sorted(
            {f"{n.get('container_name')} {n.get('pod_name')}" for n in rows.names}
        ))}  # fmt: skip
        of = np.array([pods[f"{n.get('container_name')} {n.get('pod_name')}"] for n in rows.names])
        return _mixed(of[rows.name], self.seed)

    def _lives(self, number: int) -> list[tuple[str, int, int]]:
        if self.kind != "come_and_go":
            cut = self.kind == "deaf" and number == 0
            return [(f"node-{number}", self.begin, self.middle if cut else self.end)]
        rng = np.random.default_rng([self.seed, 11, number])
        cuts = [self.begin]
        while cuts[-1] < self.end:
            cuts.append(min(cuts[-1] + int(rng.exponential(_LIFE_US)) + MINUTE_US, self.end))
        return [(f"node-{number}-{place}", cuts[place], cuts[place + 1])
                for place in range(len(cuts) - 1)]  # fmt: skip


def trial(kind: str, seed: int, volume: int, window: int, past: int) -> dict[str, Any]:
    world = World(seed, volume)
    end, length = world.end_us, window * MINUTE_US
    middle = end - length
    begin = middle - length - past * HOUR_US
    minutes = (begin - end) / MINUTE_US
    stage = Stage(world, world.play(-180, 0), np.random.default_rng([seed, 12]), float(window))
    faults = []
    if kind == "moving":
        services = sorted(world.system.pods)
        faults = [Fault(new_pods(services[::2]), -window / 2)]
    rows = world.play(minutes, 0, 1, faults)
    nodes = Nodes(kind, seed, begin, middle, end)
    parts = nodes.split(rows)
    if kind == "few":
        route = stage.route(lambda r: r.inside, 0.03)
        rng = np.random.default_rng([seed, 13])
        for number in range(FEW):
            mine, life = parts[f"node-{number}"]
            parts[f"node-{number}"] = _failing(mine, route.number, middle, rng), life
    with tempfile.TemporaryDirectory() as folder:
        store = _stored(Path(folder) / "s", parts, begin, middle, end, kind == "deaf")
        edges = (middle, end), (middle - length, middle)
        spans = [Window(from_us(a), from_us(b)) for a, b in edges]
        document = to_document(what_changed(store, spans[0], Baseline("previous", (spans[1],))))
    said = [finding["summary"] for finding in document["findings"]]
    result = {"kind": kind, "seed": seed, "verdict": document["verdict"], "said": said}
    if kind == "few":
        places = {route.service, route.host}

        def right(key: Mapping[str, Any]) -> bool:
            if "route" in key:
                return bool(key["route"] == route.path)
            return not places.isdisjoint({key.get("container"), key.get("host")} - {None})

        hits = [f for f in document["findings"] if f["kind"] in FAILING and right(f["key"])]
        named = set((hits[0]["recorders"] or {}).get("names", ())) if hits else set()
        result |= {"rank": hits[0]["rank"] if hits else None,
                   "route": bool(hits) and "route" in hits[0]["key"],
                   "named": named == {f"node-{n}" for n in range(FEW)}}  # fmt: skip
    return result


def _failing(rows: Batch, route: int, since: int, rng: np.random.Generator) -> Batch:
    """Some of the requests to the route end as 503 from then on."""
    numbers = np.array([name["number"] for name in rows.names])
    hit = (numbers[rows.name] == route) & (rows.ts >= since) & (rng.random(len(rows)) < _SHARE)
    names = [*rows.names, *({**name, "status": 503} for name in rows.names)]
    name = np.where(hit, rows.name + len(rows.names), rows.name)
    return Batch(names, name, rows.ts, rows.ms, rows.size)


def _stored(
    path: Path, parts: Mapping[str, tuple[Batch, tuple[int, int]]], begin: int, middle: int,
    end: int, deaf: bool,
) -> Store:  # fmt: skip
    store = Store.create(path)
    for name, (rows, life) in parts.items():
        write_rows(store, name, rows)
        cover(store, name, [life], group_name=GROUP)
    if deaf:
        for hour in range(middle // HOUR_US, (end - 1) // HOUR_US + 1):
            first, last = hour * HOUR_US, (hour + 1) * HOUR_US
            spans = [(max(begin, first), min(middle, last), "receiving"),
                     (max(middle, first), min(end, last), "disconnected")]  # fmt: skip
            cut = [Stretch("node-0", SESSION, *span, topics=["http"], group_name=GROUP)
                   for span in spans if span[0] < span[1]]  # fmt: skip
            write_stretches(coverage_file(store, hour_key(first), "node-0"), cut)
    return store


def figures(trials: list[dict[str, Any]]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for kind in dict.fromkeys(one["kind"] for one in trials):
        mine = [one for one in trials if one["kind"] == kind]
        row: dict[str, Any] = {"trials": len(mine)}
        if kind == "few":
            row |= {"first": sum(one["rank"] == 1 for one in mine),
                    "found": sum(one["rank"] is not None for one in mine),
                    "route": sum(one["route"] for one in mine),
                    "named": sum(one["named"] for one in mine)}  # fmt: skip
        else:
            row |= {"findings": sum(len(one["said"]) for one in mine),
                    "verdicts": sorted({one["verdict"] for one in mine})}  # fmt: skip
        rows[kind] = row
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=200)
    parser.add_argument("--kinds", nargs="*", default=[*QUIET, "few"])
    parser.add_argument("--volume", type=int, default=40_000)
    parser.add_argument("--window", type=int, default=60)
    parser.add_argument("--past", type=int, default=4, help="hours before the baseline")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    trials = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for kind in options.kinds:
            one = trial(kind, seed, options.volume, options.window, options.past)
            trials.append(one)
            if not options.json:
                print(json.dumps(one), flush=True)
    print(json.dumps(figures(trials), indent=1))


if __name__ == "__main__":
    main()
