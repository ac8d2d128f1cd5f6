"""Redaction of a transaction: every text of a row passes here before it reaches a disk.

The texts of a row that are not known to be clean are joined and scanned once. Only where that
finds something is a text looked at by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from recorder.decode.events import Secret, Transaction, host_of
from recorder.redact.bodies import Bodies, json_places
from recorder.redact.config import BODY_LIMIT, RedactConfig
from recorder.redact.looks import other_number
from recorder.redact.names import COOKIES
from recorder.redact.replace import BETWEEN, Mark, Memory, Replacer
from recorder.redact.rules import policy_of
from recorder.redact.scan import redis_hits
from recorder.redact.text import FORM, NO_CARD, PACKED, as_text, without_runs

is_trace = re.compile(r"[0-9a-f]{16,32}\Z").match  # an id as tracers write it
is_id = re.compile(r"[0-9a-v]{20}\Z|[0-9a-fA-F-]{1,36}\Z").match  # xids, UUIDs, numbers
# Headers that hold an address, whose query is read as a query.
_ADDRESSES = frozenset(
    ("referer", "location", "content-location", "origin", ":path", "link", "x-original-url",
     "x-forwarded-uri", "x-rewrite-url", "refresh")
)  # fmt: skip


class Slot(msgspec.Struct, frozen=True):
    """A header of one `side`, or a column (no side). `place` names it in the row's secrets."""

    side: str
    name: str
    place: str
    flags: int = 0


def header_slot(side: str, name: str) -> Slot:
    """The slot of a header that its name does not make a secret."""
    lower = name.lower()
    place = "request.query" if lower == ":path" else f"{side}.header.{lower}"
    flags = FORM if lower in _ADDRESSES else 0
    if other_number(name.encode("utf-8", "surrogatepass")):
        flags |= NO_CARD
    return Slot(side, name, place, flags)


PATH = Slot("", "path", "request.path")
QUERY = Slot("", "query", "request.query", FORM)
TRACE = Slot("", "trace_id", "trace_id")
IDS = [Slot("", name, name) for name in ("connection_id", "request_id")]
BODIES = ("request.body", "response.body")

# Columns of few different values.
FEW = [
    Slot("", "method", "request.method"),
    Slot("", "host", "request.host"),
    Slot("", "authority", "request.host"),
    Slot("", "user_agent", "request.header.user-agent"),
    Slot("", "req_content_type", "request.header.content-type"),
    Slot("", "res_content_type", "response.header.content-type"),
    Slot("", "endpoint_id", "endpoint_id"),
    Slot("", "grpc_status", "response.header.grpc-status"),
    Slot("", "route", "request.path"),
    Slot("", "error_signature", "response.body"),
    *(
        Slot("", name, name)
        for name in (
            "direction", "scheme", "protocol", "process_id", "process_exe", "container_name",
            "container_image", "pod_name", "pod_namespace",
        )
    ),
]  # fmt: skip

few: Callable[[Transaction], tuple[str | None, ...]] = attrgetter(*(slot.name for slot in FEW))


def secrets(marks: list[Mark], place: str) -> list[Secret]:
    """The secrets that marks at a place stand for."""
    return [
        Secret(mark.kind, f"{place}.{mark.name}" if mark.name else place, mark.fingerprint)
        for mark in marks
    ]


REMEMBERED = 50_000  # names of headers
_GENERATION_BYTES = 16 << 20  # of headers: twice that at most are remembered for each side


class Cleaned(NamedTuple):
    """A header without its secrets."""

    value: str
    secrets: list[Secret]


CLEAN = Cleaned("", [])  # stands for: as it is


class Side:
    """What is remembered of the headers of requests, or of responses. `memory` has those that are
    looked at by themselves, long ones, and those in which the scan found something."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.slots: dict[str, Slot | None] = {}  # None: looked at by itself
        self.renamed: dict[str, str] = {}  # names of headers that are secrets themselves
        self.memory = Memory(_GENERATION_BYTES)

    def remember(self, item: tuple[str, str], cleaned: Cleaned) -> None:
        self.memory.remember(item, cleaned, len(item[0]) + len(item[1]) + len(cleaned.value))


class Row(msgspec.Struct):
    """A transaction in hand: its texts to be scanned, one a slot, behind an empty one."""

    tx: Transaction
    texts: list[str] = msgspec.field(default_factory=lambda: [""])
    slots: list[Slot] = []
    secrets: list[Secret] = []
    mirrored: bool = False  # the header :path repeats path and query

    def add(self, slot: Slot, text: str) -> None:
        self.slots.append(slot)
        self.texts.append(text)


_SEPARATOR = BETWEEN.decode()
_JSON_PART = re.compile(r'"(?:[^"\\]|\\.)*(?:"([ \t]*:)?|\Z)|[\[\]{},:]|[^\s"\[\]{},:]+')
_AS_IT_IS = frozenset(["[", "]", "{", "}", ",", ":", "null", "true", "false"])
_KEY = re.compile(r'"[A-Za-z_][A-Za-z0-9_.-]{0,39}"')
_LONG_KEY = 16
_LARGE = 4096  # bytes of a body
_SHORTEST = 6  # a@b.cd: nothing shorter is a secret by its looks


class Redactor:
    """Redacts transactions, in place. For one thread at a time: it remembers what it has seen.

    Bodies are inspected and kept up to `body_limit` bytes.
    `policy` is that of `config`.
    `failures` counts rows that had to be emptied because redaction itself failed.
    """

    def __init__(self, key: bytes, config: RedactConfig, body_limit: int = BODY_LIMIT) -> None:
        self.config = config
        self.body_limit = body_limit
        self.failures = 0
        self.policy = policy_of(config)
        self.replacer = Replacer(key, config)
        self.first_in = self.replacer.scanner.patterns.first_in
        self.bodies = Bodies(body_limit)
        self.sides = {name: Side(name) for name in ("request", "response")}

    def redact(self, tx: Transaction) -> None:
        """Take the secrets out of `tx` and list them in its findings; decode and cut its bodies.

        Never raises. A row on which this fails keeps its numbers and loses its texts.
        """
        try:
            if self.config.enabled:
                self._redact(tx)
            else:
                limit, read = self.body_limit, self.bodies.read
                body = read(tx.req_body, tx.req_headers, tx.req_content_type) or b""
                tx.req_body = body[:limit] or None
                body = read(tx.res_body, tx.res_headers, tx.res_content_type) or b""
                tx.res_body = body[:limit] or None
        except Exception:
            self.failures += 1
            self._emptied(tx)

    def _emptied(self, tx: Transaction) -> None:
        """Keep what a row needs to be counted, each name looked at by itself; nothing else that
        came out of the traffic."""
        tx.path, tx.route, tx.query, tx.user_agent, tx.trace_id = "/", None, None, None, None
        tx.req_headers, tx.res_headers = {}, {}
        tx.req_body = tx.res_body = tx.error_signature = None
        tx.req_content_type = tx.res_content_type = tx.endpoint_id = tx.authority = None
        for slot in (*FEW, *IDS):
            if value := getattr(tx, slot.name):
                setattr(tx, slot.name, self.text(value))
        tx.findings = [Secret("unreadable", "transaction", "")]

    def text(self, text: str) -> str:
        """`text` (a log line, an error's message) without its secrets."""
        if not self.config.enabled:
            return text
        try:
            raw = text.encode("utf-8", "surrogatepass")
            clean, marks = self.replacer.replace(raw, 0, redis_hits(raw))
            return clean.decode("utf-8", "replace") if marks else text
        except Exception:
            self.failures += 1
            return "[redacted:unreadable]"

    def fields(self, row: dict[str, Any]) -> None:
        """Take the secrets out of the texts of a row of another table, in place; a statement has
        lost its values before."""
        texts = {
            name: value
            for name, value in row.items()
            if type(value) is str and name != "statement" and not is_id(value)
        }
        joined = _SEPARATOR.join(["", *texts.values()]).encode("utf-8", "surrogatepass")
        if self.first_in(joined, 0, len(joined))[0] >= 0 or "error_message" in texts:
            row |= {name: self.text(value) for name, value in texts.items()}

    def outline(self, text: str) -> str:
        """The keys and types of JSON, also of some that is cut off, with none of its values."""
        parts = []
        for match in _JSON_PART.finditer(text):
            part = match[0]
            if match[1]:  # a key
                plain = _KEY.match(part) and (len(part) < _LONG_KEY or self.text(part) == part)
                parts.append(part if plain else '"…":')
            elif part[0] == '"':
                parts.append('"…"')
            else:
                parts.append(part if part in _AS_IT_IS else "0" if part[0].isdigit() else "…")
        return "".join(parts)

    def _redact(self, tx: Transaction) -> None:
        row = Row(tx)
        self._headers(tx.req_headers, self.sides["request"], row)
        if tx.res_headers:
            self._headers(tx.res_headers, self.sides["response"], row)
        self._columns(tx, row)
        joined = _SEPARATOR.join(row.texts).encode("utf-8", "surrogatepass")
        at = self.first_in(joined, 0, len(joined))[0]
        if at >= 0:
            self._inspect(row, joined, at)
        if tx.req_body:
            tx.req_body = self._body(row, tx.req_body, tx.req_headers, tx.req_content_type, 0)
        if tx.res_body:
            tx.res_body = self._body(row, tx.res_body, tx.res_headers, tx.res_content_type, 1)
        for side in self.sides.values():
            if side.renamed:
                headers = _headers_of(tx, side.name)
                for name in side.renamed.keys() & headers:
                    headers[side.renamed[name]] = headers.pop(name)
        if row.secrets:
            tx.findings = list(dict.fromkeys(row.secrets))

    def _headers(self, headers: dict[str, str], side: Side, row: Row) -> None:
        """Leave the headers to the scan, but for those whose names may make them secrets."""
        known_slots, texts, slots = side.slots, row.texts, row.slots
        changed: list[tuple[str, str]] = []
        for name, value in headers.items():
            slot = known_slots[name] if name in known_slots else self.slot(side, name)
            if slot is not None:
                if len(value) >= _SHORTEST:
                    slots.append(slot)
                    texts.append(value)
            elif name != ":path":  # see _columns
                cleaned = self.by_name(side, name, value)
                if cleaned is not CLEAN:
                    changed.append((name, cleaned.value))
                    row.secrets += cleaned.secrets
        headers.update(changed)

    def slot(self, side: Side, name: str) -> Slot | None:
        """The slot of a header; None for one that its name may make a secret."""
        raw = name.encode("utf-8", "surrogatepass")
        look = self.replacer.scanner.names.look
        special = name.lower() in (*COOKIES, ":path") or look(raw) is not None
        slot = None if special else header_slot(side.name, name)
        if self.first_in(raw, 0, len(raw))[0] >= 0 and (clean := self.text(name)) != name:
            side.renamed[name] = clean
        if len(side.slots) < REMEMBERED:
            side.slots[name] = slot
        return slot

    def by_name(self, side: Side, name: str, value: str) -> Cleaned:
        """A header that its name may make a secret (it has no slot): cleaned."""
        known: Cleaned | None = side.memory.recall((name, value))
        if known is not None:
            return known
        clean, marks = self.replacer.header(name, value.encode("utf-8", "surrogatepass"))
        own = secrets(marks, f"{side.name}.header.{name.lower()}")
        cleaned = Cleaned(as_text(clean), own) if marks else CLEAN
        side.remember((name, value), cleaned)
        return cleaned

    def _columns(self, tx: Transaction, row: Row) -> None:
        path, query = tx.path, tx.query
        if path:
            row.add(PATH, path)
        if query:
            row.add(QUERY, query)
        target = tx.req_headers.get(":path")
        if target is not None:
            row.mirrored = target == (f"{path}?{query}" if query else path)
            if not row.mirrored:
                row.add(header_slot("request", ":path"), target)
        if tx.trace_id and not is_trace(tx.trace_id):
            row.add(TRACE, tx.trace_id)
        for slot, value in zip(IDS, (tx.connection_id, tx.request_id), strict=True):
            if value and not is_id(value):
                row.add(slot, value)
        for slot, value in zip(FEW, few(tx), strict=True):
            if value and len(value) >= _SHORTEST:
                row.add(slot, value)

    def _body(
        self, row: Row, body: bytes, headers: dict[str, str], content_type: str | None, side: int
    ) -> bytes:
        """A body as it is kept: as it reads, clean and cut; what cannot be decoded is taken out."""
        readable = self.bodies.read(body, headers, content_type)
        if readable is None:
            readable, mark = self.replacer.unseen("undecodable", body)
            row.secrets += secrets([mark], BODIES[side])
        flags = self.bodies.flags(readable, content_type)
        first = 0
        # The scan takes a length before a key for a part of it; a large body is scanned once only.
        if not flags & PACKED and len(readable) <= _LARGE:
            scanned = without_runs(readable)
            first = self.first_in(scanned, 0, len(scanned))[0]
        if first >= 0:
            readable, marks = self.replacer.replace(readable, flags, first=first)
            row.secrets += in_body(readable, marks, BODIES[side])
        return readable[: self.body_limit]

    def _inspect(self, row: Row, joined: bytes, at: int) -> None:
        """Look at each text in which the scan finds a candidate, the first at `at`."""
        end = 0
        for slot, text in zip(row.slots, row.texts[1:], strict=True):
            part = text.encode("utf-8", "surrogatepass")
            end += len(BETWEEN) + len(part)
            if at >= end:
                continue
            # Before `at` there is nothing; an escape in front of a candidate is met again.
            self._look(row, slot, text, part, max(0, at - end + len(part)))
            at = self.first_in(joined, end, len(joined))[0]
            if at < 0:
                break
        if row.mirrored:
            tx = row.tx
            tx.req_headers[":path"] = f"{tx.path}?{tx.query}" if tx.query else tx.path or ""

    def _look(self, row: Row, slot: Slot, text: str, part: bytes, first: int) -> None:
        """Clean one text, in bytes `part`, in which there is nothing before `first`."""
        if slot.side:
            if (cleaned := self.header(slot, text, part, first)) is not CLEAN:
                _headers_of(row.tx, slot.side)[slot.name] = cleaned.value
                row.secrets += cleaned.secrets
            return
        clean, marks = self.replacer.replace(part, slot.flags, first=first)
        if marks:
            setattr(row.tx, slot.name, as_text(clean))
            if slot.name == "authority":  # the host is the same in small letters
                row.tx.host = host_of(as_text(clean), row.tx.scheme)
            row.secrets += secrets(marks, slot.place)

    def header(self, slot: Slot, value: str, part: bytes, first: int) -> Cleaned:
        """A header, cleaned; there is nothing before `first`. `part`: its value in bytes."""
        side, item = self.sides[slot.side], (slot.name, value)
        known: Cleaned | None = side.memory.recall(item)
        if known is not None:
            return known
        clean, marks = self.replacer.replace(part, slot.flags, first=first)
        cleaned = Cleaned(as_text(clean), secrets(marks, slot.place)) if marks else CLEAN
        side.remember(item, cleaned)
        return cleaned


def _headers_of(tx: Transaction, side: str) -> dict[str, str]:
    return tx.req_headers if side == "request" else tx.res_headers


def in_body(clean: bytes, marks: list[Mark], prefix: str) -> list[Secret]:
    """The secrets that marks in a body stand for, each where it stands in the JSON."""
    parsed = json_places(clean, prefix, len(marks))
    if parsed is None:
        return secrets(marks, prefix)
    known = {(mark.kind, mark.fingerprint) for mark in marks}
    return [Secret(*one) for one in parsed if (one[0], one[2]) in known]
