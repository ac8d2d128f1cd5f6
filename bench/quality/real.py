"""The same incidents on the way that a user's traffic takes: stream, replay, store, `qrec diff`.

Each request of a plan becomes the frames that Qtap would have sent, from both ends of the wire.
What is measured beside the cells: that routes, signatures and coverage survive the recorder.
One recorder sees everything here; the past is the baseline's hour alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.quality.cells import grpc_code, outcomes
from bench.quality.score import scored
from bench.quality.stage import Stage, Truth
from bench.quality.system import Flow, Hours
from bench.quality.trial import distract, hour_of, world_of
from bench.quality.world import World
from fixtures.wire import NS, make_xid, system_connected
from tests.world.events import Actor, Transaction, http_transaction
from tests.world.headers import grpc_answer
from tests.world.scenarios import write_stream

_TOPICS = {"connection": "*", "http": "*", "process": "*"}


@dataclass(frozen=True)
class Told:
    """A finding as the document tells it, with the attributes that the scores look at."""

    rank: int
    kind: str
    direction: str
    key: dict[str, Any]
    since: datetime | None
    blame: Any


@dataclass(frozen=True)
class _Blame:
    service: str | None
    why: str


def stream(
    world: World, hours: list[tuple[Hours, int]], grpc: str | None = None
) -> Iterator[bytes]:
    """The frames of some hours (with the salt of each), in the order of their time. Calls to the
    host `grpc` are gRPC over HTTP/2, and one that fails has nothing but trailers."""
    first = int(world.moment(hours[0][0].first).timestamp()) * NS
    yield system_connected(_TOPICS, first)
    number = 0
    for plan, salt in hours:
        timed = sorted(_exchanges(world, plan, salt), key=lambda pair: pair[0])
        for ended, (flow, status, said, milliseconds, renamed, programs) in timed:
            for side in ("out", "in"):
                name = flow.caller_container if side == "out" else flow.callee_container
                if not name:
                    continue
                number += 1
                service = flow.caller if side == "out" else flow.callee
                exe = programs.get(name, f"/app/{service}")
                actor = Actor(100 + sum(name.encode()), exe, renamed.get(name, name))
                tx = _transaction(flow, side, actor, ended, status, said, milliseconds, number)
                if flow.host == grpc and flow.route != "/healthz":
                    _speak_grpc(tx)
                yield http_transaction(tx, ended)


def _exchanges(world: World, plan: Hours, salt: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
    drawn = outcomes(world, plan, salt)
    rng = np.random.default_rng([world.seed, 8, plan.first, salt])
    start = int(world.moment(plan.first).timestamp()) * NS
    for name in ("good", "failed", "none", "extra", "odd"):
        for i, minute in zip(*np.nonzero(drawn[name]), strict=True):
            flow = world.flows[i]
            status = {
                "good": flow.ok,
                "failed": flow.error,
                "extra": int(plan.code[i]),
                "odd": int(plan.odd_code[i]) if plan.odd_code is not None else 0,
            }.get(name)
            said = plan.signature[i] if name in ("failed", "extra") else ""
            for _ in range(int(drawn[name][i, minute])):
                at = start + int((minute + rng.random()) * 60 * NS)
                value = np.log(flow.latency * plan.slow[i, minute])
                value += flow.sigma * rng.standard_normal()
                value += np.log(10) * (rng.random() < plan.tail[i, minute])
                yield at, (flow, status, said, int(np.exp(value)), plan.renamed, plan.programs)


def _transaction(
    flow: Flow, side: str, actor: Actor, ended: int, status: int | None, said: str, took: int,
    number: int,
) -> Transaction:  # fmt: skip
    target = flow.route.replace("{id}", str(1000 + number * 7919 % 9_000_000))
    body = b"x" * min(int(flow.size), 20_000)
    if said:
        body = json.dumps({"error": {"message": said}}).encode()
    return Transaction(
        ended=ended,
        direction="ingress" if side == "in" else f"egress-{'in' if flow.callee else 'ex'}ternal",
        actor=actor,
        method=flow.method,
        host=flow.host,
        target=target,
        request_id=make_xid(ended // NS, number),
        connection_id=make_xid(ended // NS, number + (1 << 40)),
        status=status,
        duration_ms=max(took, 1),
        request_headers={"Content-Type": "application/json"},
        response_headers={"Content-Type": "application/json"},
        response_body=b"" if status in (None, 204, 304) else body,
    )


def _speak_grpc(tx: Transaction) -> None:
    if tx.status is not None:
        tx.response_headers, tx.response_body = grpc_answer(grpc_code(tx.status))
        tx.status, tx.protocol = 200, "http2"


def real(
    name: str, plant: Callable[[Stage], Truth], seed: int, size: int, severity: float
) -> dict[str, Any]:
    """One incident, one baseline hour, through the installed commands; scored like the others."""
    hour = hour_of(seed)
    stage = Stage.of(world_of(seed, size), hour, seed, severity)
    truth = plant(stage)
    assert stage.plan is not None
    distract(stage, stage.plan, truth)
    before = world_of(seed, size).hours(hour - 1)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        file, store = Path(folder) / "recorded.sse", Path(folder) / "store"
        base = stream(world_of(seed, size), [(before, 0)], stage.grpc)
        planted = stream(stage.world, [(stage.plan, stage.salt)], stage.grpc)
        next(planted)  # it is the same connection still
        write_stream(file, (frame for part in (base, planted) for frame in part))
        _qrec("replay", str(file), "--store", str(store))
        middle, end = stage.world.moment(hour), stage.world.moment(hour + 1)
        document = json.loads(_qrec(
            "diff", "--json", "--store", str(store), "--limit", "50",
            "--from", middle.isoformat(), "--to", end.isoformat(), "--now", end.isoformat(),
        ))  # fmt: skip
    result = scored([_told(f) for f in document["findings"]], truth)  # type: ignore[misc]
    if result["since"] is not None and truth.onset is not None:
        due = middle + timedelta(minutes=truth.onset)
        result["onset_error"] = abs((result["since"] - due) / timedelta(minutes=1))
    del result["since"]
    return result | {
        "kind": name, "seed": seed, "size": size, "severity": severity, "history": "1h, real",
        "affected": truth.affected, "effect": truth.effect, "verdict": document["verdict"],
        "seconds": time.perf_counter() - start,
    }  # fmt: skip


def _qrec(*arguments: str) -> str:
    command = [sys.executable, "-m", "qrec", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def _told(finding: dict[str, Any]) -> Told:
    since, blame = finding["since"], finding["blame"]
    return Told(
        finding["rank"],
        finding["kind"],
        finding["direction"],
        finding["key"],
        datetime.fromisoformat(since) if since else None,
        _Blame(blame["service"], blame["why"]) if blame else None,
    )
