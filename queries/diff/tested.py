"""The outcome of testing one level: how many groups were looked at, and which stood out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from queries.diff.candidate import Candidate
from queries.diff.limits import Limits
from queries.diff.stats import Floats, benjamini_hochberg


@dataclass(frozen=True)
class Tested:
    """`p` of those groups, of `tests`, that could pass at all; `build` makes their candidates."""

    tests: int = 0
    p: Floats = field(default_factory=lambda: np.zeros(0))
    build: Callable[[int], Candidate] | None = None


def tested(p: Floats, q: float, build: Callable[[int], Candidate]) -> Tested:
    """Keep only the groups whose p-value could pass whatever the others are."""
    able = np.flatnonzero(p <= q)
    return Tested(p.size, p[able], lambda i: build(int(able[i])))


_LEAST = 20  # tests: where little is busy enough to be looked at, one in twenty is no news


def significant(levels: Sequence[Tested], limits: Limits) -> list[Candidate]:
    """Those that pass Benjamini-Hochberg over all groups of all levels that were tested.

    Only they are built: a candidate holds a few arrays over all keys.
    """
    p = np.concatenate([np.zeros(0), *(level.p for level in levels)])
    total = max(_LEAST, sum(level.tests for level in levels))
    ok = np.flatnonzero(benjamini_hochberg(p, limits.q, total, limits.step_up))
    starts = np.cumsum([0, *(level.p.size for level in levels)])
    found = []
    for place, level in enumerate(levels):
        mine = ok[(ok >= starts[place]) & (ok < starts[place + 1])] - starts[place]
        found += [level.build(int(i)) for i in mine if level.build]
    return found
