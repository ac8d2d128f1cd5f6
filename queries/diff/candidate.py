"""One change that a test found, and which of the tested groups stand out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from queries.core.answer import Blame, Direction, Kind
from queries.diff.limits import Limits
from queries.diff.stats import Floats, Mask, benjamini_hochberg

ENDPOINT = ("host", "method", "route")


@dataclass
class Candidate:
    """A change of one measure under one key.

    scope: the keys it is about; part: those of them that it counts (the failed ones, say).
    excess [keys]: requests more (or fewer) than expected, of the keys in `part`.
    volume [keys]: what the excess would be spread like, if the whole scope changed alike.
    began, ended: the run of window blocks in which it shows best; in_run: the requests more or
        fewer in that run, and run_volume all requests in it. excess and volume are of the whole
        window, so that changes found in different runs can be compared, unless it hides them.
    hit: requests more or fewer as the end of the wire saw them that saw most.
    alone: the part that others at the same places do not share, once it is known.
    net: the ratio that is left once a shift of the mix is taken out (latency only).
    """

    kind: Kind
    direction: Direction
    key: dict[str, Any]
    scope: Mask
    part: Mask
    excess: Floats
    volume: Floats
    metric: str
    window: float | None
    baseline: float | None
    ratio: float | None
    low: float | None
    high: float | None
    p: float
    began: int
    ended: int
    in_run: float = 0.0
    run_volume: float = 0.0
    noise: float = 1.0
    net: float = 1.0
    hit: float = 0.0
    score: float = 0.0
    alone: float | None = None
    strong: bool = True
    blame: Blame | None = None
    folded: list[Candidate] = field(default_factory=list)

    @property
    def affected(self) -> float:
        return float(abs(self.excess.sum()))

    def order(self) -> tuple[float, str, str, str]:
        """Largest first, then by name: the same in every run."""
        return (-round(self.affected, 3), self.kind, repr(sorted_key(self.key)), self.direction)


def whole_or_run(whole: Floats, run: Floats) -> bool:
    """Whether the whole window shows the change that the run shows, or hides most of it."""
    sign = 1.0 if float(run.sum()) >= 0 else -1.0
    return sign * float(whole.sum()) >= 0.7 * abs(float(run.sum()))


def one_end(per_key: Floats, incoming: Mask) -> float:
    """The sum as one end of the wire saw it: a call between two containers is recorded twice."""
    ends = float(per_key[incoming].sum()), float(per_key[~incoming].sum())
    return max(ends, key=abs)


def sorted_key(key: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted((name, value) for name, value in key.items())


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
