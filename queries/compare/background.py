"""Traffic that is not the system's own: scanners that try paths which were never there."""

from __future__ import annotations

import numpy as np

from queries.compare.frame import Frame
from queries.compare.stats import Mask

_REFUSED = (400, 403, 404, 405)
_MOSTLY = 0.95


def own_traffic(frame: Frame) -> Mask:
    """False for keys of incoming endpoints that answer hardly anything but 400, 403, 404, 405."""
    level = frame.level(("host", "method", "route"))
    total = frame.window.sum(1) + frame.baseline.sum(1) + frame.history.sum(1)
    refused = np.isin(frame.status, _REFUSED)
    seen = total + frame.anyhow_b
    refusals = level.sum(np.where(refused & frame.incoming, seen, 0.0))
    own: Mask = (refusals < _MOSTLY * level.sum(seen))[level.group]
    return own
