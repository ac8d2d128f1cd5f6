"""Finding secrets in a text: one pass for candidates, a closer look at each, nothing recursive."""

from __future__ import annotations

import re

from recorder.redact import numbers, patterns
from recorder.redact.lexer import Lexer
from recorder.redact.named import Named
from recorder.redact.names import NameBook, opaque
from recorder.redact.patterns import Patterns
from recorder.redact.rules import Rules
from recorder.redact.shapes import Shapes
from recorder.redact.statements import statement
from recorder.redact.text import (
    BINARY,
    FORM,
    NO_CARD,
    UNSURE,
    Hit,
    Text,
    at_edge,
    past_escape,
    printable,
    run_before,
    stands_alone,
    unbase64,
)
from recorder.redact.views import TooManyEscapes, View, entity_view, json_view, percent_view

_LEVELS = 3  # how often percent encoding is undone
_AROUND = 32  # bytes before a number that may say what it is
_AT = 0x40
_LONG = 256 << 10

_LOCAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_%+.-'"
_DOMAIN = re.compile(rb"[A-Za-z0-9.-]{1,255}")
_NO_TOPLEVEL = frozenset(  # logo@2x.png
    b"png jpg jpeg gif svg webp ico bmp js mjs css ts tsx jsx json html htm xml txt md map woff "
    b"woff2 ttf eot mp3 mp4 webm pdf zip gz tar py rb go rs php jar so dll exe".split()
)
_SCHEME = re.compile(rb"(?i)(bearer|basic)(?:[ \t+]|%20){1,3}")
_TOKEN = re.compile(rb"(?:[A-Za-z0-9._~+/=-]++|\\++/|\\++u002[bBfFdD]|%(?:2[BbFf]|3[Dd]))++")
_SHORTEST_BEARER = 16
_DIGIT = re.compile(rb"[0-9]")
_AUTHORITY = re.compile(rb"[^/?#\s\"'<>\\]{0,256}")
_SEGMENT = re.compile(rb"[A-Za-z0-9_.~-]+")
_DELIMITER = re.compile(rb"\\*[\"'<>&\s]")
_TAG_DELIMITER = re.compile(rb"\\*[\"<>]")


def allowance(size: int) -> int:
    """How many candidates a text of `size` bytes may have before the rest of it is given up.

    Ordinary texts have a few per kilobyte. The bound keeps the worst text that anybody can build
    about as cheap per byte as an ordinary one.
    """
    return 256 + size // 8192


class Scanner:
    """Finds secrets by the rules. For one thread at a time: it remembers names."""

    def __init__(self, rules: Rules, skipped: frozenset[str]) -> None:
        self.names = NameBook(rules)
        self.patterns = Patterns(rules, skipped)
        self.shapes = Shapes(rules, self._unwrapped)
        self._handlers = {
            patterns.NAME: Named(self.names).look,
            patterns.EMAIL: _email,
            patterns.USERINFO: _userinfo,
            patterns.DIGITS: _digits,
            patterns.IBAN: _iban,
            patterns.SCHEME: _scheme,
            patterns.LINK: _link,
            patterns.STATEMENT: statement,
        }

    def hits(self, buf: bytes, flags: int = 0, first: int = 0) -> tuple[list[Hit], int]:
        """What to take out of `buf`, in order and apart, and where to cut it off (-1: nowhere).

        A text is cut off where it has more candidates than `allowance` grants. Before `first`
        there is known to be no candidate and no escape.
        """
        granted = allowance(len(buf))
        if len(buf) > _LONG:  # where the allowance is used up at once, the rest is not worth a look
            found, cut = self._hits(buf[: _LONG // 4], flags, 0, granted)
            if cut >= 0:
                return found, cut
        return self._hits(buf, flags, first, granted)

    def _hits(self, buf: bytes, flags: int, first: int, granted: int) -> tuple[list[Hit], int]:
        chain: list[View] = []
        if not flags & FORM and (view := json_view(buf)):
            chain.append(view)
        if chain:
            text = Text(chain[0].text, flags, granted, whole=True)
            self._scan(text)
        else:
            text = Text(buf, flags, granted, whole=True)
            self._scan(text, first)
        found = [_mapped(hit, chain) for hit in text.found] if chain else text.found
        cut = _raw(chain, text.cut)
        left = text.left
        try:
            paths = _deeper(text.buf if text.cut < 0 else text.buf[: text.cut])
        except TooManyEscapes as escapes:
            paths = []
            at = _raw(chain, escapes.at)
            cut = at if cut < 0 else min(cut, at)
        deep: list[Hit] = []
        for path in paths:
            inner = Text(path[-1].text, flags, max(left, granted // 4))
            self._scan(inner)
            left = inner.left
            stop = _TAG_DELIMITER if path[0].entities else _DELIMITER
            deep += [_clamped(buf, _mapped(hit, chain + path), stop) for hit in inner.found]
            if inner.cut >= 0:
                deeper = _raw(chain + path, inner.cut)
                cut = deeper if cut < 0 else min(cut, deeper)
        if deep:
            found = found + (_in_strings(buf, deep) if text.json else deep)
        return _apart(found, len(buf) if cut < 0 else cut), cut

    @staticmethod
    def merged(hits: list[Hit], more: list[Hit], end: int) -> list[Hit]:
        """Two lists of hits as one, in order and apart; `more` gives its kind where both hit."""
        return _apart(more + hits, end)

    def _unwrapped(self, buf: bytes, left: int, depth: int) -> Text:
        text = Text(buf, 0, left, depth)
        self._scan(text)
        return text

    def _scan(self, text: Text, pos: int = 0) -> None:
        buf = text.buf
        search = self.patterns.candidates.search
        while match := search(buf, pos):
            start, end = match.span()
            text.left -= 1
            if text.left < 0 and text.cut < 0:
                text.cut = pos
            if text.cut >= 0:
                return
            # One byte back: many candidates begin with the byte before them.
            pos = max(self._look(text, start, end) - 1, start + 1)

    def _look(self, text: Text, start: int, end: int) -> int:
        """Look at a candidate; where to go on."""
        buf = text.buf
        if buf[end - 1] in b":=>\"'" and not self.patterns.custom:
            phrase = buf[end - 2 : end - 1] in (b" ", b"N", b"E") or buf[start : start + 2] == b" -"
            if not phrase or self.patterns.category(buf[start:end])[0] != patterns.STATEMENT:
                return self._handlers[patterns.NAME](text, start, end)
        if end - start == 3 and buf[end - 2] == _AT:
            return _email(text, start, end)
        category, shapes = self.patterns.category(buf[start:end])
        for index in shapes:
            if after := self.shapes.look(text, index, start):
                return after
        handler = self._handlers.get(category)
        return handler(text, start, end) if handler else start + 2


# --- one function a category: what stands there, and where to go on -----------------------------


def _email(text: Text, start: int, end: int) -> int:
    buf, at = text.buf, end - 2
    local = past_escape(buf, run_before(buf, at, _LOCAL, 64))
    while local < at and buf[local] in b"'.%-+":
        local += 1
    domain = _DOMAIN.match(buf, at + 1)
    if domain is None or local >= at or text.flags & BINARY:
        return at
    name = domain[0].rstrip(b".-")
    labels = name.split(b".")
    top = labels[-1].lower()
    if len(labels) < 2 or b"" in labels or not top.isalpha() or len(top) < 2 or top in _NO_TOPLEVEL:
        return at
    text.add(local, at + 1 + len(name), "email")
    return at + 1 + len(name)


def _userinfo(text: Text, start: int, end: int) -> int:
    buf = text.buf
    begin = buf.index(b"/", start)
    while buf[begin] in b"/\\":
        begin += 1
    rest = _AUTHORITY.match(buf, end)
    last = rest[0].rfind(b"@") if rest else -1  # an @ in the password itself
    stop = end + last if last >= 0 else end - 1
    text.add(begin, stop, "userinfo")
    return stop + 1  # beyond the @, which makes no e-mail address of user and host


def _digits(text: Text, start: int, end: int) -> int:
    buf = text.buf
    while not 0x30 <= buf[start] <= 0x39:  # what made sure that a number begins here
        start += 1
    value = buf[start:end]
    before = buf[max(0, start - _AROUND) : start]
    onward = end if value.isdigit() else start + 3
    if text.flags & BINARY or not stands_alone(buf, start, end):
        return onward
    if value[3:4] == b"-":
        if numbers.is_ssn(value, before):
            text.add(start, end, "ssn")
            return end
    elif len(value) <= 25 and not text.flags & NO_CARD and numbers.is_card(value, before):
        text.add(start, end, "card", quote=UNSURE)
        return end
    return onward


def _iban(text: Text, start: int, end: int) -> int:
    buf = text.buf
    if text.flags & BINARY or not at_edge(buf, start):
        return end
    length = numbers.iban_length(buf[start:end])
    if not length or buf[start + length : start + length + 1].isalnum():
        return start + 4
    text.add(start, start + length, "iban")
    return start + length


def _scheme(text: Text, start: int, end: int) -> int:
    scheme = _SCHEME.match(text.buf, start)
    token = _TOKEN.match(text.buf, scheme.end()) if scheme else None
    if scheme is None or token is None:
        return end
    if scheme[1].lower() == b"basic":
        pair = unbase64(token[0])
        if b":" not in pair or not printable(pair):
            return token.start()
        text.add(*token.span(), "basic")
        return token.end()
    if len(token[0]) < _SHORTEST_BEARER or not _DIGIT.search(token[0]):
        return token.start()
    text.add(*token.span(), "bearer")
    return token.end()


def _link(text: Text, start: int, end: int) -> int:
    """/reset/<token>: whoever has the address has the account."""
    slash = text.buf.rfind(b"/", start, end)
    token = _SEGMENT.match(text.buf, slash + 1)
    if token is None or not opaque(token[0]):
        return slash
    text.add(*token.span(), "token")
    return token.end()


# --- from a view back to the raw bytes ------------------------------------------------------------


def _deeper(text: bytes) -> list[list[View]]:
    """The paths of views in which `text` reads differently."""
    paths: list[list[View]] = []
    if entities := entity_view(text):
        paths.append([entities])
    path: list[View] = []
    while len(path) < _LEVELS and (view := percent_view(text)):
        path = [*path, view]
        paths.append(path)
        text = view.text
    return paths


def _raw(chain: list[View], offset: int) -> int:
    if offset >= 0:
        for view in reversed(chain):
            offset = view.raw(offset)
    return offset


def _mapped(hit: Hit, chain: list[View]) -> Hit:
    if not chain:
        return hit
    return hit._replace(start=_raw(chain, hit.start), end=_raw(chain, hit.end))


def _clamped(buf: bytes, hit: Hit, delimiter: re.Pattern[bytes]) -> Hit:
    """Within one string or parameter of the raw text: an escape may have decoded to a quote."""
    stop = delimiter.search(buf, hit.start, hit.end)
    end = stop.start() if stop else hit.end
    return hit._replace(end=end, quote=b"%22" if hit.quote not in (b"", UNSURE) else b"")


def _in_strings(buf: bytes, hits: list[Hit]) -> list[Hit]:
    """The hits of a view that stand in strings of the JSON: an escape that decodes to a quote
    can make a view begin a value behind the string's end."""
    lexer = Lexer(buf)
    return [hit for hit in sorted(hits) if lexer.depth_at(hit.start) != 0]


def _apart(hits: list[Hit], end: int) -> list[Hit]:
    """In order, within the text up to `end`, overlapping ones as one."""
    apart: list[Hit] = []
    if len(hits) == 1 and hits[0].start < hits[0].end <= end:
        return hits
    for hit in sorted(hits, key=lambda one: (one.start, -one.end)):
        if hit.start >= end or hit.start >= hit.end:
            continue
        if apart and hit.start < apart[-1].end:
            if hit.end > apart[-1].end:
                apart[-1] = apart[-1]._replace(end=hit.end)
            continue
        apart.append(hit)
    return apart
