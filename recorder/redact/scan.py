"""Finding secrets in a text: one pass for candidates, a closer look at each, nothing recursive."""

from __future__ import annotations

from recorder.redact import looks, patterns
from recorder.redact.looks import Shapes
from recorder.redact.names import NameBook, NamedSecrets
from recorder.redact.patterns import Patterns
from recorder.redact.rules import Rules
from recorder.redact.statements import statement
from recorder.redact.text import FORM, Hit, Text
from recorder.redact.views import (
    TooManyEscapes,
    View,
    apart,
    clamped,
    deeper,
    in_strings,
    json_view,
    mapped,
    raw,
)

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
            patterns.NAME: NamedSecrets(self.names).look,
            patterns.EMAIL: looks.email,
            patterns.USERINFO: looks.userinfo,
            patterns.DIGITS: looks.digits,
            patterns.IBAN: looks.iban,
            patterns.SCHEME: looks.scheme,
            patterns.LINK: looks.link,
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
        found = [mapped(hit, chain) for hit in text.found] if chain else text.found
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
            deep += [clamped(buf, mapped(hit, chain + path), tags) for hit in inner.found]
            if inner.cut >= 0:
                further = raw(chain + path, inner.cut)
                cut = further if cut < 0 else min(cut, further)
        if deep:
            found = found + (in_strings(buf, deep) if text.json else deep)
        return apart(found, len(buf) if cut < 0 else cut), cut

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
            if not phrase or self.patterns.category(buf[start:end])[0] != patterns.STATEMENT:
                return self._handlers[patterns.NAME](text, start, end)
        if end - start == 3 and buf[end - 2] == _AT:
            return looks.email(text, start, end)
        category, shapes = self.patterns.category(buf[start:end])
        for index in shapes:
            if after := self.shapes.look(text, index, start):
                return after
        if category == patterns.SHAPE:
            other = self.patterns.no_shape.match(buf, start)
            if other is None:
                return start + 2
            end = other.end()
            category, _ = self.patterns.category(buf[start:end])
        handler = self._handlers.get(category)
        return handler(text, start, end) if handler else start + 2
