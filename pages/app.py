"""The site: a URL a question, made from the registry, each with its `.json` beside it.

A request passes the headers that keep a browser from running or framing anything, the check of the
host that was asked for, and the token where there is one. Questions run in threads, a few at once,
under a deadline; one whose browser went away is stopped.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages import transaction, views
from pages.ask import Asked, MissingError, Site, offered
from pages.render import page, prepare, static
from pages.views import Page
from queries.core import format as words
from queries.core.answer import document
from queries.core.escape import visible_json
from queries.core.watch import StoppedError, Watch, watched
from store.errors import QrecError, TimedOutError, UnavailableError, UsageError, did_you_mean
from store.values import dataclass

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_AT_ONCE, _WAITING, _STREAMS = 2, 20, 20
DEADLINE_S: Final = 30.0
_LOOKS_S, _NEWS_S, _ALIVE_S = 0.25, 5.0, 15.0
_SHIPPED_S = 60.0  # a bucket has a price for each look, and news every few minutes at most
_COOKIE: Final = "qrec_token"
_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_LOCAL: Final = ("127.0.0.1", "localhost", "[::1]")
_TITLES: Final = {400: "That cannot be asked", 401: "A token is needed", 403: "Refused",
                  404: "Not here", 405: "Only to be read", 500: "That went wrong",
                  503: "Not now", 504: "That took too long"}  # fmt: skip


@dataclass
class Desk:
    """Who may ask how much at once. stopping: whether the server is about to end."""

    site: Site
    stopping: Callable[[], bool]
    deadline_s: float
    limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_AT_ONCE))
    asked: int = 0  # questions that run or wait
    streams: int = 0

    async def run(self, request: Request, work: Callable[[], Response]) -> Response:
        """The response of `work`, made in a thread. Raises what it raises, and where it took too
        long or too many wait already."""
        if self.asked >= _AT_ONCE + _WAITING:
            raise UnavailableError("too many questions at once", "Ask again in some seconds.")
        self.asked += 1
        try:
            return await self._run(request, work)
        finally:
            self.asked -= 1

    async def _run(self, request: Request, work: Callable[[], Response]) -> Response:
        watch, late, outcome = Watch(), threading.Event(), []
        failure: Exception | None = None

        async def accompany() -> None:
            end = time.monotonic() + self.deadline_s
            while True:
                await anyio.sleep(0.05)
                late.set() if time.monotonic() > end else None
                if late.is_set() or self.stopping() or await request.is_disconnected():
                    watch.stop()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(accompany)
            try:
                with watched(watch):
                    outcome.append(await anyio.to_thread.run_sync(work, limiter=self.limiter))
            except Exception as error:
                failure = error
            tasks.cancel_scope.cancel()
        if isinstance(failure, StoppedError) and late.is_set():
            raise TimedOutError(
                f"the answer took longer than {self.deadline_s:.0f} s",
                "Ask about a shorter window, or with a narrower filter.",
            )
        if failure is not None:
            raise failure
        return outcome[0]


def application(
    site: Site,
    hosts: tuple[str, ...] = (),
    token: str | None = None,
    stopping: Callable[[], bool] = lambda: False,
    deadline_s: float = DEADLINE_S,
) -> ASGIApp:
    """The site as an ASGI application. hosts: further names that it may be asked under."""
    desk = Desk(site, stopping, deadline_s)

    def answered(view: Callable[[Request], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                return await desk.run(request, lambda: view(request))
            except Exception as error:
                return _failed(site, request, error)

        return endpoint

    async def live(request: Request) -> Response:
        if desk.streams >= _STREAMS:
            return _failed(site, request, UnavailableError("too many pages follow live", ""))
        return StreamingResponse(_news(desk), media_type="text/event-stream")

    async def file(request: Request) -> Response:
        name = request.path_params.get("name", "icon.svg")  # a document asks for /favicon.ico
        try:
            return Response(static(name), media_type=_TYPES[name.rpartition(".")[2]])
        except (KeyError, OSError):
            return _failed(site, request, MissingError("there is no such file", ""))

    async def unknown(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code != 404:
            return _failed(site, request, error)
        name = request.url.path.strip("/").removesuffix(".json")
        hint = did_you_mean(name, offered(), "The menu above lists all questions.")
        return _failed(site, request, MissingError(f"there is no page /{name[:60]}", hint))

    def html(request: Request) -> Response:
        asked = _asked(site, request)
        shown = views.view_of(asked.path.strip("/") or "diff")(asked)
        return _page(site, asked.path, shown)

    def twin(request: Request) -> Response:
        asked = _asked(site, request)
        question, values = asked.question(asked.path[1:].removesuffix(".json"))
        return _json(document(asked.answer(question, values)))

    def values(request: Request) -> Response:
        return _json(views.values(_asked(site, request)))

    def single(request: Request) -> Response:
        asked = _asked(site, request)
        text = asked.path.removeprefix("/transactions/")
        if text.endswith(".json"):
            return _json(transaction.shown_document(asked, text.removesuffix(".json")))
        if text.endswith(".har"):
            response = _json(transaction.archive(asked, text.removesuffix(".har")))
            response.headers["content-disposition"] = 'attachment; filename="transaction.har"'
            return response
        return _page(site, asked.path, Page("transaction.html", transaction.one(asked, text)))

    routes = [Route("/", answered(html)), Route("/live", live), Route("/static/{name}", file),
              Route("/favicon.ico", file)]  # fmt: skip
    routes += [Route("/transactions/{id}", answered(single)),
               Route("/values.json", answered(values))]  # fmt: skip
    for name in offered():
        routes += [Route(f"/{name}", answered(html)), Route(f"/{name}.json", answered(twin))]
    app: ASGIApp = Starlette(routes=routes, exception_handlers={HTTPException: unknown})
    return _Guard(app, (*_LOCAL, *hosts), token, site)


def _asked(site: Site, request: Request) -> Asked:
    text = request.scope["query_string"].decode("latin-1")
    try:
        given = tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=40))
    except ValueError:
        raise UsageError("that is too many parameters", "Leave some out.") from None
    return Asked(site, request.url.path, given, site.now())


def _page(site: Site, path: str, shown: Page) -> Response:
    asked = shown.context.get("asked")
    times = asked.window_texts if asked is not None else {}
    times = {name: text for name, text in times.items() if not name.startswith("vs")}
    zone = words.zone_name(site.now().astimezone(site.tz))
    text = page(shown.template, **shown.context, path=path, times=times, zone=zone)
    return HTMLResponse(text, shown.status)


def _json(content: Any, status: int = 200) -> Response:
    text = visible_json(json.dumps(content, ensure_ascii=False, allow_nan=False, indent=2)) + "\n"
    return Response(text, status, media_type="application/json")


def _failed(site: Site, request: Request, error: Exception) -> Response:
    """The error as a page (or a document) with the next step; never a traceback."""
    if isinstance(error, QrecError):
        status = _status(error)
        message, hint = error.message, error.hint
    elif isinstance(error, HTTPException):
        status, message, hint = error.status_code, error.detail, ""
    else:
        status, hint = 500, "The terminal that runs `qrec web` says more."
        message = "this is a bug in qrec"
        print(f"qrec web: {request.url.path}: {type(error).__name__}: "
              f"{' '.join(str(error).split())[:300]!r}", file=sys.stderr, flush=True)  # fmt: skip
    given = request.query_params.multi_items()[:40] if status == 400 else ()
    return failure(site, request.url.path, status, message, hint, given)


def failure(
    site: Site, path: str, status: int, message: str, hint: str, given: Any = ()
) -> Response:
    """The same without a request. given: its parameters (name, text), to put right."""
    if path.endswith(".json"):
        return _json({"error": {"message": message, "hint": hint}}, status)
    title, text = _TITLES.get(status, "Refused"), message[:1].upper() + message[1:]
    told = {"title": title, "message": text, "hint": hint, "given": given}
    return _page(site, path, Page("error.html", told, status))


def _status(error: QrecError) -> int:
    kinds = ((MissingError, 404), (UsageError, 400), (TimedOutError, 504),
             (StoppedError, 503), (UnavailableError, 503))  # fmt: skip
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


async def _news(desk: Desk) -> AsyncIterator[bytes]:
    """An event whenever more was recorded, some seconds apart; ends with the server."""
    desk.streams += 1
    try:
        known, every_s = await anyio.to_thread.run_sync(_newest, desk.site)
        yield b"retry: 5000\n\n"  # from here on all that is recorded is news
        looked = told = time.monotonic()
        while not desk.stopping():
            await anyio.sleep(_LOOKS_S)
            now = time.monotonic()
            if now - looked >= every_s:
                looked, last = now, known
                known, every_s = await anyio.to_thread.run_sync(_newest, desk.site)
                if known != last:
                    told = now
                    yield b"event: news\ndata: more was recorded\n\n"
            if now - told >= _ALIVE_S:
                told = now
                yield b": alive\n\n"
    finally:
        desk.streams -= 1


def _newest(site: Site) -> tuple[tuple[str, ...], float]:
    """(what changes when something is recorded: the files of the last hour's rows; seconds until it
    is worth to look again)."""
    try:
        store = site.open()
        hours = store.hours("transactions")[-1:]
        names = (path.name for hour in hours for _, path in store.visible("transactions", hour))
        return tuple(names), _NEWS_S if store.is_local else _SHIPPED_S
    except (QrecError, OSError):
        return (), _NEWS_S


class _Guard:
    """Refuses requests that were sent to another name (DNS rebinding), by another site, or without
    the token where there is one; gives every response, refusals included, its headers.

    The token comes once in the address, then as a cookie that no script can read.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], token: str | None, site: Site) -> None:
        self.app, self.hosts, self.token, self.site = app, hosts, token, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        instead = self._instead(scope) if scope["type"] == "http" else None
        await (instead or self.app)(scope, receive, with_headers)

    def _instead(self, scope: Scope) -> Response | None:
        """What is answered instead of the page; None: the page."""
        request = Request(scope)
        hint = "Open the address that `qrec web` printed."
        if not self._ours(request.headers.get("host", "")):
            return failure(self.site, "/", 403, "this is not that host", hint)
        if not _own_site(request.headers):
            return failure(self.site, "/", 403, "the request comes from another site", hint)
        return None if self.token is None else self._without_token(request, self.token)

    def _without_token(self, request: Request, token: str) -> Response | None:
        def right(text: str) -> bool:
            return hmac.compare_digest(text.encode(), token.encode())

        if right(request.query_params.get("token", "")):
            rest = [one for one in request.query_params.multi_items() if one[0] != "token"]
            path = "/" + request.scope["path"].lstrip("/\\")  # never the name of another host
            response = RedirectResponse(f"{path}?{urlencode(rest)}" if rest else path, 303)
            response.set_cookie(_COOKIE, token, httponly=True, samesite="lax")
            return response
        if right(request.cookies.get(_COOKIE, "")):
            return None
        hint = "Open the address with ?token= that `qrec web` printed."
        return failure(self.site, "/", 401, "this page needs its token", hint)

    def _ours(self, host: str) -> bool:
        name, colon, port = host.rpartition(":")
        if not colon or host.endswith("]"):
            name, port = host, "80"
        if not (port.isascii() and port.isdigit()):
            return False
        # an address cannot be rebound; a name can, unless it is known
        known = name.lower() in self.hosts
        return known or (self.token is not None and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _own_site(headers: Headers) -> bool:
    """Whether a browser sent it for a page of ours, or for a link that somebody followed."""
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return True
    link = headers.get("sec-fetch-mode") == "navigate"
    return link and headers.get("sec-fetch-dest", "document") == "document"


def serve(site: Site, at: socket.socket, token: str | None, ready: Callable[[], None]) -> None:
    """Serve on that socket until SIGINT or SIGTERM; ready: called once requests are answered."""
    import uvicorn

    prepare()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    name = at.getsockname()[0]
    bound = (f"[{name}]" if ":" in name else name, socket.gethostname().lower())
    server: Server
    app = application(site, bound, token, lambda: server.should_exit)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1,
        server_header=False,
    )  # fmt: skip
    server = Server(config)
    server.run(sockets=[at])
