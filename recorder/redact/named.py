"""Secrets known by the name they are filed under."""

from __future__ import annotations

import re

from recorder.redact.names import NameBook
from recorder.redact.rules import Field
from recorder.redact.text import BEFORE_KIND, FORM, PLACEHOLDER, Text
from recorder.redact.values import (
    FIRST_LOOK,
    OPENING,
    Name,
    Value,
    leaves,
    name_before,
    value_after,
    value_beside,
)

# What stands before credentials in an Authorization header stays readable.
AUTH_SCHEME = re.compile(
    rb"(?i)(?:bearer|basic|digest|token|apikey|api-key|negotiate|ntlm|oauth|hawk|ssws|bot|key"
    rb"|aws4-hmac-sha256)[ +]+"
)
_WORD_OF_SCHEME = re.compile(rb"[^\s,]+")
_SHORT_VALUE = 256  # a longer one is not looked at again
_LONG_NAME = 40  # a longer run of name characters may hide a shape
_TAG_END = re.compile(rb"[^<>]{0,400}?(?:>|\\+u003[eE])")
_NEXT_ELEMENT = re.compile(rb"</[a-z]{1,8}>[ \t\r\n]*<[a-z]{1,8}[^<>/]*>")
_TAG_BEFORE = re.compile(rb"(?:<|\\u003[cC])[A-Za-z0-9_.-]{0,40}:?\Z")


class Named:
    """The field rules at work on a candidate of the scan."""

    def __init__(self, names: NameBook) -> None:
        self.names = names

    def look(self, text: Text, start: int, end: int) -> int:
        """Take out what is filed under the name that ends in start..end; where to go on."""
        name = name_before(text.buf, start, end)
        if taken := PLACEHOLDER.match(text.buf, max(0, name.start - BEFORE_KIND)):
            return taken.end()  # redacted before: an export that is read again stays as it is
        named = self.names.look(name.text)
        if named is None:
            return start + 3 if end - start > _LONG_NAME else max(name.end, start + 1)
        form, whole_line = bool(text.flags & FORM), False
        if name.ending in (b'"', b"'"):
            value = value_beside(text.buf, name)
        else:
            if name.ending in (b"<", b">") and not _NEXT_ELEMENT.match(text.buf, name.end):
                end = _tag_end(text.buf, name)
                if not end:
                    return max(name.end, start + 1)
            if _ends_string(text, name, end):
                return name.end + 1
            whole_line = any(rule.kind == "authorization" for rule in named.rules)
            value = value_after(text.buf, end, name, form, whole_line)
        if value is None:
            return max(name.end, start + 1)
        if value.container:
            return self._container(text, name, named.rules[0], end)
        if not value.delimited and value.end - value.start > FIRST_LOOK - 64:
            if self.names.rule(name.text, "query", text.buf[value.start : value.end]) is None:
                return name.end + 1
            value = value_after(text.buf, end, name, form, whole_line, len(text.buf)) or value
        return self._value(text, name, value)

    def _value(self, text: Text, name: Name, value: Value) -> int:
        start, end, quote, _, delimited = value
        secret = text.buf[start:end]
        if not delimited and (taken := PLACEHOLDER.match(secret)):
            return start + taken.end()
        place = "query" if name.ending == b"=" and _in_query(text, name.start) else "body"
        rule = self.names.rule(name.text, place, secret)
        if rule is None or (quote and not rule.numbers):
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
            found = leaves(text.buf, pos, len(name.backslashes), text.left)
            text.left -= found.cost
            for start, end in found.spans:
                if self.names.rule(name.text, "body", text.buf[start:end]):
                    text.add(start, end, rule.kind, name.text)
            if found.cut:
                text.cut = found.end
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
