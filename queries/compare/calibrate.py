"""What the comparison says about quiet hours: the same question asked of the store's own past.

Nobody says which past hours were quiet, so the median and the 95th percentile are what to look
at: incidents of the past are a few large numbers among many small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from queries.answer import Calibration
from queries.compare.spans import Options, Span

if TYPE_CHECKING:
    import duckdb

MOST_PAIRS = 8


@dataclass(frozen=True)
class PastPair:
    """Two past stretches and how many findings their comparison gave; sealed hours never change,
    so a caller may keep it."""

    window: Span
    baseline: Span
    findings: int


def past_pairs(history: Sequence[Span], most: int = MOST_PAIRS) -> list[tuple[Span, Span]]:
    """Neighbouring stretches of the past, spread evenly over it, newest first."""
    spans = sorted(history, key=lambda s: s.from_ts, reverse=True)
    pairs = [
        (later, earlier) for later, earlier in pairwise(spans) if earlier.to_ts == later.from_ts
    ]
    if len(pairs) <= most:
        return pairs
    return [pairs[i * len(pairs) // most] for i in range(most)]


def calibrate(
    con: duckdb.DuckDBPyConnection,
    history: Sequence[Span],
    options: Options | None = None,
    most: int = MOST_PAIRS,
) -> list[PastPair]:
    """Compare past neighbours with each other; the rest of the past serves as their replicates.

    con: as for `compare`, with cells and coverage over all of `history`. Pairs without coverage
    are left out. Costs one comparison a pair.
    """
    from queries.compare import compare

    options = options or Options()
    found = []
    for window, baseline in past_pairs(history, most):
        others = [s for s in history if not (s.overlaps(window) or s.overlaps(baseline))]
        past = compare(con, window, [baseline], replace(options, history=others))
        if past.verdict in ("changed", "nothing_changed"):
            found.append(PastPair(window, baseline, len(past.findings)))
    return found


def summarise(pairs: Sequence[PastPair]) -> Calibration | None:
    """Median and 95th percentile of the findings of past pairs; None without any pair."""
    if not pairs:
        return None
    counts = np.array([pair.findings for pair in pairs])
    high = float(np.percentile(counts, 95, method="higher"))
    return Calibration(len(pairs), float(np.median(counts)), high)
