"""Is a finding the planted one, and what does a list of findings say about a comparison?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.quality.stage import Truth
from queries.core.answer import Finding
from queries.diff.traffic import service_of as _rolled

_UP = {"up": ("up", "new"), "new": ("new", "up"), "gone": ("gone", "down")}


def rolled(container: str) -> str:
    """The service that a container is of; compose puts the project's name before it."""
    return _rolled(container).removeprefix("shop_")


def matches(finding: Finding, truth: Truth) -> bool:
    """Same kind, direction and key; the service's own container may be named as well."""
    if finding.kind not in truth.kinds:
        return False
    if truth.direction != "any" and finding.direction not in _UP.get(
        truth.direction, (truth.direction,)
    ):
        return False
    return key_matches(dict(finding.key), truth)


def key_matches(key: dict[str, Any], truth: Truth) -> bool:
    for dim, value in truth.key.items():
        if dim not in key or not _same(dim, key[dim], value):
            # a container's own incident may be told by its service's host as well
            return False
    for dim, value in key.items():
        if dim in truth.key:
            continue
        if dim in truth.extra:
            if not _same(dim, value, truth.extra[dim]):
                return False
        elif dim == "container":
            if value != _rolled(str(value)):
                return False
        elif dim in ("process", "signature", "status", "grpc_status"):
            continue
        else:
            return False
    return True


def _same(dim: str, found: Any, wanted: Any) -> bool:
    if dim == "container":
        return bool(found == wanted or rolled(str(found)) == wanted)
    return bool(found == wanted)


def touches(key: dict[str, Any], truth: Truth) -> bool:
    names = {key.get("host"), rolled(str(key.get("container", "")))}
    if "shop.example.com" in names:
        names.add("gateway")
    return bool(names & truth.blast) or not truth.blast or not key


def scored(findings: Sequence[Finding], truth: Truth) -> dict[str, Any]:
    ranks = [f.rank for f in findings if matches(f, truth)]
    first = next((f for f in findings if matches(f, truth)), None)
    about = [touches(dict(f.key), truth) for f in findings]
    onset = None
    if first is not None and first.since is not None and truth.onset is not None:
        onset = first.since
    blamed = None
    if first is not None and truth.blame is not None:
        blame = first.blame
        named = {rolled(blame.service or ""), blame.why} if blame else set()
        blamed = truth.blame in named
    return {
        "rank": min(ranks) if ranks else None,
        "findings": len(findings),
        "about": sum(about),
        "precision5": sum(about[:5]) / len(about[:5]) if about else None,
        "since": onset,
        "blamed": blamed,
    }


def rival_rank(keys: Sequence[dict[str, Any]], truth: Truth) -> int | None:
    """Place of the true key in a rival's rows; that they have no kind is not held against it."""
    for place, key in enumerate(keys[:50]):
        if truth.key and key_matches(key, truth):
            return place + 1
    return None
