"""The pages of a store without a network: requests go straight to the application."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import html5lib
import httpx

from pages.app import application
from pages.ask import Site
from qrec.__main__ import main

ORIGIN = "http://127.0.0.1:8780"
_RUNNING = ("iframe", "object", "embed", "base", "img", "style", "foreignObject")


class Browser:
    """Asks for pages of one store at one time."""

    def __init__(self, store: Path, now: datetime, **options: Any) -> None:
        self.app = application(Site(store, UTC, lambda: now), **options)

    def get(self, url: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return asyncio.run(self._get(url, headers or {}))

    async def _get(self, url: str, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            return await client.get(url, headers=headers)

    def page(self, url: str) -> Any:
        """The document of a page. AssertionError where it is not valid HTML, or refused."""
        answer = self.get(url)
        assert answer.status_code == 200, (url, answer.text)
        return parsed(answer.text, url)


def parsed(text: str, of: str) -> Any:
    parser = html5lib.HTMLParser(strict=False)
    tree = parser.parse(text)
    errors = [(place, code) for place, code, _ in parser.errors]
    assert errors == [], (of, errors[:3])
    ids = [one.get("id") for one in tree.iter() if one.get("id")]
    assert len(ids) == len(set(ids)), (of, "an id stands twice")
    return tree


def links(tree: Any) -> list[str]:
    """Where the links of a page lead, within it left out."""
    found = [one.get("href") for one in tree.iter() if one.tag.rpartition("}")[2] == "a"]
    return [href for href in found if not href.startswith("#")]


def harmless(tree: Any, of: str) -> None:
    """AssertionError for anything in a page that runs, frames, styles or leads elsewhere."""
    for one in tree.iter():
        if not isinstance(one.tag, str):
            continue
        name = one.tag.rpartition("}")[2]
        assert name not in ("iframe", "object", "embed", "base", "img", "style", "foreignObject"), (
            of
        )
        if name == "script":
            assert one.get("src") == "/static/page.js", of
            assert not one.text, of
        for attribute, value in one.attrib.items():
            plain = str(attribute).rpartition("}")[2].lower()
            assert not plain.startswith("on"), (of, plain)
            assert plain != "style", of
            if plain in ("href", "src", "action"):
                own = value.startswith(("/", "#")) and not value.startswith("//")
                assert own, (of, value[:80])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def replayed(name: str, folder: Path) -> Path:
    """A store with a bundled stream, at its own time."""
    with quiet():
        code = main(["replay", name, "--store", str(folder), "--recorder", "shop", "--connections"])
    assert code == 0
    return folder
