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
    odd = np.zeros_like(good)
    if plan.odd is not None:  # with random numbers of its own: all else is drawn as ever
        own = np.random.default_rng([world.seed, 6, plan.first, plan.minutes, salt])
        odd = own.binomial(good, np.clip(plan.odd, 0, 1))
    return {"good": good - odd, "failed": failed, "none": none, "odd": odd, "rng": rng}
