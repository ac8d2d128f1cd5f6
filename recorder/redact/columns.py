"""Redaction by column: of a batch of the compiled part, with the outcome of row by row.

What stands in a text is replaced whatever stands beside it, so each different value is looked at
once, and a scan goes over all of them at a stretch. A row whose columns hold a secret, or whose
body is not what it looks like, is left to redactor.py.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from recorder.decode.row import Secret
from recorder.native import BODIES, FEW, TEXTS, Batch, Scan
from recorder.redact.redactor import (
    CLEAN,
    IDS,
    PATH,
    QUERY,
    REQUEST_BODY,
    RESPONSE_BODY,
    TRACE,
    Cleaned,
    Redactor,
    Slot,
    in_body,
    is_id,
    is_trace,
)
from recorder.redact.redactor import FEW as FEW_SLOTS
from recorder.redact.text import PACKED, as_text

_SLOT_OF = {slot.name: slot for slot in (*FEW_SLOTS, *IDS, PATH, QUERY, TRACE)}
_BODY_SLOTS = (REQUEST_BODY, RESPONSE_BODY)
_CONTENT_TYPES = ("req_content_type", "res_content_type")
_PAIR = len(FEW)
_BODY = _PAIR + 1 + len(TEXTS)


class Cleared(NamedTuple):
    """What becomes of a batch. `left`: a mask of the rows that are left to redactor.py. `pairs`:
    headers that change, by their pair; `scanned`: those of them that the scan came upon. `bodies`,
    of requests and of responses: those that change, by row, and their secrets."""

    left: Any
    pairs: dict[int, Cleaned]
    scanned: set[int]
    bodies: tuple[dict[int, tuple[bytes, list[Secret]]], dict[int, tuple[bytes, list[Secret]]]]


class ColumnRedactor:
    """Redacts batches as `redactor` redacts rows, and shares what that remembers."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._sides = (redactor.sides["request"], redactor.sides["response"])

    def clear(self, batch: Batch, with_bodies: bool) -> Cleared:
        """What to take out of a batch. Any exception means that it is to be done row by row."""
        cleared = Cleared(np.zeros(batch.rows, bool), {}, set(), ({}, {}))
        slots = self._slots(batch, cleared)
        self._by_name(batch, slots, cleared)
        if with_bodies:
            self._unpacked(batch, cleared)
        flags = bytearray(len(batch.names))
        for tag, slot in slots.items():
            if slot is not None:
                flags[tag >> 1] |= 1 << (tag & 1)
        scan = batch.scan(bytes(flags), with_bodies)
        self._inspect(batch, scan, slots, cleared)
        return cleared

    def _slots(self, batch: Batch, cleared: Cleared) -> dict[int, Slot | None]:
        """The slot of each header, by its tag. Headers whose names are secrets leave their rows."""
        names = batch.names.to_pylist()
        slots: dict[int, Slot | None] = {}
        renamed = np.zeros(2 * len(names), bool)
        for tag in np.unique(batch.tags).tolist():
            name, side = names[tag >> 1], self._sides[tag & 1]
            known = name in side.slots
            slots[tag] = side.slots[name] if known else self._redactor.slot(side, name)
            renamed[tag] = name in side.renamed
        if renamed.any():
            for headers in batch.sides:
                rows = np.repeat(np.arange(batch.rows), np.diff(headers.offsets))
                cleared.left[rows[renamed[batch.tags[headers.pairs]]]] = True
        return slots

    def _by_name(self, batch: Batch, slots: dict[int, Slot | None], cleared: Cleared) -> None:
        """The headers whose names may make them secrets."""
        names = batch.names.to_pylist()
        special = [
            tag for tag, slot in slots.items() if slot is None and names[tag >> 1] != ":path"
        ]
        pairs = np.flatnonzero(np.isin(batch.tags, special))
        values = batch.pair_values.take(pa.array(pairs)).to_pylist()
        for pair, value in zip(pairs.tolist(), values, strict=True):
            tag = int(batch.tags[pair])
            side, item = self._sides[tag & 1], (names[tag >> 1], value)
            cleaned = side.memory.recall(item)
            if cleaned is None:
                cleaned = self._redactor.by_name(side.name, *item)
                side.remember(item, cleaned)
            if cleaned is not CLEAN:
                cleared.pairs[pair] = cleaned

    def _unpacked(self, batch: Batch, cleared: Cleared) -> None:
        """Bodies that are encoded, packed or too long leave their rows."""
        bodies = self._redactor.bodies
        for number, side in enumerate(batch.sides):
            rows = pa.array(side.looked)
            encodings = batch.pair_values.take(pa.array(side.encodings, mask=side.encodings < 0))
            columns: tuple[list[Any], ...] = (
                side.looked.tolist(),
                batch.texts[BODIES[number]].take(rows).to_pylist(),
                encodings.to_pylist(),
                batch.column(_CONTENT_TYPES[number]).take(rows).to_pylist(),
            )
            for row, body, encoding, content_type in zip(*columns, strict=True):
                headers = {} if encoding is None else {"Content-Encoding": encoding}
                is_plain = bodies.read(body, headers, content_type) is body
                if not is_plain or bodies.flags(body, content_type) & PACKED:
                    cleared.left[row] = True

    def _inspect(
        self, batch: Batch, scan: Scan, slots: dict[int, Slot | None], cleared: Cleared
    ) -> None:
        """Look at each text in which the scan finds a candidate."""
        first_in, data = self._redactor.first_in, scan.data.to_pybytes()
        ends = scan.ends.tolist()
        at = first_in(data, 0, len(data))[0]
        while at >= 0:
            index = bisect_right(ends, at)
            kind, owner = int(scan.kinds[index]), int(scan.owners[index])
            if kind <= _PAIR or not cleared.left[owner]:
                start = int(scan.starts[index])
                text, first = data[start : ends[index]], max(0, at - start)
                if kind < _PAIR:
                    self._few(batch, FEW[kind], owner, text, cleared)
                elif kind == _PAIR:
                    slot = slots[int(batch.tags[owner])]
                    assert slot is not None
                    self._header(slot, owner, text, first, cleared)
                elif kind < _BODY:
                    self._column(TEXTS[kind - _PAIR - 1], owner, text, first, cleared)
                else:
                    self._body(batch, kind - _BODY, owner, text, first, cleared)
            at = first_in(data, ends[index], len(data))[0]

    def _few(self, batch: Batch, name: str, number: int, text: bytes, cleared: Cleared) -> None:
        if self._redactor.replacer.replace(text, _SLOT_OF[name].flags)[1]:
            numbers, _ = batch.few[name]
            cleared.left[numbers.fill_null(-1).to_numpy() == number] = True

    def _header(self, slot: Slot, pair: int, text: bytes, first: int, cleared: Cleared) -> None:
        cleaned = self._redactor.header(slot, as_text(text), text, first)
        if cleaned is not CLEAN:
            cleared.pairs[pair] = cleaned
            cleared.scanned.add(pair)

    def _column(self, name: str, row: int, text: bytes, first: int, cleared: Cleared) -> None:
        slot = _SLOT_OF[name]
        if (slot is TRACE and is_trace(as_text(text))) or (slot in IDS and is_id(as_text(text))):
            return
        if self._redactor.replacer.replace(text, slot.flags, first=first)[1]:
            cleared.left[row] = True

    def _body(
        self, batch: Batch, side: int, row: int, body: bytes, first: int, cleared: Cleared
    ) -> None:
        content_type = batch.column(_CONTENT_TYPES[side])[row].as_py()
        slot = _BODY_SLOTS[side][self._redactor.bodies.flags(body, content_type)]
        clean, marks = self._redactor.replacer.replace(body, slot.flags, first=first)
        if marks:
            kept = clean[: self._redactor.body_limit]
            cleared.bodies[side][row] = kept, in_body(clean, marks, slot.place)
