"""One part of a path: which of it varies, and what that is called.

The vocabulary of placeholders, also told in docs/routes.md:

    {id}       numbers, prefixed and random identifiers (cus_9s6XKz…, ULID, xid, KSUID, PROJ-12)
    {uuid}     8-4-4-4-12        {hex}   16 and more hex digits     {hash}  in a file's name
    {token}    32 and more random characters, JWTs, base64          {date}  dates and timestamps
    {email}    {ip}    {phone}    {version}  1.2.3    {redacted}    {rest}  the end of a long path

A placeholder follows from the shape of a value, never from the value: were 20240512 a date and
20249999 a number, one endpoint would have two routes. That is why all numbers are {id}.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import quote, unquote

from recorder.normalize.compound import (
    PLACEHOLDER,
    SIZE,
    VERSION,
    name_compound,
    opaque_name,
    stays,
)

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
