"""The name of a field in raw bytes, where its value begins and ends, and the strings in a value
that is a list or an object; whatever they are written in.

JSON at any depth of JSON in JSON strings: a quote at depth d stands behind 2^d - 1 backslashes,
so a value can be found in the raw bytes, also of a text that is cut or not quite JSON. Besides:
queries and forms, XML elements, assignments, header lines, YAML, multipart forms, lists of
{"name": …, "value": …}.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from recorder.redact.text import compiled, odd_backslashes, run_before

_NAME_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.$[]-"
_QUOTED_BYTES = _NAME_BYTES + b" "  # "api key": …
_LONGEST_NAME = 120
_NEXT_ELEMENT = re.compile(rb"</[a-z]{1,8}>[ \t\r\n]*<[a-z]{1,8}[^<>]*>\Z")
_ATTRIBUTE = re.compile(rb"[ \t\r\n]{1,8}[A-Za-z_][A-Za-z0-9_:.-]{0,40}=\\*[\"']\Z")


class Name(NamedTuple):
    """A name and how it is written. `backslashes` are those before its quote."""

    text: bytes
    start: int
    end: int
    quoted: bool
    backslashes: bytes
    ending: bytes  # what came after it: : = > " or '


def name_before(buf: bytes, start: int, end: int) -> Name:
    """The name in a candidate start..end, which ends after its separator, tag or closing quote;
    the name itself may begin before it."""
    base = max(0, end - _LONGEST_NAME - 80)
    body, ending = _without_ending(buf, base, start, end)
    body = body.rstrip(b" \t\r\n")
    quoted, backslashes = False, b""
    if body[-1:] in (b'"', b"'"):
        quoted, body = True, body[:-1]
    elif body[-5:] == b"u0022" and body[-6:-5] == b"\\":
        quoted, body = True, body[:-5]
    if quoted:
        plain = body.rstrip(b"\\")
        backslashes, body = body[len(plain) :], plain
    at = len(body.rstrip(_QUOTED_BYTES if quoted else _NAME_BYTES))
    text = body[at:]
    if odd_backslashes(body, at) and text[:1] in (b"n", b"r", b"t", b"b", b"f"):
        text, at = text[1:], at + 1  # the letter belongs to an escape: \ntoken=
    elif text[:3] == b"u00" and odd_backslashes(body, at):
        text, at = text[5:], at + 5  # \u0026token=
    elif body[at - 1 : at] == b"%" and len(text) > 2:
        text, at = text[2:], at + 2  # %20token=
    return Name(text, base + at, base + at + len(text), quoted, backslashes, ending)


def _without_ending(buf: bytes, base: int, start: int, end: int) -> tuple[bytes, bytes]:
    """The bytes base..end without what ends the name, and that as one character."""
    chunk = buf[base:end]
    ending = chunk[-1:]
    if ending == b">" and (element := _NEXT_ELEMENT.search(buf, start, end)):
        return buf[base : element.start()], ending  # <key>token</key><string>
    if ending in (b'"', b"'"):
        if attribute := _ATTRIBUTE.search(chunk):
            return chunk[: attribute.start()], b"<"
        return chunk, ending
    if chunk.endswith(b"=>"):
        return chunk[:-2], b":"
    if ending in b":=>":
        return chunk[: -2 if chunk[-2:] in (b"?=", b"+=", b"!=") else -1], ending
    at = chunk.rfind(b"\\")  # \u003d and the like
    meant = {b"d": b"=", b"a": b":", b"e": b">"}.get(ending.lower(), b"=")
    return chunk[:at].rstrip(b"\\"), meant


_BASE64_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
FIRST_LOOK = 4096  # bytes in which the end of an undelimited value is looked for at first
_BACKSLASH = 0x5C
_TRIES = 16  # quotes of a rare kind that are looked at, then the rest is the value

_BLANKS = re.compile(rb"[ \t]*")
OPENING = re.compile(rb"[ \t\r\n]*(\\*)([\"'`]|u0022)")
_NUMBER = re.compile(rb"[ \t\r\n]*(-?[0-9][0-9.eE+-]*)")
_CONTAINER = re.compile(rb"[ \t\r\n]*[\[{]")
# Unquoted, a value ends at a blank, and at & or ; only where another name follows.
_NEXT = rb"[A-Za-z0-9_.%\[\]-]{1,40}="
_WORD = re.compile(
    rb"((?:[^&\s\"<>;\\`]++|\\++/|\\++u002[bBfF]|&(?!%s)|;(?![ ]?%s|\s|\Z))+)" % (_NEXT, _NEXT)
)
# Where no JSON is: what cannot end a string or begin a tag or an escape there.
_WITHIN = rb"\"(?=[A-Za-z0-9])|\\(?![nrtbfu/\"'\\])|<(?![A-Za-z/!][^<>]{0,200}>)"
_LOOSE_WORD = re.compile(
    rb"((?:[^&\s\"<>;\\`]++|\\++/|\\++u002[bBfF]|%s|&(?!%s)|;(?![ ]?%s|\s|\Z))+)"
    % (_WITHIN, _NEXT, _NEXT)
)
_VARIABLE = re.compile(rb"((?:[^\r\n\"\\<]++|\\++/|%s)+)" % _WITHIN)  # PASSWORD=a&b=c, in a file
_LIST = re.compile(rb"[ \t]*\[[ \t\r\n]*\\*\"")  # password = ["a", "b"]
_BELOW = re.compile(  # password:, and on the lines below it the value, or a list of them
    rb"\r?\n[ \t]+((?:- )?[^\s:#{}\[\]&*!|>-][^\s#{}\[\]]*(?:\r?\n[ \t]+- [^\s:]+)*)"
    rb"[ \t]*(?:\r?\n|\Z)"
)
_COMPARED = re.compile(rb".[ !]==[ \t]?\\*[\"']|..==[ \t]\\*[\"']")  # password == "…"
_BLOCK = re.compile(rb"[|>][0-9+-]{0,2}[ \t]*\r?\n")  # password: |
_INDENTED = re.compile(rb"([ \t]*)[^\n]*(?:\n|\Z)")
_BETWEEN = re.compile(rb"((?:[^;\r\n\"\\]++|\\++/)+)")  # ;password=my secret;
_LITERAL = re.compile(rb"[ \t\r\n]*([^\s,}\]\"'\\]+)")
_LINE = re.compile(rb"((?:[^&\r\n\"\\<]++|\\++/|&(?!%s))+)" % _NEXT)
_LOOSE_LINE = re.compile(rb"((?:[^&\r\n\"\\<]++|\\++/|%s|&(?!%s))+)" % (_WITHIN, _NEXT))
_CONSTANT = re.compile(
    rb"(?i)(?:true|false|null|none|nil|undefined|yes|no|[*\xe2\x80\xa2]+)[,;)}\]]*\Z"
)
_PART_HEAD = re.compile(rb"[^\r\n]*\r?\n(?:[^\r\n]+\r?\n){0,8}\r?\n")
_BOUNDARY = re.compile(rb"\r?\n--")
_END_OF_PAIR = re.compile(rb"[}>]")
_BESIDE = re.compile(rb"(?i)\b(?:value|content)(?:\\*[\"'])?[ ]?[:=]")
_INNER = re.compile(rb"[ \t\r\n]*<[A-Za-z][A-Za-z0-9:_-]{0,20}>(?=[^<\s])")
# <property name="password">: the rest of the tag. What a page shows of a field is no value.
_REST_OF_TAG = re.compile(rb"[^<>]{0,200}(?<!/)>")
_SHOWN = re.compile(
    rb"(?i)<(?:a|button|div|form|fieldset|h[1-6]|iframe|input|label|li|option|p|select|slot|span|t[dhr])\b"
)
_PAIRED = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*(\\*)([\"'])")
_FILED = re.compile(
    rb"(?i)(?:name|key|field|id|variable)(?:\\*[\"'])?[ ]{0,2}[:=][ ]{0,2}\\*[\"']?\Z"
)


class Value(NamedTuple):
    """A value's bytes start..end. `quote` is what a placeholder needs around it (numbers);
    `delimited`: its end is certain, as that of a string is."""

    start: int
    end: int
    quote: bytes = b""
    container: bool = False
    delimited: bool = True


def value_after(
    buf: bytes,
    pos: int,
    name: Name,
    form: bool,
    whole_line: bool,
    loose: bool,
    most: int = FIRST_LOOK,
) -> Value | None:
    """The value after a name and its separator, which ends at `pos`; None when there is none.

    A value that nothing delimits is followed for at most `most` bytes. `loose`: the text is no
    JSON, so that a quote or backslash within a word belongs to it.
    """
    if name.ending in (b"<", b">"):
        return _element(buf, pos)
    opening = OPENING.match(buf, pos)
    if opening and not (form and name.ending == b"="):
        start = opening.end()
        return Value(start, string_end(buf, start, opening[2], len(opening[1])))
    if name.quoted and name.ending != b"=":
        if _CONTAINER.match(buf, pos):
            return Value(pos, pos, container=True)
        if number := _NUMBER.match(buf, pos):
            return Value(*number.span(1), quote=name.backslashes + b'"')
        literal = _LITERAL.match(buf, pos, pos + most)
        return _plain(literal)
    if name.ending == b"=" and form:
        end = buf.find(b"&", pos, pos + most)
        if end < 0:
            end = min(len(buf), pos + most)
        return Value(pos, end, delimited=end - pos < most)
    if loose and _LIST.match(buf, pos):
        return Value(pos, pos, container=True)
    return _unquoted(buf, pos, name, whole_line, loose, most)


def operator_end(buf: bytes, pos: int, ending: bytes) -> int | None:
    """Where the operator ends whose first part ends at `pos`. := ?= += assign; == and != compare,
    and count before a quote only: else None."""
    if buf[pos : pos + 1] == b"=":
        return pos + 1 if ending == b":" or _COMPARED.match(buf, pos - 3) else None
    return pos if buf[pos - 2 : pos] != b"!=" or OPENING.match(buf, pos) else None


def _unquoted(
    buf: bytes, pos: int, name: Name, whole_line: bool, loose: bool, most: int
) -> Value | None:
    """A value without quotes: to the end of the line where its name begins one, else a word."""
    begins = _begins_line(buf, name.start)
    blanks = _BLANKS.match(buf, pos)
    start = blanks.end() if blanks else pos
    if name.ending == b"=" and start > pos and not begins and _ends_base64(buf, pos - 1):
        return None  # …Pw= and then another word
    if begins and (block := _BLOCK.match(buf, start)):
        return _block(buf, block.end(), name)
    if begins and name.ending == b":" and (below := _BELOW.match(buf, start)):
        indent = name.start - buf.rfind(b"\n", max(0, name.start - FIRST_LOOK), name.start) - 1
        deeper = below.start(1) - buf.rfind(b"\n", 0, below.start(1)) - 1 > indent
        return Value(*below.span(1), delimited=False) if deeper else None
    if begins and loose and name.text.isupper() and name.ending == b"=":
        return _plain(_VARIABLE.match(buf, start, start + most))
    if begins or (name.ending == b":" and whole_line):
        return _plain((_LOOSE_LINE if loose else _LINE).match(buf, start, start + most))
    if buf[name.start - 1 : name.start] == b";":
        return _plain(_BETWEEN.match(buf, start, start + most))
    return _plain((_LOOSE_WORD if loose else _WORD).match(buf, start, start + most))


def _ends_base64(buf: bytes, at: int) -> bool:
    """Whether the = at `at` is the padding of base64, and no assignment."""
    run = buf[run_before(buf, at, _BASE64_BYTES, _LONGEST_NAME) : at]
    if len(run) == _LONGEST_NAME:  # longer than any name
        return True
    return len(run) >= 15 and len(run) % 4 >= 2 and any(48 <= byte < 58 for byte in run)


def _block(buf: bytes, pos: int, name: Name) -> Value:
    """The lines of a YAML block: those that are indented deeper than its name."""
    line = buf.rfind(b"\n", max(0, name.start - FIRST_LOOK), name.start) + 1
    indent = name.start - line
    end = pos
    for match in _INDENTED.finditer(buf, pos, pos + FIRST_LOOK):
        if match[0].strip() and len(match[1]) <= indent:
            break
        end = match.end()
    return Value(pos, len(buf) if end - pos >= FIRST_LOOK - 1 else end)


def _plain(match: re.Match[bytes] | None) -> Value | None:
    if match is None or _CONSTANT.match(match[1]) or not match[1].strip(b"= "):
        return None
    start = match.start(1)
    return Value(start, start + len(match[1].rstrip(b" \t,;')>]}")), delimited=False)


def _begins_line(buf: bytes, start: int) -> bool:
    before = buf[max(0, start - 32) : start].rstrip(b" \t-#>*\"'")
    return not before or before[-1:] in b"\r\n" or before[-2:] in (b"\\n", b"\\r")


def _element(buf: bytes, pos: int) -> Value | None:
    if inner := _INNER.match(buf, pos):  # <value><string>
        pos = inner.end()
    end = buf.find(b"<", pos)
    end = len(buf) if end < 0 else end
    escaped = buf.find(b"\\u003c", pos, end)
    if buf[end : end + 9] == b"<![CDATA[" and not buf[pos:end].strip():
        pos = end + 9
        end = buf.find(b"]]>", pos)
        end = len(buf) if end < 0 else end
    elif escaped >= 0:
        end = escaped
    return Value(pos, end) if buf[pos : pos + 64].strip() and pos < end else None


def string_end(buf: bytes, pos: int, quote: bytes, backslashes: int) -> int:
    """Where a string ends that was opened by `quote` behind so many backslashes."""
    at = buf.find(quote, pos)
    if at < 0:
        return len(buf)
    if buf[at - 1] != _BACKSLASH or at == pos:
        return at
    depth = (backslashes + 1).bit_length() - 1
    if quote == b'"' and depth < len(_INSIDE):
        end = int(_INSIDE[depth].match(buf, pos).end())
        at = buf.find(quote, end)
        return len(buf) if at < 0 else at - (closing(at - end, depth) or 0)
    for _ in range(_TRIES):
        run = at - run_before(buf, at, b"\\", 64)
        own = closing(run, depth)
        if own is not None:
            return at - own
        at = buf.find(quote, at + 1)
        if at < 0:
            break
    return len(buf)


def _inside(depth: int) -> str:
    """What a string at that depth of JSON in strings consists of: an inner quote stands behind
    one backslash less than a multiple of 2^(depth + 1)."""
    unit = 2 ** (depth + 1)
    return rf'(?s:[^"\\]|\\+[^"\\]|(?:\\{{{unit}}})*\\{{{unit - 1}}}")*'


_INSIDE = [compiled(_inside(depth)) for depth in range(5)]


def closing(run: int, depth: int) -> int | None:
    """How many of the `run` backslashes before a quote are the quote's own when it ends a string
    at `depth` or one around it; None when it is inside (the others are escaped backslashes)."""
    for level in range(depth + 1):
        if run % 2 == 0:
            return int(2**level - 1)
        run = (run - 1) // 2
    return None


def value_beside(buf: bytes, name: Name) -> Value | None:
    """The value that stands beside a name that is itself a value: name="password" in a
    multipart form, <input name="password" value="…">, {"name": "DB_PASSWORD", "value": "…"}."""
    quote = name.end + len(name.backslashes)
    opening = name.start - 1 - len(name.backslashes)
    pair = _PAIRED.match(buf, quote + 1, quote + 64)
    if pair and buf[max(0, opening - 8) : opening].rstrip()[-1:] in (b"[", b"("):
        return Value(pair.end(), string_end(buf, pair.end(), pair[2], len(pair[1])))
    filed = _FILED.search(buf, max(0, name.start - 40), name.start)
    if not filed:
        return None
    head = None
    if b"=" in filed[0] and buf[quote + 1 : quote + 2] in (b"\r", b"\n", b";"):
        head = _PART_HEAD.match(buf, quote + 1, quote + 1000)
    if head:
        boundary = _BOUNDARY.search(buf, head.end())
        return Value(head.end(), boundary.start() if boundary else len(buf))
    beside = _BESIDE.search(_END_OF_PAIR.split(buf[quote + 1 : quote + 400], 1)[0])
    at = quote + 1
    if beside is None:  # the other way round: {"value": "…", "name": "DB_PASSWORD"}
        at = max(0, name.start - 400)
        before = buf[at : name.start]
        cut = max(before.rfind(b"{"), before.rfind(b"<")) + 1
        at += cut
        beside = _BESIDE.search(before[cut:])
    if beside is None:
        tag = buf.rfind(b"<", max(0, name.start - 200), name.start)
        rest = _REST_OF_TAG.match(buf, quote + 1)
        if tag < 0 or rest is None or b"=" not in filed[0] or _SHOWN.match(buf, tag):
            return None
        return _element(buf, rest.end())
    end = at + beside.end()
    return value_after(buf, end, name._replace(quoted=True, ending=b":"), False, False, False)


_TOKEN = re.compile(rb"(\\*)\"|[\[\]{}:,]")
_PER_CANDIDATE = 8  # tokens that cost about as much as one candidate of the scan


class Leaves(NamedTuple):
    """Byte ranges of the strings, where the container ends, what it cost; `cut` when it cost
    more than was granted: the rest was not looked at."""

    spans: list[tuple[int, int]]
    end: int
    cost: int
    cut: bool


def leaves(
    buf: bytes, pos: int, backslashes: int, left: int, describes: Callable[[bytes], bool]
) -> Leaves:
    """The strings inside the container that opens at or after `pos`, in JSON whose quotes stand
    behind so many backslashes. Keys are not among them, nor what by its key `describes` one."""
    level = (backslashes + 1).bit_length() - 1
    spans: list[tuple[int, int]] = []
    depth, start, key = 0, -1, b""
    pending: tuple[int, int] | None = None
    at, tokens = pos, 0
    for match in _TOKEN.finditer(buf, pos):
        tokens += 1
        if tokens > left * _PER_CANDIDATE:
            return Leaves(spans, at, tokens // _PER_CANDIDATE, True)
        at = match.end()
        token = match[0]
        if start >= 0:
            own = closing(len(match[1]), level) if token[-1:] == b'"' else None
            if own is not None:
                pending, start = (start, at - 1 - own), -1
                if own < backslashes:
                    break  # the string around this JSON ends here
        elif token[-1:] == b'"':
            start = at
        elif token == b":":
            key, pending = buf[slice(*pending)] if pending else b"", None
        else:
            if pending and not describes(key):
                spans.append(pending)
            pending = None
            depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token, 0)
            if depth <= 0:
                break
    if start >= 0:
        spans.append((start, len(buf)))
        at = len(buf)
    elif pending and not describes(key):
        spans.append(pending)
    return Leaves(spans, at, tokens // _PER_CANDIDATE, False)
