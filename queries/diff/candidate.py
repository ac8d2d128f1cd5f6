"""One change that a test found."""

from __future__ import annotations

import math
from dataclasses import field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from queries.core.answer import Blame, Direction, Kind
from queries.diff.stats import Floats, Ints, Mask
from store.values import dataclass

ENDPOINT = ("host", "method", "route")
FAILING = ("errors", "no_response")
HOW = frozenset({*FAILING, "statuses", "latency", "size"})  # kinds that are not how many
Against = Literal["baseline", "usual"]


@dataclass
class Candidate:
    """A change of one measure under one key.

    scope: the keys it is about; part: those of them that it counts (the failed ones, say).
    excess [keys]: requests more (or fewer) than expected, of the keys in `part`.
    volume [keys]: what the excess would be spread like, if the whole scope changed alike.
    z: how sure, beyond what quiet hours do.
    began, ended: the run of window blocks in which it shows best. window, baseline: the measure in
        that run, and in what it is compared with: `against` the baseline, or the past without
        the `newer` of its stretches, in which it had begun.
    time [2, keys]: of a place that became slower, the milliseconds lost, and those that are usual.
    noise: variance of its requests over that of independent ones.
    sure: beyond the bar; else it is told only as the place of a change that is sure, or as moved.
    demand: keys of the requests for each of which it is more or less; None: for each second.
    job: it is new, and too little was recorded to tell it from a job that had slept.
    score: how well it explains what is left, NaN until that is known.
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
    low: float | None = None
    high: float | None = None
    z: float = 0.0
    began: int = 0
    ended: int = 0
    against: Against = "baseline"
    newer: int = 0
    time: Floats | None = None
    noise: float = 1.0
    sure: bool = True
    demand: Mask | None = None
    job: bool = False
    score: float = math.nan
    blame: Blame | None = None
    folded: list[Candidate] = field(default_factory=list)

    @cached_property
    def held(self) -> Ints:
        """The keys that have a part of its excess or its volume."""
        return np.flatnonzero((self.excess != 0) | (self.volume != 0))

    @cached_property
    def affected(self) -> float:
        return float(abs(self.excess.sum()))

    def hit(self, incoming: Mask) -> float:
        """Requests more or fewer, as the end of the wire saw them that saw most: a call between two
        containers is recorded twice."""
        return max(abs(float(self.excess[end].sum())) for end in (incoming, ~incoming))

    @property
    def lasts(self) -> bool:
        """Whether it is about how long requests take."""
        return self.metric.endswith("_ms")

    @property
    def ratio(self) -> float | None:
        """window / baseline, as they are shown; None against nothing."""
        if not self.window or not self.baseline:
            return None
        return self.window / self.baseline

    def order(self) -> tuple[float, str, str, str]:
        """Largest first, then by name: the same in every run."""
        return (-round(self.affected, 3), self.kind, repr(sorted(self.key.items())), self.direction)


def whole_or_run(whole: Floats, run: Floats) -> Floats:
    """The excess of the whole window if it shows the change that the run shows, else the run's.

    Changes that show best in different runs can be compared by the whole.
    """
    sign = 1.0 if float(run.sum()) >= 0 else -1.0
    return whole if sign * float(whole.sum()) >= 0.7 * abs(float(run.sum())) else run
