"""Levels of a path with too many values become one route: /user/{*}/profile.

Recording names what is an identifier by its look. That alice and bob are two of a thousand users
only many paths together can tell, so it is told here, over all windows of a question at once.

At each level of each host's routes, from the top down:

1. What recording named in two ways is brought together, the rare into the frequent: `{hex}` into
   `{id}`, `step-7` into `step-{id}`, the jumble `x2x9z` into an `{id}` that is far more frequent.
2. A level of more than WIDE names collapses if they look like values, that is if
   - half of them go on in the same words (/user/alice/profile, /user/bob/profile), or
   - half of them are no plain words (file names, titles with digits), or
   - half of them were asked for at most RARE times, or
   - there are more than VERY_WIDE of them.
   Otherwise they are the words of an API, and stay.
3. Names that do not go on like the others stay (/user/search), unless there are many of those
   too. Where the words below tell nothing, a plain word with a large share of the level stays.

File names keep their ending: /img/{*}.png.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

WIDE: Final = 40  # names at one level; more may be values
VERY_WIDE: Final = 120  # names at one level; more are values, whatever they look like
RARE: Final = 3  # requests
FEW: Final = 10  # names that go on differently from the rest, and so stay
LARGE_SHARE: Final = 1 / WIDE  # of a level's requests: a plain word that has it stays
FAR_MORE: Final = 10  # times as frequent: what the rare is brought into

_BARE: Final = re.compile(r"\{[^{}]*\}")
_OPAQUE: Final = re.compile(r"\{(?:id|hex|token)\}")
_DIGITS: Final = re.compile(r"\d+")
_WORD: Final = re.compile(r"(?=.*[aeiouyAEIOUY])[A-Za-z]+(?:[-_.]?[A-Za-z]+)*")
_HUMPS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ENDING: Final = re.compile(r"\.(?:[A-Za-z]{1,4}\.)?[A-Za-z][A-Za-z0-9]{0,4}$")


class _Level:
    """One part of a path, with all that follows it."""

    __slots__ = ("below", "ends", "requests")

    def __init__(self) -> None:
        self.requests = 0  # of this part and all below
        self.ends: list[str] = []  # the routes that end here, as they were
        self.below: dict[str, _Level] = {}

    def absorb(self, other: _Level) -> None:
        self.requests += other.requests
        self.ends += other.ends
        for name, level in other.below.items():
            if name in self.below:
                self.below[name].absorb(level)
            else:
                self.below[name] = level


def collapse(requests: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], str]:
    """Each (host, route) that a question has met, with its number of requests -> its new route.

    Every key of `requests` is in the result; most keep their route. Pure and deterministic.
    """
    hosts: dict[str, _Level] = {}
    for (host, route), number in sorted(requests.items()):
        level = hosts.setdefault(host, _Level())
        level.requests += number
        for part in route.split("/"):
            level = level.below.get(part) or level.below.setdefault(part, _Level())
            level.requests += number
        level.ends.append(route)
    found: dict[tuple[str, str], str] = {}
    for host, root in hosts.items():
        pending: list[tuple[str, _Level]] = [("", root)]
        while pending:
            path, level = pending.pop()
            for route in level.ends:
                found[host, route] = path[1:]
            _reconcile(level)
            _narrow(level)
            pending += [(f"{path}/{name}", below) for name, below in level.below.items()]
    return found


def _merge(level: _Level, names: Iterable[str], into: str) -> None:
    """Bring the parts called `names` together under one name."""
    for name in names:
        if name != into and (gone := level.below.pop(name, None)) is not None:
            level.below.setdefault(into, _Level()).absorb(gone)


def _reconcile(level: _Level) -> None:
    """Step 1: one position, named in two ways by recording."""
    kinds: dict[str, list[str]] = {}
    for name in level.below:
        if "{" in name:
            kinds.setdefault(_OPAQUE.sub("{id}", name), []).append(name)
    if not kinds:
        return
    for names in kinds.values():
        most = max(names, key=lambda name: (level.below[name].requests, name))
        limit = level.below[most].requests / FAR_MORE
        _merge(level, [name for name in names if level.below[name].requests <= limit], most)
    for name in [name for name in level.below if "{" not in name]:
        same = level.below.get(_DIGITS.sub("{id}", name)) if _DIGITS.search(name) else None
        if same is not None and same.requests >= level.below[name].requests:
            _merge(level, [name], _DIGITS.sub("{id}", name))
    many = level.below.get("{id}")
    if many is not None:
        limit = many.requests / FAR_MORE
        jumbled = [n for n, b in level.below.items() if b.requests <= limit and _is_jumble(n)]
        _merge(level, jumbled, "{id}")


def _is_jumble(name: str) -> bool:
    """Letters and digits that change places often: what recording was not sure enough about."""
    if not (5 <= len(name) <= 40 and name.isascii() and name.isalnum()):
        return False
    humps = _HUMPS.findall(name)
    digits = sum(c.isdigit() for c in name)
    return digits >= 2 and sum(map(len, humps)) < 4 * len(humps)


def _narrow(level: _Level) -> None:
    """Steps 2 and 3: a level of too many names."""
    names = [name for name in level.below if not _BARE.fullmatch(name)]
    if len(names) <= WIDE:
        return
    values = _that_go_on_alike(level, names)
    if len(values) > WIDE:
        others = set(names) - set(values)
        if len(others) > FEW:
            values += _by_their_look(level, sorted(others), FEW)
    else:
        values = _by_their_look(level, names, WIDE)
    groups: dict[str, list[str]] = {}
    for name in values:
        ending = _ENDING.search(name)
        groups.setdefault("{*}" + (ending[0].lower() if ending else ""), []).append(name)
    for into, group in groups.items():
        _merge(level, group, into)


def _that_go_on_alike(level: _Level, names: list[str]) -> list[str]:
    """The names below which a word comes that comes below at least half of them."""
    words: Counter[str] = Counter()
    for name in names:
        words.update(part for part in level.below[name].below if part and not _BARE.fullmatch(part))
    common = {word for word, times in words.items() if 2 * times >= len(names)}
    return [name for name in names if not common.isdisjoint(level.below[name].below)]


def _by_their_look(level: _Level, names: list[str], limit: int) -> list[str]:
    """The names that are values by how they look and how often they come; none if too few."""
    if len(names) <= limit:
        return []
    plain = {name for name in names if len(name) <= 30 and _WORD.fullmatch(name)}
    plain -= {name for name in plain if _ENDING.search(name)}
    rare = sum(level.below[name].requests <= RARE for name in names)
    odd = len(names) - len(plain)
    if 2 * rare < len(names) and 2 * odd < len(names) and len(names) <= VERY_WIDE:
        return []
    large = LARGE_SHARE * sum(level.below[name].requests for name in names)
    return [
        n for n in names if not (n in plain and level.below[n].requests >= max(large, RARE + 1))
    ]
