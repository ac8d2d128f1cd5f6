"""From merged candidates to the findings of the answer: numbers, onset, evidence, words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.core.answer import Confidence, Effect, Evidence, Finding, Numbers, Severity, Symptom
from queries.core.window import Window
from queries.diff import minutely
from queries.diff.candidate import Candidate
from queries.diff.durations import Durations, quantiles
from queries.diff.explain import words
from queries.diff.frame import Frame, evenness
from queries.diff.minutely import Series
from queries.diff.stats import Floats, Mask, ratio, xlogy
from store.derived import outcome

if TYPE_CHECKING:
    from queries.diff.traffic import Traffic

_ORDER = ("host", "method", "route", "status", "container", "process", "signature")
_NAMES = {"service": "container"}
_MOST_ALSO = 12


@dataclass(frozen=True)
class Scene:
    """What the finishing needs beside the candidates."""

    traffic: Traffic
    frame: Frame
    durations: Durations
    window: Window
    baseline: Sequence[Window]
    seconds_w: float
    seconds_b: float

    @property
    def adjacent(self) -> bool:
        return len(self.baseline) == 1 and self.baseline[0].to_ts == self.window.from_ts


@dataclass(frozen=True)
class Examples:
    """Ids of a few transactions of each side."""

    window: tuple[str, ...]
    baseline: tuple[str, ...]


def public_key(key: dict[str, Any]) -> dict[str, Any]:
    """The key under the column names of `transactions`, in their order; no response is null."""
    named: dict[str, Any] = {}
    for name, value in key.items():
        if name != "side" and value != "":
            named.setdefault(_NAMES.get(name, name), value)
    if "container" in key:
        named["container"] = key["container"]
    if named.get("status") == 0:
        named["status"] = None
    return {name: named[name] for name in _ORDER if name in named}


def findings(scene: Scene, leads: list[Candidate]) -> list[Finding]:
    tops = [failures(scene.frame, lead) for lead in leads]
    levels = [
        severity(lead, top[0] if top else None) for lead, top in zip(leads, tops, strict=True)
    ]
    order = sorted(range(len(leads)), key=lambda i: by_rank(leads[i], levels[i]))
    picked = [leads[i] for i in order]
    if not picked:
        return []
    picks = [_pick(lead) for lead in picked]
    spans = 1 + len(scene.baseline)
    series = minutely.series(scene.traffic, picks, spans)
    examples = [
        Examples(*pair)
        for pair in zip(
            minutely.samples(scene.traffic, picks, [0]),
            minutely.samples(scene.traffic, picks, range(1, spans)),
            strict=True,
        )
    ]
    return [
        _finding(scene, place, leads[i], levels[i], tops[i], series[place], examples[place])
        for place, i in enumerate(order)
    ]


def _finding(
    scene: Scene, place: int, lead: Candidate, level: Any, top: list[tuple[int, str]],
    series: Series, examples: Examples,
) -> Finding:  # fmt: skip
    key = public_key(lead.key)
    once = _one_end(scene.frame, lead.scope)
    effect = _effect(scene, lead, once)
    since = _since(scene, lead, series)
    lead_words = Candidate(**{**lead.__dict__, "key": key})
    return Finding(
        rank=place + 1,
        id=_identity(lead.kind, key),
        kind=lead.kind,
        direction=lead.direction,
        severity=level,
        confidence=confidence(lead),
        key=key,
        blame=lead.blame,
        effect=effect,
        window=_numbers(scene, once, True),
        baseline=_numbers(scene, once, False),
        since=since,
        evidence=Evidence(
            examples.window,
            examples.baseline,
            _signature(scene.frame, lead),
        ),
        also=_also(lead, key),
        summary=words.summary(lead_words, top, since),
        minutes_window=tuple(series[0][0]),
        minutes_baseline=tuple(series[1][0]),
    )


def _one_end(frame: Frame, scope: Mask) -> Mask:
    """The scope as one end of the wire saw it: a call between two containers is recorded twice."""
    busy = frame.window.sum(1) + frame.baseline.sum(1)
    incoming = float(busy[scope & frame.incoming].sum())
    more = incoming > float(busy[scope & ~frame.incoming].sum())
    seen: Mask = scope & (frame.incoming if more else ~frame.incoming)
    return seen


def _effect(scene: Scene, lead: Candidate, once: Mask) -> Effect:
    """The candidate's effect, with requests and rates counted at one end."""
    frame = scene.frame
    now, before = lead.window, lead.baseline
    if lead.metric in ("requests", "per_s"):
        now = float(frame.window[once].sum())
        before = float(frame.baseline[once].sum())
        if lead.metric == "per_s":
            now, before = now / scene.seconds_w, before / scene.seconds_b
        else:
            before *= frame.scale
    held, _ = evenness(frame, lead, np.ones(frame.size, dtype=bool))
    lead.window, lead.baseline = now, before
    return Effect(lead.metric, now, before, lead.ratio, lead.low, lead.high, round(held))


def _identity(kind: str, key: dict[str, Any]) -> str:
    return hashlib.sha256(repr((kind, sorted(key.items()))).encode()).hexdigest()[:12]


def _also(lead: Candidate, key: dict[str, Any]) -> tuple[Symptom, ...]:
    """Symptoms in their order, each once, without the finding itself."""
    seen = {(lead.kind, lead.direction, repr(key))}
    found: list[Symptom] = []
    for c in sorted(lead.folded, key=Candidate.order):
        short = public_key(c.key)
        name = (c.kind, c.direction, repr(short))
        if name not in seen:
            seen.add(name)
            found.append(Symptom(c.kind, c.direction, short))
    return tuple(found[:_MOST_ALSO])


def _numbers(scene: Scene, scope: Mask, window: bool) -> Numbers:
    frame, durations = scene.frame, scene.durations
    counts = (frame.window if window else frame.baseline).sum(1)
    seconds = scene.seconds_w if window else scene.seconds_b
    group = np.where(scope, 0, -1)
    histogram = durations.histogram(group, 1)[0]
    half = histogram[: durations.blocks_w] if window else histogram[durations.blocks_w :]
    total = half.sum(0)
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


def _signature(frame: Frame, lead: Candidate) -> str | None:
    level = frame.level(("signature",))
    held = level.sum(np.where(lead.part & frame.failed, np.maximum(lead.excess, 0), 0.0))
    order = np.argsort(-held, kind="stable")
    for i in order.tolist():
        if held[i] > 0 and level.values[i][0]:
            return str(level.values[i][0])
    return None


def _pick(lead: Candidate) -> minutely.Pick:
    """What to count of a finding, minute by minute."""
    cut = None
    if lead.kind == "latency" and lead.window and lead.baseline:
        cut = float(np.log((lead.window * lead.baseline) ** 0.5) / np.log(1.1))
    return minutely.Pick(lead.scope, lead.scope & lead.part, cut, lead.kind == "size")


def _since(scene: Scene, lead: Candidate, series: Series) -> datetime | None:
    counted, requests = series[0]
    if lead.kind == "trend":
        return None
    shares = lead.metric.endswith(("_share", "_ms"))
    if lead.direction in ("new", "moved"):
        active = np.flatnonzero(counted)
        return _moment(scene.window.from_ts, int(active[0])) if active.size else None
    if scene.adjacent:
        counted = np.concatenate([series[1][0], counted])
        requests = np.concatenate([series[1][1], requests])
    if lead.direction == "gone":
        counted = series[len(scene.baseline)][0]
        active = np.flatnonzero(counted)
        start = scene.baseline[-1].from_ts
        return _moment(start, int(active[-1]) + 1) if active.size and scene.adjacent else None
    at = step(counted, requests) if lead.kind == "size" else change_point(counted, requests, shares)
    first = scene.baseline[0].from_ts if scene.adjacent else scene.window.from_ts
    return None if at is None else _moment(first, at)


def _moment(start: datetime, minute: int) -> datetime:
    return start + timedelta(minutes=minute)


_HARD = frozenset({401, 402, 403, 429})
_HARD_GRPC = frozenset({"7", "8", "16"})  # PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAUTHENTICATED


def severity(c: Candidate, top: tuple[int, str] | None) -> Severity:
    """high: requests fail or stop; medium: they suffer or are new; low: worth knowing."""
    if c.kind in ("errors", "no_response") and c.direction == "down":
        return "low"
    if c.kind in ("errors", "no_response", "statuses", "signature"):
        if top is None:
            return "medium"
        status, grpc_status = top
        hard = outcome(status or None, grpc_status) in ("server_error", "no_response")
        hard |= status in _HARD or grpc_status in _HARD_GRPC
        return "high" if hard and c.hit >= 20 else "medium"
    if c.kind == "gone":
        return "high" if set(c.key) == {"host"} else "medium"
    if c.kind in ("retries", "broad"):
        return "high"
    if c.kind == "latency":
        large = c.ratio is not None and c.ratio >= 3 and c.hit >= 20
        return ("high" if large else "medium") if c.direction == "up" else "low"
    if c.kind in ("new", "back", "moved", "edge", "trend"):
        return "medium"
    return "medium" if c.ratio is not None and not 0.33 < c.ratio < 3 else "low"


def confidence(c: Candidate) -> Confidence:
    """strong: could not plausibly be chance even with far more comparisons."""
    return "strong" if c.strong and c.p < 1e-4 else "possible"


CLASSES: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2}


_FAILING = frozenset({"errors", "no_response", "statuses", "signature"})


def by_rank(c: Candidate, level: Severity) -> tuple[int, bool, bool, float, str, str, str]:
    """Severity first; of the same severity what is certain, then what fails, then the largest."""
    sure = confidence(c) == "strong"
    return (CLASSES[level], not sure, c.kind not in _FAILING, *c.order())


LEAST_GAIN = 6.0  # log-likelihood that a change point has to add: about three bits a parameter


def change_point(counted: Floats, requests: Floats, shares: bool) -> int | None:
    """Index of the first minute of the new level, by maximum likelihood of two levels.

    shares: counted of requests (binomial); otherwise counted alone (Poisson). None where the
    series shows no step that is worth the name. Lengths are equal; minutes without coverage
    have no requests and count for nothing.
    """
    n = requests if shares else np.ones_like(counted)
    cumulative_c, cumulative_n = np.cumsum(counted), np.cumsum(n)
    at = np.arange(1, counted.size)
    first_c, first_n = cumulative_c[at - 1], cumulative_n[at - 1]
    last_c, last_n = cumulative_c[-1] - first_c, cumulative_n[-1] - first_n
    level = _likelihood(first_c, first_n, shares) + _likelihood(last_c, last_n, shares)
    gain = level - _likelihood(cumulative_c[-1:], cumulative_n[-1:], shares)
    gain[(first_n <= 0) | (last_n <= 0)] = -np.inf
    if gain.size == 0 or not np.isfinite(gain).any() or gain.max() < LEAST_GAIN:
        return None
    return int(at[int(np.argmax(gain))])


def step(total: Floats, requests: Floats) -> int | None:
    """Index of the first minute of the new level of total / requests, by least squares of logs."""
    seen = np.flatnonzero((requests > 0) & (total > 0))
    if seen.size < 4:
        return None
    value = np.log(total[seen] / requests[seen])
    weight = np.minimum(requests[seen], 20.0)
    cumulative, count = np.cumsum(weight * value), np.cumsum(weight)
    at = np.arange(1, seen.size)
    left, right = cumulative[at - 1], cumulative[-1] - cumulative[at - 1]
    gain = left**2 / count[at - 1] + right**2 / (count[-1] - count[at - 1])
    return int(seen[at[int(np.argmax(gain))]])


def _likelihood(counted: Floats, n: Floats, shares: bool) -> Floats:
    share = ratio(counted, n)
    value = xlogy(counted, share)
    return value + xlogy(n - counted, 1 - share) if shares else value - counted


def failures(frame: Frame, lead: Candidate) -> list[tuple[int, str]]:
    """(status, gRPC status) of the failures that make up the change, most of it first."""
    level = frame.level(("status", "grpc_status"))
    held = level.sum(np.maximum(np.where(lead.part & frame.failed, lead.excess, 0.0), 0))
    order = np.argsort(-held, kind="stable")
    return [level.values[i] for i in order if held[i] >= 0.05 * max(held.sum(), 1)]
