"""Traffic that is not the system's own: scanners that try paths which were never there."""

from __future__ import annotations

import numpy as np

from queries.compare.frame import Frame
from queries.compare.stats import Mask

_REFUSED = (400, 403, 404, 405)


def own_traffic(frame: Frame) -> Mask:
    """False for keys of incoming endpoints that only ever answered 400, 403, 404 or 405."""
    level = frame.level(("host", "method", "route"))
    total = frame.window.sum(1) + frame.baseline.sum(1) + frame.history.sum(1)
    refused = np.isin(frame.status, _REFUSED)
    outgoing = np.array([side == "out" for side in frame.columns["side"]])
    served = level.sum(np.where(refused & ~outgoing, 0.0, total + frame.anyhow_b)) > 0
    return served[level.group]
