"""What has to be known of the traffic before it is compared: what is not the system's own, and
what was recorded at both ends of the wire and is to count once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from queries.diff.candidate import ENDPOINT
from queries.diff.frame import Frame
from queries.diff.stats import Mask

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


def counted_once(frame: Frame) -> Frame:
    """The same frame, in which a call that both its ends recorded weighs half at each.

    Two records of one call are no two pieces of evidence. For levels that tell the sides apart
    the frame itself is right.
    """
    level = frame.level(ENDPOINT)
    total = frame.window.sum(1) + frame.baseline.sum(1) + frame.history.sum(1)
    incoming = level.sum(np.where(frame.incoming, total, 0.0))
    outgoing = level.sum(np.where(frame.incoming, 0.0, total))
    both = np.maximum(incoming + outgoing, 1e-9)
    weight = np.where(both > 1e-9, np.maximum(incoming, outgoing) / both, 1.0)[level.group][:, None]
    return replace(
        frame,
        window=frame.window * weight,
        baseline=frame.baseline * weight,
        history=frame.history * weight,
        tallies={},
    )
