"""Where in a body a placeholder stands: request.body.user.password, request.body.items[].token."""

from __future__ import annotations

import re
from itertools import repeat
from typing import Any

import msgspec

_PLACEHOLDER = re.compile(r"\[redacted:([a-z0-9_]+):([0-9a-f]{12})\]")
_BEGINS = "[redacted:"
_LARGEST = 256 << 10  # bytes of JSON that are parsed for the sake of a path
_MOST = 100  # placeholders that get their own place
_LONGEST = 200
_DEEPEST = 4  # JSON in JSON strings
_FEW = 8
_BEFORE = 96  # bytes in which a key is looked for
_MOST_STEPS = 24
_QUOTE, _LIST = 0x22, 0x5B
_MOST_BRACKETS = 64

_Path = tuple[Any, str] | None  # the path of what contains it, its own step


def near_places(body: bytes, offsets: list[int], prefix: str) -> list[str] | None:
    """The places of the placeholders at these offsets of a redacted JSON body, found by looking
    back from each: much quicker than parsing. None where that is not safe: then parse.
    """
    if len(offsets) > _FEW or body[:1] not in (b"{", b"["):
        return None
    if body.count(b"{") != body.count(b"}") or body.count(b"[") != body.count(b"]"):
        return None
    places = []
    for offset in offsets:
        steps = _steps_back(body, body.rfind(b'"', 0, offset))
        if steps is None:
            return None
        places.append(prefix + "".join(reversed(steps)))
    return places


def _steps_back(body: bytes, at: int) -> list[str] | None:
    """The steps from the value at `at` outwards; None when brackets in strings may mislead.

    Brackets are matched without regard to strings. Those in a string do no harm where they match
    each other; where they do not, what stands before one of them is no JSON, and that is seen.
    """
    steps: list[str] = []
    while at > 0:
        if len(steps) > _MOST_STEPS:
            return None
        before = body[max(0, at - _BEFORE) : at].rstrip()
        last = before[-1:]
        if last == b":":
            end = len(before[:-1].rstrip()) - 1
            start = before.rfind(b'"', 0, end) + 1
            key = before[start:end]
            if not start or before[end] != _QUOTE or b"\\" in key:
                return None
            step = key.decode("utf-8", "replace")
            steps.append("." + (_PLACEHOLDER.sub("*", step) if "[" in step else step))
        elif last != b"," and last != b"[":
            return None
        at = _opener(body, at)
        if at < 0:
            return None
        if last != b":" and body[at] == _LIST:
            steps.append("[]")
    return steps


def _opener(body: bytes, at: int) -> int:
    """Where the bracket stands that `at` is inside of; -1 when there is none."""
    depth = 0
    for _ in range(_MOST_BRACKETS):
        opened = max(body.rfind(b"{", 0, at), body.rfind(b"[", 0, at))
        closed = max(body.rfind(b"}", opened + 1, at), body.rfind(b"]", opened + 1, at))
        if closed >= 0:
            depth += 1
            at = closed
        elif opened < 0:
            break
        elif depth:
            depth -= 1
            at = opened
        else:
            return opened
    return -1


def json_places(body: bytes, prefix: str, count: int) -> list[tuple[str, str, str]] | None:
    """(kind, place, fingerprint) of the `count` placeholders in a redacted JSON body.

    None when the body is no JSON, is cut off or too large to be parsed for this.
    """
    document = _parsed(body) if len(body) <= _LARGEST else None
    if document is None:
        return None
    texts = _strings(document, count)
    if len(texts) < count:  # some may stand in keys
        texts += _keys(document)
    places = []
    for path, text in texts[:_MOST]:
        place = _joined(path, prefix)
        places += [(kind, place, fingerprint) for kind, fingerprint in _PLACEHOLDER.findall(text)]
    return places


def _strings(document: Any, count: int) -> list[tuple[_Path, str]]:
    """The first `count` strings with placeholders, and their paths; a stack, for depth is the
    sender's to choose."""
    texts: list[tuple[_Path, str]] = []
    stack: list[tuple[Any, _Path, int]] = [(document, None, 0)]
    while stack and len(texts) < count:
        node, path, depth = stack.pop()
        pairs = node.items() if type(node) is dict else zip(repeat("[]"), node, strict=False)
        for key, value in pairs:
            kind = type(value)
            if kind is str:
                if _BEGINS in value:
                    nested = _parsed(value) if depth < _DEEPEST else None
                    if nested is None:
                        texts.append(((path, key), value))
                    else:
                        stack.append((nested, (path, key), depth + 1))
            elif kind is dict or kind is list:
                stack.append((value, (path, key), depth))
    return texts


def _keys(document: Any) -> list[tuple[_Path, str]]:
    """The keys with placeholders, and the paths of what they are keys of."""
    texts: list[tuple[_Path, str]] = []
    stack: list[tuple[Any, _Path]] = [(document, None)]
    while stack:
        node, path = stack.pop()
        if isinstance(node, dict):
            texts += [(path, key) for key in node if _BEGINS in key]
            stack += [(value, (path, key)) for key, value in node.items()]
        elif isinstance(node, list):
            stack += [(value, (path, "[]")) for value in node]
    return texts


def _joined(path: _Path, prefix: str) -> str:
    steps: list[str] = []
    length = 0
    while path is not None:
        path, step = path
        step = "[]" if step == "[]" else "." + _PLACEHOLDER.sub("*", step)
        steps.append(step)
        length += len(step)
        if length > _LONGEST:
            steps.append("…")
            break
    return prefix + "".join(reversed(steps))


def _parsed(text: str | bytes) -> Any:
    """The object or list that is written in JSON; None where there is none."""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return document if isinstance(document, (dict, list)) else None
