"""Finding secrets in a text: one pass for candidates, a closer look at each, nothing recursive.

The pass is a single RE2 pattern for where a secret may stand. Every alternative looks ahead a
bounded stretch or consumes what it looked at: n bytes cost O(n), whatever is in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import re2

from recorder.redact import looks
from recorder.redact.looks import Shapes
from recorder.redact.names import NameBook, NamedSecrets
from recorder.redact.rules import Field, Rules
from recorder.redact.text import (
    FORM,
    PACKED,
    PLACEHOLDER,
    Hit,
    Text,
    compiled,
    options,
    run_before,
    where,
    without_runs,
)
from recorder.redact.values import string_end
from recorder.redact.views import (
    ENTITIES,
    JSON_ESCAPES,
    PERCENT_ESCAPES,
    apart,
    clamped,
    deeper,
    in_strings,
    json_view,
    mapped,
    raw,
    without_lengths,
)

NAME, EMAIL, DIGITS, IBAN, SCHEME, LINK, STATEMENT, ENCODED, SHAPE = range(9)

_SHORT = 4  # a word of so few letters counts as a whole word only
# What a secret may follow: no letter or digit, but for the last one of an escape.
_EDGE = r"(?:^|[^A-Za-z0-9]|\\[nrtbf]|%[0-9A-Fa-f]{2}|\\u00[0-9A-Fa-f]{2})"
_TAIL = r"[A-Za-z0-9_.$\[\]-]*"  # what may follow in the same name
# What makes a word a name: a separator after it ("token":, token=), the end of an XML tag
# (<token>, <token Type="x">) or the end of a string (name="token", for what stands beside it).
_FILED_UNDER = (
    r"(?:\\*(?:[\"']|u0022))?[ \t\r\n]{0,8}(?:=>|:|[?+!]?=|\\+u003[adAD])"
    # <key>token</key><string>, <td>Token</td><td>
    r"|</[a-z]{1,8}>[ \t\r\n]{0,16}<[a-z]{1,8}[^<>]*>"
    r"|>|\\+u003[eE]|[ \t\r\n]{1,8}[A-Za-z_][A-Za-z0-9_:.-]*=\\*[\"']|\\*[\"']"
)
# What stands between a common name (shodan_key) and a value of 16 characters that may be random.
_BEFORE_RANDOM = (
    r"[0-9_\]]{0,3}(?:\\*[\"'])?[ \t]{0,4}"
    r"(?:=>|[:=>]|,[ \t]{0,4}\\*[\"'](?i:value)\\*[\"'][ \t]{0,4}:)[ \t]{0,4}\\*[\"'`]?"
)
_RANDOM = r"[A-Za-z0-9]{9}[A-Za-z0-9_+.-]{7}"
# How JSON begins in base64, but for {" (eyJ: see jwt in the rules): with a blank after the bracket,
# or before it, or as a list.
_ENCODED_JSON = (
    r"(?:e(?:w[0ko]|y[AI])|W(?:3s|1[st]|y[ABIJ]|w[0op])|I[FH]s|C[ln]s)[A-Za-z0-9+/_-]{4}"
)
_SLASH = r"(?:\\*/)"
_FILED = re.compile(_FILED_UNDER.encode())


def _spaced(name: str) -> str:
    return "[ _.-]?".join(name.split(" "))


def _any(texts: Iterable[str]) -> str:
    """One of them; sorted, since RE2 shares what neighbours begin with."""
    return "|".join(sorted(set(texts)))


def _stems(fields: tuple[Field, ...]) -> tuple[list[str], list[str], list[str], list[str]]:
    """The names to look for: those that count inside a longer name, those that must be a whole word
    of it; and of those that count in a query only, the last words and the whole names."""
    within: set[str] = set()
    short: set[str] = set()
    ends: set[str] = set()  # X-Amz-Signature
    exact: set[str] = set()
    for field in fields:
        if field.unless:
            continue
        if field.only and not field.only & {"header", "body"}:
            ends.update(field.words)
            exact.update(field.exact)
            continue
        within.update((*field.within, *field.exact))
        for word in field.words:
            (within if len(word) > _SHORT else short).add(word)
    return sorted(within), sorted(short), sorted(ends), sorted(exact)


def _name_parts(fields: tuple[Field, ...]) -> tuple[str, str]:
    """Patterns for names: those that begin at an edge, and the others."""
    within, short, ends, exact = _stems(fields)
    more = rf"[0-9A-Z_.\[\]-]{_TAIL}"
    capitals = f"(?:{_any(word.capitalize() for word in short)})"
    whole = rf"(?i:{_any(short)})(?:{more})?(?:{_FILED_UNDER})"
    anywhere = (
        rf"(?:(?i:{_any(map(_spaced, within))}){_TAIL}|{capitals}(?:{more})?)(?:{_FILED_UNDER})"
        rf"|(?:^|[?&;#_.-]|\\u0026)(?i:{_any(ends)})="
        rf"|(?:^|[?&;#]|\\u0026)(?i:{_any(map(_spaced, exact))})="
    )
    return whole, anywhere


def _common_part(rules: Rules) -> str:
    """A pattern for common names and what follows them: see `unless` in the head of rules.toml."""
    words = _any(word for field in rules.fields if field.unless for word in field.words)
    return rf"[A-Za-z0-9_.-](?i:{words or '[^ -~]{9}'}){_BEFORE_RANDOM}{_RANDOM}"


def _scan_parts(rules: Rules, skipped: frozenset[str]) -> list[tuple[int, str, bool]]:
    """(category, pattern, whether it begins at an edge), in the order of preference where two begin
    at the same byte."""
    shapes = [(shape, start) for shape in rules.shapes for start in shape.starts]
    parts = [(SHAPE, start, not (shape.back or shape.custom)) for shape, start in shapes]
    whole, anywhere = _name_parts(rules.fields)
    other = {
        SCHEME: ("bearer", r"(?i:bearer|basic)(?:[ \t+]|%20){1,3}[A-Za-z0-9+/_.~%=-]"),
        LINK: ("link", rf"(?i:{looks.LINK_WORDS})[a-z_-]*{_SLASH}[A-Za-z0-9_.~-]{{4}}"),
        STATEMENT: ("password", "|".join(rules.phrases_before)),
        DIGITS: ("card", rf"(?:^|[^0-9A-Za-z._]|\\[nrtbf])(?:{looks.NUMBER})"),
        EMAIL: ("email", r"[^\s/?#@\"'<>\\]@[A-Za-z0-9\[]"),
    }
    at_edge = {
        ENCODED: ("base64", _ENCODED_JSON),
        IBAN: ("iban", looks.IBAN_START),
    }
    parts += [(NAME, whole, True), (NAME, anywhere, False), (NAME, _common_part(rules), False)]
    for group, edge in ((other, False), (at_edge, True)):
        for category, (kind, text) in group.items():
            if kind not in skipped or category == EMAIL:  # userinfo, too
                parts.append((category, text, edge))
    return parts


class Patterns:
    """The compiled scan. `first` finds a candidate or an escape, `candidates` no escapes,
    `no_shape` what a candidate may be that began like a key and is none."""

    def __init__(self, rules: Rules, skipped: frozenset[str]) -> None:
        parts = _scan_parts(rules, skipped)
        # A user's own pattern may end in anything; ours for a name alone end in a separator.
        self.custom = any(shape.custom for shape in rules.shapes)
        alternatives = _joined(parts)
        self.candidate_in = where(compiled(alternatives))
        self.common = re.compile(_common_part(rules).encode())
        self.no_shape = compiled(_joined([part for part in parts if part[0] != SHAPE]))
        escapes = f"{JSON_ESCAPES}|{PERCENT_ESCAPES}|{ENTITIES}"
        self.first_in = where(compiled(f"{alternatives}|{escapes}"))
        self.at_edge = {
            category: compiled(text)
            for category, text, edge in parts
            if edge and category not in (NAME, SHAPE)
        } | {DIGITS: compiled(looks.NUMBER)}
        self._categories = [category for category, _, _ in parts]
        self._which, self._shapes = re2.Set.FullMatchSet(options()), re2.Set.MatchSet(options())
        for category, text, edge in parts:  # shapes first
            for one in (self._which, self._shapes)[: 2 if category == SHAPE else 1]:
                one.Add((f"{_EDGE}(?:{text})" if edge else text).encode())
        self._which.Compile()
        self._shapes.Compile()
        self._shape_of = [index for index, shape in enumerate(rules.shapes) for _ in shape.starts]

    def category(self, buf: bytes, start: int, end: int) -> tuple[int, list[int]]:
        """What a candidate is, and which shapes (indices) may begin there: several begin alike."""
        fitting = self._which.Match(buf[start:end])
        if fitting and (category := self._categories[min(fitting)]) != SHAPE:
            return category, []
        return SHAPE, self.shapes(buf, start)

    def shapes(self, buf: bytes, start: int) -> list[int]:
        """Which shapes (indices) may begin at a candidate."""
        fitting = self._shapes.Match(buf[start : start + _OVERLAP]) or ()
        return sorted({self._shape_of[index] for index in fitting})


def _joined(parts: list[tuple[int, str, bool]]) -> str:
    """The parts as one pattern: those at an edge behind one edge, which keeps RE2's automaton
    small: inside a word it has the names alone to follow."""
    at_edge = _any(text for category, text, edge in parts if edge and category == SHAPE)
    other = "|".join(text for category, text, edge in parts if edge and category != SHAPE)
    anywhere = "|".join(text for _, text, edge in parts if not edge)
    return f"{_EDGE}(?:{at_edge or '[^ -~]{9}'}|{other})|{anywhere}"


def _begins(buf: bytes, start: int) -> tuple[int, ...]:
    """Where what a candidate found may begin: there, or behind the edge that it begins with."""
    if buf[start] == 0x5C:  # \n, \u0026
        return (start, start + 1, start + 2, start + 6)
    return (start, start + 1, start + 3) if buf[start] == 0x25 else (start, start + 1)


_VARIABLE = re.compile(rb"(?:ENV|[Ss]et[Ee]nv)[ \t]+([A-Za-z0-9_]+)")
_OPENED = re.compile(rb"(\\*)([\"'(])\Z")
_USER = re.compile(rb"(\\*)([\"']?)[A-Za-z0-9_.@%+-]{1,64}:\Z")
_BARE = re.compile(rb"(?:[^\s\"'\\]++|\\++/)+")
_PASSWORD = re.compile(rb"[^\s\"'<>\\&;,]{4,64}")  # "your password is Ab3-de", not "is required"
_TELLING = re.compile(rb"[0-9]")
_CODE_DIGITS = re.compile(rb"[0-9]{4,8}(?![0-9A-Za-z_.:-]?[0-9A-Za-z])")
_IS = re.compile(rb"is:?(?:[ +]|%20)\Z")
_REDIS = re.compile(
    rb"(?i)(?:^|[\s\"])auth[\s\"]{1,4}(?!by\b|no\b)([^\s\"]+)(?:[\s\"]{1,4}([^\s\"]+))?"
)
_REDIS_HEAD = re.compile(rb"(?i)\s*\"?(?:auth|hello|acl|migrate)\b")


def statement(text: Text, start: int, end: int) -> int:
    """Take out what follows IDENTIFIED BY, PASSWORD, login … password, curl -u user:, --token,
    "password is" or "your code is"."""
    buf = text.buf
    if 0x30 <= buf[end - 1] <= 0x39:
        return _after_is(text, end - 1, end, "otp", _CODE_DIGITS)
    if 0x30 <= buf[start] <= 0x39:
        return _after_is(text, run_before(buf, start, b"0123456789", 9), end, "otp", _CODE_DIGITS)
    if _IS.search(buf, start, end):
        return _after_is(text, end, end, "password", _PASSWORD)
    opened = _OPENED.search(buf, max(start, end - 16), end)
    if opened is None and buf[end - 1 : end] == b":":
        opened = _USER.search(buf, start, end)
    if opened and opened[2] == b'"' and not text.opens_string(start, len(opened[1])):
        return end
    if opened is None or not opened[2]:
        bare = _BARE.match(buf, end)
        stop = bare.end() if bare else end
    else:
        closing = b")" if opened[2] == b"(" else opened[2]
        stop = string_end(buf, end, closing, len(opened[1]))
    text.add(end, stop, "literal" if buf[start : start + 3] in (b"Dup", b"Key") else "password")
    return stop


def _after_is(text: Text, at: int, end: int, kind: str, pattern: re.Pattern[bytes]) -> int:
    """What a message says after "is": only what cannot be another word."""
    word = pattern.match(text.buf, at)
    if word is None or not _TELLING.search(word[0]):
        return end
    text.add(at, at + len(word[0].rstrip(b".!?)")), kind)
    return max(end, word.end())


def redis_hits(text: bytes) -> list[Hit]:
    """The passwords in a redis command: AUTH password, AUTH user password, HELLO 3 AUTH …"""
    if not _REDIS_HEAD.match(text):
        return []
    return [
        Hit(*match.span(last), "password", match[last])
        for match in _REDIS.finditer(text)
        if (last := 2 if match[2] else 1) and not PLACEHOLDER.fullmatch(match[last])
    ]


_AT = 0x40
_NAME_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-[]"
# A text is searched in stretches: where a candidate is in sight, RE2 still reads on to the end of
# a longer one that began before it.
_STRETCH = 4096
_DENSE = 192  # so many candidates left to a text that has many
_OVERLAP = 192
_LONG_NAME = 40  # a longer run of name characters may hide a shape


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
        self._skipped = skipped
        self.patterns = Patterns(rules, skipped)
        self.shapes = Shapes(rules, lambda *inner: self._scan(Text(inner[0], 0, *inner[1:])))
        self._named = NamedSecrets(self.names)
        self._handlers = {
            NAME: self._named.look,
            EMAIL: looks.email,
            DIGITS: looks.digits,
            IBAN: looks.iban,
            SCHEME: looks.scheme,
            LINK: looks.link,
            STATEMENT: self._statement,
            ENCODED: self.shapes.encoded,
        }

    def hits(self, buf: bytes, flags: int = 0, first: int = 0) -> tuple[list[Hit], int]:
        """What to take out of `buf`, in order and apart, and where to cut it off (-1: nowhere).

        A text is cut off where it has more candidates than `allowance` grants. Before `first`
        there is known to be no candidate and no escape.
        """
        granted = allowance(len(buf))
        view = None if flags & FORM else json_view(buf)
        chain = [view] if view else []
        text = Text(chain[0].text if chain else buf, flags, granted, whole=True)
        self._scan(text, 0 if chain else first)
        hits = [mapped(hit, chain) for hit in text.hits] if chain else text.hits
        cut = raw(chain, text.cut)
        left = text.left
        paths = deeper(text.buf if text.cut < 0 else text.buf[: text.cut])
        deep: list[Hit] = []
        if flags & PACKED:
            inner = self._scan(Text(without_lengths(text.buf), flags, left))
            deep += [mapped(hit, chain) for hit in inner.hits]
        for path in paths:
            inner = self._scan(Text(path[-1].text, flags, max(left, granted // 4)))
            left = inner.left
            tags = path[0].entities
            deep += [clamped(buf, mapped(hit, chain + path), tags) for hit in inner.hits]
            if inner.cut >= 0:
                further = raw(chain + path, inner.cut)
                cut = further if cut < 0 else min(cut, further)
        if deep:
            hits = hits + (in_strings(buf, deep) if text.json else deep)
        return apart(hits, len(buf) if cut < 0 else cut), cut

    def is_quiet(self, form: bytes) -> bool:
        """Whether a query or form holds no candidate, however it is read."""
        readings = [form, *(path[-1].text for path in deeper(form))]
        return all(self.patterns.candidate_in(one, 0, len(one))[0] < 0 for one in readings)

    def _common(self, text: Text, start: int, end: int) -> int:
        """A name that is a secret's only where what follows looks random: it ends before that."""
        filed, known, after = _FILED.search(text.buf, start + 1, end), len(text.hits), start + 1
        if filed:
            name = text.buf[run_before(text.buf, filed.start(), _NAME_BYTES, 64) : filed.start()]
            after = filed.end()
            if self.names.look(name):
                after = self._named.look(text, start, after)
        if len(text.hits) == known and text.spared > 0:  # lists have such names by the hundred
            text.spared -= 1
            text.left += 1
        return after

    def _statement(self, text: Text, start: int, end: int) -> int:
        """ENV and SetEnv set what they name; the other phrases go before secrets only."""
        variable = _VARIABLE.match(text.buf, start, end)
        if variable is None:
            return statement(text, start, end)
        value = _BARE.match(text.buf, end)
        rule = self.names.rule(variable[1], "body", value[0]) if value else None
        if rule is not None and value is not None:
            text.add(*value.span(), rule.kind, variable[1])
        return value.end() if value else end

    def _scan(self, text: Text, pos: int = 0) -> Text:
        buf, end = without_runs(text.buf), len(text.buf)
        candidate_in = self.patterns.candidate_in
        while pos < end:
            stretch = _STRETCH if text.left > _DENSE else _STRETCH // 4
            start, stop = candidate_in(buf, pos, min(pos + stretch, end))
            if start < 0:
                pos += stretch - _OVERLAP
                continue
            text.left -= 1
            if text.left < 0 and text.cut < 0:
                text.cut = pos
            if text.cut >= 0:
                return text
            # One byte back: many candidates begin with the byte before them.
            pos = max(self._look(text, start, stop) - 1, start + 1)
        if self._skipped:
            text.hits = [hit for hit in text.hits if hit.kind not in self._skipped]
        return text

    def _shape(self, text: Text, start: int, shapes: list[int]) -> int:
        """Take out the first of the shapes (indices) that a candidate is; where to go on, or 0."""
        for index in shapes:
            for begin in _begins(text.buf, start):
                if after := self.shapes.look(text, index, begin):
                    return after
        return 0

    def _look(self, text: Text, start: int, end: int) -> int:
        """Look at a candidate; where to go on."""
        buf = text.buf
        if buf[end - 1] in b":=>\"'" and not self.patterns.custom:
            phrase = buf[end - 2 : end - 1] in (b" ", b"N", b"E") or buf[start : start + 2] == b" -"
            if not phrase or self.patterns.category(buf, start, end)[0] != STATEMENT:
                known, after = len(text.hits), self._named.look(text, start, end)
                if end - start <= _LONG_NAME or len(text.hits) > known:
                    return after
                return self._shape(text, start, self.patterns.shapes(buf, start)) or start + 3
        if self.patterns.common.match(buf, start, end):
            return self._common(text, start, end)
        if end - start == 3 and buf[end - 2] == _AT:
            return looks.email(text, start, end)
        category, shapes = self.patterns.category(buf, start, end)
        if after := self._shape(text, start, shapes):
            return after
        if category == SHAPE:
            other = self.patterns.no_shape.match(buf, start)
            if other is None:
                return start + 2
            end = other.end()
            category, _ = self.patterns.category(buf, start, end)
        for begin in _begins(buf, start) if category in self.patterns.at_edge else ():
            if match := self.patterns.at_edge[category].match(buf, begin):
                start, end = match.span()
                break
        handler = self._handlers.get(category)
        return handler(text, start, end) if handler else start + 2
