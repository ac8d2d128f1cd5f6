"""Redaction by column: of a batch of the compiled part, with the outcome of row by row.

What stands in a text is replaced whatever stands beside it, so each different value is looked at
once, and a scan goes over all of them at a stretch. A row whose columns hold a secret, or whose
body is not what it looks like, is left to redactor.py.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recorder.decode.events import Secret
from recorder.native import BODIES, FEW, TEXTS, Batch, Named, Scan
from recorder.redact.names import COOKIES, COUNTING, UNSURE, NameBook
from recorder.redact.redactor import BODIES as BODY_PLACES
from recorder.redact.redactor import (
    CLEAN,
    IDS,
    PATH,
    QUERY,
    TRACE,
    Cleaned,
    Redactor,
    Slot,
    in_body,
    is_id,
    is_trace,
)
from recorder.redact.redactor import FEW as FEW_SLOTS
from recorder.redact.text import PACKED, as_text, without_runs

_SLOT_OF = {slot.name: slot for slot in (*FEW_SLOTS, *IDS, PATH, QUERY, TRACE)}
_CONTENT_TYPES = ("req_content_type", "res_content_type")
_PAIR = len(FEW)
_BODY = _PAIR + 1 + len(TEXTS)


_COUNTS, _PLURAL, _SPECIAL, _NO_KIND = 2, 1, 4, 255  # as in src/named.rs
_REMEMBERED, _LONGEST_NAME = 20_000, 100


class Verdicts:
    """What the names of headers and cookies say, three bytes each: the number of the kind (see
    `kinds`) of a value that looks random, of any other, and flags."""

    def __init__(self, names: NameBook) -> None:
        self._names = names
        self.kinds = ["", "cookie", "bearer", "authorization"]
        self._known = lru_cache(_REMEMBERED)(self._cookie)

    def cookie(self, name: bytes) -> bytes:
        return (self._known if len(name) <= _LONGEST_NAME else self._cookie)(name)

    def _cookie(self, name: bytes) -> bytes:
        bare = name.strip()
        return self._of(bare, "cookie", _COUNTS if COUNTING.match(bare) else 0)

    def header(self, name: str) -> bytes:
        if name.lower() in COOKIES:  # as a whole it is none
            return bytes((0, 0, _SPECIAL))
        return self._of(name.encode("utf-8", "surrogatepass"), "header", _SPECIAL)

    def _of(self, name: bytes, place: str, flags: int) -> bytes:
        random, other, plural = self._names.kinds(name, place)
        return bytes((self._number(random), self._number(other), flags | plural * _PLURAL))

    def _number(self, kind: str) -> int:
        if kind == UNSURE:
            return _NO_KIND
        if kind not in self.kinds and len(self.kinds) < _NO_KIND:
            self.kinds.append(kind)
        return self.kinds.index(kind) if kind in self.kinds else _NO_KIND


class Marks(NamedTuple):
    """The headers (`pairs`) in which secrets were told by their names at a stretch, and their clean
    `values`. The secrets of the n-th are `numbers[starts[n]:starts[n] + counts[n]]`, numbers of
    `secrets`: kinds, places and fingerprints, each once."""

    pairs: Any
    values: pa.Array
    starts: Any
    counts: Any
    numbers: Any
    secrets: list[pa.Array]


class Cleared(NamedTuple):
    """What becomes of a batch. `left`: a mask of the rows that are left to redactor.py. `marks` and
    `pairs`: headers that change, some at a stretch, others by their pair; `scanned`: those of the
    latter that the scan came upon. `bodies`, of requests and of responses: those that change, by
    row, and their secrets."""

    left: Any
    marks: Marks
    pairs: dict[int, Cleaned]
    scanned: set[int]
    bodies: tuple[dict[int, tuple[bytes, list[Secret]]], dict[int, tuple[bytes, list[Secret]]]]


class ColumnRedactor:
    """Redacts batches as `redactor` redacts rows, and shares what that remembers."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._sides = (redactor.sides["request"], redactor.sides["response"])
        self._verdicts = Verdicts(redactor.replacer.scanner.names)

    def clear(self, batch: Batch, with_bodies: bool) -> Cleared:
        """What to take out of a batch. Any exception means that it is to be done row by row."""
        left = np.zeros(batch.rows, bool)
        slots = self._slots(batch, left)
        scan, named = batch.scan(self._orders(batch, slots), with_bodies)
        unsure = np.union1d(named.unsure, self._with_candidates(named.rest))
        cleared = Cleared(left, self._marks(batch, named, unsure), {}, set(), ({}, {}))
        self._by_name(batch, unsure, cleared)
        if with_bodies:
            self._unpacked(batch, cleared)
        self._inspect(batch, scan, slots, cleared)
        return cleared

    def _orders(self, batch: Batch, slots: dict[int, Slot | None]) -> bytes:
        """How each header is to be looked at: see Batch.scan."""
        names = batch.names.to_pylist()
        flags = bytearray(len(names))
        verdicts = np.zeros((2 * len(names), 3), np.uint8)
        # Where the same place may be told of by two headers, a secret in both is one.
        places = Counter((names[tag >> 1].lower(), tag & 1) for tag in slots)
        for tag, slot in slots.items():
            name = names[tag >> 1]
            if slot is not None:
                flags[tag >> 1] |= 1 << (tag & 1)
            elif name != ":path":
                sure = places[name.lower(), tag & 1] == 1 and not self._redactor.replacer.allowed
                verdict = self._verdicts.header(name) if sure else (_NO_KIND, _NO_KIND, _SPECIAL)
                verdicts[tag] = list(verdict)
        cookies = map(self._verdicts.cookie, batch.cookie_names.to_pylist())
        return bytes(flags) + verdicts.tobytes() + b"".join(cookies)

    def _with_candidates(self, rest: Scan) -> Any:
        """The headers in which a scan of what is left of them finds something."""
        candidate_in = self._redactor.replacer.scanner.patterns.candidate_in
        data, ends, pairs = rest.data.to_pybytes(), rest.ends.tolist(), list[int]()
        at = candidate_in(data, 0, len(data))[0]
        while at >= 0:
            pairs.append(int(rest.owners[bisect_right(ends, at)]))
            end = ends[np.searchsorted(rest.owners, pairs[-1], "right") - 1]
            at = candidate_in(data, end, len(data))[0]
        return np.array(pairs, np.int64)

    def _marks(self, batch: Batch, named: Named, unsure: Any) -> Marks:
        """What was told by names, without the headers that are `unsure`."""
        known, kinds = self._redactor.replacer.known, self._verdicts.kinds
        facts = [
            known(kinds[kind], secret)
            for kind, secret in zip(named.kinds.tolist(), named.secrets.to_pylist(), strict=True)
        ]
        shown = [pa.array([fact[part] for fact in facts], pa.string()) for part in range(2)]
        placeholders = pc.binary_join_element_wise("[redacted:", shown[0], ":", shown[1], "]", "")
        sequence = named.sequence
        texts = pa.concat_arrays([named.pieces, placeholders])
        texts = texts.take(
            pa.array(np.where(sequence < 0, len(named.pieces) - 1 - sequence, sequence))
        )
        values = pc.binary_join(pa.ListArray.from_arrays(pa.array(named.offsets), texts), "")
        counts = np.diff(named.offsets) // 2
        numbers, secrets = self._secrets(batch, named, counts, shown)
        sure = np.isin(named.changed, unsure, invert=True)
        starts = np.cumsum(counts) - counts
        return Marks(
            named.changed[sure], values.filter(pa.array(sure)), starts[sure], counts[sure],
            numbers, secrets,
        )  # fmt: skip

    def _secrets(
        self, batch: Batch, named: Named, counts: Any, shown: list[pa.Array]
    ) -> tuple[Any, list[pa.Array]]:
        """The number of each secret in the sequence, and by these kinds, places and fingerprints.
        `shown`: kind and fingerprint of each of named.secrets; in one place it is one secret."""
        names = len(batch.cookie_names) + 1
        places = np.repeat(batch.tags[named.changed], counts) * np.int64(names) + named.cookies + 1
        different, at = np.unique(places, return_inverse=True)
        texts = [self._place(batch, *divmod(place, names)) for place in different.tolist()]
        told = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        place = np.array([told[text] for text in texts], np.int64)[at]
        secret = -1 - named.sequence[named.sequence < 0].astype(np.int64)
        size = max(len(named.secrets), 1)
        marks, numbers = np.unique(place * size + secret, return_inverse=True)
        kinds, hints = (part.take(pa.array(marks % size)) for part in shown)
        return numbers, [
            kinds,
            pa.array(list(told), pa.string()).take(pa.array(marks // size)),
            hints,
        ]

    def _place(self, batch: Batch, tag: int, cookie: int) -> str:
        """`cookie`: 0, or one more than the number of its name."""
        place = f"{self._sides[tag & 1].name}.header.{batch.names[tag >> 1].as_py().lower()}"
        name = batch.cookie_names[cookie - 1].as_py().strip() if cookie else b""
        return f"{place}.{as_text(name)}" if name else place

    def _slots(self, batch: Batch, left: Any) -> dict[int, Slot | None]:
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
                left[rows[renamed[batch.tags[headers.pairs]]]] = True
        return slots

    def _by_name(self, batch: Batch, pairs: Any, cleared: Cleared) -> None:
        """The headers whose names may make them secrets, one by one."""
        names = batch.names.to_pylist()
        values = batch.pair_values.take(pa.array(pairs)).to_pylist()
        for pair, value in zip(pairs.tolist(), values, strict=True):
            tag = int(batch.tags[pair])
            cleaned = self._redactor.by_name(self._sides[tag & 1], names[tag >> 1], value)
            if cleaned is not CLEAN:
                cleared.pairs[pair] = cleaned

    def _unpacked(self, batch: Batch, cleared: Cleared) -> None:
        """Bodies that are encoded, packed or too long leave their rows."""
        bodies, most = self._redactor.bodies, self._redactor.body_limit
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
                is_plain = len(body) <= most and bodies.read(body, headers, content_type) is body
                if not is_plain or bodies.flags(body, content_type) & PACKED:
                    cleared.left[row] = True

    def _inspect(
        self, batch: Batch, scan: Scan, slots: dict[int, Slot | None], cleared: Cleared
    ) -> None:
        """Look at each text in which the scan finds a candidate."""
        first_in, data = self._redactor.first_in, scan.data.to_pybytes()
        ends, scanned = scan.ends.tolist(), without_runs(data)
        at = first_in(scanned, 0, len(data))[0]
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
            at = first_in(scanned, ends[index], len(data))[0]

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
        flags = self._redactor.bodies.flags(body, content_type)
        clean, marks = self._redactor.replacer.replace(body, flags, first=first)
        if marks:
            kept = clean[: self._redactor.body_limit]
            cleared.bodies[side][row] = kept, in_body(clean, marks, BODY_PLACES[side])
