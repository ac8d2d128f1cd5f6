"""Who of a group used to see a place. Hosts come and go, and their recorders with them: what is not
seen any more may have gone with who saw it, so that it is no proof that it is less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.core.session import Reader, sql_text
from queries.core.window import hours_of
from queries.diff import limits
from queries.diff.axis import inside
from queries.diff.counts import Counts
from queries.diff.rollups import (
    if_readable,
    keys_relation,
    place_of,
    rollups_of,
    rows_relation,
)
from queries.diff.stats import Floats, add_up, ratio
from store.derived import KEYS
from store.files import parquet

if TYPE_CHECKING:
    from pathlib import Path

    from queries.diff.axis import Axis, Covered


def kept(reader: Reader, counts: Counts, axis: Axis, covered: Covered) -> Floats:
    """[keys]: the share of the baseline's requests that was seen by recorders which see the window.

    Of hours, not of the baseline's minutes; 0 where it cannot be known.
    """
    away = _away(axis, covered)
    size = counts.keys.size
    if not away:
        return np.ones(size)
    before = reader.rows_of(hours_of(axis.spans[1:]))
    all_of = rollups_of(reader.store, reader.files["transactions"], reader.groups())
    own = {path: reader.store.rollup(path)[KEYS] for path in before
           if reader.store.recorder_of(path) in away}  # fmt: skip
    every = {path: all_of[path][KEYS] if path in all_of else None for path in before}

    def left() -> Floats:
        reader.store.fetch(own.values())
        theirs = {path: file if file.exists() else None for path, file in own.items()}
        lost = _requests(reader, counts, axis, theirs, away)
        share: Floats = 1 - ratio(lost, _requests(reader, counts, axis, every, None)).clip(0, 1)
        return share

    return if_readable(left, np.zeros(size))


def _away(axis: Axis, covered: Covered) -> dict[str, float]:
    """The share of the window that each recorder did not see, of those that saw the baseline."""
    members, window = covered.members, axis.slots[0].size
    away: dict[str, float] = {}
    for row, population in enumerate(covered.recorders):
        if not members.is_group(population):
            continue
        counts = covered.seconds[row, :window] > 0
        length = members.together[row, :window][counts].sum()
        for i in members.of(population):
            share = 1 - members.seeing[i, :window][counts].sum() / max(length, 1e-9)
            if members.seeing[i, window : axis.size].any() and share > 1 - limits.NEARLY_ALL:
                away[members.names[i][1]] = float(share)
    return away


def _requests(
    reader: Reader, counts: Counts, axis: Axis, files: Mapping[Path, Path | None],
    weights: Mapping[str, float] | None,
) -> Floats:  # fmt: skip
    """[keys]: requests of the baseline's hours. files: of rows, each with its keys of a rollup.

    weights: what those that each recorder saw count; of others none. Without: all count.
    """
    relations = []
    sealed = {keys for keys in files.values() if keys}
    if sealed:
        relations.append(keys_relation(sorted(sealed)))
    rows = [path for path, keys in files.items() if not keys]
    if rows:
        reader.store.fetch(rows)
        relations.append(rows_relation(f"(FROM {parquet(rows)} WHERE {inside(axis.spans[1:])})"))
    if not relations or not counts.hashes.size:
        return np.zeros(counts.keys.size)
    place = place_of(list(weights or {}))
    text = sql_text("compare_rows", keys=" UNION ALL BY NAME ".join(relations), place=place)
    columns: dict[str, Any] = reader.con.execute(
        f"SELECT names, place, sum(requests)::BIGINT AS requests FROM ({text}) GROUP BY ALL"
    ).fetchnumpy()
    weight = np.array([1.0] if weights is None else [*weights.values(), 0.0])
    key, same = named(counts, columns["names"])
    requests = columns["requests"] * weight[columns["place"]] * same
    return add_up(key, requests, counts.keys.size)


def named(counts: Counts, hashes: Any) -> tuple[Any, Any]:
    """(the key of each hash of names, whether it is of one at all)."""
    order = np.argsort(counts.hashes)
    after = np.searchsorted(counts.hashes, hashes, sorter=order)
    at = order[after.clip(max=order.size - 1)]
    return counts.keys.of[at], counts.hashes[at] == hashes
