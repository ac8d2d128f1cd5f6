"""A part of a path that is itself made of parts: user_42, main.3f2a1b9c.js, top-10-tips.

Words stay, numbers and random runs go, and neighbours that go become one placeholder, so that
a random text with dashes in it (base64url, a pod's name) counts as one.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from recorder.normalize.wordlike import is_random, margin

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
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
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
    if _YEAR.fullmatch(part.text):
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
