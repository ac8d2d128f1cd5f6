"""The pages of a store without a network: requests go straight to the application."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import html5lib
import httpx

from pages.app import application
from pages.ask import Site
from qrec.__main__ import main
from store.layout import Store
from store.marks import add_mark
from tests.contract.stored import build, call, minute, row

ORIGIN = "http://127.0.0.1:8780"
_RUNNING = ("iframe", "object", "embed", "base", "img", "style", "foreignObject")


class Browser:
    """Asks for pages of one store at one time."""

    def __init__(self, store: Path, now: datetime, **options: Any) -> None:
        self.app = application(Site(lambda: Store.open(store), UTC, lambda: now), **options)

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


INJECTED = "injected.invalid"  # nothing may ever ask for it
ATTACKS = (
    f"<script>fetch('http://{INJECTED}/a')</script>",
    f'"><img src=http://{INJECTED}/b onerror=alert(1)>',
    f"</title></textarea></style><iframe src='//{INJECTED}/c'></iframe>",
    f"<style>@import 'http://{INJECTED}/d';</style><link rel=stylesheet href=//{INJECTED}/e>",
    f"<svg onload=alert(1)><a href=javascript:alert(1)>x</a><base href=//{INJECTED}/>",
    "{{ 7 * 7 }}{% raw %}' onfocus=alert(1) autofocus style=position:fixed x='",
    f"<meta http-equiv=refresh content='0;url=http://{INJECTED}/f'>\u202e\x1b[2J",
)


def hostile(path: Path) -> Path:
    """A store whose every text attacks the page that shows it."""
    rows = []
    for n in range(120):
        text = ATTACKS[n % len(ATTACKS)]
        failing = n >= 60
        fields = {
            "host": f"h{n % 7}{text}", "path": f"/p/{text}", "route": f"/r/{text}", "query": text,
            "method": text[:20], "container_name": text, "process_exe": f"/bin/{text}",
            "user_agent": text, "error_signature": text if failing else None, "protocol": text[:9],
            "pod_name": text, "pod_namespace": text, "container_image": text, "trace_id": text,
            "request_id": text, "connection_id": text, "req_content_type": text,
            "res_content_type": f"text/html;{text}", "status": 500 if failing else 200,
        }  # fmt: skip
        headers = [(f"X-{text}", text), ("Location", f"javascript:{text}")]
        body = f'{{"{"k" + str(n)}": {json.dumps(text)}}}' if n % 2 else f"<html>{text}</html>"
        sides = {f"{side}_{name}": value for side in ("req", "res")
                 for name, value in (("headers", headers), ("body", body.encode()))}  # fmt: skip
        rows += [row(minute(n - 60 + part / 10), **fields, **sides) for part in range(6)]
    calls = [call(minute(n), statement=text, database_type=text, container_name=text)
             for n, text in enumerate(ATTACKS)]  # fmt: skip
    made = build(path, rows, database=calls)
    add_mark(made, ATTACKS[0], minute(5))
    return made.path


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
