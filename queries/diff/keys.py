"""The keys of a comparison: the finest things that are told apart, and what they are called.

A key is a side of the wire, host, method, route, status, gRPC status, container, pod, process and
error signature. Names that change by themselves are brought together before anything is compared:
values in routes (queries/core/collapse.py), private addresses of pods as hosts, replicas of a
service, and the routes that a scanner tries.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from queries.core.collapse import collapse
from queries.diff.stats import Floats, Ints, Mask, add_up
from store.values import dataclass

PARTS = {  # of names: there are few different ones of each
    "endpoint": ("side", "host", "method", "route"),
    "outcome": ("status", "grpc_status"),
    "instance": ("container", "pod", "process", "signature"),
}
DIMS = tuple(name for part in PARTS.values() for name in part)
SCANNED = "{scanned}"  # the route of what a scanner tries
# names that only those inside know: none, one word, an address, or of a local zone
INSIDE = re.compile(r"([\w{}-]*|.+\.(local|internal|svc))(:\d+)?")
_ROOM = 1 << 62  # combined codes stay below
_REFUSED = (400, 403, 404, 405)
_TRIED = 15  # routes of a host that are refused, with few requests each: no client does that
_FEW = 5  # requests a route, at most
_SOME = 20  # the same of the other routes that the same scanner tries
# The letters and digits that Kubernetes makes names of: no vowels, and none that look alike.
IP = "{ip}"  # stands for any private address
_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
_TAILS = (
    re.compile(rf"-{_SAFE}{{8,10}}-{_SAFE}{{5}}$"),  # replica set and pod
    re.compile(rf"-[0-9]{{8,10}}-{_SAFE}{{5}}$"),  # cron job and pod
    re.compile(r"[-_.](?=[0-9a-f]*[0-9])[0-9a-f]{12,64}$"),  # a container's id
    re.compile(rf"-(?={_SAFE}*[0-9]){_SAFE}{{5}}$"),  # pod of a daemon set or a job
    re.compile(r"[-_.][0-9]{1,2}$"),  # compose, stateful set
)


@dataclass(frozen=True)
class Keys:
    """labels: the values of each of DIMS, of `service` and of `instance`, sorted; codes [keys]:
    places in them. of [numbers]: the key of each number that the counts use for its names."""

    labels: Mapping[str, list[Any]]
    codes: Mapping[str, Ints]
    of: Ints

    @property
    def size(self) -> int:
        return int(self.codes["host"].size)


@dataclass(frozen=True)
class Names:
    """values: of each column, for each different combination of its part; place [numbers]: the one
    that each number has."""

    values: Mapping[str, list[Any]]
    place: Mapping[str, Ints]

    def of(self, number: int) -> dict[str, Any]:
        return {name: self.values[name][place[number]] for name, place in self.place.items()}


def keys_of(names: Names, requests: Floats) -> Keys:
    """The keys of those names (each combination once).

    requests [numbers]: over everything that was counted; they say which routes are values.
    """
    labels, codes = {}, {}
    containers, pods = names.values["container"], names.values["pod"]
    # a platform that names pods gives the container its service's name; else the name has to tell
    values = {
        **names.values,
        "host": [_shown(host) for host in names.values["host"]],
        "service": [c if p else service_of(c) for c, p in zip(containers, pods, strict=True)],
        "instance": [p or c for c, p in zip(containers, pods, strict=True)],
    }
    for name, column in values.items():
        labels[name], code = _coded(column)
        codes[name] = code[names.place[name if name in names.place else "container"]]
    _route(labels, codes, requests)
    return _numbered(labels, codes)


def _route(labels: dict[str, list[Any]], codes: dict[str, Ints], requests: Floats) -> None:
    """Bring routes together: scanned ones, and the values at a level of the path."""
    hosts, routes = labels["host"], labels["route"]
    pair = codes["host"] * max(len(routes), 1) + codes["route"]
    pairs, at = np.unique(pair, return_inverse=True)
    counts = add_up(at, requests, pairs.size)
    names = [(hosts[p // len(routes)], routes[p % len(routes)]) for p in pairs.tolist()]
    scanned = _scanned(labels, codes, at, pairs // max(len(routes), 1), requests)
    known = {
        name: round(n)
        for name, n, tried in zip(names, counts.tolist(), scanned.tolist(), strict=True)
        if n > 0 and name[1] and not tried
    }
    new = collapse(known)
    chosen = [
        SCANNED if tried else new.get(name, name[1])
        for name, tried in zip(names, scanned.tolist(), strict=True)
    ]
    labels["route"], place = _coded(chosen)
    codes["route"] = place[at]


def _scanned(
    labels: Mapping[str, list[Any]], codes: Mapping[str, Ints], at: Ints, host: Ints, n: Floats
) -> Mask:
    """[pairs of host and route]: one of many that are asked for a few times and refused or left."""
    status = np.asarray(labels["status"], dtype=np.int64)[codes["status"]]
    incoming = np.asarray([side == "in" for side in labels["side"]], dtype=bool)[codes["side"]]
    answers = incoming & np.isin(status, _REFUSED), incoming & (status == 0)
    total, refused, silent = (add_up(at, n * x, host.size) for x in (True, *answers))
    refused_only = (refused > 0) & (refused + silent == total)
    routes = add_up(host, refused_only & (total <= _FEW), int(host.max(initial=0)) + 1)
    many: Mask = refused_only & (total <= _SOME) & (routes[host] >= _TRIED)
    return many


@lru_cache(maxsize=65536)
def _shown(host: str) -> str:
    """A private address stands for whoever serves it at the time: 10.42.3.7:80 is {ip}:80."""
    address, colon, port = host.rpartition(":") if host.count(":") == 1 else (host, "", "")
    if host.startswith("["):
        address, _, port = host[1:].partition("]")
        colon = ""
    if not (address[:1].isdigit() or ":" in address):
        return host
    try:
        private = ipaddress.ip_address(address).is_private
    except ValueError:
        return host
    return f"{IP}{colon}{port}" if private else host


def addresses(shown: str) -> str:
    """A pattern of the hosts that are shown as `{ip}` or `{ip}:80`."""
    four = r"(10|127|169\.254|172\.(1[6-9]|2\d|3[01])|192\.168)\.[\d.]+"
    return rf"^({four}|\[?(f[cde]|::1)[\da-f:.]*\]?){re.escape(shown.removeprefix(IP))}$"


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


def instances(service: str) -> str:
    """A pattern of the names of containers whose service that is."""
    safe = _SAFE.strip("[]")
    tails = (
        f"-([0-9]{{8,10}}|[{safe}]{{8,10}})-[{safe}]{{5}}", f"-[{safe}]{{5}}",
        "[-_.][0-9a-f]{12,64}", "[-_.][0-9]{1,2}",
    )  # fmt: skip
    return f"^{re.escape(service)}({'|'.join(tails)})?$".replace("/", r"\/")


def _coded(values: list[Any]) -> tuple[list[Any], Ints]:
    """(the different values, sorted; the place of each value in them)."""
    labels = sorted(set(values))
    place = {value: i for i, value in enumerate(labels)}
    return labels, np.fromiter(map(place.__getitem__, values), np.int64, len(values))


def _numbered(labels: Mapping[str, list[Any]], codes: Mapping[str, Ints]) -> Keys:
    """Each combination of codes once, in the order of the labels."""
    combined, room = np.zeros(codes["host"].size, dtype=np.int64), 1
    for name in DIMS:
        if room * max(len(labels[name]), 1) >= _ROOM:
            known, combined = np.unique(combined, return_inverse=True)
            room = known.size
        combined = combined * len(labels[name]) + codes[name]
        room *= max(len(labels[name]), 1)
    first, number = first_of_each(combined, room)
    return Keys(labels, {name: code[first] for name, code in codes.items()}, number)


def first_of_each(codes: Ints, room: int) -> tuple[Ints, Ints]:
    """(the first place of each different code, in their order; [codes]: the number of each).

    room: codes lie below. Without sorting, where that is small.
    """
    if room > 16 * codes.size + 1000:
        _, first, number = np.unique(codes, return_index=True, return_inverse=True)
        return first, number.astype(np.int64, copy=False)
    place = np.full(room, -1, dtype=np.int64)
    place[codes[::-1]] = np.arange(codes.size - 1, -1, -1)
    there = np.flatnonzero(place >= 0)
    first = place[there]
    place[there] = np.arange(there.size)
    return first, place[codes]
