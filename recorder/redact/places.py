"""Where in a body a placeholder stands: request.body.user.password, request.body.items[].token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

_PLACEHOLDER = re.compile(r"\[redacted:([a-z0-9_]+):([0-9a-f]{12})\]")
_BEGINS = "[redacted:"
_LARGEST = 256 << 10  # bytes of JSON that are parsed for the sake of a path
_MOST = 100  # placeholders that get their own place
_LONGEST = 200
_DEEPEST = 4  # JSON in JSON strings

_Path = tuple[Any, str] | None  # the path of what contains it, its own step


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
    places = []
    for path, text in _strings(document):
        place = _joined(path, prefix)
        for kind, fingerprint in _PLACEHOLDER.findall(text):
            places.append((kind, place, fingerprint))
        if len(places) >= min(count, _MOST):
            break
    return places


def _strings(document: Any) -> Iterator[tuple[_Path, str]]:
    """The strings and keys with placeholders, and their paths; a stack, for depth is the
    sender's to choose."""
    stack: list[tuple[Any, _Path, int]] = [(document, None, 0)]
    while stack:
        node, path, depth = stack.pop()
        pairs = node.items() if type(node) is dict else (("[]", value) for value in node)
        for key, value in pairs:
            if _BEGINS in key:
                yield path, key
            kind = type(value)
            if kind is str:
                if _BEGINS in value:
                    nested = _nested(value) if depth < _DEEPEST else None
                    if nested is None:
                        yield (path, key), value
                    else:
                        stack.append((nested, (path, key), depth + 1))
            elif kind is dict or kind is list:
                stack.append((value, (path, key), depth))


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
