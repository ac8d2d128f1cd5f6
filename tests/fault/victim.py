"""A recorder that works as hard as it can and is killed in the middle of it.

It writes, merges, seals and deletes in one loop, and says in a file what it has acknowledged.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
from pathlib import Path

from recorder.write import retention
from recorder.write import segments as segment_files
from recorder.write.seal import Housekeeper
from store.hours import HOUR_US, from_us
from tests.kit import NOON, Desk, S, connected, transaction

KEPT_HOURS = 3
OLD = NOON - 40 * HOUR_US  # an hour that retention takes whenever it comes by


def work(store: Path, acknowledged: Path, first: int, seed: int) -> None:
    """Number rows from `first` on until killed; each line of `acknowledged` is a range."""
    segment_files.FAN_IN = 3
    rng = random.Random(seed)
    desk = Desk(store)
    desk.take(connected(NOON))
    keeper = Housekeeper(desk.store, "r", desk.writer.policy, grace_s=0.05)
    log = os.open(acknowledged, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    numbers = itertools.count(first)
    now = NOON + (KEPT_HOURS + 5) * HOUR_US
    for n in itertools.count(1):
        batch = [next(numbers) for _ in range(rng.randint(1, 5))]
        for number in batch:
            ts = NOON + rng.randrange(KEPT_HOURS) * HOUR_US + rng.randrange(3600) * S
            desk.take(transaction(f"n{number:07d}", ts, sent=NOON), mono=n * S)
        desk.take(transaction(f"old{batch[0]}", OLD, sent=NOON), mono=n * S)
        desk.flush(n * S)
        os.write(log, f"{batch[0]} {batch[-1]}\n".encode())
        if rng.random() < 0.4:
            keeper.round(now, everything=rng.random() < 0.3)
        if rng.random() < 0.2:
            plan = retention.plan(desk.store, from_us(now), keep=dt.timedelta(hours=24))
            retention.apply(plan.delete)
