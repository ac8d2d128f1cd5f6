"""The grid: windows x pasts x volumes, in each cell incidents and quiet pairs, and their scores.

A world is drawn once a seed and volume with more than a day of past; a cell cuts it (what lies
earlier was not recorded), and a trial plays the window anew with its faults. Each is asked through
a store on disk, as a user would.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.quality.ablation import documents
from bench.quality.fifth import FIFTH
from bench.quality.fourth import FOURTH
from bench.quality.incidents import INCIDENTS, NEEDS_PAST
from bench.quality.oracle import VISIBLE, z_score
from bench.quality.quiet import QUIET, VS_YESTERDAY
from bench.quality.seventh import SEVENTH
from bench.quality.sixth import SIXTH
from bench.quality.stage import Incident, Stage, Truth, blamed, matches
from bench.quality.third import THIRD
from bench.quality.world import AXIS, MINUTE_US, Fault, World
from queries.core.answer import to_document
from queries.core.window import Baseline, Window
from queries.diff.what_changed import what_changed
from recorder.write.rollup import write_rollup
from recorder.write.segments import metadata
from store.derived import ROLLUPS
from store.hours import HOUR_US, from_us, hour_key
from store.layout import Store
from tests.world.rows import Batch, cover, joined, write_rows

RECORDER = "node"
WINDOWS = (1, 3, 10, 60)  # minutes
PASTS = (0, 3, 24)  # hours before the baseline
VOLUMES = (200, 2_000, 20_000, 200_000)  # rows an hour
_SEQ = 10_000_000  # each hour's rows are numbered from a multiple of it on
_SATURDAY = 5
HELD_BACK = {
    "third": THIRD, "fourth": FOURTH, "fifth": FIFTH, "sixth": SIXTH, "seventh": SEVENTH,
}  # fmt: skip
_ROLLED_UP = 10_000  # rows an hour


@dataclass(frozen=True)
class Cell:
    window: int
    past: int
    volume: int


class Ground:
    """A seed's world at a volume: its past, hour by hour, in a store of its own."""

    def __init__(self, seed: int, volume: int, folder: Path, weekday: int = 1) -> None:
        self.world = World(seed, volume, weekday)
        self.rows = self.world.play(-AXIS, 0)
        self.store = Store.create(folder / f"{seed}-{volume}-{weekday}")
        self.end = self.world.end_us
        self._sealed: set[int] = set()

    def sealed(self, hour: int) -> None:
        """Write a whole hour, once; with its rollup, unless it is too small to need one."""
        if hour in self._sealed:
            return
        self._sealed.add(hour)
        cover(self.store, RECORDER, [(hour * HOUR_US, (hour + 1) * HOUR_US)])
        for file in _write(self.store, self.rows.between(hour * HOUR_US, (hour + 1) * HOUR_US)):
            if self.world.requests >= _ROLLED_UP:
                hour_of = file.parent.name.removeprefix("hour=")
                write_rollup(self.store, hour_of, file, file.name, metadata(RECORDER, "none"))

    def stored(self, folder: Path, begin: int, changed_from: int, rows: Batch) -> Store:
        """A store that begins at `begin`: as the past was, and `rows` from `changed_from` on."""
        store = Store.create(folder)
        first, last = -(-begin // HOUR_US), changed_from // HOUR_US
        for hour in range(first, last):
            self.sealed(hour)
            for table in ("transactions", "coverage", *ROLLUPS):
                key = hour_key(hour * HOUR_US)
                old, new = (s.sealed_hour(table, key) for s in (self.store, store))
                if old.is_dir():
                    shutil.copytree(old, new, copy_function=os.link)
        # what is left: before the first whole hour, and after the last one
        edges = [(begin, min(first * HOUR_US, self.end)), (max(last, first) * HOUR_US, self.end)]
        edges = [edge for edge in edges if edge[0] < edge[1]]
        kept = self.rows.between(begin, changed_from)
        _write(store, joined([*(kept.between(*edge) for edge in edges), rows]))
        cover(store, RECORDER, edges)
        return store


def _write(store: Store, rows: Batch) -> list[Path]:
    """Hour by hour, so that the numbers of one do not depend on the others."""
    files = []
    for hour in np.unique(rows.ts // HOUR_US).tolist():
        part = rows.between(hour * HOUR_US, (hour + 1) * HOUR_US)
        files += write_rows(store, RECORDER, part, first_seq=hour % 10_000 * _SEQ + 1)
    return files


class Trial:
    """A window of a cell, played with its faults: what was there before it, and its rows."""

    def __init__(self, ground: Ground, cell: Cell, faults: Sequence[Fault], salt: int) -> None:
        length, self.end = cell.window * MINUTE_US, ground.end
        self.ground, self.middle = ground, self.end - length
        self.before = self.middle - length
        self.begin = self.before - 60 * cell.past * MINUTE_US
        onset = min([-float(cell.window), *(f.begin for f in faults if f.begin > -AXIS)])
        self.changed = max(self.end + round(onset * MINUTE_US), self.begin)
        self.rows = ground.world.play((self.changed - self.end) / MINUTE_US, 0, salt, faults)

    def z(self, truth: Truth) -> float:
        """What the oracle says, of a past in which the incident had not begun."""
        rows = joined([self.ground.rows.between(self.begin, self.changed), self.rows])
        past = self.begin, min(self.before, self.changed), self.middle
        window = self.middle, self.end
        return z_score(truth.look, rows, past, window, self.ground.rows)

    def ask(
        self, back: timedelta | None = None, ablate: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """What the comparison says, and how long it takes: by the rule that is switched off, ""
        for none. back: to a baseline elsewhere. ablate: names of switches, none for all."""
        window = Window(from_us(self.middle), from_us(self.end))
        past = back or window.length
        before = Window(window.from_ts - past, window.to_ts - past)
        baseline = Baseline("same_hour" if back else "previous", (before,))
        with tempfile.TemporaryDirectory(dir=self.ground.store.path.parent) as folder:
            store = self.ground.stored(Path(folder) / "s", self.begin, self.changed, self.rows)
            if ablate is not None:
                return documents(store, window, baseline, ablate)
            start = time.perf_counter()
            changes = what_changed(store, window, baseline)
            took = time.perf_counter() - start
        return {"": {**to_document(changes), "seconds": took}}


def planted(
    ground: Ground, cell: Cell, name: str, incident: Incident, salt: int,
    ablate: Sequence[str] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """The scores of an incident; nobody is asked about one that the oracle cannot see."""
    stage = stage_of(ground, cell, salt)
    faults, truth = incident(stage)
    trial = Trial(ground, cell, faults, salt)
    z = trial.z(truth)
    result = {"sort": "incident", "name": name, "visible": z > VISIBLE, "z": round(z, 1)}
    if z <= VISIBLE:
        return [result]
    due = from_us(ground.end + round(max(stage.begin, -AXIS) * MINUTE_US))
    rows = []
    for switch, document in trial.ask(ablate=ablate).items():
        hit = next((f for f in document["findings"] if matches(f, truth)), None)
        late = None
        if hit and hit["since"]:
            late = abs((datetime.fromisoformat(hit["since"]) - due).total_seconds())
        rows.append({
            **result, "rank": hit and hit["rank"], "onset_s": late,
            "blamed": blamed(hit, truth) if hit else None,
            "wanted": str([dict(key) for key in truth.keys[:1]]), **_said(switch, document),
        })  # fmt: skip
    return rows


def quiet(
    ground: Ground, cell: Cell, name: str, salt: int, ablate: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The scores of a pair in which nothing happened."""
    stage = stage_of(ground, cell, salt)
    trial = Trial(ground, cell, QUIET[name](stage), salt)
    answers = trial.ask(timedelta(days=1) if name in VS_YESTERDAY else None, ablate)
    return [
        {"sort": "quiet", "name": name, **_said(switch, document)}
        for switch, document in answers.items()
    ]


def _said(switch: str, document: dict[str, Any]) -> dict[str, Any]:
    said = [f["summary"] for f in document["findings"]]
    return {
        "switch": switch, "findings": len(said), "said": said[:5],
        "verdict": document["verdict"], "seconds": document.get("seconds", 0.0),
    }  # fmt: skip


def stage_of(ground: Ground, cell: Cell, salt: int) -> Stage:
    rng = np.random.default_rng([ground.world.seed, 7, salt, cell.window, cell.past])
    recent = ground.rows.between(ground.end - 3 * HOUR_US, ground.end)
    expected = cell.volume * cell.window / 60
    return Stage(ground.world, recent, rng, float(cell.window), expected)


def seed_of_cells(
    seed: int, volume: int, windows: Sequence[int], pasts: Sequence[int], plants: int,
    kinds: Sequence[str], held_back: str | None,
    ablate: Sequence[str] | None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """All trials of a seed at a volume. Each cell gets `plants` of the kinds, so dealt that the
    seeds together have all of them, and the quiet pairs."""
    incidents = HELD_BACK[held_back] if held_back else INCIDENTS
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(seed, volume, Path(folder))
        weekend: Ground | None = None
        for past in pasts:
            for window in windows:
                cell = Cell(window, past, volume)
                about = {"seed": seed, "window": window, "past": past, "volume": volume}
                fit = [n for n in kinds if n in incidents and (past or n not in NEEDS_PAST)]
                chosen = [fit[(seed * plants + n) % len(fit)] for n in range(plants) if fit]
                for name in dict.fromkeys(chosen):
                    salt = 1 + list(incidents).index(name)
                    rows = planted(ground, cell, name, incidents[name], salt, ablate)
                    yield from (about | row for row in rows)
                for place, name in enumerate(QUIET if not held_back else ()):
                    if name not in kinds or (name in VS_YESTERDAY and past < 24):
                        continue
                    there = ground
                    if name == "saturday":
                        there = weekend = weekend or Ground(seed, volume, Path(folder), _SATURDAY)
                    rows = quiet(there, cell, name, 1001 + place, ablate)
                    yield from (about | row for row in rows)


def report(trials: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a cell."""
    cells: dict[tuple[int, int, int], list[dict[str, Any]]] = {}
    for one in trials:
        cells.setdefault((one["window"], one["past"], one["volume"]), []).append(one)
    return [
        {"window": w, "past": p, "volume": v, **figures(some)}
        for (w, p, v), some in sorted(cells.items())
    ]


def figures(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    plants = [t for t in trials if t["sort"] == "incident"]
    seen = [t for t in plants if t["visible"]]
    ranked = [t for t in seen if t["rank"]]
    pairs = [t["findings"] for t in trials if t["sort"] == "quiet"]
    late = [t["onset_s"] for t in ranked if t["onset_s"] is not None]
    blames = [t["blamed"] for t in ranked if t["blamed"] is not None]

    took = [t["seconds"] for t in trials if "seconds" in t]

    def part(count: int, of: int) -> float | None:
        return round(count / of, 3) if of else None

    return {
        "planted": len(plants),
        "visible": len(seen),
        "top1": part(sum(t["rank"] == 1 for t in ranked), len(seen)),
        "top3": part(sum(t["rank"] <= 3 for t in ranked), len(seen)),
        "pairs": len(pairs),
        "false_mean": round(float(np.mean(pairs)), 3) if pairs else None,
        "false_p95": round(float(np.quantile(pairs, 0.95)), 1) if pairs else None,
        "rows_a_cause": round(float(np.mean([t["findings"] for t in ranked])), 2)
        if ranked
        else None,
        "onset_s": round(float(np.median(late)), 1) if late else None,
        "blame": part(sum(blames), len(blames)),
        "seconds": round(float(np.median(took)), 2) if took else None,
    }
