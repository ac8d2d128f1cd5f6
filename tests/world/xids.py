"""Ids of requests and connections as a Qtap process makes them, and the time that each carries."""

from __future__ import annotations

from random import Random

from fixtures.standin.events import XID_ALPHABET, XID_LENGTH


def make_xid(seconds: int, rest: int) -> str:
    """The xid of a moment (Unix seconds) and 64 further bits (machine, process, counter)."""
    value = ((seconds & 0xFFFFFFFF) << 64 | (rest & 0xFFFFFFFFFFFFFFFF)) << 4
    return "".join(XID_ALPHABET[value >> shift & 31] for shift in range(95, -1, -5))


class XidMaker:
    """Makes ids as one Qtap process does: its machine and pid stay, a counter runs on."""

    def __init__(self, rng: Random) -> None:
        self._process = rng.getrandbits(40)
        self._count = rng.getrandbits(24)

    def __call__(self, seconds: int) -> str:
        """The next id, of that moment (Unix seconds)."""
        self._count = self._count + 1 & 0xFFFFFF
        return make_xid(seconds, self._process << 24 | self._count)


def xid_seconds(xid: str) -> int:
    """The Unix seconds inside an xid. Raises ValueError on other text."""
    if len(xid) != XID_LENGTH:
        raise ValueError(f"not an xid: {xid!r}")
    return int(xid[:7], 32) >> 3
