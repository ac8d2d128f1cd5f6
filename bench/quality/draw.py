"""Drawing a plan: from expected requests to counted ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.quality.system import Hours
from bench.quality.world import World


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
