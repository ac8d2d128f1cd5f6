"""Every threshold of the comparison in one place, with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Effect floors and least counts. `calibrated` says whether past hours act as replicates."""

    q: float = 0.05  # false discovery rate inside each kind
    min_errors: float = 8  # extra failed requests before a share is worth a line
    error_ratio: float = 2.0  # failing twice as often, at least
    rate_ratio: float = 1.5
    rate_count: float = 30  # requests more or fewer than expected
    latency_ratio: float = 1.25
    latency_ms: float = 5.0  # a change of less is not felt
    size_ratio: float = 2.0
    new_slots: int = 5  # active minutes before a new key is a fact
    new_count: float = 8
    dispersion_shares: float = 2.0  # retries and shared fate: what blocks show at least
    dispersion_rates: float = 3.0
    prior_df: float = 6.0  # weight of the common dispersion against a key's own


def limits(histories: int) -> Limits:
    """With a single baseline hour the drift of quiet hours is unknown, so the floors rise."""
    if histories >= 6:
        return Limits()
    return Limits(rate_ratio=3.0, latency_ratio=1.5, error_ratio=2.5, min_errors=10)
