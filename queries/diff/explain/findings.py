"""From merged candidates to the findings of the answer: numbers, onset, evidence, words."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np

from queries.core.answer import Confidence, Effect, Evidence, Finding, Numbers, Severity, Symptom
from queries.core.watch import still_wanted
from queries.core.window import Window
from queries.diff import limits
from queries.diff.candidate import Candidate
from queries.diff.detect.latency import QUANTILES
from queries.diff.detect.shares import before_of
from queries.diff.durations import Durations, quantiles
from queries.diff.explain import words
from queries.diff.explain.evidence import Order, Rows, Wanted, around, examples, minutes
from queries.diff.explain.graph import broken, failing_share
from queries.diff.explain.onset import Lasted, Series, lasted, segment, series
from queries.diff.explain.recorders import Counted, counted, needs_both, shown
from queries.diff.frame import Frame, held_by
from queries.diff.stats import Floats, Mask, add_up
from store.derived import outcome
from store.hours import from_us, to_us
from store.values import dataclass

_ORDER = (
    "host", "method", "route", "status", "grpc_status", "container", "instance", "process",
    "signature",
)  # fmt: skip
_NAMES = {"service": "container"}
_MOST_ALSO = 12
_QUANTILES = {metric: q for q, metric, _ in QUANTILES}


@dataclass(frozen=True)
class Scene:
    """What the finishing needs beside the candidates; seconds of the best covered recorder."""

    rows: Rows
    frame: Frame
    durations: Durations
    seconds_w: float
    seconds_b: float

    @cached_property
    def _counted(self) -> dict[bool, Counted | None]:
        return {}

    def by_recorder(self, both: bool) -> Counted | None:
        """both: of the baseline as well as of the window."""
        if both not in self._counted:
            self._counted[both] = counted(self.rows, self.frame.axis, both)
        return self._counted[both]

    def holders(self, keys: Mask, gone: bool = False) -> set[str]:
        """Whose rows to look for examples in; none: all have to be looked through."""
        counts = self.by_recorder(gone)
        return set() if counts is None else counts.holders(keys, int(gone))


def public_key(frame: Frame, c: Candidate) -> dict[str, Any]:
    """The key under the column names of `transactions`, in their order; no response is null.

    An instance is a pod, with its container's name beside it, or else the container itself.
    """
    named: dict[str, Any] = {}
    for name, value in c.key.items():
        if name != "side" and value != "":
            named.setdefault(_NAMES.get(name, name), value)
    if "instance" in named:
        first = int(np.flatnonzero(c.scope)[0])
        pod = frame.value("pod", first)
        named["container"] = frame.value("container", first) if pod else named.pop("instance")
    if named.get("status") == 0:
        named["status"] = None
    return {name: named[name] for name in _ORDER if name in named}


@dataclass(frozen=True)
class _Lead:
    """A candidate with what is worked out about it."""

    c: Candidate
    top: list[tuple[int, str]]
    severity: Severity
    series: Series
    lasted: Lasted


def findings(scene: Scene, leads: list[Candidate], limit: int) -> tuple[list[Finding], int]:
    """The leads as findings, ranked: the first `limit` of them, and how many there are."""
    made = sorted((_lead(scene, c) for c in leads), key=lambda lead: _rank(scene.frame, lead))
    told = made[:limit]
    ids = examples(scene.rows, [one for lead in told for one in _wanted(scene, lead)])
    pairs = zip(told, ids[::2], ids[1::2], strict=True)
    return [_finding(scene, place, *shown) for place, shown in enumerate(pairs)], len(made)


def _lead(scene: Scene, c: Candidate) -> _Lead:
    still_wanted()
    top = failures(scene.frame, c)
    s = series(scene.frame, scene.durations, c)
    when = lasted(scene.frame, c, s)
    if when.since and c.metric.endswith("_share") and c.against == "usual":
        when = _to_the_minute(scene, c, when)
    _measure(scene, c, when)
    for f in c.folded if c.direction == "gone" else ():  # its words tell of them
        _measure(scene, f, lasted(scene.frame, f, series(scene.frame, scene.durations, f)))
    return _Lead(c, top, severity(scene.frame, c, top[0] if top else None), s, when)


def _to_the_minute(scene: Scene, c: Candidate, when: Lasted) -> Lasted:
    """The onset within the past, of which the counts know whole hours only."""
    past = scene.frame.axis.past
    inside = [p for p in past if when.since and p[0] <= to_us(when.since) < p[1]]
    before = [p for p in past if when.since and p[1] == to_us(when.since)]
    if not before and not inside:
        return when
    stretches = [*before, *inside]
    span = Window(from_us(stretches[0][0]), from_us(stretches[-1][1]))
    weights = scene.frame.requests + scene.frame.earlier
    s = minutes(scene.rows, c.scope, c.part, weights, span)
    edges = segment(*s, (0.0, 0.0), c)
    if edges is None:
        return when
    return replace(when, since=span.from_ts + timedelta(minutes=edges[0]))


def _finding(
    scene: Scene, place: int, lead: _Lead, now: tuple[str, ...], before: tuple[str, ...]
) -> Finding:
    """now, before: ids of examples of the window and of the baseline."""
    c, frame = lead.c, scene.frame
    key = public_key(frame, c)
    once = _one_end(frame, c.scope)
    held = held_by(frame, c, np.ones(frame.size, dtype=bool))
    low, high = (c.low, c.high) if c.ratio is not None else (None, None)
    if c.ratio is not None and low is not None and high is not None:
        low, high = min(low, c.ratio), max(high, c.ratio)
    slots, course = frame.axis.slots, lead.series.counted
    named = replace(c, key=key)
    recorders = shown(scene.by_recorder(needs_both(c)), c, once)
    return Finding(
        rank=place + 1, id=_identity(c.kind, key), kind=c.kind, direction=c.direction,
        severity=lead.severity, confidence=confidence(c), key=key, blame=c.blame,
        effect=Effect(c.metric, c.window, c.baseline, c.ratio, low, high, round(held), c.against),
        window=_numbers(scene, once, True), baseline=_numbers(scene, once, False),
        since=lead.lasted.since, until=lead.lasted.until,
        evidence=Evidence(now, before, _signature(frame, c)), also=_also(frame, c, key),
        summary=words.summary(
            named, lead.top, lead.lasted.since, lead.lasted.until, frame.axis.spans[0],
            failing_share(frame, c),
            caller(frame, once, frame.before) if c.direction == "gone" else None,
            recorders,
        ),
        recorders=recorders, slot_s=float(slots[0].step),
        minutes_window=tuple(course[: slots[0].size].tolist()),
        minutes_baseline=tuple(course[slots[1].first : slots[1].first + slots[1].size].tolist()),
    )  # fmt: skip


def _one_end(frame: Frame, scope: Mask) -> Mask:
    """The scope as one end of the wire saw it: a call between two containers is recorded twice."""
    busy = frame.requests + frame.before
    incoming = float(busy[scope & frame.incoming].sum())
    more = incoming > float(busy[scope & ~frame.incoming].sum())
    seen: Mask = scope & (frame.incoming if more else ~frame.incoming)
    return seen


def _measure(scene: Scene, c: Candidate, when: Lasted) -> None:
    """The numbers of the final key, since the onset: what is shown is of one population."""
    frame, usual = scene.frame, c.against == "usual"
    before = before_of(frame, c.against, c.newer)
    if c.metric in _QUANTILES:
        _measure_durations(scene.durations, c, when)
        return
    cells = frame.cells.where(np.flatnonzero(c.scope[frame.cells.key]))
    cells = cells.where((cells.slot >= when.first) & (cells.slot < when.last))
    requests = add_up(cells.key, cells.requests, frame.size)
    if c.metric.endswith("_share"):
        n, n_b = float(requests[c.scope].sum()), float(before[c.scope].sum())
        c.window = float(requests[c.part].sum()) / n if n else None
        c.baseline = float(before[c.part].sum()) / n_b if n_b else None
    elif c.metric == "per_s":
        once = _one_end(frame, c.scope)
        seconds = float(frame.seconds[when.first : when.last].sum())
        seconds *= scene.seconds_w / max(float(frame.seconds_w.sum()), 1e-9)
        due = (frame.due_past if usual else frame.due)[once].sum() / scene.seconds_w
        c.window = float(requests[once].sum()) / seconds if seconds else None
        c.baseline = float(due)
    elif c.metric == "requests":
        once = _one_end(frame, c.scope)
        c.window, c.baseline = float(frame.requests[once].sum()), float(frame.due[once].sum())
    elif c.metric == "bytes_received":
        n, n_b = float(requests.sum()), float(before[c.scope].sum())
        c.window = float(cells.value.astype(np.float64).sum()) / n if n else None
        c.baseline = float(frame.received_b[c.scope].sum()) / n_b if n_b else None


def _measure_durations(d: Durations, c: Candidate, when: Lasted) -> None:
    run = d.of(c.scope).between(when.first, when.last)
    q = _QUANTILES[c.metric]
    now, was = float(quantiles(run, q)), float(quantiles(d.compared(c.scope, c.against), q))
    if now > was if c.direction == "up" else now < was:
        c.window, c.baseline = now, was


def _identity(kind: str, key: dict[str, Any]) -> str:
    return hashlib.sha256(repr((kind, sorted(key.items()))).encode()).hexdigest()[:12]


def _also(frame: Frame, lead: Candidate, key: dict[str, Any]) -> tuple[Symptom, ...]:
    """Symptoms in their order, each once, without the finding itself and its other names."""
    seen = {(lead.kind, lead.direction, repr(key))}
    symptoms: list[Symptom] = []
    for c in sorted(lead.folded, key=Candidate.order):
        short = public_key(frame, c)
        name = (c.kind, c.direction, repr(short))
        if name not in seen and not _same_requests(lead, c):
            seen.add(name)
            hit = round(c.hit(frame.incoming))
            effect = Effect(c.metric, c.window, c.baseline, c.ratio, None, None, hit, c.against)
            symptoms.append(Symptom(c.kind, c.direction, short, effect))
    return tuple(symptoms[:_MOST_ALSO])


def _same_requests(lead: Candidate, c: Candidate) -> bool:
    """Whether a symptom is another name of the same requests, or a wider one around them."""
    more = ("up", "new")
    if set(lead.key) == {"service"} and set(c.key) == {"host"} and lead.direction == "new":
        return False  # whom somebody new calls is worth saying
    if c.direction != lead.direction and not (c.direction in more and lead.direction in more):
        return False
    both = float(np.abs(c.excess[lead.scope]).sum())
    return both >= limits.NEARLY_ALL * max(float(np.abs(c.excess).sum()), 1e-9)


def _numbers(scene: Scene, scope: Mask, window: bool) -> Numbers:
    frame, d = scene.frame, scene.durations
    counts = frame.requests if window else frame.before
    seconds = scene.seconds_w if window else scene.seconds_b
    size = frame.axis.slots[0].size
    total = d.of(scope).between(*(0, size) if window else (size, frame.axis.size))
    p50, p95, p99 = (
        float(quantiles(total, q)) if total.sum() > 0 else None for q in (0.5, 0.95, 0.99)
    )
    requests = float(counts[scope].sum())
    return Numbers(
        requests=round(requests),
        errors=round(float(counts[scope & frame.failed].sum())),
        per_s=requests / seconds if seconds else None,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )


def _wanted(scene: Scene, lead: _Lead) -> tuple[Wanted, Wanted]:
    """The examples: of the window what shows the change, of the baseline what was all right."""
    c, frame = lead.c, scene.frame
    keys = c.part & (c.excess > 0) if c.direction not in ("gone", "down") else c.part
    keys = c.scope if c.lasts or not keys.any() else keys
    when = around(frame, lead.lasted.since, lead.lasted.until)
    window, *spans = frame.axis.spans
    before = c.scope & ~frame.failed if c.metric.endswith("_share") else c.scope
    gone = c.direction == "gone"
    if gone and lead.lasted.since and lead.lasted.since > window.from_ts:
        spans = [*spans, Window(window.from_ts, lead.lasted.since)]
    return (
        Wanted(keys, frame.requests, [when], _order(c), scene.holders(keys)),
        Wanted(
            before,
            frame.before,
            spans,
            "last" if gone else "first",
            scene.holders(before, gone) | scene.holders(before),
        ),
    )


def _order(c: Candidate) -> Order:
    """Which requests show the change best."""
    if c.lasts:
        return "slowest" if c.direction == "up" else "first"
    if c.kind == "size":
        return "largest" if c.direction == "up" else "smallest"
    return "first"


def _signature(frame: Frame, lead: Candidate) -> str | None:
    level = frame.level(("signature",))
    held = level.sum(np.where(lead.part & frame.failed, np.maximum(lead.excess, 0), 0.0))
    order = np.argsort(-held, kind="stable")
    for i in order.tolist():
        if held[i] > 0 and level.values[i][0]:
            return str(level.values[i][0])
    return None


def caller(frame: Frame, scope: Mask, requests: Floats) -> str | None:
    """The service that sent those requests of what went out, where it was one alone."""
    level = frame.level(("service",))
    held = level.sum(np.where(scope & ~frame.incoming, requests, 0.0))
    most = int(np.argmax(held))
    alone = 0 < held.sum() <= held[most] / limits.NEARLY_ALL
    return (level.values[most][0] or None) if alone else None


_HARD = frozenset({401, 402, 403, 429})
_HARD_GRPC = frozenset({"7", "8", "16"})  # PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAUTHENTICATED


def severity(frame: Frame, c: Candidate, top: tuple[int, str] | None) -> Severity:
    """high: requests fail or stop; medium: they suffer or are new; low: worth knowing."""
    if c.kind in ("errors", "no_response", "broad") and c.direction == "down":
        return "high" if c.metric == "per_s" else "low"
    if c.kind in ("errors", "no_response", "statuses", "signature"):
        return _failing(frame, c, top, c.window or 0.0)
    if c.kind == "gone":
        return "high" if set(c.key) == {"host"} else "medium"
    if c.kind == "broad":
        return "medium" if c.metric == "per_s" else "high"
    if c.kind == "retries":
        return "high"
    if c.kind == "latency":
        large = (c.ratio or 0) >= 3 and c.hit(frame.incoming) >= limits.SEVERAL
        return ("high" if large else "medium") if c.direction == "up" else "low"
    if broken(frame, c):
        return _failing(frame, c, top, failing_share(frame, c))
    if c.kind in ("new", "back", "moved", "edge"):
        return "medium"
    return "medium" if c.ratio is not None and not 0.33 < c.ratio < 3 else "low"


def _failing(frame: Frame, c: Candidate, top: tuple[int, str] | None, share: float) -> Severity:
    if top is None:
        return "medium"
    status, grpc_status = top
    hard = outcome(status or None, grpc_status) in ("server_error", "no_response")
    hard |= status in _HARD or grpc_status in _HARD_GRPC
    everything = share >= limits.NEARLY_ALL and c.kind != "statuses"
    hit = c.hit(frame.incoming)
    high = (hard and hit >= limits.SEVERAL) or (everything and hit >= limits.MORE)
    return "high" if high else "medium"


def confidence(c: Candidate) -> Confidence:
    """strong: could not plausibly be chance even with far more comparisons."""
    return "strong" if c.z >= limits.Z_STRONG else "possible"


_CLASSES: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2}
_FAILING = frozenset({"errors", "no_response", "statuses", "signature", "broad"})


def _rank(frame: Frame, lead: _Lead) -> tuple[Any, ...]:
    """Severity, where what is over counts for less than what goes on and is one less severe;
    certain, failing; then the largest."""
    c = lead.c
    sure = confidence(c) == "strong"
    place = _CLASSES[lead.severity] + 1.5 * (lead.lasted.until is not None)
    return (place, not sure, not (c.kind in _FAILING or broken(frame, c)), *c.order())


def failures(frame: Frame, lead: Candidate) -> list[tuple[int, str]]:
    """(status, gRPC status) of the failures that make up the change, most of it first."""
    level = frame.level(("status", "grpc_status"))
    held = level.sum(np.maximum(np.where(lead.part & frame.failed, lead.excess, 0.0), 0))
    order = np.argsort(-held, kind="stable")
    return [level.values[i] for i in order if held[i] >= 0.05 * max(held.sum(), 1)]
