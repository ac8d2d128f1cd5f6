"""Every threshold of the comparison in one place, with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass

REPLICATES = 6  # past stretches from which on their spread is worth something


@dataclass(frozen=True)
class Limits:
    """Effect floors and least counts; `calibrated`: past stretches tell what quiet looks like."""

    calibrated: bool = True
    q: float = 0.05  # false discovery rate inside each kind
    step_up: int = 5  # causes at a time for which Benjamini-Hochberg may loosen
    min_errors: float = 10  # extra failed requests before a share is worth a line
    error_ratio: float = 2.0  # failing twice as often, at least
    broad_ratio: float = 2.0  # of everything at once, where the ups and downs of endpoints cancel
    error_points: float = 0.005  # and half a point more of the requests ...
    error_many: float = 100  # ... or as many as this
    mix_points: float = 0.15  # of the answers, before a shift among good statuses is worth a line
    rate_ratio: float = 1.5
    rate_count: float = 30  # requests more or fewer than expected
    rate_drift: float = 0.1  # log spread between quiet hours that is always allowed for
    rate_peers: float = 0.12  # the same where the endpoints of the same hours show less
    latency_ratio: float = 1.25
    latency_ms: float = 5.0  # a change of less is not felt
    latency_drift: float = 0.05  # log spread of a quantile between quiet hours
    size_ratio: float = 2.0
    new_slots: int = 4  # active minutes before a new key is a fact
    new_count: float = 6
    cluster: float = 4.0  # requests that come and stay away together
    dispersion_shares: float = 3.0  # retries and shared fate: what blocks show at least
    share_drift: float = 0.2  # log spread of an error share between quiet hours
    dispersion_rates: float = 5.0
    prior_df: float = 6.0  # weight of the common dispersion against a key's own


def limits(histories: int) -> Limits:
    """With a single baseline the drift of quiet hours is unknown, so the floors rise."""
    if histories >= REPLICATES:
        return Limits()
    return Limits(
        calibrated=False,
        min_errors=12,
        error_ratio=3.0,
        share_drift=0.35,
        mix_points=0.25,
        rate_ratio=2.5,
        rate_drift=0.25,
        latency_ratio=1.5,
        latency_drift=0.07,
        size_ratio=2.5,
        dispersion_shares=4.0,
        cluster=6.0,
    )
