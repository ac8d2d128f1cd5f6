"""One cause, one finding: changes of the same requests under different names fold into one.

A failing upstream shows as a failing host, endpoint and caller, as new statuses, as a signature
and as slower answers. The widest change is taken first, narrowed to the fewest keys that hold
at least 90 % of it, and everything that is mostly the same requests becomes `also`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from queries.answer import Kind
from queries.compare.candidate import ENDPOINT, Candidate
from queries.compare.frame import Frame
from queries.compare.stats import Floats

HOLDS = 0.9
SAME = 0.5
# Which kind of change says most about a cause, where several tell of the same requests.
_ORDER: tuple[Kind, ...] = (
    "new",
    "back",
    "gone",
    "moved",
    "no_response",
    "errors",
    "retries",
    "signature",
    "edge",
    "statuses",
    "latency",
    "rate",
    "size",
    "trend",
    "broad",
)
_FIRST = {kind: i for i, kind in enumerate(_ORDER)}


def merge(frame: Frame, candidates: list[Candidate]) -> list[Candidate]:
    """The leading candidates, narrowed, each with what it explains folded in."""
    rest = sorted(candidates, key=lambda c: (_tier(c), *c.order()))
    leads: list[Candidate] = []
    for candidate in rest:
        lead = next((c for c in leads if _same_cause(frame, c, candidate)), None)
        if lead is None:
            leads.append(candidate)
        else:
            lead.folded.append(candidate)
    for lead in leads:
        narrow(frame, lead)
    return leads


def _tier(c: Candidate) -> int:
    """Whole hosts and containers that come and go explain most; then failures; then the rest."""
    if c.direction in ("new", "gone") and set(c.key) == {"host"}:
        return 0
    if c.direction in ("new", "gone") and set(c.key) == {"service"}:
        return 1
    if c.kind in ("errors", "no_response"):
        return 2
    if c.direction in ("new", "gone") and set(c.key) == set(ENDPOINT):
        return 3
    return 4 + _FIRST[c.kind]


def _same_cause(frame: Frame, lead: Candidate, other: Candidate) -> bool:
    """Whether most of the smaller change are requests of the other one."""
    mine, theirs = np.abs(lead.excess), np.abs(other.excess)
    inside = float(theirs[_reach(frame, lead)].sum())
    if inside >= SAME * float(theirs.sum()):
        return True
    return float(mine[other.part].sum()) >= HOLDS * float(mine.sum()) and lead.kind == other.kind


def _reach(frame: Frame, lead: Candidate) -> Any:
    """Keys whose requests the lead may explain: its scope, seen from both ends of the wire."""
    touched = np.abs(lead.excess) > 0
    level = frame.level(ENDPOINT)
    if lead.kind in ("errors", "no_response", "new", "gone", "latency"):
        heavy = np.abs(level.sum(lead.excess))
        chosen = heavy >= 0.05 * heavy.sum()
        return chosen[level.group]
    return touched


def narrow(frame: Frame, lead: Candidate) -> None:
    """Add to the key every value that holds 90 % of the change and more than its usual part."""
    total = float(np.abs(lead.excess).sum())
    if total <= 0 or (lead.direction in ("new", "gone") and lead.kind != "statuses"):
        return
    base = frame.baseline.sum(1) + frame.window.sum(1)
    for dims in (("host",), ("method", "route"), ("service",), ("container",), ("status",)):
        if set(dims) <= set(lead.key) or ("container" in dims and "service" not in lead.key):
            continue
        level = frame.level(dims)
        held = np.abs(level.sum(lead.excess))
        top = int(np.argmax(held))
        usual = level.sum(np.where(lead.scope, base, 0.0))
        obvious = usual[top] >= HOLDS * usual.sum() and dims[0] in ("service", "container")
        if held[top] >= HOLDS * total and not obvious:
            lead.key.update(zip(dims, level.values[top], strict=True))
            if dims != ("status",):
                lead.scope &= level.group == top
                lead.part &= lead.scope


def statuses(frame: Frame, lead: Candidate) -> list[tuple[int, Floats]]:
    """The statuses that make up the change, most of it first."""
    level = frame.level(("status",))
    held = level.sum(np.maximum(lead.excess, 0))
    order = np.argsort(-held, kind="stable")
    return [(level.values[i][0], held[i]) for i in order if held[i] >= 0.05 * max(held.sum(), 1)]
