"""One comparison of the evaluation: the world's hours in DuckDB, a window, the scores."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.quality import rivals
from bench.quality.cells import as_grpc, tables
from bench.quality.failing import leak
from bench.quality.given import given
from bench.quality.quiet import Pair
from bench.quality.score import rival_rank, scored
from bench.quality.stage import Stage, Truth
from bench.quality.system import Hours
from bench.quality.world import World, pods
from queries.core.answer import Changes, Note
from queries.core.window import Window
from queries.diff import frame as frames
from queries.diff.compare import Options, compare, replicates
from queries.diff.frame import Frame
from queries.diff.traffic import Ledger, Traffic

HISTORIES = {"1h": 1, "24h": 24, "7d": 168}
_REFUSED = ("no_data", "not_comparable")
DROPS = Note("drops", "the source dropped about 18 % of the events")


@dataclass(frozen=True)
class Past:
    """The hours before the window: tables of the cells and of what was covered."""

    cells: pa.Table
    covered: pa.Table


@lru_cache(maxsize=4)
def world_of(seed: int, size: int) -> World:
    return World(seed, size)


def hour_of(seed: int) -> int:
    return 24 * 8 + int(np.random.default_rng([seed, 99]).integers(0, 96))


def span(world: World, hour: int) -> Window:
    return Window(world.moment(hour), world.moment(hour + 1))


@lru_cache(maxsize=3)
def past_of(seed: int, size: int, hour: int, back: int, history: str) -> Past:
    world = world_of(seed, size)
    parts = []
    for number in _hours(world, hour, back, history):
        parts.append(tables(world, world.hours(number), durations=False))
    return Past(_joined([p[0] for p in parts]), _joined([p[1] for p in parts]))


def _joined(parts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts) if parts else pa.table({})


def _hours(world: World, hour: int, back: int, history: str) -> list[int]:
    """Hours of history as the caller of `compare` picks them, without the baseline."""
    if history == "1h":
        return []
    reach = timedelta(hours=HISTORIES[history])
    picked = replicates(span(world, hour), reach, [span(world, hour - back)])
    first = world.moment(0)
    return [int((s.from_ts - first) / timedelta(hours=1)) for s in picked]


def asked(
    stage: Stage,
    plan: Hours,
    history: str,
    back: int = 1,
    before: Callable[[Hours], None] | None = None,
    pair: Pair | None = None,
) -> tuple[Changes, dict[str, float], Callable[[], Frame]]:
    """The comparison of a planned window with its baseline, what it cost, and its arrays."""
    base_world = world_of(stage.world.seed, int(stage.world.requests))
    base_plan = base_world.hours(stage.hour - back)
    if before:
        before(base_plan)
    if stage.leaking is not None:
        leak(base_world, base_plan, stage.leaking, stage.severity, 11)
    parts = [tables(stage.world, plan, stage.salt), tables(base_world, base_plan)]
    if pair and pair.partly:
        parts[0] = (parts[0][0], _partly(parts[0][1], stage, pair))
    past = past_of(stage.world.seed, int(stage.world.requests), stage.hour, back, history)
    if stage.leaking is not None:
        past = _leaking(stage, past, history)
    if past.cells.num_rows:
        parts.append((past.cells, past.covered))
    con = duckdb.connect(config={"threads": 2})
    con.register("covered", pa.concat_tables([p[1] for p in parts]))
    spans = [span(base_world, h) for h in _hours(base_world, stage.hour, back, history)]
    drops = bool(pair and pair.known_drops)
    options = Options(history=spans, lossy=drops, notes=[DROPS] if drops else [])
    window, baseline = span(base_world, stage.hour), span(base_world, stage.hour - back)
    joined = pa.concat_tables([p[0] for p in parts])
    if stage.grpc is not None:
        joined = as_grpc(joined, stage.grpc)
    counts = given(joined)
    start = time.perf_counter()
    changes = compare(con, counts, window, [baseline], options)
    cost = {"seconds": time.perf_counter() - start}

    def frame() -> Frame:
        traffic = Traffic(counts, Ledger(con, [window, baseline, *spans]))
        return frames.load(con, traffic, window, 1)

    return changes, cost, frame


def _leaking(stage: Stage, past: Past, history: str) -> Past:
    """The past with a leak that began twelve hours ago."""
    if not past.cells.num_rows:
        return past
    assert stage.leaking is not None
    world = world_of(stage.world.seed, int(stage.world.requests))
    edge = pa.scalar(world.moment(stage.hour - 11), past.cells.schema.field("minute").type)
    kept = past.cells.filter(pc.less(past.cells["minute"], edge))
    parts = [kept]
    for hours in range(1, 11):
        plan = world.hours(stage.hour - 12 + hours)
        leak(world, plan, stage.leaking, stage.severity, hours)
        parts.append(tables(world, plan, durations=False)[0])
    return Past(pa.concat_tables(parts), past.covered)


def _partly(covered: pa.Table, stage: Stage, pair: Pair) -> pa.Table:
    start = stage.world.moment(stage.hour)
    rows = covered.to_pylist()
    lost = {start + timedelta(minutes=m) for m in pair.partly}
    for row in rows:
        if row["minute"] in lost:
            row["seconds"] = pair.seconds
    return pa.Table.from_pylist(rows, schema=covered.schema)


def distract(stage: Stage, plan: Hours, truth: Truth) -> None:
    """An unrelated key a fifth busier, and a roll-out without any effect."""
    hosts = sorted({f.host for f in stage.world.flows if f.cron is None} - truth.blast)
    other = hosts[int(stage.rng.integers(len(hosts)))]
    plan.rate[stage.flows(lambda f: f.host == other)] *= 1.2
    rolled_out = [
        s
        for s, names in sorted(stage.world.containers.items())
        if s not in truth.blast and not names[0].startswith("shop_")
    ]
    if rolled_out:
        service = rolled_out[int(stage.rng.integers(len(rolled_out)))]
        names = stage.world.containers[service]
        plan.renamed |= dict(zip(names, pods(service, len(names), stage.rng), strict=True))


def incident(
    name: str,
    plant: Callable[[Stage], Truth],
    seed: int,
    size: int,
    severity: float,
    history: str,
    with_rivals: bool = True,
) -> dict[str, Any]:
    hour = hour_of(seed)
    stage = Stage.of(world_of(seed, size), hour, seed, severity)
    truth = plant(stage)
    assert stage.plan is not None
    distract(stage, stage.plan, truth)
    changes, cost, frame = asked(stage, stage.plan, history)
    result = scored(changes.findings, truth)
    if result["since"] is not None and truth.onset is not None:
        due = stage.world.moment(hour) + timedelta(minutes=truth.onset)
        result["onset_error"] = abs((result["since"] - due) / timedelta(minutes=1))
    del result["since"]
    result |= {
        "kind": name,
        "seed": seed,
        "size": size,
        "severity": severity,
        "history": history,
        "affected": truth.affected,
        "effect": truth.effect,
        **cost,
    }
    if with_rivals and history == "1h":
        result["rivals"] = _rivals(frame(), truth)
    return result


def _rivals(frame: Frame, truth: Truth) -> dict[str, Any]:
    found = {}
    for name, rival in rivals.RIVALS.items():
        keys = rival(frame)
        found[name] = {"rank": rival_rank(keys, truth), "rows": len(keys)}
    return found


def quiet(
    name: str,
    make: Callable[[Stage], Pair],
    seed: int,
    size: int,
    history: str,
    with_rivals: bool = True,
) -> dict[str, Any]:
    stage = Stage.of(world_of(seed, size), hour_of(seed), seed, 1.0)
    pair = make(stage)
    changes, cost, frame = asked(stage, pair.window, history, pair.back, pair.baseline, pair)
    fell = [f for f in changes.findings if f.direction in ("gone", "down")]
    result = {
        "kind": name,
        "seed": seed,
        "size": size,
        "history": history,
        "findings": len(changes.findings),
        "fell": len(fell),
        "named": any(n.code in ("gap", "drops") for n in changes.notes),
        "verdict": changes.verdict,
        "said": [f.summary for f in changes.findings],
        **cost,
    }
    if with_rivals and history == "1h" and changes.verdict not in _REFUSED:
        arrays = frame()
        result["rivals"] = {n: {"rows": len(r(arrays))} for n, r in rivals.RIVALS.items()}
    return result
