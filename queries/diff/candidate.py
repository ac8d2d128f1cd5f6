"""One change that a test found, before changes with one cause are merged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from queries.core.answer import Blame, Direction, Kind
from queries.diff.stats import Floats, Mask

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
