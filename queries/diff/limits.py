"""Every threshold of the comparison in one place; docs/method.md says what each is for."""

from __future__ import annotations

import math
from typing import Final

# How sure: a signed root of a likelihood ratio beyond the band, per sqrt of its dispersion.
Z: Final = 3.5
Z_ALL: Final = 3.0  # of everything: its rate, its failures where no place is sure; one question
Z_STRONG: Final = 5.0  # could not plausibly be chance even with far more comparisons; good news

# The least band: what quiet stretches may always differ by, on logs.
NARROW: Final = math.log(1.3)  # medians
BAND: Final = math.log(1.6)  # rates, tails, sizes, and the odds of what is known not to drift
WIDE: Final = math.log(2.0)  # odds; the rate of everything: people sleep
HABITS_S: Final = 1800.0  # in shorter windows they do not sleep: `BAND`
KNOWN: Final = 6  # stretches of the past from which on it shows what drifts

# What is worth a line, however sure.
TWICE: Final = 2.0  # the failing share, or the good one
POINTS: Final = 0.25  # or so much of all requests more
TRACE: Final = 0.005  # failures of less than that are worth a line only if they are ...
MANY: Final = 100
FEW: Final = 3  # requests of a name, failures: less is an anecdote
MORE: Final = 10  # requests more, fewer or missing before a rate is worth a line
MS: Final = 5.0
BYTES: Final = 64.0

# Retries and shared fate: what a request says less than its number, where blocks cannot tell.
CLUSTER: Final = 2.0
MOST_CLUSTERED: Final = 6.0
BURSTS: Final = 3.0  # the same of how many requests there are
MOST_BURSTS: Final = 60.0

# What a name, a rate or a place has to have before it says anything.
SEVERAL: Final = 20.0  # requests: a share, a rate; failures at once that a client does not make
BEYOND: Final = 2.0  # durations beyond a quantile that say where it lies
HABIT: Final = 0.25  # of past stretches without a name, or with such a new one: it is no news

RECEIVING: Final = 0.95  # of the recorders of a group: in less of them its time does not count

# Which part of a change makes it whose.
MOST: Final = 0.5  # the larger part
NEARLY_ALL: Final = 0.9
STORM: Final = 3.0  # times as many calls are retries, and may be the cause of what fails


def bar(tests: int) -> float:
    """How sure one of so many has to be: as many false ones a comparison, however many keys."""
    return math.sqrt(Z * Z + 2 * math.log(max(tests, 100) / 100))


def worth(now: float, base: float, requests: float, direction: str) -> bool:
    """Twice as many of either share or a quarter of all, and more than a trace of them."""
    more, less = (now, base) if direction == "up" else (base, now)
    extra = (more - less) * requests
    large = more >= TWICE * less or 1 - less >= TWICE * (1 - more) or more - less >= POINTS
    return large and extra >= FEW * (1 - less) and (more - less >= TRACE or extra >= MANY)
