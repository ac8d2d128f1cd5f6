"""What Qtap is asked for, and where: without a client, which only who reads the stream loads."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

import msgspec

from store.errors import UsageError

PATH = "/devtools/api/events"
HEADERS_S = 15.0
_SCHEMES = ("http", "https")
_REMEDIES = {
    "refused": "Start Qtap with --enable-dev-tools (or qrec serve FILE), or name its URL.",
    "tls": "SSL_CERT_FILE=FILE names the authority of its certificate; without TLS it is http://.",
    "timeout": "Check that this is Qtap's address, and that nothing between holds it up.",
    "status": "Start Qtap with --enable-dev-tools; while it starts, it answers 404 for a moment.",
    "denied": "Where somebody before Qtap asks who you are: http://NAME:PASSWORD@HOST:PORT.",
    "elsewhere": "Name the address of Qtap itself: no redirect is followed.",
    "filter": "Record with --push none: the whole filter is applied here.",
    "not_sse": "Check that this is Qtap's address; the port is that of --httpd-listen.",
}


def advice(kind: str) -> str:
    """What to do where a source gives no stream, by LinkError's kind."""
    return _REMEDIES.get(kind, "Look into Qtap's own log, and try again.")


class Subscription(msgspec.Struct, frozen=True):
    """What to ask for. `filter` is the pushed part, or None for everything."""

    url: str
    filter: str | None = None
    connections: bool = False
    artifacts: bool = False  # they tell more of gRPC calls, where a Qtap sends them
    once: bool = False  # read one stream to its end, and no other after it
    headers_s: float = HEADERS_S  # how long the answer's head may take
    probe_after_s: float = 10.0  # how long a silence lasts before the source is asked if it lives

    def body(self) -> dict[str, Any]:
        """One body that both dialects of Qtap understand; each ignores the other's keys."""
        topics = {"http": self.filter or "*"}
        old = ["request"]
        if self.artifacts:  # they have no field that a filter could match there
            topics["artifact"] = "*"
            old.append("artifact")
        if self.connections:
            topics["connection"] = "*"
            old.append("connection")
        return {"topics": topics, "filter_topics": old, "skip_process_snapshot": True}


def shown(url: str) -> str:
    """An address without the name and password that may stand in it."""
    return re.sub(r"//[^/?#]*@", "//", url)


def check_url(text: str) -> None:
    """UsageError for an address at which nothing can ever answer."""
    hint = "Write it as http://HOST:PORT."
    try:
        url = urlsplit(text)
        host = url.hostname or ""
        host.encode("idna")
        if url.port == 0:
            raise ValueError("there is no port 0")
        if url.query or url.fragment:
            raise ValueError("Qtap takes no query")
        if not text.isprintable():
            raise ValueError("not all of it can be printed")
    except ValueError as error:  # UnicodeError is one
        raise UsageError(f"{shown(text)[:200]!r} is no address: {error}", hint) from None
    if url.scheme not in _SCHEMES:
        near = get_close_matches(url.scheme, _SCHEMES, 1)
        rest = text.partition("://")[2]
        if near and rest:
            hint = f"Did you mean {near[0]}://{rest}?"
        raise UsageError(f"{shown(text)[:200]!r} is no address of the web", hint)
    if not host:
        raise UsageError(f"{shown(text)[:200]!r} names no host", hint)


def is_near(url: str) -> bool:
    """Whether an address is one of this host's own."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
