"""Finding secrets in a text: one pass for candidates, a closer look at each, nothing recursive.

The pass is a single RE2 pattern for where a secret may stand. Every alternative looks ahead a
bounded stretch or consumes what it looked at: n bytes cost O(n), whatever is in them.
"""

from __future__ import annotations

import re

import re2

from recorder.redact import looks
from recorder.redact.looks import Shapes
from recorder.redact.names import NameBook, NamedSecrets
from recorder.redact.rules import Field, Rules
from recorder.redact.text import FORM, PLACEHOLDER, Hit, Text, compiled, options
from recorder.redact.values import string_end
from recorder.redact.views import (
    ENTITIES,
    JSON_ESCAPES,
    PERCENT_ESCAPES,
    TooManyEscapes,
    apart,
    clamped,
    deeper,
    in_strings,
    json_view,
    mapped,
    raw,
)

NAME, EMAIL, USERINFO, DIGITS, IBAN, SCHEME, LINK, STATEMENT, ENCODED, SHAPE = range(10)

_SHORT = 4  # a word of so few letters counts as a whole word only
_TAIL = r"[A-Za-z0-9_.$\[\]-]{0,40}"  # what may follow in the same name
# What makes a word a name: a separator after it ("token":, token=), the end of an XML tag
# (<token>, <token Type="x">) or the end of a string (name="token", for what stands beside it).
_FILED_UNDER = (
    r"(?:\\*(?:[\"']|u0022))?[ \t\r\n]{0,8}(?:=>|:|[?+!]?=|\\+u003[adAD])"
    # <key>token</key><string>, <td>Token</td><td>
    r"|</[a-z]{1,8}>[ \t\r\n]{0,16}<[a-z]{1,8}[^<>]{0,60}>"
    r"|>|\\+u003[eE]|[ \t\r\n]{1,8}[A-Za-z_][A-Za-z0-9_:.-]{0,40}=\\*[\"']|\\*[\"']"
)
# How JSON begins in base64, but for {" (eyJ: see jwt in the rules): with a blank after the bracket,
# or before it, or as a list.
_ENCODED_JSON = (
    r"(?:e(?:w[0ko]|y[AI])|W(?:3s|1[st]|y[ABIJ]|w[0op])|I[FH]s|C[ln]s)[A-Za-z0-9+/_-]{9}"
)
_SLASH = r"(?:\\*/)"

CARD = (
    r"[2-6][0-9]{12,}"
    r"|[2-6][0-9]{3}(?:[ +-]|%20)[0-9]{4}(?:[ +-]|%20)[0-9]{4}(?:[ +-]|%20)[0-9]{4}"
    r"|3[0-9]{3}(?:[ +-]|%20)[0-9]{6}(?:[ +-]|%20)[0-9]{4,5}"
)
SSN = r"[0-9]{3}-[0-9]{2}-[0-9]{4}"
_COUNTRIES = (  # that have IBANs
    r"A[DELTZ]|B[AEGHRY]|C[HRYZ]|D[EKO]|E[EGS]|F[IOR]|G[BEILRT]|H[RU]|I[ELQST]|JO|K[WZ]|L[BCITUVY]"
    r"|M[CDEKRTU]|N[LO]|P[KLST]|QA|R[OS]|S[ACEIKMTV]|T[LNR]|UA|V[AG]|XK"
)


def _spaced(name: str) -> str:
    return "[ _.-]?".join(name.split(" "))


def _stems(fields: tuple[Field, ...]) -> tuple[str, str, str]:
    """The names to look for: those that count inside a longer name, those that must be a whole
    word of it, and (as a pattern) those that count in a query only."""
    within: set[str] = set()
    short: set[str] = set()
    ends: set[str] = set()  # the last word of a query's name: X-Amz-Signature
    exact: set[str] = set()
    for field in fields:
        if field.only and not field.only & {"header", "body"}:
            ends.update(field.words)
            exact.update(map(_spaced, field.exact))
            continue
        within.update((*field.within, *field.exact))
        for word in field.words:
            (within if len(word) > _SHORT else short).add(word)
    plain = "|".join(sorted(map(_spaced, within), key=len, reverse=True))
    last = f"(?:[A-Za-z0-9_.-]{{0,30}}[_.-])?(?i:{'|'.join(sorted(ends))})"
    return plain, "|".join(sorted(short)), f"(?:{last}|(?i:{'|'.join(sorted(exact))}))"


def _names(fields: tuple[Field, ...]) -> str:
    plain, short, query = _stems(fields)
    capital = "|".join(word.capitalize() for word in short.split("|"))
    ahead = f"(?i:{plain}){_TAIL}"
    whole = (
        rf"(?:(?:^|[^A-Za-z0-9]|\\[nrtbf]|\\u00[0-9A-Fa-f]{{2}})(?i:{short})|[a-z](?:{capital}))"
        r"(?:[0-9_.\[\]-][A-Za-z0-9_.$\[\]-]{0,40}|[A-Z][A-Za-z0-9_.$\[\]-]{0,40})?"
    )
    in_query = rf"(?:^|[?&;#]|\\u0026){query}="
    return rf"(?:{ahead}|{whole})(?:{_FILED_UNDER})|{in_query}"


def _scan_parts(rules: Rules, skipped: frozenset[str]) -> list[tuple[int, str]]:
    """(category, pattern) in the order of preference where two begin at the same byte."""
    parts = [(SHAPE, start) for shape in rules.shapes for start in shape.starts]
    other = {
        USERINFO: ("userinfo", rf":{_SLASH}{_SLASH}[^/?#@\s\"'<>\\]+@"),
        EMAIL: ("email", r"[A-Za-z0-9_%+.-]@[A-Za-z0-9]"),
        SCHEME: ("bearer", r"(?i:bearer|basic)(?:[ \t+]|%20){1,3}[A-Za-z0-9+/_.~%=-]"),
        LINK: (
            "link",
            rf"/(?i:[a-z_-]{{0,20}}(?:token|reset|verify|confirm|magic|activat|invit|unsubscrib)"
            rf"[a-z_-]{{0,20}}){_SLASH}[A-Za-z0-9_.~-]{{20}}",
        ),
        STATEMENT: ("password", STATEMENTS),
        ENCODED: ("base64", _ENCODED_JSON),
        DIGITS: ("card", rf"(?:^|[^0-9A-Za-z._]|\\[nrtbf])(?:{CARD}|{SSN})"),
        IBAN: ("iban", rf"(?:{_COUNTRIES})[0-9]{{2}}(?:(?:[ +]|%20)?[A-Z0-9]{{4}}){{2,7}}"
               r"(?:(?:[ +]|%20)?[A-Z0-9]{1,3})?"),
    }  # fmt: skip
    parts.append((NAME, _names(rules.fields)))
    parts += [(number, text) for number, (kind, text) in other.items() if kind not in skipped]
    return parts


# Where credentials follow a phrase: SQL, .netrc, command lines, what mails and messages say.
_BLANK = r"(?:[ +]|%20)"
_CODE = r"(?i:code|pin|otp|passcode)"
STATEMENTS = (
    r"(?i:identified(?: with [a-z0-9_]{1,40})? (?:by|as)|password)[ ]{1,4}(?:N|E)?\\*[\"']"
    r"|(?i:login[ \t]{1,4}[^\s\"]{1,64}[ \t]{1,4}password[ \t]{1,4})"
    r"|[ ](?:-u|--user|--proxy-user)[ =]{1,3}\\*[\"']?[A-Za-z0-9_.@%+-]{1,64}:"
    r"|[ ]--(?i:[a-z-]{0,20}(?:password|passwd|passphrase|token|secret"
    r"|(?:api|access|secret|private)-?key))[ ]{1,3}"
    rf"|(?i:password|passphrase){_BLANK}is:?{_BLANK}"
    rf"|(?i:your|verification|security|login|confirmation|access|time){_BLANK}{_CODE}"
    rf"(?:{_BLANK}is)?:?{_BLANK}{{1,2}}[0-9]"
    rf"|[0-9]{{4,8}}{_BLANK}is{_BLANK}(?i:your){_BLANK}"
)


class Patterns:
    """The compiled scan. `first` finds a candidate or an escape, `candidates` no escapes,
    `no_shape` what a candidate may be that began like a key and is none."""

    def __init__(self, rules: Rules, skipped: frozenset[str]) -> None:
        parts = _scan_parts(rules, skipped)
        # A user's own pattern may end in anything; ours for a name alone end in a separator.
        self.custom = any(not shape.source for shape in rules.shapes)
        alternatives = "|".join(text for _, text in parts)
        self.candidates = compiled(alternatives)
        self.no_shape = compiled("|".join(text for number, text in parts if number != SHAPE))
        self.first = compiled(f"{alternatives}|{JSON_ESCAPES}|{PERCENT_ESCAPES}|{ENTITIES}")
        self._categories = [category for category, _ in parts]
        self._which = re2.Set.FullMatchSet(options())
        for _, text in parts:
            self._which.Add(text.encode())
        self._which.Compile()
        starts = [index for index, shape in enumerate(rules.shapes) for _ in shape.starts]
        self._shape_of = dict(enumerate(starts))

    def category(self, candidate: bytes) -> tuple[int, list[int]]:
        """What a candidate is, and which shapes (indices) it may be the start of."""
        fitting = sorted(self._which.Match(candidate) or ())
        if not fitting:
            return SHAPE, []
        shapes = [self._shape_of[index] for index in fitting if self._categories[index] == SHAPE]
        return self._categories[fitting[0]], list(dict.fromkeys(shapes))


_OPENED = re.compile(rb"(\\*)([\"'])\Z")
_USER = re.compile(rb"(\\*)([\"']?)[A-Za-z0-9_.@%+-]{1,64}:\Z")
_BARE = re.compile(rb"(?:[^\s\"'\\]++|\\++/)++")
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
        return _after_is(text, start, end, "otp", _CODE_DIGITS)
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
        stop = string_end(buf, end, opened[2], len(opened[1]))
    text.add(end, stop, "password")
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
_LONG = 256 << 10  # a longer text is tried on its beginning, a quarter of that, first


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
            NAME: NamedSecrets(self.names).look,
            EMAIL: looks.email,
            USERINFO: looks.userinfo,
            DIGITS: looks.digits,
            IBAN: looks.iban,
            SCHEME: looks.scheme,
            LINK: looks.link,
            STATEMENT: statement,
            ENCODED: self.shapes.encoded,
        }

    def hits(self, buf: bytes, flags: int = 0, first: int = 0) -> tuple[list[Hit], int]:
        """What to take out of `buf`, in order and apart, and where to cut it off (-1: nowhere).

        A text is cut off where it has more candidates than `allowance` grants. Before `first`
        there is known to be no candidate and no escape.
        """
        granted = allowance(len(buf))
        if len(buf) > _LONG:  # where the allowance is used up at once, the rest is not worth a look
            hits, cut = self._hits(buf[: _LONG // 4], flags, 0, granted)
            if cut >= 0:
                return hits, cut
        return self._hits(buf, flags, first, granted)

    def _hits(self, buf: bytes, flags: int, first: int, granted: int) -> tuple[list[Hit], int]:
        view = None if flags & FORM else json_view(buf)
        chain = [view] if view else []
        text = Text(chain[0].text if chain else buf, flags, granted, whole=True)
        self._scan(text, 0 if chain else first)
        hits = [mapped(hit, chain) for hit in text.hits] if chain else text.hits
        cut = raw(chain, text.cut)
        left = text.left
        try:
            paths = deeper(text.buf if text.cut < 0 else text.buf[: text.cut])
        except TooManyEscapes as escapes:
            paths = []
            at = raw(chain, escapes.at)
            cut = at if cut < 0 else min(cut, at)
        deep: list[Hit] = []
        for path in paths:
            inner = Text(path[-1].text, flags, max(left, granted // 4))
            self._scan(inner)
            left = inner.left
            tags = path[0].entities
            deep += [clamped(buf, mapped(hit, chain + path), tags) for hit in inner.hits]
            if inner.cut >= 0:
                further = raw(chain + path, inner.cut)
                cut = further if cut < 0 else min(cut, further)
        if deep:
            hits = hits + (in_strings(buf, deep) if text.json else deep)
        return apart(hits, len(buf) if cut < 0 else cut), cut

    @staticmethod
    def merged(hits: list[Hit], more: list[Hit], end: int) -> list[Hit]:
        """Two lists of hits as one, in order and apart; `more` gives its kind where both hit."""
        return apart(more + hits, end)

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
            if not phrase or self.patterns.category(buf[start:end])[0] != STATEMENT:
                return self._handlers[NAME](text, start, end)
        if end - start == 3 and buf[end - 2] == _AT:
            return looks.email(text, start, end)
        category, shapes = self.patterns.category(buf[start:end])
        for index in shapes:
            if after := self.shapes.look(text, index, start):
                return after
        if category == SHAPE:
            other = self.patterns.no_shape.match(buf, start)
            if other is None:
                return start + 2
            end = other.end()
            category, _ = self.patterns.category(buf[start:end])
        handler = self._handlers.get(category)
        return handler(text, start, end) if handler else start + 2
