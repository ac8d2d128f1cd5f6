"""A transaction in hand, and what is remembered from one to the next."""

from __future__ import annotations

from typing import NamedTuple

from recorder.decode.row import Secret, Transaction
from recorder.redact.slots import Slot

REMEMBERED = 50_000  # header values, and sets of column values


class Cleaned(NamedTuple):
    value: str
    secrets: list[Secret]


NEW = Cleaned("", [])  # stands for: not seen before


class Side:
    """What is remembered of the headers of requests, or of responses."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.known: dict[tuple[str, str], Cleaned | None] = {}  # None: clean as it is
        self.plain: dict[str, Slot | None] = {}  # None: the name may make it a secret

    def remember(self, item: tuple[str, str], cleaned: Cleaned | None) -> None:
        if len(self.known) >= REMEMBERED:
            self.known.clear()
        self.known[item] = cleaned


class Row:
    """A transaction in hand: its texts to be scanned, one a slot, bodies last."""

    __slots__ = ("bodies", "mirrored", "missed", "secrets", "slots", "texts", "tx")

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx
        self.texts: list[str] = [""]
        self.slots: list[Slot] = []
        self.bodies: list[bytes] = []
        self.missed: list[tuple[Side, tuple[str, str]]] = []  # of the first slots, the headers
        self.secrets: list[Secret] = []
        self.mirrored = False  # the header :path repeats path and query

    def add(self, slot: Slot, text: str) -> None:
        self.slots.append(slot)
        self.texts.append(text)
