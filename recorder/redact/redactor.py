"""Redaction of a transaction: every text of a row passes here before it reaches a disk.

The texts of a row that are not known to be clean are joined and scanned once. Only where that
finds something is a text looked at by itself.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from recorder.model import Finding, Transaction
from recorder.redact.bodies import Bodies
from recorder.redact.config import RedactConfig
from recorder.redact.headers import header_hits
from recorder.redact.places import json_places
from recorder.redact.replace import Mark, Replacer
from recorder.redact.rules import TABLE
from recorder.redact.statements import statement_hits
from recorder.redact.text import FORM

_SEPARATOR = b"\n\xff&"  # no pattern crosses it; the & lets a query's first name be seen
_REMEMBERED = 50_000
_SHORTEST = 6  # a@b.cd: nothing shorter is a secret by its looks
_ADDRESSES = frozenset(
    ("referer", "location", "content-location", "origin", ":path", "link", "x-original-url",
     "x-forwarded-uri", "x-rewrite-url", "refresh")
)  # fmt: skip
# Columns with few different values, checked together. (column, place of a finding)
_COLUMNS = (
    ("method", "request.method"),
    ("host", "request.host"),
    ("authority", "request.host"),
    ("user_agent", "request.header.user-agent"),
    ("req_content_type", "request.header.content-type"),
    ("res_content_type", "response.header.content-type"),
    ("endpoint_id", "endpoint_id"),
    ("grpc_status", "response.header.grpc-status"),
    ("route", "request.path"),
    ("error_signature", "response.body"),
)  # fmt: skip
_HEADER, _COLUMN, _BODY = range(3)


class _Cleaned(NamedTuple):
    value: str
    findings: list[Finding]


class _Slot(NamedTuple):
    """Where a scanned text belongs: a header, a column or a body of a row."""

    what: int
    side: str
    name: str
    place: str
    flags: int


_Memo = dict[tuple[str, str], _Cleaned | None]


class Redactor:
    """Redacts transactions, in place. For one thread at a time: it remembers what it has seen.

    `policy` is a short id of the rules and settings, for the files that are written under them.
    `failures` counts rows that had to be emptied because redaction itself failed.
    """

    def __init__(self, key: bytes, config: RedactConfig) -> None:
        self.config = config
        self.failures = 0
        rules = hashlib.sha256(TABLE.read_bytes() + repr(config).encode()).hexdigest()[:12]
        self.policy = f"qrec-{rules}" if config.enabled else "off"
        self._replacer = Replacer(key, config)
        self._first = self._replacer.scanner.patterns.first
        self._bodies = Bodies(config.body_limit)
        self._request: _Memo = {}
        self._response: _Memo = {}
        self._plain: dict[str, bool] = {}
        self._clean_columns: set[tuple[str | None, ...]] = set()

    def redact(self, tx: Transaction) -> None:
        """Take the secrets out of `tx` and set its findings; decode and cut its bodies.

        Never raises. A row on which this fails keeps its numbers and loses its texts.
        """
        try:
            if self.config.enabled:
                self._redact(tx)
            else:
                tx.req_body = self._bodies.read(tx.req_body, tx.req_headers)
                tx.res_body = self._bodies.read(tx.res_body, tx.res_headers)
        except Exception:
            self.failures += 1
            _emptied(tx)

    def text(self, text: str) -> str:
        """`text` (a log line, a statement, a rejected sample) without its secrets."""
        if not self.config.enabled:
            return text
        try:
            raw = text.encode("utf-8", "surrogatepass")
            clean, marks = self._replacer.replace(raw, 0, statement_hits(raw))
            return clean.decode("utf-8", "replace") if marks else text
        except Exception:
            self.failures += 1
            return "[redacted:unreadable]"

    def _redact(self, tx: Transaction) -> None:
        parts: list[bytes] = [b""]
        slots: list[_Slot] = []
        found: list[Finding] = []
        self._headers(tx.req_headers, "request", self._request, parts, slots, found)
        if tx.res_headers:
            self._headers(tx.res_headers, "response", self._response, parts, slots, found)
        self._columns(tx, parts, slots)
        self._body(tx, "request", parts, slots, found)
        self._body(tx, "response", parts, slots, found)
        joined = _SEPARATOR.join(parts)
        match = self._first.search(joined)
        if match is None:
            self._remember_clean(tx, slots, ())
        else:
            self._inspect(tx, joined, match.start(), parts, slots, found)
        if found:
            tx.findings = list(dict.fromkeys(found))

    def _headers(
        self,
        headers: dict[str, str],
        side: str,
        memo: _Memo,
        parts: list[bytes],
        slots: list[_Slot],
        found: list[Finding],
    ) -> None:
        changed: list[tuple[str, str]] = []
        for item in headers.items():
            known = memo.get(item, False)
            if known is None:
                continue
            name, value = item
            if known is False:
                if len(value) < _SHORTEST and self._plain.get(name):
                    continue
                known = self._new_header(name, value, side, parts, slots)
                if known is None:
                    continue
                _put(memo, item, known)
            changed.append((name, known.value))  # type: ignore[union-attr]
            found += known.findings  # type: ignore[union-attr]
        headers.update(changed)

    def _new_header(
        self, name: str, value: str, side: str, parts: list[bytes], slots: list[_Slot]
    ) -> _Cleaned | None:
        """Clean a header that its name makes a secret; leave any other to the common scan."""
        raw = value.encode("utf-8", "surrogatepass")
        plain = self._plain.get(name)
        if plain is None:
            plain = self._is_plain(name)
        if plain:
            flags = FORM if name.lower() in _ADDRESSES else 0
            parts.append(raw)
            slots.append(_Slot(_HEADER, side, name, f"{side}.header.{name.lower()}", flags))
            return None
        by_name = header_hits(self._replacer.scanner.names, name, raw)
        clean, marks = self._replacer.replace(raw, 0, by_name)
        place = f"{side}.header.{name.lower()}"
        return _Cleaned(_text(clean) if marks else value, _findings(marks, place))

    def _is_plain(self, name: str) -> bool:
        names = self._replacer.scanner.names
        plain = name.lower() not in ("cookie", "set-cookie") and names.look(name.encode()) is None
        if len(self._plain) < _REMEMBERED:
            self._plain[name] = plain
        return plain

    def _columns(self, tx: Transaction, parts: list[bytes], slots: list[_Slot]) -> None:
        if tx.path:
            parts.append(tx.path.encode("utf-8", "surrogatepass"))
            slots.append(_PATH)
        if tx.query:
            parts.append(tx.query.encode("utf-8", "surrogatepass"))
            slots.append(_QUERY)
        if tx.trace_id and not tx.trace_id.isalnum():
            parts.append(tx.trace_id.encode("utf-8", "surrogatepass"))
            slots.append(_TRACE)
        few = _few(tx)
        if few not in self._clean_columns:
            for (column, place), value in zip(_COLUMNS, few, strict=True):
                if value:
                    parts.append(value.encode("utf-8", "surrogatepass"))
                    slots.append(_Slot(_COLUMN, "", column, place, 0))

    def _body(
        self,
        tx: Transaction,
        side: str,
        parts: list[bytes],
        slots: list[_Slot],
        found: list[Finding],
    ) -> None:
        asked = side == "request"
        body = tx.req_body if asked else tx.res_body
        if not body:
            return
        headers = tx.req_headers if asked else tx.res_headers
        readable = self._bodies.read(body, headers)
        if readable is None:
            mark = self._replacer.mark("undecodable", body)
            readable = self._replacer.placeholder(mark)
            found.append(Finding(mark.kind, f"{side}.body", mark.fingerprint))
        if readable is not body:
            _set_body(tx, side, readable[: self.config.body_limit])
        flags = self._bodies.flags(readable, tx.req_content_type if asked else tx.res_content_type)
        parts.append(readable)
        slots.append(_Slot(_BODY, side, "body", f"{side}.body", flags))

    def _inspect(
        self,
        tx: Transaction,
        joined: bytes,
        at: int,
        parts: list[bytes],
        slots: list[_Slot],
        found: list[Finding],
    ) -> None:
        """Look at each text in which the scan finds a candidate, from the first at `at` on."""
        dirty: set[int] = set()
        end = 0
        for index, slot in enumerate(slots, 1):
            start = end + len(_SEPARATOR)
            end = start + len(parts[index])
            if at >= end:
                continue
            clean, marks = self._replacer.replace(parts[index], slot.flags)
            if marks:
                dirty.add(index - 1)
                found += self._put_back(tx, slot, clean, marks)
            match = self._first.search(joined, end)
            if match is None:
                break
            at = match.start()
        self._remember_clean(tx, slots, dirty)

    def _put_back(
        self, tx: Transaction, slot: _Slot, clean: bytes, marks: list[Mark]
    ) -> list[Finding]:
        if slot.what == _BODY:
            _set_body(tx, slot.side, clean[: self.config.body_limit])
            places = json_places(clean, slot.place)
            if places is not None:
                known = {(mark.kind, mark.fingerprint) for mark in marks}
                return [Finding(*one) for one in places if (one[0], one[2]) in known]
            return _findings(marks, slot.place)
        if slot.what == _COLUMN:
            setattr(tx, slot.name, _text(clean))
            return _findings(marks, slot.place)
        headers = tx.req_headers if slot.side == "request" else tx.res_headers
        memo = self._request if slot.side == "request" else self._response
        place = "request.query" if slot.name == ":path" else slot.place
        cleaned = _Cleaned(_text(clean), _findings(marks, place))
        _put(memo, (slot.name, headers[slot.name]), cleaned)
        headers[slot.name] = cleaned.value
        return cleaned.findings

    def _remember_clean(self, tx: Transaction, slots: list[_Slot], dirty: object) -> None:
        for index, slot in enumerate(slots):
            if slot.what == _HEADER and slot.name != ":path" and index not in dirty:  # type: ignore[operator]
                request = slot.side == "request"
                headers = tx.req_headers if request else tx.res_headers
                memo = self._request if request else self._response
                _put(memo, (slot.name, headers[slot.name]), None)
        if not dirty:
            if len(self._clean_columns) >= _REMEMBERED:
                self._clean_columns.clear()
            self._clean_columns.add(_few(tx))


_PATH = _Slot(_COLUMN, "", "path", "request.path", 0)
_QUERY = _Slot(_COLUMN, "", "query", "request.query", FORM)
_TRACE = _Slot(_COLUMN, "", "trace_id", "trace_id", 0)


def _few(tx: Transaction) -> tuple[str | None, ...]:
    return (
        tx.method, tx.host, tx.authority, tx.user_agent, tx.req_content_type, tx.res_content_type,
        tx.endpoint_id, tx.grpc_status, tx.route, tx.error_signature,
    )  # fmt: skip


def _put(memo: _Memo, item: tuple[str, str], known: _Cleaned | None) -> None:
    if len(memo) >= _REMEMBERED:
        memo.clear()
    memo[item] = known


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _set_body(tx: Transaction, side: str, body: bytes) -> None:
    if side == "request":
        tx.req_body = body
    else:
        tx.res_body = body


def _findings(marks: list[Mark], place: str) -> list[Finding]:
    return [
        Finding(mark.kind, f"{place}.{mark.name}" if mark.name else place, mark.fingerprint)
        for mark in marks
    ]


def _emptied(tx: Transaction) -> None:
    """Keep what a row needs to be counted; nothing that came out of the traffic itself."""
    tx.path, tx.route, tx.query, tx.user_agent, tx.trace_id = "/", None, None, None, None
    tx.req_headers, tx.res_headers = {}, {}
    tx.req_body = tx.res_body = tx.error_signature = None
    tx.req_content_type = tx.res_content_type = tx.endpoint_id = tx.authority = None
    tx.findings = [Finding("unreadable", "transaction", "")]
