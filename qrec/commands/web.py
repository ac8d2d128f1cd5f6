"""`qrec web`: the questions as pages for a browser."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import webbrowser
from importlib.util import find_spec

from qrec.output import emit, say
from qrec.run import STORE, Run, switch, takes
from qrec.settings import is_loopback
from queries.core.question import Argument
from store.errors import UnavailableError, UsageError

_TOKEN = "QREC_WEB_TOKEN"


@takes(
    Argument("port", "Where to listen; 0 takes any free port.", "PORT", default=8780, kind=int),
    Argument("host", "Listen here instead of on this machine alone; needs a token.", "ADDRESS",
             default="127.0.0.1"),
    switch("no_open", "Do not open a browser."),
    *STORE,
)  # fmt: skip
def web(run: Run, port: int, host: str, no_open: bool) -> None:
    """Look at the recordings in a browser: what changed, transactions, the graph, every question.

    Read-only, on this machine alone unless --host says otherwise. Ctrl-C ends it.

    \b
    Examples:
      qrec web
      qrec web --port 0 --no-open
      qrec web --host 0.0.0.0
    """
    run_site(run, host, port, not no_open)


def run_site(run: Run, host: str, port: int, browser: bool) -> None:
    """Serve the site over the run's store until it is told to end."""
    needs_web()
    from pages.app import serve
    from pages.ask import Site

    _ = run.store  # a missing store is told here, not by the first page
    token = None if is_loopback(host) else os.environ.get(_TOKEN) or secrets.token_urlsafe(18)
    named = run.values["store"]
    site = Site(run.settings.store, run.tz, lambda: Run(run.values).now, named)
    with listener(host, port, "--port") as at:
        url = _url(host, at.getsockname()[1], token)
        # Uvicorn raises the signal anew once it has ended in good order: that is no failure.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

        def ready() -> None:
            emit(f"{url}\n")
            say("Ctrl-C ends it")
            if browser and sys.stdout is not None and sys.stdout.isatty() and _screen():
                webbrowser.open(url)

        serve(site, at, token, ready)


def listener(host: str, port: int, flag: str) -> socket.socket:
    """A socket that listens there. UnavailableError where it cannot; flag: of the port."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnavailableError(
            f"cannot listen on {host}:{port}: {reason}", f"Choose another port with {flag} PORT."
        ) from None


def needs_web() -> None:
    """UsageError where what pages are made with is not installed."""
    if find_spec("jinja2") is None:
        raise UsageError("pages need Jinja2, which is not installed", "pip install 'qrec[web]'")


def _url(host: str, port: int, token: str | None) -> str:
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def _screen() -> bool:
    """Whether a browser would show up: not over SSH, not in a container."""
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
