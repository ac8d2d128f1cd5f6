"""A text under inspection, how deep in JSON strings a place of it is, and small questions about
bytes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import re2


def options() -> Any:
    """RE2 options for all patterns: bytes in, nothing on stderr, room for a large DFA."""
    chosen = re2.Options()
    chosen.encoding = re2.Options.Encoding.LATIN1
    chosen.log_errors = False
    chosen.max_mem = 32 << 20
    return chosen


def compiled(pattern: str | bytes) -> Any:
    """An RE2 pattern over bytes. Raises re2.error."""
    return re2.compile(pattern if isinstance(pattern, bytes) else pattern.encode(), options())


def where(pattern: Any) -> Callable[[bytes, int, int], tuple[int, int]]:
    """A search for where a pattern is met first between two places, (-1, -1) if nowhere: straight
    to RE2 where the binding lets us, since its own objects take two to four times as long."""

    def searched(buf: bytes, pos: int, end: int) -> tuple[int, int]:
        match = pattern.search(buf, pos, end)
        return match.span() if match else (-1, -1)

    inner = getattr(pattern, "_regexp", None)
    if inner is None:
        return searched
    direct, unanchored = inner.Match, type(inner).Anchor.UNANCHORED
    return lambda buf, pos, end: direct(unanchored, buf, pos, end)[0]


_BLOCK, _KEPT = 512, 256
_IN_RUN = re.compile(rb"[A-Za-z0-9+/_-]{%d}" % _BLOCK)
_REST_OF_RUN = re.compile(rb"[A-Za-z0-9+/_-]*+")


def without_runs(buf: bytes) -> bytes:
    """What is scanned for `buf`: as long, with zeros for the inside of runs of base64 of 1 KB and
    more: images, attachments. What is told by its name or its beginning stands at their edges."""
    scanned: bytearray | None = None
    at = _BLOCK
    while at + _BLOCK <= len(buf):
        if buf.find(b'"', at, at + _BLOCK) < 0 and _IN_RUN.match(buf, at):
            end = _REST_OF_RUN.match(buf, at).end()  # type: ignore[union-attr]
            scanned = scanned or bytearray(buf)
            scanned[at + _KEPT : end - _KEPT] = b"0" * (end - at - 2 * _KEPT)
            at = end
        at += _BLOCK
    return bytes(scanned) if scanned else buf


_SPARED = 192  # bytes of a text for each
FORM = 1  # the text is a query or a form: name=value&name=value
BINARY = 2  # an image and the like: only shapes that cannot occur by chance
PACKED = 4  # protobuf and the like: a letter before a string may be the string's length
NO_CARD = 8  # the name says that digits are something else

# What stands where a secret was; an export that is read again keeps it as it is.
PLACEHOLDER = re.compile(rb"\[redacted:[a-z0-9_]{2,32}:[0-9a-f]{12}\]")
BEFORE_KIND = len(b"[redacted:")
UNSURE = b"?"  # as a hit's quote: whether it needs one is still to be seen (see replace)

_JSON_BEGINS = re.compile(rb"\s*[{\[][\s{\[]*[\"0-9tfn\]}-]")
_IN_STRING = compiled(r'(?s:[^"\\]|\\.)*')
_ALNUM = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_PRINTABLE = re.compile(rb"[\t\r\n -~\x80-\xff]*\Z")


class Hit(NamedTuple):
    """A secret at start..end. `secret` is what its fingerprint is of; `name` what it is filed
    under, if that is known; `quote` what the placeholder needs around it to keep JSON valid."""

    start: int
    end: int
    kind: str
    secret: bytes
    name: bytes = b""
    quote: bytes = b""


class Text:
    """One text under inspection. `left` is how many more candidates it may have, `depth` how
    often it was unwrapped from base64; `whole`: it is what will be spliced, and no view of it, so
    that in JSON what is taken out must stay within its string."""

    __slots__ = ("_json", "_lexer", "buf", "cut", "depth", "flags", "hits", "left", "spared")

    def __init__(
        self, buf: bytes, flags: int, left: int, depth: int = 0, whole: bool = False
    ) -> None:
        self.buf = buf
        self.flags = flags
        self.left = left
        self.spared = len(buf) // _SPARED  # names of keys that are none and do not count
        self.depth = depth
        self._json: bool | None = None if whole else False
        self._lexer: Lexer | None = None
        self.hits: list[Hit] = []
        self.cut = -1  # where it is cut off because it had too many

    @property
    def json(self) -> bool:
        """Whether this is JSON whose strings must stay whole."""
        if self._json is None:
            self._json = is_json(self.buf)
        return self._json

    def opens_string(self, inside: int, backslashes: int) -> bool:
        """Whether a quote behind so many backslashes opens a string in the one around `inside`.

        The other possibility is that it ends that string: {"text": "token:"}.
        """
        if not self.json:
            return True
        self._lexer = self._lexer or Lexer(self.buf)
        depth = self._lexer.depth_at(inside)
        return depth is None or backslashes == 2**depth - 1

    def add(self, start: int, end: int, kind: str, name: bytes = b"", quote: bytes = b"") -> None:
        secret = self.buf[start:end]
        if b'"' in secret and self.json:  # an unescaped quote ends the string that it stands in
            secret = _IN_STRING.match(secret).group()
            end = start + len(secret)
        if secret and (secret[0] != 0x5B or PLACEHOLDER.fullmatch(secret) is None):
            self.hits.append(Hit(start, end, kind, secret, name, quote))


def is_json(buf: bytes) -> bool:
    """Whether a text begins as JSON does."""
    return _JSON_BEGINS.match(buf) is not None


def odd_backslashes(buf: bytes, at: int) -> bool:
    """Whether the byte at `at` is escaped by a backslash."""
    if buf[at - 1 : at] != b"\\":
        return False
    chunk = buf[max(0, at - 64) : at]
    return (len(chunk) - len(chunk.rstrip(b"\\"))) % 2 == 1


def at_edge(buf: bytes, start: int) -> bool:
    """Whether no letter or digit stands before `start`, except one that belongs to an escape."""
    if not start or buf[start - 1] not in _ALNUM:
        return True
    if buf[start - 1] in b"nrtbf" and odd_backslashes(buf, start - 1):
        return True  # \n
    chunk = buf[max(0, start - 6) : start]
    if chunk[-3:-2] == b"%" and _HEX.issuperset(chunk[-2:]):
        return True  # %3D
    return chunk[-6:-4] == b"\\u" and _HEX.issuperset(chunk[-4:])


def past_escape(buf: bytes, start: int) -> int:
    """`start`, or the first byte after the escape that it would cut in two."""
    if not odd_backslashes(buf, start):
        return start
    return start + (5 if buf[start : start + 1] == b"u" else 1)


def run_before(buf: bytes, at: int, allowed: bytes, most: int) -> int:
    """Where the run of `allowed` bytes that ends at `at` begins, at most `most` bytes back."""
    chunk = buf[max(0, at - most) : at]
    return at - (len(chunk) - len(chunk.rstrip(allowed)))


def stands_alone(buf: bytes, start: int, end: int) -> bool:
    """Whether a number is no part of a longer id: of a UUID, a version, a hex string."""
    if not at_edge(buf, start) or (start and buf[start - 1] in b"_."):
        return False
    if start > 1 and buf[start - 1] in b"-+" and buf[start - 2] in _ALNUM:
        return False
    after = buf[end : end + 2]
    if after[:1].isalnum() or after[:1] == b"_":
        return False
    return not (after[:1] in (b".", b"-") and after[1:].isalnum())


def unbase64(text: bytes) -> bytes:
    """What base64 (also with url-safe letters, escaped slashes, no padding) stands for; b"" if
    it is none."""
    text = text.replace(b"\\", b"").replace(b"%2F", b"/").replace(b"%2f", b"/")
    text = text.replace(b"%2B", b"+").replace(b"%2b", b"+").partition(b"%")[0].rstrip(b"=")
    try:
        whole = text[: len(text) // 4 * 4] if len(text) % 4 == 1 else text + b"=" * (-len(text) % 4)
        return base64.b64decode(whole, b"-_" if b"-" in text or b"_" in text else None)
    except binascii.Error:
        return b""


def as_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def printable(text: bytes) -> bool:
    """Whether text holds no control characters but tabs and line ends."""
    return _PRINTABLE.match(text) is not None


# Whole strings and what stands between them, from a place that is in no string.
_WHOLE = compiled(r'(?s:[^"]|"(?:[^"\\]|\\.)*")*')
_QUOTE = re.compile(rb"(\\*)\"")
_MOST_QUOTES = 2048  # in one string, for JSON in it


class Lexer:
    """Follows the strings of a JSON text, those in JSON inside strings too, going forward."""

    def __init__(self, buf: bytes) -> None:
        self._buf = buf
        self._outside = 0  # a place before which every string has ended
        self._inside = -1  # where the string begins that `_opened` is about
        self._quotes: Iterator[re.Match[bytes]] = iter(())
        self._next: re.Match[bytes] | None = None
        self._seen = 0
        self._opened: list[int] = []

    def depth_at(self, at: int) -> int | None:
        """In how many strings `at` stands; None where there are too many quotes to tell.

        Call it with places in order.
        """
        end = _WHOLE.match(self._buf, self._outside, at).end() if at > self._outside else at
        self._outside = end
        if end >= at:
            return 0
        if end != self._inside:
            self._enter(end)
        while self._next is not None and self._next.start() < at:
            self._seen += 1
            if self._seen > _MOST_QUOTES:
                return None
            self._take(self._next)
            self._next = next(self._quotes, None)
        return len(self._opened)

    def holds_json(self) -> bool:
        """Whether the innermost string at the last place looked at holds JSON of its own."""
        start = self._opened[-1]
        return self._buf[start : start + 32].lstrip()[:1] in (b"{", b"[")

    def _enter(self, start: int) -> None:
        self._inside = start
        self._quotes = _QUOTE.finditer(self._buf, start)
        self._next = next(self._quotes, None)
        self._seen = 0
        self._opened = []

    def _take(self, quote: re.Match[bytes]) -> None:
        run = len(quote[1])
        for level in range(len(self._opened)):
            if run % 2 == 0:
                del self._opened[level:]
                return
            run = (run - 1) // 2
        self._opened.append(quote.end())
