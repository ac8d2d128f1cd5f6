"""A plan, drawn: from expected requests to counted ones, as the Arrow tables that the comparison
reads as `cells` and `covered`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.quality.system import NODES, Floats, Hours
from bench.quality.world import World, node_of

LOG = np.log(1.1)
PARTS = ("good", "failed", "none", "extra", "odd")
STATUS = {"good": "ok", "failed": "error", "extra": "code", "odd": "odd"}
TEXT = ("recorder", "direction", "host", "method", "route", "container", "process")


def tables(
    world: World, plan: Hours, salt: int = 0, durations: bool = True
) -> tuple[pa.Table, pa.Table]:
    """(cells, covered) of a plan. Without durations (history) it is several times as fast."""
    drawn = outcomes(world, plan, salt)
    sides = [_side(world, plan, drawn, side, durations) for side in ("egress", "ingress")]
    return pa.concat_tables(sides), covered(world, plan)


# How gRPC's own table reads an HTTP status of an answer without grpc-status; else it is UNKNOWN.
GRPC_CODES = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


def grpc_code(status: int) -> int:
    """The gRPC status of an answer that HTTP alone would have given this status."""
    return GRPC_CODES.get(status, 2) if status >= 400 else 0


def as_grpc(cells: pa.Table, host: str) -> pa.Table:
    """The same cells, where calls to `host` are gRPC: HTTP 200, and the outcome in grpc_status."""
    pairs = zip(
        cells["host"].to_pylist(), cells["route"].to_pylist(), cells["status"].to_pylist(),
        strict=True,
    )  # fmt: skip
    codes = [
        str(grpc_code(status)) if at == host and route != "/healthz" and status else None
        for at, route, status in pairs
    ]
    grpc_status = pa.array(codes, pa.string())
    status = pc.if_else(grpc_status.is_valid(), pa.scalar(200, pa.int16()), cells["status"])
    place = cells.schema.get_field_index("status")
    return cells.set_column(place, "status", status).append_column("grpc_status", grpc_status)


def outcomes(world: World, plan: Hours, salt: int = 0) -> dict[str, Any]:
    """Draw the requests of a plan: counts [flows, minutes] of each outcome."""
    rng = np.random.default_rng([world.seed, 5, plan.first, plan.minutes, salt])
    cluster = np.array([f.cluster for f in world.flows])[:, None]
    clusters = rng.poisson(plan.rate / cluster)
    total = clusters + np.where(
        cluster > 1, rng.negative_binomial(np.maximum(clusters, 1), 1 / cluster), 0
    ) * (clusters > 0)
    if plan.thin < 1:
        total = rng.binomial(total, plan.thin)
    p_error = np.clip(plan.p_error, 0, 1)
    small = p_error < 0.2
    shared = 2 * rng.poisson(np.where(small, total * p_error / 2, 0.0))
    failed = np.minimum(np.where(small, shared, rng.binomial(total, p_error)), total)
    none = rng.binomial(total - failed, np.clip(plan.p_none, 0, 1))
    good = total - failed - none
    odd, extra = np.zeros_like(good), np.zeros_like(good)
    # with random numbers of their own, so that all else is drawn as ever
    own = np.random.default_rng([world.seed, 6, plan.first, plan.minutes, salt])
    if plan.p_usual is not None:
        beyond = 1 - np.clip(plan.p_usual, 0, 1) / np.maximum(p_error, 1e-12)
        extra = own.binomial(failed, np.clip(beyond, 0, 1))
    if plan.odd is not None:
        odd = own.binomial(good, np.clip(plan.odd, 0, 1))
    counts = {"good": good - odd, "failed": failed - extra, "extra": extra}
    return {**counts, "none": none, "odd": odd, "rng": rng}


def covered(world: World, plan: Hours) -> pa.Table:
    node, minute = np.nonzero(plan.seen)
    return pa.table(
        {
            "recorder": [f"node-{n}" for n in node.tolist()],
            "minute": _stamps(world.moment(plan.first), minute),
            "seconds": np.full(node.size, 60.0),
        }
    )


def _stamps(start: datetime, minute: Any) -> pa.Array:
    first = int(start.timestamp()) * 1_000_000
    return pa.array(first + minute.astype(np.int64) * 60_000_000, pa.timestamp("us", tz="UTC"))


def _side(world: World, plan: Hours, drawn: dict[str, Any], side: str, durations: bool) -> pa.Table:
    group, keys = _keys(world, plan, side)
    parts = []
    for name in PARTS:
        grid = _sum(drawn[name], group, len(keys["host"]))
        parts.append((name, grid))
    rows: dict[str, list[Any]] = {n: [] for n in ("key", "minute", "status", "n", "kind")}
    for place, (name, grid) in enumerate(parts):
        key, minute = np.nonzero(grid)
        status = keys[STATUS[name]] if name in STATUS else None
        rows["key"].append(key)
        rows["minute"].append(minute)
        rows["n"].append(grid[key, minute])
        rows["status"].append(status[key] if status is not None else np.zeros(key.size, int))
        rows["kind"].append(np.full(key.size, place))
    flat = {name: np.concatenate(value) for name, value in rows.items()}
    seen = plan.seen[keys["node"][flat["key"]], flat["minute"]]
    flat = {name: value[seen] for name, value in flat.items()}
    return _table(world, plan, keys, flat, side, drawn["rng"], durations)


def _sum(grid: Any, group: Any, size: int) -> Any:
    out = np.zeros((size, grid.shape[1]), dtype=np.int64)
    inside = group >= 0
    np.add.at(out, group[inside], grid[inside])
    return out


def _keys(world: World, plan: Hours, side: str) -> tuple[Any, dict[str, Any]]:
    """Group of each flow as this side sees it (-1: not seen here), and the groups' columns."""
    index: dict[tuple[Any, ...], int] = {}
    group = np.full(len(world.flows), -1)
    first: list[int] = []
    for i, flow in enumerate(world.flows):
        container = flow.caller_container if side == "egress" else flow.callee_container
        if not container:
            continue
        key = (
            flow.host,
            flow.method,
            flow.route,
            container,
            flow.ok,
            flow.error,
            int(plan.code[i]),
            int(plan.odd_code[i]) if plan.odd_code is not None else 0,
            plan.signature[i],
        )
        if key not in index:
            index[key] = len(index)
            first.append(i)
        group[i] = index[key]
    picked = [world.flows[i] for i in first]
    names = [f.caller_container if side == "egress" else f.callee_container for f in picked]
    internal = ["egress-internal" if f.callee else "egress-external" for f in picked]
    return group, {
        "host": [f.host for f in picked],
        "method": [f.method for f in picked],
        "route": [f.route for f in picked],
        "container": [plan.renamed.get(n, n) for n in names],
        "process": [
            plan.programs.get(n, f"/app/{f.caller if side == 'egress' else f.callee}")
            for n, f in zip(names, picked, strict=True)
        ],
        "direction": internal if side == "egress" else ["ingress"] * len(picked),
        "recorder": [f"node-{node_of(n)}" for n in names],
        "node": np.array([node_of(n) for n in names], dtype=np.int64),
        "ok": np.array([f.ok for f in picked]),
        "error": np.array([f.error for f in picked]),
        "code": plan.code[first] if first else np.zeros(0, int),
        "odd": plan.odd_code[first] if plan.odd_code is not None else np.zeros(len(first), int),
        "signature": [plan.signature[i] for i in first],
        "flow": np.array(first, dtype=np.int64),
    }


def _table(
    world: World,
    plan: Hours,
    keys: dict[str, Any],
    flat: dict[str, Any],
    side: str,
    rng: np.random.Generator,
    durations: bool,
) -> pa.Table:
    key, minute, n = flat["key"], flat["minute"], flat["n"]
    flow = keys["flow"][key] if key.size else np.zeros(0, int)
    size = np.array([f.size for f in world.flows])[flow] * plan.size[flow, minute]
    received = np.where(
        flat["kind"] == 0, size * n * np.exp(0.05 * rng.standard_normal(n.size)), 150 * n
    )
    failed = np.isin(flat["kind"], (PARTS.index("failed"), PARTS.index("extra")))
    columns: dict[str, Any] = {"minute": _stamps(world.moment(plan.first), minute)}
    for name in TEXT:
        columns[name] = pa.DictionaryArray.from_arrays(key.astype(np.int32), keys[name]).cast(
            pa.string()
        )
    signature = pa.DictionaryArray.from_arrays(
        pa.array(key.astype(np.int32), mask=~failed), keys["signature"]
    )
    columns["signature"] = signature.cast(pa.string())
    columns["status"] = pa.array(flat["status"].astype(np.int16), mask=flat["kind"] == 2)
    columns["requests"] = n.astype(np.int64)
    columns["bytes_sent"] = (400 * n).astype(np.int64)
    columns["bytes_received"] = received.astype(np.int64)
    columns["durations"] = _durations(world, plan, flow, flat, side, rng, durations)
    text = pa.array(np.char.add(f"{side[:2]}:{plan.first}:", np.arange(n.size).astype(str)))
    columns["sample"] = text if durations else pa.nulls(n.size, pa.string())
    return pa.table(columns)


def _durations(
    world: World,
    plan: Hours,
    flow: Any,
    flat: dict[str, Any],
    side: str,
    rng: np.random.Generator,
    wanted: bool,
) -> pa.Array:
    kind = pa.map_(pa.int16(), pa.uint64())
    n = np.where((flat["kind"] == 2) | (not wanted), 0, flat["n"])
    row = np.repeat(np.arange(n.size), np.minimum(n, 60))
    weight = np.repeat(n / np.maximum(np.minimum(n, 60), 1), np.minimum(n, 60))
    minute = flat["minute"]
    base = np.array([np.log(f.latency) for f in world.flows])[flow]
    spread = np.array([f.sigma for f in world.flows])[flow]
    slow = plan.slow if side == "egress" else plan.slow / plan.slow_in
    centre = base + np.log(slow[flow, minute])
    value = centre[row] + spread[row] * rng.standard_normal(row.size)
    tail = plan.tail[flow, minute][row]
    value = np.where(rng.random(row.size) < tail, value + np.log(10), value)
    bucket = np.ceil(np.maximum(value, 0) / LOG).astype(np.int64)
    place, back = np.unique(row * 512 + bucket, return_inverse=True)
    counts = np.rint(np.bincount(back, weights=weight, minlength=place.size)).astype(np.uint64)
    offsets = np.searchsorted(place // 512, np.arange(n.size + 1)).astype(np.int32)
    return pa.MapArray.from_arrays(
        pa.array(offsets), pa.array((place % 512).astype(np.int16)), pa.array(counts)
    ).cast(kind)


def minutes_lost(plan: Hours, nodes: list[int], begin: int, end: int) -> None:
    plan.seen[nodes, begin:end] = False


def all_nodes() -> list[int]:
    return list(range(NODES))


def expected(plan: Hours) -> Floats:
    """Expected requests of each flow and minute, before they are drawn."""
    return plan.rate * plan.thin


def later(moment: datetime, minutes: int) -> datetime:
    return moment + timedelta(minutes=minutes)
