"""Keys: the finest thing that is told apart, numbered in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from queries.core.collapse import collapse
from queries.diff.stats import Floats, Ints

DIMS = (
    "side", "host", "method", "route", "status", "grpc_status", "container", "process",
    "signature",
)  # fmt: skip
_ROOM = 1 << 62  # combined codes stay below
# payment-7d9f8b6c5d-x2k4q (replica set and pod), worker-28417205-abcde (job), run_4f2a9c01be77
_TAILS = (
    re.compile(r"-[0-9a-f]{8,10}-[0-9a-z]{5}$"),
    re.compile(r"-[0-9]{8,10}-[0-9a-z]{5}$"),
    re.compile(r"[-_.](?=[0-9a-f]*[0-9])[0-9a-f]{7,64}$"),
    re.compile(r"-(?=[a-z]*[0-9])[0-9a-z]{5}$"),
    re.compile(r"[-_.][0-9]{1,4}$"),
)


@dataclass(frozen=True)
class Keys:
    """labels: the values of each of DIMS and of `service`, sorted; codes [keys]: places in them.

    of [numbers]: the key of each number that the counts use for its names.
    """

    labels: Mapping[str, list[Any]]
    codes: Mapping[str, Ints]
    of: Ints

    @property
    def size(self) -> int:
        return int(self.codes["host"].size)


def named_keys(names: Mapping[str, Any]) -> Keys:
    """The keys of those names ([numbers], each combination once), with their services."""
    labels, codes = {}, {}
    for name in DIMS:
        labels[name], codes[name] = _coded(names[name].tolist())
    services = [service_of(name) for name in labels["container"]]
    labels["service"], short = _coded(services)
    codes["service"] = short[codes["container"]]
    return _numbered(labels, codes, np.arange(codes["host"].size))


def collapsed(keys: Keys, requests: Floats) -> Keys:
    """The same with the routes of levels that have too many values brought together.

    requests [keys]: over all spans.
    """
    hosts, routes = keys.labels["host"], keys.labels["route"]
    pair = keys.codes["host"] * max(len(routes), 1) + keys.codes["route"]
    pairs, at = np.unique(pair, return_inverse=True)
    counts = np.bincount(at, weights=requests, minlength=pairs.size)
    names = [(hosts[p // len(routes)], routes[p % len(routes)]) for p in pairs.tolist()]
    requests_of = {
        name: round(n) for name, n in zip(names, counts.tolist(), strict=True) if n > 0 and name[1]
    }
    new_routes = collapse(requests_of)
    if all(name[1] == route for name, route in new_routes.items()):
        return keys
    new, place = _coded([new_routes.get(name, name[1]) for name in names])
    return _numbered({**keys.labels, "route": new}, {**keys.codes, "route": place[at]}, keys.of)


@lru_cache(maxsize=65536)
def service_of(container: str) -> str:
    """The part of a container's name that survives a restart or a roll-out.

    payment-7d9f8b6c5d-x2k4q, shop_payment_1, payment-4f2a9c01be77 -> without the last part.
    """
    for tail in _TAILS:
        short = tail.sub("", container)
        if short and short != container:
            return short
    return container


def _coded(values: list[Any]) -> tuple[list[Any], Ints]:
    """(the different values, sorted; the place of each value in them)."""
    labels = sorted(set(values))
    place = {value: i for i, value in enumerate(labels)}
    return labels, np.fromiter(map(place.__getitem__, values), np.int64, len(values))


def _numbered(labels: Mapping[str, list[Any]], codes: Mapping[str, Ints], of: Ints) -> Keys:
    """Each combination of codes once, in the order of the labels."""
    combined, room = np.zeros(codes["host"].size, dtype=np.int64), 1
    for name in DIMS:
        if room * len(labels[name]) >= _ROOM:
            known, combined = np.unique(combined, return_inverse=True)
            room = known.size
        combined = combined * len(labels[name]) + codes[name]
        room *= len(labels[name])
    _, first, number = np.unique(combined, return_index=True, return_inverse=True)
    return Keys(labels, {name: code[first] for name, code in codes.items()}, number[of])
