"""`qrec alert`: tell a program or a web hook of each finding, once.

A message is written to the state file before it is sent and taken out when it has arrived: what a
crash interrupts is sent again (at least once), what was told is not told again after a restart.
"""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from qrec.output import say
from qrec.run import STORE, Run, switch, takes
from qrec.watch import SEVERITIES, Memory, News, every, looks
from queries.core.answer import document
from queries.core.escape import visible
from queries.core.format import clock
from queries.core.question import BASELINE, WHERE, WINDOW, Argument, questions_of
from queries.core.window import parse_duration
from store.errors import QrecError, UsageError, unwritable
from store.files import make_folder, replacing
from store.values import dataclass

_MOST: Final = 200  # findings of one look, and messages that wait
_TIMEOUT_S: Final = 10.0
_FIRST_S, _LONGEST_S = 1.0, 300.0  # between two tries
_LAST, _BEFORE_S = "3m", 3600
_TRIES: Final = 4  # of --once
_ADDRESS: Final = "Write one such as http://127.0.0.1:9000/qrec."


@takes(
    Argument("exec", "The program that gets each message on stdin; no shell is run.", "CMD"),
    Argument("webhook", "The http(s) address that each message is posted to.", "URL"),
    Argument("every", "Seconds between two looks.", "SECONDS", default="15"),
    Argument("least", "Only findings that are at least so severe: low, medium or high.", "SEVERITY",
             default="low", choices=SEVERITIES),
    switch("gone", "Tell also when a finding is over."),
    switch("once", "Look once, send what is news, and end."),
    Argument("state", "Where it is kept what was told. Default: the user's state folder.", "DIR"),
    replace(WINDOW[0], help="Length of the window: 90s, 15m, 1h. Default: 3m."), *WINDOW[1:],
    *BASELINE, WHERE, *STORE,
)  # fmt: skip
def alert(run: Run, least: str, gone: bool, once: bool, state: str | None) -> int:
    """Tell a program or a web hook of each finding of `qrec diff`, once, and again where it gets
    worse, until Ctrl-C.

    Compares the last three minutes (or --last) with the hour before them, or what the flags of
    `qrec diff` say.

    The message is a JSON document: event (new, worse, gone, no_data), text, finding. A program gets
    it on stdin and has taken it when it ends with 0; a web hook gets it as a POST and has taken it
    when it answers 2xx (redirects and proxies are not followed). What is not taken is sent again,
    later and later up to every 5 minutes; what was told is not told again, also after a restart.
    Nothing is sent anywhere else. With --once the exit code is 0 when everything was taken, 1 when
    not.

    \b
    Examples:
      qrec alert --exec "logger -t qrec"
      qrec alert --webhook http://127.0.0.1:9000/qrec --last 3m --every 15
      qrec alert --webhook https://chat.example/hook --least high --gone
      qrec alert --exec ./page.sh --vs yesterday --once
    """
    program, url = run.values["exec"], run.values["webhook"]
    send, target = _sender(program, url)
    seconds = every(run.values["every"])
    box = Outbox(_state_file(run, state, program or url), send)
    asked = _windows({one.name: run.values[one.name] for one in (*WINDOW, *BASELINE, WHERE)})
    question = questions_of("diff")[0]
    if not once:
        say(f"telling {target} of what changes, every {seconds:g} s; Ctrl-C ends it")
    for at, answer in looks(run, question, {**asked, "limit": _MOST}, seconds, box.wait):
        if isinstance(answer, QrecError):
            say(f"note: {clock(at, run.tz)} no answer: {answer.message}")
            continue
        box.add([one for one in box.memory.look(document(answer), at)
                 if wanted(one, least, gone)])  # fmt: skip
        if once:
            return 0 if box.empty_soon() else 1
        box.send_due()
    return 0


def _windows(values: dict[str, Any]) -> dict[str, Any]:
    """The last three minutes against the hour before them, where nothing else is asked for."""
    if any(values[one.name] for one in (*WINDOW, *BASELINE) if one.name != "last"):
        return values
    last = values["last"] or _LAST
    seconds = parse_duration(last).total_seconds()
    before = {"vs_from": f"{seconds + _BEFORE_S:g}s ago", "vs_to": f"{seconds:g}s ago"}
    return {**values, "last": last, **before}


def wanted(news: News, least: str, gone: bool) -> bool:
    if news.finding is None:
        return True
    severe = SEVERITIES.index(news.finding["severity"]) >= SEVERITIES.index(least)
    return severe and news.event in ("new", "worse", *["gone"] * gone)


@dataclass
class Outbox:
    """What was told, and the messages that wait; both in a file, for a restart."""

    path: Path
    send: Callable[[dict[str, Any]], str]  # what went wrong; empty: it was taken

    def __post_init__(self) -> None:
        kept = _kept(self.path)
        self.memory = Memory(kept.get("known"), bool(kept.get("deaf")))
        self.waiting: list[dict[str, Any]] = list(kept.get("waiting", ()))
        self._tries, self._due = 0, 0.0

    def add(self, news: list[News]) -> None:
        """Write the messages down; they are sent when they are due."""
        self.waiting += [one.document for one in news]
        if len(self.waiting) > _MOST:
            say(f"note: {len(self.waiting) - _MOST} messages that nobody took are dropped")
            self.waiting = self.waiting[-_MOST:]
        self._save()

    def send_due(self) -> None:
        """Send what waits, oldest first, up to the first that is not taken."""
        while self.waiting and time.monotonic() >= self._due:
            problem = self.send(self.waiting[0])
            if problem:
                self._tries += 1
                delay = min(_LONGEST_S, _FIRST_S * 2 ** (self._tries - 1))
                self._due = time.monotonic() + delay * random.uniform(0.5, 1.0)
                say(f"note: not taken ({visible(problem)}); {len(self.waiting)} wait")
                return
            del self.waiting[0]
            self._tries = 0
            self._save()

    def wait(self, seconds: float) -> None:
        """So long, sending meanwhile what becomes due."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            pause = max(0.0, self._due - time.monotonic()) if self.waiting else left
            time.sleep(min(left, pause))
            self.send_due()

    def empty_soon(self) -> bool:
        """Send everything now, with a few tries; whether all was taken."""
        while self.waiting and self._tries < _TRIES:
            time.sleep(max(0.0, self._due - time.monotonic()))
            self.send_due()
        return not self.waiting

    def _save(self) -> None:
        state = {"version": 1, "known": self.memory.known, "deaf": self.memory.deaf,
                 "waiting": self.waiting}  # fmt: skip
        try:
            make_folder(self.path.parent)
            with replacing(self.path) as temporary:
                temporary.write_text(json.dumps(state), encoding="utf-8")
        except OSError as error:
            raise unwritable(self.path, error) from None


def _kept(path: Path) -> dict[str, Any]:
    """The state as it was saved; one that cannot be read is begun anew, and said."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(state, dict):
            return state
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        pass
    say(f"note: {path} cannot be read; what was told before may be told again")
    return {}


def _state_file(run: Run, folder: str | None, receiver: str) -> Path:
    """A file for each store and receiver."""
    from platformdirs import user_state_path

    place = Path(folder).expanduser() if folder else user_state_path("qrec", appauthor=False)
    key = zlib.crc32(f"{run.store.path.resolve()} {receiver}".encode())
    return place / f"alert-{key:08x}.json"


def _sender(command: str | None, url: str | None) -> tuple[Callable[[dict[str, Any]], str], str]:
    """How a message is sent, and what the receiver is called: an address may hold a secret.

    UsageError unless it is one of both.
    """
    if (command is None) == (url is None):
        raise UsageError("who is to be told?", "Give --exec CMD or --webhook URL, one of them.")
    if url is not None:
        return _webhook(url)
    assert command is not None
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--exec cannot be read: {error}", "Mend its quotes.") from None
    if not words:
        raise UsageError("--exec names no program", 'As in --exec "logger -t qrec".')
    return lambda message: _run(words, message), words[0]


def _run(words: list[str], message: dict[str, Any]) -> str:
    try:
        done = subprocess.run(
            words, input=json.dumps(message) + "\n", text=True, encoding="utf-8",
            stdout=subprocess.DEVNULL, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"{words[0]}: {error}"
    return f"{words[0]} ended with {done.returncode}" if done.returncode else ""


def _webhook(url: str) -> tuple[Callable[[dict[str, Any]], str], str]:
    import httpx  # a tenth of a second that --exec need not wait for

    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UsageError(f"{url[:80]!r} is no address: {error}", _ADDRESS) from None
    if address.scheme not in ("http", "https") or not address.host:
        raise UsageError(f"{url[:80]!r} is no http address", _ADDRESS)
    client = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False)

    def post(message: dict[str, Any]) -> str:
        try:
            answer = client.post(address, json=message)
        except httpx.HTTPError as error:
            return f"{address.host}: {error or type(error).__name__}"
        return "" if answer.is_success else f"{address.host} answered {answer.status_code}"

    return post, address.host
