"""The values of a HAR file: numbers, headers and bodies in the many ways of writing them.

Sizes are -1 or missing, numbers may be text, headers are a list or an object, bodies are text or
base64: what is not known becomes None.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import msgspec


class Body(msgspec.Struct):
    """postData of a request, content of a response."""

    text: Any = None
    encoding: Any = None
    mimeType: Any = None
    size: Any = None
    params: Any = None


def number(value: Any) -> float | None:
    """A number that is none of the ways of saying "not known"."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value < 2**63 else None


def first(*values: Any) -> int | None:
    return next((int(n) for value in values if (n := number(value)) is not None), None)


def total(*values: Any) -> int | None:
    known = [int(n) for value in values if (n := number(value)) is not None]
    return sum(known) if known else None


def text(value: Any) -> str | None:
    return str(value)[:200] if isinstance(value, str | int) and value not in ("", 0) else None


@lru_cache(maxsize=1024)
def _canonical(name: str) -> str:
    """content-type -> Content-Type, as Qtap writes names; pseudo-headers stay."""
    if not name.isascii() or name.startswith(":"):
        return name
    return "-".join(part.capitalize() for part in name.split("-"))


def headers_of(found: Any) -> dict[str, str]:
    """Repeated headers are joined as HTTP allows; of cookies that are set, the first is kept."""
    if isinstance(found, dict):
        found = [{"name": name, "value": value} for name, value in found.items()]
    headers: dict[str, str] = {}
    for header in found if isinstance(found, list) else []:
        if not isinstance(header, dict) or not isinstance(header.get("name"), str):
            continue
        name, value = _canonical(header["name"].strip()), header.get("value")
        value = "" if value is None else str(value)
        if name not in headers:
            headers[name] = value
        elif name != "Set-Cookie":
            headers[name] += ("; " if name == "Cookie" else ", ") + value
    return headers


def request_body(body: Body | None) -> bytes | None:
    if body is not None and not body.text and isinstance(body.params, list):
        pairs = [
            (str(param.get("name", "")), str(param.get("value") or param.get("fileName") or ""))
            for param in body.params
            if isinstance(param, dict)
        ]
        return urlencode(pairs).encode() or None
    return body_of(body)


def body_of(body: Body | None) -> bytes | None:
    if body is None or not isinstance(body.text, str) or not body.text:
        return None
    if body.encoding == "base64":
        try:
            return base64.b64decode(body.text) or None
        except (binascii.Error, ValueError):
            pass  # said to be base64, and is not: the text as it is tells more than nothing
    return body.text.encode("utf-8", "surrogatepass")
