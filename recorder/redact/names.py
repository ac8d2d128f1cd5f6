"""Which names are names of secrets (X-Api-Key, user[password], refreshToken; not next_page_token),
and what is filed under them; in headers, credentials and cookies, whose values have parts."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from recorder.redact.rules import Field, Rules, words
from recorder.redact.text import (
    BEFORE_KIND,
    FORM,
    PLACEHOLDER,
    Hit,
    Text,
    compiled,
    printable,
    unbase64,
)
from recorder.redact.values import (
    FIRST_LOOK,
    OPENING,
    Name,
    Value,
    leaves,
    name_before,
    operator_end,
    value_after,
    value_beside,
)

_REMEMBERED = 20_000
_LONGEST_NAME = 100  # a longer name is judged by its end
_SHORTEST_NUMBER = 2  # {"token": 0} is no secret
_NAME_COST = 32  # characters of one that cost about as much as another candidate
_LONG_WORD = 5  # a word of so many letters counts inside a longer word too: mytoken


class NameRules(NamedTuple):
    """What is known of a name: its rules, most telling first, and whether it is a plural."""

    rules: tuple[Field, ...]
    plural: bool


class NameBook:
    """Looks names up in the field rules; remembers what it has seen, up to a bound."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._judged = lru_cache(_REMEMBERED)(self._judge)
        self._values = {rule: compiled(rule.value) for rule in rules.fields if rule.value}
        self._message = compiled(rules.harmless_message)
        self._constants = {value.encode() for value in rules.harmless_values}
        self._exact: dict[str, set[int]] = defaultdict(set)
        self._within: list[tuple[str, int]] = []
        self._words: dict[str, list[tuple[list[str], int]]] = defaultdict(list)  # by the first
        self._ends: list[tuple[str, int]] = []
        self._common: list[tuple[str, int]] = []
        for index, rule in enumerate(rules.fields):
            for name in rule.exact:
                self._exact[name.replace(" ", "")].add(index)
            self._within += [(name.replace(" ", ""), index) for name in rule.within]
            for name in rule.words:
                if rule.unless:
                    self._common.append((name, index))
                    continue
                self._words[name.partition(" ")[0]].append((name.split(" "), index))
                if " " not in name and len(name) >= _LONG_WORD:
                    self._ends.append((name, index))
        self._any_end = tuple(word for word, _ in self._ends)

    def look(self, name: bytes) -> NameRules | None:
        """The rules for a name, or None when it is harmless."""
        return self._judged(name[-_LONGEST_NAME:])

    def rule(self, name: bytes, place: str, value: bytes) -> Field | None:
        """The rule by which `value`, filed under `name` at `place`, is a secret."""
        named = self.look(name)
        if named is None or not value:
            return None
        if (named.plural and value.isdigit()) or value.lower() in self._constants:
            return None  # a number of tokens; whether there are credentials
        if b" " in value and self._message.match(value):
            return None
        for rule in named.rules:
            if rule.only and place not in rule.only:
                continue
            if rule.opaque and not opaque(value) and not _is_pair(rule, value):
                continue
            if rule.value and self._values[rule].search(value) is None:
                continue
            return rule
        return None

    def describes(self, name: bytes) -> bool:
        """Whether what stands under a name, inside what is secret, only says something of that:
        createdAt, ARN; not DATABASE_URL, which may be any of a map of secrets."""
        parts = words(name.decode("latin-1"))
        variable = b"_" in name and name.isupper()
        return not variable and parts[-1:] != [] and parts[-1] in self._rules.harmless_after

    def kinds(self, name: bytes, place: str) -> tuple[str, str, bool]:
        """The kinds of which a value under a name is: one that looks random, and any other ("" for
        none, UNSURE where the value has to be looked at); and whether the name is a plural."""
        named = self.look(name)
        rules = [
            rule for rule in (named.rules if named else ()) if not rule.only or place in rule.only
        ]
        return _kind(rules, True), _kind(rules, False), named is not None and named.plural

    def _judge(self, name: bytes) -> NameRules | None:
        parts = words(name.decode("latin-1"))
        whole = "".join(parts)
        if not parts or whole in self._rules.harmless_names:
            return None
        fitting = self._fitting(parts, whole)
        rules = tuple(self._rules.fields[index] for index in sorted(fitting))
        return NameRules(rules, parts[-1].endswith("s")) if rules else None

    def _fitting(self, parts: list[str], whole: str) -> set[int]:
        """The rules (indices) that a name fits and that no word around says it is only about."""
        starts = [0, *accumulate(map(len, parts))]
        harmless = self._rules.harmless_after
        about = max(
            (at for at, part in zip(starts, parts, strict=False) if part in harmless), default=-1
        )
        fitting = set(self._exact.get(whole, ()))
        for inner, rule in self._within:
            if inner in whole and about < whole.rfind(inner) + len(inner):
                fitting.add(rule)
        for index, part in enumerate(parts):
            if index and parts[index - 1] in self._rules.harmless_before:
                continue
            for wanted, rule in self._words.get(part, ()):
                end = index + len(wanted)
                if parts[index:end] == wanted and about < starts[end]:
                    fitting.add(rule)
            if part.endswith(self._any_end) and about < starts[index + 1]:
                fitting.update(rule for word, rule in self._ends if part.endswith(word))
        for word, rule in self._common:
            if parts[-1].endswith(word):
                before = parts[-1].removesuffix(word) or "".join(parts[-2:-1])
                if before and before not in self._rules.fields[rule].unless:
                    fitting.add(rule)
        return fitting


UNSURE = "?"  # no kind


def _kind(rules: list[Field], random: bool) -> str:
    for rule in rules:
        may_be_pair = rule.kind == "authorization" and rule.opaque and not random
        if rule.value or may_be_pair:
            return UNSURE
        if random or not rule.opaque:
            return rule.kind
    return ""


def _is_pair(rule: Field, value: bytes) -> bool:
    """Whether a value is user:password in base64, as container tools keep it under "auth"."""
    if rule.kind != "authorization" or len(value) < 8:
        return False
    pair = unbase64(value)
    return b":" in pair and printable(pair)


_UUID = rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_KNOWN_IDS = re.compile(
    rb"(?:%s|[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9.:TZ+-]+|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})\Z"
    % _UUID
)
_RANDOM = re.compile(rb"[A-Za-z0-9_.~+/=%:!*-]{16,4096}\Z")
_CLASSES = (
    bytes(
        ord("0") if chr(c).isdigit() else ord("A") if chr(c).isupper() else ord("a")
        for c in range(128)
    )
    + b"a" * 128
)
_CHANGES = (b"0A", b"0a", b"A0", b"Aa", b"a0", b"aA")


def opaque(value: bytes, every: int = 4) -> bool:
    """Whether a value looks random and is no UUID, ULID, number or time.

    Random text goes from small letters to capitals to digits and back every other character (base
    32: every third); words, slugs and camelCase names do so less than once in `every` of them.
    """
    if _RANDOM.match(value) is None or _KNOWN_IDS.match(value) is not None:
        return False
    classes = value.translate(_CLASSES, b"_.~+/=%:!*-")
    return classes.count(b"0") >= 2 and every * sum(map(classes.count, _CHANGES)) >= len(classes)


def jumbled(value: bytes) -> bool:
    """Whether capitals, small letters and digits stand in no order. In camelCase nearly every
    capital has a small letter behind it."""
    classes = value.translate(_CLASSES, b"_-=")
    if b"0" not in classes or classes.count(b"A") - classes.count(b"Aa") < 2:
        return False
    return b"a" in classes and 5 * sum(map(classes.count, _CHANGES)) >= 2 * len(classes)


# What stands before credentials in an Authorization header stays readable.
AUTH_SCHEME = re.compile(
    rb"(?i)(?:bearer|basic|digest|token|apikey|api-key|negotiate|ntlm|oauth|hawk|ssws|bot|key"
    rb"|aws4-hmac-sha256)[ +]+"
)
_WORD_OF_SCHEME = re.compile(rb"[^\s,]+")
_SHORT_VALUE = 256  # a longer one is not looked at again
_TAG_END = re.compile(rb"[^<>]{0,400}?(?:>|\\+u003[eE])")
_NEXT_ELEMENT = re.compile(rb"</[a-z]{1,8}>[ \t\r\n]*<[a-z]{1,8}[^<>/]*>")
_ARN = re.compile(rb"arn:[a-z0-9:-]+:\Z")  # what comes before the type of a resource of AWS
_TAG_BEFORE = re.compile(rb"(?:<|\\u003[cC])[A-Za-z0-9_.-]{0,40}:?\Z")


class NamedSecrets:
    """The field rules at work on a candidate of the scan."""

    def __init__(self, names: NameBook) -> None:
        self.names = names

    def look(self, text: Text, start: int, end: int) -> int:
        """Take out what is filed under the name that ends in start..end; where to go on."""
        name = name_before(text.buf, start, end)
        text.left -= (end - start) // _NAME_COST
        if taken := PLACEHOLDER.match(text.buf, max(0, name.start - BEFORE_KIND)):
            return taken.end()  # redacted before: an export that is read again stays as it is
        named = self.names.look(name.text)
        if named is None:
            return max(name.end, start + 1)
        form, whole_line = bool(text.flags & FORM), False
        if name.ending in (b'"', b"'"):
            value = value_beside(text.buf, name)
        else:
            if name.ending in (b"<", b">") and not _NEXT_ELEMENT.match(text.buf, name.end):
                end = _tag_end(text.buf, name)
                if not end:
                    return max(name.end, start + 1)
            if name.ending in (b":", b"=") and not form:
                operator = operator_end(text.buf, end, name.ending)
                if operator is None:
                    return name.end + 1
                end = operator
            if _ends_string(text, name, end) or _ARN.search(text.buf, name.start - 96, name.start):
                return name.end + 1  # …, or the type of a resource: arn:aws:…:secret:name
            whole_line = any(rule.kind == "authorization" for rule in named.rules)
            loose = not text.json
            value = value_after(text.buf, end, name, form, whole_line, loose)
        if value is None:
            return max(name.end, start + 1)
        if value.container:
            return self._container(text, name, named.rules[0], value.start)
        if not value.delimited and value.end - value.start > FIRST_LOOK - 64:
            if self.names.rule(name.text, "query", text.buf[value.start : value.end]) is None:
                return name.end + 1
            value = (
                value_after(text.buf, end, name, form, whole_line, not text.json, len(text.buf))
                or value
            )
        return self._value(text, name, value)

    def _value(self, text: Text, name: Name, value: Value) -> int:
        start, end, quote, _, delimited = value
        secret = text.buf[start:end]
        if not delimited and (taken := PLACEHOLDER.match(secret)):
            return start + taken.end()
        place = "query" if name.ending == b"=" and _in_query(text, name.start) else "body"
        rule = self.names.rule(name.text, place, secret)
        if rule is None or (quote and (not rule.numbers or end - start < _SHORTEST_NUMBER)):
            return name.end + 1
        if rule.kind == "authorization" and (scheme := AUTH_SCHEME.match(secret)):
            start += scheme.end()
            if not delimited and (word := _WORD_OF_SCHEME.match(text.buf, start, end)):
                end = word.end()
        text.add(start, end, rule.kind, name.text, quote)
        # Where a value ends is a guess if nothing delimits it: a shape may reach further.
        if not delimited and end - value.start < _SHORT_VALUE:
            end = value.start
        return max(end, name.end)  # a value beside its name may stand before it

    def _container(self, text: Text, name: Name, rule: Field, pos: int) -> int:
        """Text in an object or array that is filed under a secret's name is secret.

        The scan goes on inside: keys, numbers and what is not secret by this name may hold more.
        """
        if not rule.only or "body" in rule.only:
            strings = leaves(text.buf, pos, len(name.backslashes), text.left, self.names.describes)
            text.left -= strings.cost
            for start, end in strings.spans:
                if self.names.rule(name.text, "body", text.buf[start:end]):
                    text.add(start, end, rule.kind, name.text)
            if strings.cut:
                text.cut = strings.end
        return pos


def _ends_string(text: Text, name: Name, pos: int) -> bool:
    """Whether the quote at `pos` ends the JSON string around the name, and opens no value."""
    quote = OPENING.match(text.buf, pos)
    if quote is None or quote[2] != b'"':
        return False
    if name.quoted:
        return len(quote[1]) < len(name.backslashes)
    return not text.opens_string(name.start, len(quote[1]))


def _in_query(text: Text, start: int) -> bool:
    before = text.buf[max(0, start - 6) : start]
    if not before:
        return bool(text.flags & FORM)
    return before[-1:] in b"?&;#" or before.lower().endswith(b"\\u0026")


def _tag_end(buf: bytes, name: Name) -> int:
    """Where the XML tag of that name ends, just after its >; 0 when it is no tag."""
    if not _TAG_BEFORE.search(buf, max(0, name.start - 48), name.start):
        return 0
    match = _TAG_END.match(buf, name.end)
    return match.end() if match and match[0][-2:-1] != b"/" else 0


_AWS4 = re.compile(rb"(?i)(?:credential=([^/, ]+)|signature=([0-9a-f]+))")
_SCHEMES = {b"bearer": "bearer", b"basic": "basic"}
COOKIES = ("cookie", "set-cookie")
_MOST_COOKIES = 256  # browsers send at most 180 to a host
_LONG_COOKIE = 20
_HTTP_ONLY_COOKIE = 12
# Cookies that count visitors for statistics; they open nothing.
COUNTING = re.compile(rb"_ga|_gid|_gat|_gcl_|_fbp|_hj|__utm|_pk_|ajs_|amp_|optimizely|mp_")
_DIGIT = re.compile(rb"[0-9]")
_HEX = re.compile(rb"[0-9a-f]+\Z")
# What no random value has, as it is or percent-encoded: blanks, quotes, commas, brackets, & and ;
_STRUCTURED = re.compile(rb"[\s\"'(),;<>?\[\]{}&|]|%(?:2[026-9Cc]|3[BbCcEeFf]|5[BbDd]|7[BbDd])")


def header_hits(names: NameBook, name: str, value: bytes) -> list[Hit]:
    """What to take out of a header's value because of the header's name; cookies have their own."""
    rule = names.rule(name.encode("utf-8", "surrogatepass"), "header", value)
    if rule is None:
        return []
    is_auth = rule.kind == "authorization"
    hits = _credentials(value) if is_auth else [_hit(value, 0, len(value), rule.kind)]
    return [hit for hit in hits if not PLACEHOLDER.fullmatch(hit.secret)]


def cookies(lower: str, header: bytes) -> tuple[list[bytes], bytes | None]:
    """The cookies of a Cookie header as written, or the one of a Set-Cookie header and what is said
    of it; and the rest that is too much to look at, if any."""
    if lower != "cookie":
        return header.split(b";", 1), None
    parts = header.split(b";", _MOST_COOKIES)
    return (parts, None) if len(parts) <= _MOST_COOKIES else (parts[:-1], parts[-1])


def cookie_hit(names: NameBook, part: bytes, http_only: bool) -> Hit | None:
    """What to take out of a cookie, `name=value`, because of its name, or because it is a
    session's."""
    name, equals, value = part.partition(b"=")
    if not equals:
        name, value = b"", part
    name = name.strip()
    if len(value) < _HTTP_ONLY_COOKIE and names.look(name) is None:  # as most are
        return None
    value = value.strip().strip(b'"')
    rule = names.rule(name, "cookie", value)
    if rule is None and not _is_random(name, value, http_only):
        return None
    if value[:1] == b"[" and PLACEHOLDER.fullmatch(value):
        return None
    start = part.find(value, part.find(b"=") + 1)
    return _hit(part, start, start + len(value), rule.kind if rule else "cookie", name)


def _hit(value: bytes, start: int, end: int, kind: str, name: bytes = b"") -> Hit:
    return Hit(start, end, kind, value[start:end], name)


def _credentials(value: bytes) -> list[Hit]:
    scheme = AUTH_SCHEME.match(value)
    if scheme is None:
        return [_hit(value, 0, len(value), "authorization")]
    word = scheme[0].rstrip(b" +").lower()
    if word == b"aws4-hmac-sha256":
        return [
            _hit(value, *match.span(match.lastindex or 0), ("aws_key", "signature")[bool(match[2])])
            for match in _AWS4.finditer(value)
        ]
    return [_hit(value, scheme.end(), len(value), _SCHEMES.get(word, "authorization"))]


def _is_random(name: bytes, value: bytes, http_only: bool) -> bool:
    """Session cookies have any name; what they share is a long random value."""
    if http_only and len(value) >= _HTTP_ONLY_COOKIE and _DIGIT.search(value):
        return True
    if len(value) < _LONG_COOKIE or COUNTING.match(name):
        return False
    if _STRUCTURED.search(value) or _HEX.match(value):
        return False
    return opaque(unquote_to_bytes(value) if b"%" in value else value)
