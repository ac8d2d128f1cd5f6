"""One part of a path, a key or a name: what of it varies, and what that is called.

The vocabulary of placeholders, also told in docs/routes.md:

    {id}       numbers, prefixed and random identifiers (cus_9s6XKz…, ULID, xid, KSUID, PROJ-12)
    {uuid}     8-4-4-4-12        {hex}   16 and more hex digits     {hash}  in a file's name
    {token}    32 and more random characters, JWTs, base64          {date}  dates and timestamps
    {email}    {ip}    {phone}    {version}  1.2.3    {redacted}    {rest}  the end of a long path

A placeholder follows from the shape of a value, never from the value: were 20240512 a date and
20249999 a number, one endpoint would have two routes. That is why all numbers are {id}.

Three steps, from small to large: whether a run of letters and digits is a name or chance; a part
that is itself made of parts (user_42, main.3f2a1b9c.js, top-10-tips), in which words stay, numbers
and random runs go, and neighbours that go become one placeholder; and a whole segment of a path.

No word list can tell names from chance (product names, other languages, abbreviations), but pairs
of neighbouring letters can: in names they follow habits, in random text they do not. The table
gives how rare each pair is, measured over English words, identifiers and package names, and words
of twenty other languages written in Latin letters; it stands with other lists in tables.toml.
"""

from __future__ import annotations

import math
import re
import tomllib
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_STEP: Final = 0.4  # bits a unit of the table
TABLES: Final = tomllib.loads((Path(__file__).parent / "tables.toml").read_text(encoding="utf-8"))

_BITS: Final = {
    first + second: -_STEP * int(digit, 36)
    for first, row in zip("^" + _LETTERS, TABLES["rarity"].split(), strict=True)
    for second, digit in zip(_LETTERS + "$", row, strict=True)
}

# camelCase and PascalCase fall into their words, digits into their runs.
_RUNS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_CONVERSION: Final = re.compile(r"(?<=[a-z])[24](?=[a-z])")  # html2pdf, text4shell
_NO_DIGITS: Final = {ord(digit): None for digit in "0123456789"}
_ALPHABET: Final = {
    (lower, upper, digit): math.log2(26 * lower + 26 * upper + 10 * digit or 1)
    for lower in (False, True)
    for upper in (False, True)
    for digit in (False, True)
}

KNOWN: Final = frozenset(TABLES["names"].split())  # lower case; asked before anything is computed


def margin(token: str) -> float:
    """How surely `token` (ASCII letters and digits) was named by someone: above 0 a name,
    below 0 chance. In natural log odds, fitted on package names, identifiers and random ids."""
    lower, upper = not token.isupper(), not token.islower()
    if upper and not any("a" <= c <= "z" for c in token):
        token, lower, upper = token.lower(), True, False  # shouting says nothing
    if not upper:
        token = _CONVERSION.sub("", token)
    digits = len(token) - len(token.translate(_NO_DIGITS))
    chance = _ALPHABET[lower, upper, digits > 0]
    gain, words, shouted, numbers = 0.0, 0, 0, 0
    for run in _RUNS.findall(token):
        if run[0] <= "9":
            numbers += 1
            continue
        words += 1
        shouted += run.isupper()
        framed = f"^{run.lower()}$"
        gain += chance * len(run)
        gain += sum([_BITS[pair] for pair in map(str.__add__, framed, framed[1:])])
    penalty = 0.48 * words + 4.8 * shouted + 2.4 * numbers + 0.12 * digits + 0.074 * len(token)
    return 0.47 * gain - penalty + 7.17


def is_random(token: str) -> bool:
    """Whether a run of ASCII letters and digits (not digits alone) is an identifier by chance
    rather than a name. Runs under five characters are never called random: too little to see."""
    size = len(token)
    if size < 5 or token.lower() in KNOWN:
        return False
    digits = size - len(token.translate(_NO_DIGITS))
    if size >= 10 and 2 * len(_RUNS.findall(token)) > size:
        return True  # what has more than one change in two characters, nobody could say
    if not digits:
        return size >= 8 and (_is_hex(token) or margin(token) < 0)
    letters = size - digits
    if token[:letters].isalpha():  # user12345, tt0111161, but gpt35 and page200
        return digits >= 4 or (size >= 8 and margin(token) < 0)
    if token[:digits].isdigit():  # 12345abc, but 1080p and 500px
        return digits >= 5 or (size >= 8 and _is_hex(token)) or (size >= 6 and margin(token) < -1)
    if size >= 6 and digits >= 2 and _is_hex(token):
        return True
    return size >= 6 and margin(token) < (0 if digits > 1 else -2)


def _is_hex(token: str) -> bool:
    return not token.strip("0123456789abcdef") or not token.strip("0123456789ABCDEF")


TOKEN_LENGTH: Final = 32  # from here on a random text is a token rather than an identifier
HEX_LENGTH: Final = 16  # shorter ones are too often digits only, which would split their route

PLACEHOLDER: Final = re.compile(
    r"\{(?:id|uuid|hex|hash|token|date|email|ip|phone|version|redacted|rest|\*)\}"
)
VERSION: Final = re.compile(  # of an API: v1, v1.41, v2beta1, v1p1beta1, 2024-01-01-preview
    r"v\d{1,3}([._]\d{1,3})?((p\d|-?(alpha|beta|rc|preview))\d{0,3})*|\d{4}-\d\d-\d\d-preview",
    re.IGNORECASE,
)
SIZE: Final = re.compile(r"\d{1,5}x\d{1,5}", re.IGNORECASE)  # 180x180: an icon's

_PARTS: Final = re.compile(rf"{PLACEHOLDER.pattern}|[^\W_]+")
_FILE: Final = re.compile(r"[^.]\.[A-Za-z][A-Za-z0-9]{0,4}$")
_ASSET: Final = re.compile(r"\.(?:m?js|css|map|svg|png|jpe?g|webp|woff2?|json)$")
_DOMAIN: Final = re.compile(r"\.(?:com|org|net|io|dev|app|local|svc|cloud)$")
_STANDARD: Final = re.compile(
    r"(?:utf|sha|md|iso|rfc|aes|covid|http|mp|es|web|base|cp|ipv|x86)", re.I
)
_A_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_JOINING: Final = frozenset("-_.~+/,| =")
_PLAUSIBLE: Final = re.compile(r"(?=.*[aeiouyAEIOUY])(?:[A-Z]?[a-z]+|[A-Z]+)|[a-zA-Z]{1,2}|\d+")
_PREFIX: Final = re.compile(r"(?:[a-z]{1,10}_){1,3}")
_WORD, _NUMBER, _OPAQUE, _NAMED = "word", "number", "opaque", "named"


class _Part(NamedTuple):
    start: int
    end: int
    kind: str
    text: str


def stays(token: str) -> bool:
    """Whether a run of letters and digits is a name (a word, v1, 180x180) and no identifier."""
    return not is_random(token) or bool(SIZE.fullmatch(token) or VERSION.fullmatch(token))


def opaque_name(text: str) -> str:
    if len(text) >= HEX_LENGTH and not text.strip("0123456789abcdefABCDEF"):
        return "{hex}"
    return "{token}" if len(text) >= TOKEN_LENGTH else "{id}"


def name_compound(text: str) -> str:
    """`text` with its varying parts replaced; placeholders already in it are left alone."""
    parts = [_part(found) for found in _PARTS.finditer(text)]
    if not parts:
        return text
    is_file = len(parts) > 1 and bool(_FILE.search(text)) and not _DOMAIN.search(text)
    words = sum(part.kind is _WORD and len(part.text) > 1 for part in parts) - is_file
    if is_file and words and _ASSET.search(text):
        parts = [*(_maybe_hash(part) for part in parts[:-1]), parts[-1]]
    for index, part in enumerate(parts):
        if part.kind is _NUMBER and _number_stays(text, parts, index, words, is_file):
            parts[index] = part._replace(kind=_WORD)
    spans = _spans(text, parts[:-1] if is_file else parts)
    if len(spans) == 1 and _is_prefixed(text, *spans[0]):
        return "{id}"
    if not is_file and _is_all_random(text, parts, spans):
        return opaque_name(text)
    return _replaced(text, spans, is_file and words > 0)


def _part(found: re.Match[str]) -> _Part:
    token = found[0]
    if token[0] == "{":
        kind = _NAMED
    elif token.isdecimal():
        kind = _NUMBER
    else:
        kind = _WORD if not token.isascii() or stays(token) else _OPAQUE
    return _Part(found.start(), found.end(), kind, token)


def _maybe_hash(part: _Part) -> _Part:
    """Bundlers put eight characters of base64url into names, which may all be letters."""
    token = part.text
    mixed = len(token) == 8 and not (token.islower() or token.isupper() or token.istitle())
    if part.kind is _WORD and mixed and token.isascii() and margin(token) < 5.5:
        return part._replace(kind=_OPAQUE)
    return part


def _number_stays(text: str, parts: list[_Part], index: int, words: int, is_file: bool) -> bool:
    """Whether a number belongs to a name (top-10-tips, us-east-1, logo-2.png) or is one."""
    part, size = parts[index], len(parts[index].text)
    before = text[part.start - 1 : part.start]
    if not words or before in {"=", "(", ",", ":", ";"}:
        return False
    if index and _STANDARD.fullmatch(parts[index - 1].text):
        return True
    if is_file:
        return size <= 3
    if words == 1:
        return size == 1 and index > 0
    if _A_YEAR.fullmatch(part.text):
        return True
    last = index == len(parts) - 1
    return size <= (1 if last else 2 if index == 0 else 3)


def _spans(text: str, parts: list[_Part]) -> list[tuple[int, int, bool]]:
    """Where text varies: (start, end, random or mere numbers), neighbours joined."""
    spans: list[tuple[int, int, bool]] = []
    last = -1  # index of the last part in the last span
    for index, part in enumerate(parts):
        if part.kind not in (_NUMBER, _OPAQUE):
            continue
        start, opaque = part.start, part.kind is _OPAQUE
        if spans and _one_text(text, parts, last, index, opaque and spans[-1][2]):
            start, _, before = spans.pop()
            opaque = opaque or before
        elif opaque and index and _is_crumb(text, parts, index - 1, index):
            start = parts[index - 1].start
        last = index
        spans.append((start, part.end, opaque))
        if opaque and index + 1 < len(parts) and _is_crumb(text, parts, index + 1, index):
            last = index + 1
            spans[-1] = (start, parts[last].end, opaque)
    return spans


def _one_text(text: str, parts: list[_Part], left: int, right: int, opaque: bool) -> bool:
    """Whether two varying parts are pieces of one, with at most a short crumb between them."""
    between = parts[left + 1 : right]
    if not _JOINING.issuperset(_gaps(text, parts[left].end, parts[right].start, between)):
        return False
    return not between or (
        opaque and len(between) < 3 and all(p.kind is _WORD and len(p.text) <= 7 for p in between)
    )


def _gaps(text: str, start: int, end: int, between: list[_Part]) -> str:
    for part in reversed(between):
        text = text[: part.start] + text[part.end :]
        end -= part.end - part.start
    return text[start:end]


def _is_crumb(text: str, parts: list[_Part], crumb: int, beside: int) -> bool:
    """Whether a short part beside a random one is the rest of it: web-7d9f8c6b5-x2x9z."""
    part, left, right = parts[crumb], *sorted((parts[crumb], parts[beside]))
    return (
        part.kind is _WORD
        and part.text.isascii()
        and text[left.end : right.start] in {"-", "_", "+", "/"}
        and not (crumb < beside and part.text.islower() and part.text.isalpha())  # shp_, pvc-
        and _looks_cut(part.text)
    )


def _looks_cut(token: str) -> bool:
    """Too short to be judged alone, and no word: x2x9z, aGVsbG8; but not v1, 2x, abc."""
    size = len(token)
    if size < 3 or size > 7 or _PLAUSIBLE.fullmatch(token) or VERSION.fullmatch(token):
        return False
    return size <= 5 or margin(token) < 0


def _is_all_random(text: str, parts: list[_Part], spans: list[tuple[int, int, bool]]) -> bool:
    """Base64 cut into pieces by its own punctuation: mostly random, and the rest no words."""
    if len(text) < 16 or not _JOINING.issuperset(_PARTS.sub("", text)):
        return False
    random = sum(end - start for start, end, opaque in spans if opaque)
    rest = [part.text for part in parts if part.kind is _WORD]
    if "+" in text or "/" in text or text[-1] == "=":
        joined = "".join(part.text for part in parts)
        return (2 * random >= len(text) or (joined.isascii() and is_random(joined))) and not any(
            len(word) > 5 and _PLAUSIBLE.fullmatch(word) and margin(word) > 3 for word in rest
        )
    if random >= 0.8 * len(text) and all(len(word) < 3 for word in rest):
        return True
    return random >= max(16, len(text) / 2) and any(
        not _PLAUSIBLE.fullmatch(word) and not VERSION.fullmatch(word) for word in rest
    )


def _is_prefixed(text: str, start: int, end: int, opaque: bool) -> bool:
    """cus_9s6XKzkNRiz8i3, cs_test_a1b2…: the prefix belongs to the identifier."""
    return opaque and end == len(text) and bool(_PREFIX.fullmatch(text[:start]))


def _replaced(text: str, spans: list[tuple[int, int, bool]], is_file: bool) -> str:
    for start, end, opaque in reversed(spans):
        kind = "{id}" if not opaque else "{hash}" if is_file else opaque_name(text[start:end])
        rest = text[end:]
        if opaque and not rest.strip("=-_"):
            rest = ""  # base64's padding, or two more of its characters
        if start == 1 and text[0] in "-+":
            start = 0  # a sign
        text = text[:start] + kind + rest
    return text


MAX_SEGMENT: Final = 256  # characters; no name is longer

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_YEAR, _MONTH, _DAY = r"(?:19|20|21)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_CLOCK: Final = r"\d\d(?:[:.-]?\d\d){1,2}(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_END: Final = r"(?![^\W_])"
_SHAPE: Final = re.compile(  # each alternative is linear: bounded repeats, no nesting
    r"(?P<redacted>\[redacted(?::[^\]\[]*)?\])"
    r"|(?P<token>\beyJ[\w-]{8,}(?:\.[\w-]*){0,4})"
    rf"|(?P<uuid>(?<![^\W_])\{{?[\da-f]{{8}}(?:-[\da-f]{{4}}){{3}}-[\da-f]{{12}}{_END}\}}?)"
    r"|(?P<email>(?<![\w.+%'-])[\w.+%'-]{1,64}@(?!\d+x\.)(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?!\w))"
    rf"|(?P<date>(?<!\w){_YEAR}(?P<gap>[-_.]){_MONTH}(?P=gap){_DAY}(?:[T_ -]{_CLOCK})?{_END}"
    rf"|(?<!\w){_YEAR}{_MONTH}{_DAY}T{_CLOCK}{_END}"
    rf"|(?<!\w){_DAY}(?P<dot>[-.]){_MONTH}(?P=dot){_YEAR}{_END}"
    rf"|(?<![\w-]){_YEAR}-(?:{_MONTH}|W[0-5]\d|Q[1-4])(?![^\W_]|-\d))"
    rf"|(?P<ip>(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?::\d{{1,5}})?(?![^\W_]|\.\d)"
    rf"|(?<=ip-)(?:{_OCTET}-){{3}}{_OCTET}(?!\w))"
    r"|(?P<phone>(?<![\w+])\+\d[\d .()-]{6,18}\d(?!\w)"
    r"|(?<![\w(-])\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}(?![\w-]))"
    r"|(?P<id>(?<![\w:-])(?:[\da-f]{2}[:-]){5}[\da-f]{2}(?![\w:-]))"  # a network card
    r"|(?P<version>(?<![\w.])v?\d{1,5}(?:\.\d{1,6}){2,3}(?:[-+.]?(?:alpha|beta|rc|pre|dev|final"
    r"|snapshot|canary|next|post|a|b)[.-]?\d{0,8}(?:\.\d{1,8}){0,2}|[+-][\da-f]{7,40})?"
    rf"{_END})",
    re.IGNORECASE,
)
_UUID: Final = re.compile(r"[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}", re.IGNORECASE | re.ASCII)
_SHAPED: Final = re.compile(r"(?:[0-9][^0-9]*){3}|[@\[]|eyJ")  # worth trying _SHAPE at all
_ISSUE: Final = re.compile(r"(?!UTF|SHA|ISO|RFC|COVID|AES|HTTP|TLS|CVE|WIN)[A-Z][A-Z\d_]{1,15}-\d+")
_QUOTED: Final = re.compile(r"\('[^']*'\)")  # OData: /Users('alice')
_UNPRINTABLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def name_segment(segment: str) -> str:
    """The segment with what varies in it replaced by placeholders; itself if nothing does.

    Percent-encoding is seen through for the decision; what stays is kept as it was written.
    """
    if "{" in segment and PLACEHOLDER.search(segment):
        return segment  # a route already
    if len(segment) > MAX_SEGMENT or _UNPRINTABLE.search(segment):
        return "{token}"
    if "%" not in segment:
        return _name(segment)
    plain = unquote(segment, errors="replace")
    if "\ufffd" in plain and "\ufffd" not in segment:
        return "{token}"  # bytes, not text: an info hash, a packed key
    if _UNPRINTABLE.search(plain):
        return segment if len(plain) < 8 else "{token}"
    named = _name(plain)
    return segment if named == plain else quote(named, safe="{}*!$&'()+,;=:@~-._")


def _name(text: str) -> str:
    if text.isascii() and text.isalnum():
        return _single(text)
    if len(text) == 36 and _UUID.fullmatch(text):
        return "{uuid}"  # the commonest, and the dearest further down
    if text.count(":") > 1 and _is_ipv6(text):
        return "{ip}"
    if VERSION.fullmatch(text) or SIZE.fullmatch(text):
        return text
    if _ISSUE.fullmatch(text):
        return "{id}"
    if "'" in text:
        text = _QUOTED.sub("({id})", text)
    if _SHAPED.search(text):
        text = _SHAPE.sub(lambda found: f"{{{found.lastgroup}}}", text)
    return name_compound(text)


def _single(text: str) -> str:
    """A segment of ASCII letters and digits only."""
    if text.isdigit():
        return "{id}"
    if text.startswith("eyJ") and len(text) > 16:
        return "{token}"
    if text[-1] == "Z" and len(text) == 16 and text[8] == "T" and text[:8].isdigit():
        return "{date}"  # 20240512T101010Z
    return text if stays(text) else opaque_name(text)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text.removeprefix("[").partition("]")[0])
    except ValueError:
        return False
    return True
