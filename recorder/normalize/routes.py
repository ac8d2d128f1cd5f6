"""The route of a path: `/v1/customers/cus_9s6XKzkNRiz8i3` is `/v1/customers/{id}`.

Routes are what endpoints are counted and compared by, so they are named while recording, once
a row, from the path alone. What only many paths together can tell (that alice and bob are two
of a thousand users) is left to the questions: `queries.core.collapse`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from recorder.normalize.tokens import MAX_SEGMENT, TABLES, name_segment
from store.errors import UsageError

MAX_ROUTE: Final = 512  # characters
MAX_SEGMENTS: Final = 32
MAX_PATH: Final = 8192  # characters looked at
_CACHED_PATH: Final = 1024  # longer paths are not worth their place in the memory
_REST: Final = "{rest}"

_API: Final = frozenset({"api", "apis", "rest"})
_NUMBERED_API: Final = re.compile(r"\d{1,2}(?:\.\d{1,2})?")  # /rest/api/2/issue, /api/2.1/jobs
_FIRST_API: Final = re.compile(r"\d\.\d{1,2}")  # /2.0/repositories, /1.1/statuses
_DATED_API: Final = frozenset(TABLES["dated_api"].split())  # versions that are put first


class Router:
    """Names routes. Pure: the same path and templates give the same route, always.

    `templates` win over what is found, the first that matches: "/users/{name}/posts/{slug}", or
    for one host "api.example.com/users/{name}"; `{…}` stands for one part, or a piece of one,
    and a last part `**` for any number. Raises UsageError for a template that is none.
    """

    def __init__(self, templates: Sequence[str] = (), cache_size: int = 8_192) -> None:
        self._templates = [_Template(text) for text in templates]
        self._hosted = any(template.host for template in self._templates)
        self._remembered = lru_cache(cache_size)(self._name)
        self._part = lru_cache(2 * cache_size)(name_segment)

    def route(self, path: str, host: str | None = None) -> str:
        """The route of a path (its query, if any, is ignored); at most MAX_ROUTE characters.

        `host` (lower case, without a port) matters only to templates that name one.
        """
        name = self._remembered if len(path) <= _CACHED_PATH else self._name
        return name(path, host or "") if self._hosted else name(path)

    def _name(self, path: str, host: str = "") -> str:
        path = path[:MAX_PATH].partition("?")[0].partition("#")[0]
        for template in self._templates:
            if template.matches(path, host):
                return template.route
        if not path:
            return "/"
        parts = path.split("/", MAX_SEGMENTS)
        if len(parts) > MAX_SEGMENTS:
            parts[MAX_SEGMENTS - 1 :] = [_REST]
        before, first = "", path[0] == "/"
        for index, part in enumerate(parts):
            if part and not (
                part[0] <= "9" and index + 1 < len(parts) and _is_api(part, before, index == first)
            ):
                parts[index] = self._segment(part)
            before = part
        return _fit("/".join(parts), parts)

    def _segment(self, segment: str) -> str:
        if segment.isalpha() and segment.islower() and len(segment) < 8:
            return segment  # most parts of most paths
        if segment.isdigit() and segment.isascii() and len(segment) <= MAX_SEGMENT:
            return "{id}"  # and most of the others, of which none comes twice
        return (self._part if len(segment) <= 128 else name_segment)(segment)


def _is_api(part: str, before: str, is_first: bool) -> bool:
    """Whether a part that begins with a digit is the version of an API."""
    if is_first and (part in _DATED_API or _FIRST_API.fullmatch(part)):
        return True
    return before in _API and _NUMBERED_API.fullmatch(part) is not None


def _fit(route: str, parts: list[str]) -> str:
    """Whole parts only, so that what is cut off leaves no half a name."""
    if len(route) <= MAX_ROUTE:
        return route
    room, kept = MAX_ROUTE - len(_REST), 0
    for part in parts:
        if len(part) + 1 > room:
            break
        room -= len(part) + 1
        kept += 1
    return "/".join([*parts[:kept], _REST])


class _Template:
    """One template of the user's: a pattern over a path, and over its host if it names one."""

    def __init__(self, text: str) -> None:
        self.host, slash, rest = text.strip().partition("/")
        self.host, self.route = self.host.lower(), slash + rest
        _check(text, self.host, self.route)
        body, anything = self.route, ""
        if body.endswith("/**"):
            body, anything = body[:-3], "(?:/.*)?"
        pieces = re.split(r"(\{[^{}]*\})", body.rstrip("/"))
        pattern = "".join("[^/]+?" if p[:1] == "{" else re.escape(p) for p in pieces)
        self._pattern = re.compile(f"{pattern}{anything}/?", re.DOTALL)

    def matches(self, path: str, host: str) -> bool:
        return self.host in {"", host} and self._pattern.fullmatch(path) is not None


def _check(text: str, host: str, route: str) -> None:
    hint = 'Write it like "/users/{name}/posts/{slug}" or "api.example.com/users/{name}".'
    if not route:
        raise UsageError(f"the route template {text!r} has no path", hint)
    if " " in text.strip():
        raise UsageError(f"the route template {text!r} has a space in it: no method, please", hint)
    if "{" in host or "}" in host:
        raise UsageError(f"the route template {text!r} has a placeholder in its host", hint)
    if re.search(r"[{}]", re.sub(r"\{[A-Za-z_][\w-]*\}", "", route)):
        raise UsageError(f"the route template {text!r} has a placeholder without a name", hint)
    if "}{" in route:
        raise UsageError(f"the route template {text!r} has two placeholders side by side", hint)
