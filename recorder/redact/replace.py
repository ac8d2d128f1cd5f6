"""From the secrets in a text to the text without them: fingerprints and placeholders."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Hashable, Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from recorder.redact.config import RedactConfig
from recorder.redact.looks import other_number
from recorder.redact.names import COOKIES, cookie_hit, cookies, header_hits
from recorder.redact.rules import allowed_values, builtin, rules_for
from recorder.redact.scan import Scanner
from recorder.redact.text import FORM, NO_CARD, UNSURE, Hit, Lexer
from recorder.redact.views import apart

BETWEEN = b"\n\0&"  # no pattern crosses it; the & lets a query's first name be seen
_HASH_BLOCK = 64  # bytes, of SHA-256; our keys are shorter
_DIGITS = 12  # hex digits of a fingerprint: 48 bits keep a store's secrets apart


class Fingerprints:
    """HMAC-SHA256 under the store's key, cut to 12 hex digits. What the key alone gives is worked
    out once: for a short secret that is most of it."""

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_HASH_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def __call__(self, secret: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(secret)
        outer.update(inner.digest())
        return outer.hexdigest()[:_DIGITS]


_AFTER_KEY = re.compile(rb"(\\*)\"[ \t\r\n]*:[ \t\r\n]*\Z")


def quotes_for(buf: bytes, spans: list[tuple[int, int]]) -> Iterator[bytes | None]:
    """The quote, with its backslashes, that a placeholder at each start..end needs; b"" for
    none, None where it cannot be told. The spans are in order."""
    lexer = Lexer(buf) if buf.lstrip()[:1] in (b"{", b"[") else None
    for start, end in spans:
        before = buf[max(0, start - 32) : start]
        after = buf[end : end + 16].lstrip(b" \t\r\n")[:1]
        bare = before.rstrip(b" \t\r\n")[-1:] in (b":", b",", b"[") and after in (b",", b"}", b"]")
        if not bare:
            yield b""
        elif key := _AFTER_KEY.search(before):
            yield key[0][: len(key[1]) + 1]
        elif lexer is None:
            yield b""
        elif (depth := lexer.depth_at(start)) is None:
            yield None
        else:
            yield b"" if depth and not lexer.holds_json() else b"\\" * (2**depth - 1) + b'"'


_ENTRY_BYTES = 400  # about what something remembered takes besides its own texts
_GENERATION_BYTES = 8 << 20


class Memory:
    """What was worked out before, in two generations of about `most` bytes each: what is in use
    moves from the older to the younger, and the rest goes with the older. It knows no None."""

    def __init__(self, most: int = _GENERATION_BYTES) -> None:
        self.most = most
        self.known: dict[Hashable, tuple[Any, int]] = {}
        self.older: dict[Hashable, tuple[Any, int]] = {}
        self._size = 0

    def recall(self, key: Hashable) -> Any:
        entry = self.known.get(key)
        if entry is None:
            entry = self.older.pop(key, None)
            if entry is None:
                return None
            self.remember(key, *entry)
        return entry[0]

    def remember(self, key: Hashable, value: Any, size: int) -> None:
        """`size`: bytes of the texts in key and value."""
        if self._size > self.most:
            self.older, self.known, self._size = self.known, {}, 0
        self.known[key] = value, size
        self._size += size + _ENTRY_BYTES


_REMEMBERED, _SHORT = 20_000, 64  # secrets, of so many bytes at most
_OTHER_LOOKS = {"email", "card", "iban", "ssn", "userinfo", "base64"}
_BY_SHAPE = 8  # a shorter value under a secret's name is not compared with the shapes
UNINSPECTED = "uninspected"  # the rest of a text with too much to look at


class Mark(NamedTuple):
    """What stands in a secret's place: its kind, its fingerprint, the name it was filed under."""

    kind: str
    fingerprint: str
    name: str


class Replacer:
    """Replaces secrets in texts by placeholders."""

    def __init__(self, key: bytes, config: RedactConfig) -> None:
        self.scanner = Scanner(rules_for(config), config.skip_kinds)
        self._fingerprint = Fingerprints(key)
        self._known = lru_cache(_REMEMBERED)(self._looked_at)
        self._cookies = Memory()
        self._shape_kinds = {shape.kind for shape in builtin().shapes} | _OTHER_LOOKS
        self.allowed = allowed_values(config)

    def replace(
        self, buf: bytes, flags: int = 0, by_name: list[Hit] | None = None, first: int = 0
    ) -> tuple[bytes, list[Mark]]:
        """`buf` without its secrets (the very same object if it has none), and their marks.

        `by_name` are secrets that are known beforehand, because of where the text stands; before
        `first` there is known to be nothing.
        """
        hits, cut = self.scanner.hits(buf, flags, first)
        return self._without(buf, hits, cut, flags, by_name)

    def header(self, name: str, value: bytes) -> tuple[bytes, list[Mark]]:
        """A header's value without its secrets, by its name and by their looks."""
        lower = name.lower()
        if lower in COOKIES:
            return self._of_cookies(lower, value)
        by_name = header_hits(self.scanner.names, name, value)
        whole = len(by_name) == 1 and by_name[0].end == len(value)
        if whole or value.startswith(b"AWS4-"):  # they say all there is to say of it
            return self._without(value, by_name, -1, 0, None)
        return self.replace(value, 0, by_name)

    def _of_cookies(self, lower: str, header: bytes) -> tuple[bytes, list[Mark]]:
        """Those with a secret's name, or a session's random value, go first; the values of all
        others are scanned at once."""
        parts, rest = cookies(lower, header)
        # A cookie counts for more where a script may not read it.
        http_only = lower == "set-cookie" and b"httponly" in header.lower()
        marks: list[Mark] = []
        indices: list[int] = []
        values: list[bytes] = []
        for index, part in enumerate(parts):
            hit = cookie_hit(self.scanner.names, part, http_only)
            if hit is None or (self.allowed and self._is_allowed(hit.secret)):
                indices.append(index)
                values.append(part[part.find(b"=") + 1 :])
                continue
            mark = self._mark(hit, 0)
            parts[index] = part[: hit.start] + _placeholder(mark) + part[hit.end :]
            marks.append(mark)
        for which in self._with_candidates(values):
            parts[indices[which]], more = self._by_looks(parts[indices[which]])
            marks += more
        if rest is not None:
            placeholder, mark = self.unseen(UNINSPECTED, rest)
            parts.append(placeholder)
            marks.append(mark)
        return (b";".join(parts), marks) if marks else (header, [])

    def _by_looks(self, part: bytes) -> tuple[bytes, list[Mark]]:
        """A cookie without what its value's looks give away; remembered, for a browser sends few
        new ones."""
        cookie: tuple[bytes, list[Mark]] | None = self._cookies.recall(part)
        if cookie is None:
            start = part.find(b"=") + 1
            flags = FORM | NO_CARD if other_number(part[:start]) else FORM
            value, marks = self.replace(part[start:], flags)
            cookie = part[:start] + value, marks
            self._cookies.remember(part, cookie, 2 * len(part))
        return cookie

    def _with_candidates(self, texts: list[bytes]) -> Iterator[int]:
        """In which of the texts (indices) the scan finds something; one pass for all."""
        joined = BETWEEN.join([b"", *texts])
        if self.scanner.is_quiet(joined):
            return
        ends = list(accumulate(len(BETWEEN) + len(text) for text in texts))
        first_in = self.scanner.patterns.first_in
        at = first_in(joined, 0, len(joined))[0]
        while at >= 0:
            which = bisect_right(ends, at)
            yield which
            at = first_in(joined, ends[which], len(joined))[0]

    def _without(
        self, buf: bytes, hits: list[Hit], cut: int, flags: int, by_name: list[Hit] | None
    ) -> tuple[bytes, list[Mark]]:
        if by_name:
            # The kind of what is known by name stands where both hit.
            hits = apart(by_name + hits, len(buf) if cut < 0 else cut)
        if not hits and cut < 0:
            return buf, []
        marks: list[Mark] = []
        pieces: list[bytes] = []
        done = 0
        if self.allowed:
            hits = [hit for hit in hits if not self._is_allowed(hit.secret)]
        unsure = [(hit.start, hit.end) for hit in hits if hit.quote == UNSURE]
        quotes = quotes_for(buf, unsure)
        for hit in hits:
            mark = self._mark(hit, flags)
            quote = next(quotes) if hit.quote == UNSURE else hit.quote
            # None: a number that may stand in a string or not; 0 fits both
            new = b"0" if quote is None else quote + _placeholder(mark) + quote
            pieces += (buf[done : hit.start], new)
            done = hit.end
            marks.append(mark)
        if cut < 0:
            pieces.append(buf[done:])
        else:
            placeholder, mark = self.unseen(UNINSPECTED, buf[max(done, cut) :])
            pieces += (buf[done:cut], placeholder)
            marks.append(mark)
        return b"".join(pieces), marks

    def _is_allowed(self, secret: bytes) -> bool:
        return bool(self.allowed) and any(one.fullmatch(secret) for one in self.allowed)

    def unseen(self, kind: str, secret: bytes) -> tuple[bytes, Mark]:
        """A placeholder for something that is taken out as a whole, and its mark."""
        mark = Mark(kind, self._fingerprint(secret), "")
        return _placeholder(mark), mark

    def _mark(self, hit: Hit, flags: int) -> Mark:
        secret = hit.secret
        if flags & FORM and (b"%" in secret or b"+" in secret):
            secret = unquote_to_bytes(secret.replace(b"+", b" "))
        elif b"\\" in secret:
            secret = secret.replace(b"\\/", b"/")
        return Mark(*self.known(hit.kind, secret), hit.name.decode("utf-8", "replace"))

    def known(self, kind: str, secret: bytes) -> tuple[str, str]:
        """The kind of a secret that was taken for one of `kind`, and its fingerprint. Short ones
        come again; to remember a long one takes more than to work it out."""
        looks, digest = (self._known if len(secret) <= _SHORT else self._looked_at)(secret)
        return kind if looks is None or kind in self._shape_kinds else looks, digest

    def _looked_at(self, secret: bytes) -> tuple[str | None, str]:
        """The kind that a secret has by its looks, if any, and its fingerprint."""
        kind = self.scanner.shapes.whole(secret) if len(secret) >= _BY_SHAPE else None
        return kind, self._fingerprint(secret)


def _placeholder(mark: Mark) -> bytes:
    return f"[redacted:{mark.kind}:{mark.fingerprint}]".encode()
