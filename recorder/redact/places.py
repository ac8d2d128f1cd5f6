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
_BEFORE = 96
_MOST_BRACKETS = 64
_KEY = re.compile(rb'"([^"\\]{1,80})"\s*:\Z')

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
    length = 0
    while at > 0:
        before = body[max(0, at - _BEFORE) : at].rstrip()
        if before[-1:] == b":":
            key = _KEY.search(before)
            if key is None:
                return None
            steps.append("." + _PLACEHOLDER.sub("*", key[1].decode("utf-8", "replace")))
            length += len(steps[-1])
        elif before[-1:] not in (b",", b"["):
            return None
        at, opener = _opener(body, at)
        if at < 0:
            return None
        if opener == b"[":
            steps.append("[]") if before[-1:] != b":" else None
        if length > _LONGEST:
            return None
    return steps


def _opener(body: bytes, at: int) -> tuple[int, bytes]:
    """Where the bracket stands that `at` is inside of, and which; -1 when there is none."""
    depth = 0
    for _ in range(_MOST_BRACKETS):
        opened = max(body.rfind(b"{", 0, at), body.rfind(b"[", 0, at))
        closed = max(body.rfind(b"}", opened + 1, at), body.rfind(b"]", opened + 1, at))
        if closed > opened:
            depth += 1
            at = closed
        elif opened < 0:
            break
        elif depth:
            depth -= 1
            at = opened
        else:
            return opened, body[opened : opened + 1]
    return -1, b""


def json_places(body: bytes, prefix: str, count: int) -> list[tuple[str, str, str]] | None:
    """(kind, place, fingerprint) of the `count` placeholders in a redacted JSON body.

    None when the body is no JSON, is cut off or too large to be parsed for this.
    """
    if len(body) > _LARGEST or body.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    found = _strings(document, count)
    if len(found) < count:  # some may stand in keys
        found += _keys(document)
    places = []
    for path, text in found[:_MOST]:
        place = _joined(path, prefix)
        places += [(kind, place, fingerprint) for kind, fingerprint in _PLACEHOLDER.findall(text)]
    return places


def _strings(document: Any, count: int) -> list[tuple[_Path, str]]:
    """The first `count` strings with placeholders, and their paths; a stack, for depth is the
    sender's to choose."""
    found: list[tuple[_Path, str]] = []
    stack: list[tuple[Any, _Path, int]] = [(document, None, 0)]
    while stack and len(found) < count:
        node, path, depth = stack.pop()
        pairs = node.items() if type(node) is dict else zip(repeat("[]"), node, strict=False)
        for key, value in pairs:
            kind = type(value)
            if kind is str:
                if _BEGINS in value:
                    nested = _nested(value) if depth < _DEEPEST else None
                    if nested is None:
                        found.append(((path, key), value))
                    else:
                        stack.append((nested, (path, key), depth + 1))
            elif kind is dict or kind is list:
                stack.append((value, (path, key), depth))
    return found


def _keys(document: Any) -> list[tuple[_Path, str]]:
    """The keys with placeholders, and the paths of what they are keys of."""
    found: list[tuple[_Path, str]] = []
    stack: list[tuple[Any, _Path]] = [(document, None)]
    while stack:
        node, path = stack.pop()
        if isinstance(node, dict):
            found += [(path, key) for key in node if _BEGINS in key]
            stack += [(value, (path, key)) for key, value in node.items()]
        elif isinstance(node, list):
            stack += [(value, (path, "[]")) for value in node]
    return found


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


def _nested(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return document if isinstance(document, (dict, list)) else None
