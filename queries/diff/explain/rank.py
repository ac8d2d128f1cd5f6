"""What matters most to someone on call comes first: severity, then how many requests it hit."""

from __future__ import annotations

from queries.core.answer import Confidence, Severity
from queries.diff.candidate import Candidate
from store.derived import outcome

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


def order(c: Candidate, level: Severity) -> tuple[int, bool, bool, float, str, str, str]:
    """Severity first; of the same severity what is certain, then what fails, then the largest."""
    sure = confidence(c) == "strong"
    return (CLASSES[level], not sure, c.kind not in _FAILING, *c.order())
