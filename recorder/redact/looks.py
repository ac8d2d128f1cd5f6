"""Secrets known by their looks: e-mail addresses, addresses with credentials, numbers with a check
built in, and the shapes of the rule table.

A function looks at a candidate of the scan, takes out what stands there and returns where to go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import re2

from recorder.redact.names import jumbled, opaque
from recorder.redact.rules import Rules, Shape, builtin, words
from recorder.redact.text import (
    BINARY,
    NO_CARD,
    UNSURE,
    Text,
    compiled,
    options,
    past_escape,
    printable,
    run_before,
    stands_alone,
    unbase64,
)

# Numbers of other lengths count only under a name that says card (rules.toml), since one number in
# ten passes the Luhn check.
_ISSUERS = re.compile(f"(?:{'|'.join(builtin().numbers_issuers)})\\Z".encode())
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
# card[number]=…, {"card": {"number": …; and a string under "number", which no counter is
_CARDS_NUMBER = re.compile(
    rb"(?i)(?:\b(?:cards?|payment)[^a-z0-9]{1,8}number[^a-z0-9]{1,6}"
    rb"|[\"']number\\*[\"']: ?\\*[\"'])\Z"
)
_SEPARATORS = b"\"'\\ :=#./"
_NAME_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"

IBAN_LENGTHS = {country.encode(): length for country, length in builtin().numbers_iban.items()}
IBAN_START = (
    f"(?:{'|'.join(sorted(country.decode() for country in IBAN_LENGTHS))})"
    r"[0-9]{2}(?:[ +-]|%20)?[A-Z0-9]{4}"
)
_IBAN = re.compile(
    rb"[A-Z]{2}[0-9]{2}(?:(?:[ +-]|%20)?[A-Z0-9]{4}){2,7}(?:(?:[ +-]|%20)?[A-Z0-9]{1,3})?"
)
# A card, or a US social security number.
NUMBER = (
    r"[2-6][0-9]{12,}"
    r"|[2-6][0-9]{3}(?:[ +-]|%20)[0-9]{4}(?:[ +-]|%20)[0-9]{4}(?:[ +-]|%20)[0-9]{4}"
    r"|3[0-9]{3}(?:[ +-]|%20)[0-9]{6}(?:[ +-]|%20)[0-9]{4,5}"
    r"|[0-9]{3}-[0-9]{2}-[0-9]{4}"
)


def luhn(digits: bytes) -> bool:
    """Whether ASCII digits pass the Luhn check (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = digit - 48
        total += _DOUBLED[value] if place & 1 else value
    return total % 10 == 0


def other_number(before: bytes) -> bool:
    """Whether a name (or what stands before a number) says that the number is no card."""
    text = before.rstrip(_SEPARATORS)
    parts = words(text[len(text.rstrip(_NAME_BYTES)) :].decode("latin-1"))
    rules = builtin()
    if not parts or rules.numbers_card.intersection(parts) or _CARDS_NUMBER.search(before):
        return False
    return not rules.numbers_other.isdisjoint((parts[-1], parts[-1].removesuffix("s")))


def is_card(text: bytes, before: bytes) -> bool:
    """Whether `text`, digits in groups or without, is a card number; `before` is what precedes."""
    digits = text.translate(None, b" +-").replace(b"%20", b"")
    grouped = len(digits) != len(text)
    if not _ISSUERS.match(digits) or not luhn(digits):
        return False
    return grouped or not other_number(before)


def is_ssn(text: bytes, before: bytes) -> bool:
    """Whether nnn-nn-nnnn can be a social security number (no 000, 666 or 9xx area)."""
    area, group, serial = text.split(b"-")
    possible = area not in (b"000", b"666") and area < b"900" and group != b"00"
    return possible and serial != b"0000" and not other_number(before)


def iban_length(text: bytes) -> int:
    """How many characters of `text`, separators included, are an IBAN; 0 when it is none."""
    text = text.replace(b"%20", b"   ")
    wanted = IBAN_LENGTHS[text[:2]]
    end = taken = 0
    while end < len(text) and taken < wanted:
        taken += text[end] not in b" +-"
        end += 1
    compact = text[:end].translate(None, b" +-")
    if len(compact) != wanted or not compact.isalnum():
        return 0
    number = "".join(str(int(chr(c), 36)) for c in compact[4:] + compact[:4])
    return end if int(number) % 97 == 1 else 0


_AROUND = 32  # bytes before a number that may say what it is
_LOCAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_%+.-'"
# Letters of Latin, Greek and Cyrillic beyond ASCII: two bytes, or an escape of JSON.
_LETTER = re.compile(rb"[\xc3-\xca\xce-\xd3][\x80-\xbf]")
_ESCAPED_LETTER = re.compile(rb"(?i)u0(?:0[c-f]|[1-4][0-9a-f])[0-9a-f]")
_DOMAIN = re.compile(
    rb"(?:[A-Za-z0-9-]{1,63}+\.(?=[A-Za-z0-9])){1,8}+([A-Za-z]{2,24}+)(?![A-Za-z0-9])"
)
_NO_TOPLEVEL = frozenset(  # logo@2x.png
    b"png jpg jpeg gif svg webp ico bmp js mjs css ts tsx jsx json html htm xml txt md map woff "
    b"woff2 ttf eot mp3 mp4 webm pdf zip gz tar py rb go rs php jar so dll exe".split()
)
_GIT = re.compile(rb"git@[^@]*:\Z")  # git@github.com:acme/x.git
_SCHEME = re.compile(rb"(?i)(bearer|basic)(?:[ \t+]|%20){1,3}")
_TOKEN = re.compile(rb"(?:[A-Za-z0-9._~+/=-]++|\\++/|\\++u002[bBfFdD]|%(?:2[BbFf]|3[Dd]))+")
_SHORTEST_BEARER = 16
_DIGIT = re.compile(rb"[0-9]")
_AUTHORITY = re.compile(rb"[^/?#\s\"'<>\\]{0,256}")
_ADDRESS = re.compile(rb":\\*/\\*/\Z")
_LONGEST_USERINFO = 512
_USERINFO = re.compile(rb"[^/?#@\s\"'<>\\]+")
LINK_WORDS = "token|reset|verify|confirm|magic|activat|invit|unsubscrib"
_LINK_HEAD = re.compile(rb"/[A-Za-z_-]{0,20}\Z")
_SHORTEST_LINK = 20
_SEGMENT = re.compile(rb"[A-Za-z0-9_.~-]+")


def email(text: Text, start: int, end: int) -> int:
    """An e-mail address, or what stands before the host in an address: user:password@host."""
    buf, at = text.buf, end - 2
    slash = buf.rfind(b"/", max(0, at - _LONGEST_USERINFO), at)
    address = slash > 0 and _ADDRESS.search(buf, max(0, slash - 16), slash + 1)
    if address and _USERINFO.fullmatch(buf, slash + 1, at):
        return _userinfo(text, slash + 1, at)
    local = _local_part(buf, at)
    while local < at and buf[local] in b"'.%-+":
        local += 1
    domain = _DOMAIN.match(buf, at + 1)
    if domain is None or local >= at or text.flags & BINARY:
        return at
    if domain[1].lower() in _NO_TOPLEVEL or _GIT.match(buf, local, domain.end() + 1):
        return at
    end = domain.end()
    text.add(local, end, "email")
    return end


def _local_part(buf: bytes, at: int) -> int:
    """Where the part of an address before the @ at `at` begins: maría@…, mar\\u00eda@…"""
    start, most = run_before(buf, at, _LOCAL, 64), at - 64
    while start > most:
        if buf[start - 1 : start] == b"\\" and _ESCAPED_LETTER.match(buf, start):
            start = run_before(buf, start, b"\\", 8)
        elif start > 1 and _LETTER.fullmatch(buf, start - 2, start):
            start -= 2
        else:
            break
        start = run_before(buf, start, _LOCAL, 64)
    return past_escape(buf, start)


def _userinfo(text: Text, begin: int, at: int) -> int:
    rest = _AUTHORITY.match(text.buf, at + 1)
    last = rest[0].rfind(b"@") if rest else -1  # an @ in the password itself
    stop = at + 1 + last if last >= 0 else at
    text.add(begin, stop, "userinfo")
    return stop + 2  # beyond the @, which makes no e-mail address of user and host


def digits(text: Text, start: int, end: int) -> int:
    buf = text.buf
    value = buf[start:end]
    before = buf[max(0, start - _AROUND) : start]
    onward = end if value.isdigit() else start + 3
    if text.flags & BINARY or not stands_alone(buf, start, end):
        return onward
    if value[3:4] == b"-":
        if is_ssn(value, before):
            text.add(start, end, "ssn")
            return end
    elif len(value) <= 25 and not text.flags & NO_CARD and is_card(value, before):
        text.add(start, end, "card", quote=UNSURE)
        return end
    return onward


def iban(text: Text, start: int, end: int) -> int:
    buf = text.buf
    match = None if text.flags & BINARY else _IBAN.match(buf, start)
    if match is None:
        return start + 4  # not beyond: a key may begin among the letters and digits
    length = iban_length(match[0])
    if not length or buf[start + length : start + length + 1].isalnum():
        return start + 4
    text.add(start, start + length, "iban")
    return start + length


def scheme(text: Text, start: int, end: int) -> int:
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


def link(text: Text, start: int, end: int) -> int:
    """/reset/<token>: whoever has the address has the account."""
    slash = text.buf.rfind(b"/", start, end)
    token = _SEGMENT.match(text.buf, slash + 1)
    if not _LINK_HEAD.search(text.buf, max(0, start - 21), start):
        return slash
    if token is None or len(token[0]) < _SHORTEST_LINK or not opaque(token[0]):
        return slash
    text.add(*token.span(), "link_token")
    return token.end()


_LONGEST_BACK = 128
_LONGEST_WHOLE = 1024
_NEAR = 200  # bytes around a key id in which its secret is looked for
# The end of a private key, or of the string that it was cut off in.
_PEM_END = compiled(r"-----END[^-]{0,60}-----|Private-MAC:[ 0-9a-f]{1,80}|[^\\]\"")
_AWS_SECRET = re.compile(rb"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+]|\\?/){40}(?![A-Za-z0-9+/=])")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/_-]++|\\++/|%2[BbFf])+(?:=|%3[Dd]){0,2}")
_BASE64_CLASS = re.compile(r"\[[^]]*\+/[^]]*\]")
_MIXED = re.compile(rb"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])", re.DOTALL)
_LONG_NO_HEX = re.compile(rb"(?=[a-z0-9]*[g-z])[a-z0-9]{32}|(?=[A-Z0-9]*[G-Z])[A-Z0-9]{32}")
_RUN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_HEAD = re.compile(rb"(?:(?:[a-z][a-z0-9]{0,15}|[A-Z][A-Z0-9]{0,15})[._-])+")
_PUBLIC = re.compile(rb"(?i)(?<![a-z])(?:pk|pub|public|publishable|phc|nonce|sha[0-9]+|md5)[._-]")
_SEPARATOR = re.compile(rb"[._-]")
_THINGS = frozenset(word for field in builtin().fields for word in field.unless)
_MOST_WORDS = 3  # before a key; a slug has more
_SURE_HEAD = 3  # before a run with a dash or underline in it; "a_" may be a part of that
_DEEPEST = 3  # base64 in base64; deeper than that it is taken out unseen
_ENCODED_COST = 512  # bytes of base64 that cost about as much as one candidate


class Shapes:
    """The shape rules, compiled. `scan` inspects a decoded text within an allowance."""

    def __init__(self, rules: Rules, scan: Callable[[bytes, int, int], Text]) -> None:
        self._rules = rules.shapes
        self._patterns: list[Any] = [compiled(_escaped(shape.pattern)) for shape in rules.shapes]
        self._backs = [_members(shape.back) for shape in rules.shapes]
        self._scan = scan
        whole = re2.Set.FullMatchSet(options())
        for shape in rules.shapes:
            whole.Add(shape.pattern.encode())
        whole.Compile()
        self._whole = getattr(whole, "_set", whole).Match  # without what the binding puts around it

    def whole(self, secret: bytes) -> str | None:
        """The kind of which `secret` is a whole example."""
        fitting = self._whole(secret) if len(secret) <= _LONGEST_WHOLE else None
        return self._rules[min(fitting)].kind if fitting else None

    def look(self, text: Text, index: int, start: int) -> int:
        """Take rule `index`'s secret out at `start`; where to go on, 0 when there is none."""
        rule, buf = self._rules[index], text.buf
        match = self._patterns[index].match(buf, start)
        if match is None:
            jwt = rule.kind == "jwt" and buf.startswith(b"eyJ", start)
            return self.encoded(text, start, 0) if jwt else 0
        begin, end = match.span(1) if self._patterns[index].groups else match.span()
        if rule.kind == "private_key":
            return _private_key(text, start, end)
        if rule.back:
            begin = run_before(buf, start, self._backs[index], _LONGEST_BACK)
            if start - begin < rule.back_min:
                return 0
        if not fits(rule, buf, begin, end):
            return 0
        text.add(begin, end, rule.kind)
        if rule.kind == "aws_key":
            _aws_secret(text, begin, end)
        return int(end)

    def encoded(self, text: Text, start: int, end: int) -> int:
        """Base64 of JSON: taken out whole when a secret is in it; where to go on. `end`: of the
        candidate, 0 where it is looked at as something else if it is none."""
        match = _BASE64.match(text.buf, start)
        if match is None or len(match[0]) < 16:
            return min(end, start + 2)  # a candidate is 12 bytes: another may begin in it
        inner = unbase64(match[0])
        text.left -= len(inner) // _ENCODED_COST
        secret = text.left > 0 and printable(inner)
        if secret and text.depth < _DEEPEST:
            secret = bool(self._scan(inner, text.left, text.depth + 1).hits)
        if not secret:
            return self._marked_within(text, start, match.end()) or match.end()
        text.add(*match.span(), "base64")
        return match.end()

    def _marked_within(self, text: Text, start: int, end: int) -> int:
        """A secret whose mark stands at its end, in a run that only looked like base64 of JSON:
        where to go on behind it, 0 when there is none."""
        for index, rule in enumerate(self._rules):
            mark = self._patterns[index].search(text.buf, start, end) if rule.back else None
            if mark is not None and (after := self.look(text, index, mark.start())):
                return after
        return 0


def _escaped(pattern: str) -> str:
    """A pattern whose classes take + and / also as they stand in addresses and in JSON."""
    escapes = r"\\{1,7}/|\\{1,7}u002[bBfF]|%2[BbFf]|%3[Dd]"
    return _BASE64_CLASS.sub(lambda match: f"(?:{match[0]}|{escapes})", pattern)


def fits(rule: Shape, buf: bytes, begin: int, end: int) -> bool:
    """Whether what a shape's pattern found at begin..end looks as the rule wants it besides."""
    if rule.headed:
        start = past_escape(buf, run_before(buf, begin, _RUN, _LONGEST_BACK))
        if buf[start - 1 : start] == b"%":
            start += 2
        head = _HEAD.match(buf, start, end)
        if head is None or head.end() <= begin or _PUBLIC.search(head[0]):
            return False
        if len(_SEPARATOR.findall(head[0])) > _MOST_WORDS:
            return False  # how-to-rotate-api-keys-V1StGXR8Z5jdHi6B
        things = rule.unless and rule.unless | _THINGS
        named = things and things.intersection(words(head[0].decode()))
        if named or (things and buf[start - 1 : start] == b"/"):
            return False  # commit_b92c212…, /avatars/ab_…
        begin = head.end()
        sure = begin - start >= _SURE_HEAD or head[0][:2] == b"sk"
        if end - begin < rule.least or (not sure and _SEPARATOR.search(buf, begin, end)):
            return False
    body = buf[begin:end]
    if rule.mixed:
        return jumbled(body) or (_LONG_NO_HEX.match(body) is not None and opaque(body, 6))
    return not rule.opaque or opaque(body)


def _members(characters: str) -> bytes:
    """The bytes of a character class such as 'A-Za-z0-9_'."""
    if not characters:
        return b""
    return bytes(code for code in range(128) if re.match(f"[{characters}]", chr(code)))


def _private_key(text: Text, start: int, end: int) -> int:
    buf = text.buf
    if buf.startswith(b"LS0t", start):  # in base64
        if b"PRIVATE" in unbase64(buf[start : start + 80]):
            text.add(start, end, "private_key")
        return end
    closing = _PEM_END.search(buf, end)
    stop = len(buf) if closing is None else closing.end()
    if buf[stop - 1 : stop] == b'"':
        stop -= 1
    text.add(run_before(buf, start, b"-", 8), stop, "private_key")
    return stop


def _aws_secret(text: Text, start: int, end: int) -> None:
    """A secret access key has no mark of its own; beside its key id it can be told."""
    for low, high in ((max(0, start - _NEAR), start), (end, end + _NEAR)):
        for match in _AWS_SECRET.finditer(text.buf, low, high):
            if _MIXED.match(match[0]):
                text.add(*match.span(), "aws_secret")
