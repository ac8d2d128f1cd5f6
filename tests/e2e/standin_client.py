"""A client of the stand-in, as plain as can be: what it sends, and how events are read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from fixtures.standin.server import Standin
from tests.kit import PATIENCE_S

PATH = "/devtools/api/events"
HTTP = {"topics": {"http": "*"}}


def read(standin: Standin, body: Any = None, method: str = "POST") -> list[tuple[str, Any]]:
    """All events of one subscription, as (name, JSON)."""
    content = b"" if body is None else json.dumps(body).encode()
    with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
        response = http.request(method, standin.url + PATH, content=content)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    return events_of(response.text)


def events_of(text: str) -> list[tuple[str, Any]]:
    events = []
    for frame in text.split("\n\n")[:-1]:
        name, data = frame.split("\n", 1)
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def lines_of(standin: Standin) -> Iterator[str]:
    with (
        httpx.Client(trust_env=False, timeout=PATIENCE_S) as http,
        http.stream("POST", standin.url + PATH, json=HTTP) as response,
    ):
        yield from response.iter_lines()


def document_of(event: Any) -> Any:
    return json.loads(base64.b64decode(event["data"]["data"]["data"]))


def names_of(events: list[tuple[str, Any]]) -> set[str]:
    return {name for name, _ in events}


def original(stream: Path, name: str = "request.http_transaction") -> list[tuple[str, Any]]:
    return [pair for pair in events_of(stream.read_text()) if pair[0] == name]
