"""Make a small store in today's format, with a part of everything a store can hold.

`python -m tests.contract.old_store DIR` wrote each folder of fixtures/stores. A folder is made
once, when its format is new, and never again: it stands for the stores that are out there.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

from recorder.write.seal import Housekeeper
from store.hours import HOUR_US, from_us
from store.marks import Pin, add_mark, add_pin
from tests.kit import NOON, Desk, S, connected, transaction

ROWS = 60  # thirty an hour, and what came late


def make(path: Path) -> None:
    desk = Desk(path, "web-1")
    keeper = Housekeeper(desk.store, "web-1", desk.writer.policy, grace_s=0)
    desk.take(connected(NOON))
    for n in range(ROWS // 2):
        desk.take(transaction(f"first{n}", NOON + n * 120 * S, status=500 if n % 10 == 9 else 200))
    desk.flush()
    keeper.round(NOON + 2 * HOUR_US, everything=True)
    for n in range(ROWS // 2):
        ts = NOON + HOUR_US + n * S
        desk.take(transaction(f"second{n}", ts), mono=n * S)
        if n % 10 == 9:
            desk.flush()
    desk.take(transaction("late", NOON + 30 * S, sent=NOON + HOUR_US + 40 * S))
    desk.flush()
    desk.ledger.change("stopped", "as asked", 0)
    desk.flush()
    add_mark(desk.store, "deploy 1", from_us(NOON + HOUR_US))
    begin = from_us(NOON)
    add_pin(desk.store, Pin("kept", begin, begin + dt.timedelta(hours=1)))
    desk.store.key_file.unlink()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
