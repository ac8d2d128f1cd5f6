"""The outcome of testing one level: how many groups were looked at, and which stood out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from queries.compare.candidate import Candidate
from queries.compare.limits import Limits
from queries.compare.stats import Floats, benjamini_hochberg


@dataclass(frozen=True)
class Tested:
    """`candidates` are those that could pass at all (p <= q), of `tests` groups."""

    tests: int = 0
    candidates: tuple[Candidate, ...] = ()


def tested(p: Floats, q: float, build: Callable[[int], Candidate]) -> Tested:
    """Build candidates only for the groups whose p-value could pass whatever the others are."""
    return Tested(p.size, tuple(build(int(i)) for i in np.flatnonzero(p <= q)))


_LEAST = 20  # tests: where little is busy enough to be looked at, one in twenty is no news


def significant(levels: Sequence[Tested], limits: Limits) -> list[Candidate]:
    """Those that pass Benjamini-Hochberg over all groups of all levels that were tested."""
    found = [c for level in levels for c in level.candidates]
    total = max(_LEAST, sum(level.tests for level in levels))
    ok = benjamini_hochberg(np.array([c.p for c in found]), limits.q, total, limits.step_up)
    return [c for yes, c in zip(ok, found, strict=True) if yes]
