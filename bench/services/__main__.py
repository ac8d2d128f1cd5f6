"""What `qrec diff` says of real services with real faults: `python -m bench.services`.

A small shop of eight processes runs on this machine, `qrec record` records it as it goes, and each
incident is asked about as it ends: its last minute against the time before it. Nothing of it is
made for the comparison: the durations are the scheduler's, and whatever else this machine does is
part of the traffic. Prints a row an incident; `--json` a document.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import uvicorn
from starlette.applications import Starlette

from bench.services.incidents import INCIDENTS, SERVICES, Change, Incident
from fixtures.standin import events
from fixtures.standin.hub import Hub
from fixtures.standin.server import event_route

ROOT = Path(__file__).parents[2]
_PAUSE_S = 10.0  # between incidents


class Running:
    """The shop, and the stream of what it does."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.hub = Hub()
        self.hub.state = "streaming"
        self.port, *ports = _free_ports(1 + len(SERVICES))
        self._ports = dict(zip(SERVICES, ports, strict=True))
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._serve, daemon=True).start()
        for name in SERVICES:
            self.start(name)
            if name == "gateway":
                time.sleep(2)  # for all to listen before the users come

    def start(self, name: str) -> None:
        command = [sys.executable, "-m", "bench.services.service", name, json.dumps(self._ports)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert process.stdout is not None
        self.processes[name] = process
        threading.Thread(target=self._follow, args=(process.stdout,), daemon=True).start()

    def tell(self, changes: Change) -> None:
        for name, change in changes.items():
            stdin = self.processes[name].stdin
            assert stdin is not None
            stdin.write(json.dumps(change).encode() + b"\n")
            stdin.flush()

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _follow(self, frames: IO[bytes]) -> None:
        frame = b""
        for line in frames:
            frame += line
            if line == b"\n":
                event = events.parsed(frame)
                asyncio.run_coroutine_threadsafe(self.hub.publish(event, 0), self._loop)
                frame = b""

    def _serve(self) -> None:
        stream = event_route(self.hub, "0.14", "*", lambda: None)
        config = uvicorn.Config(Starlette(routes=[stream]), port=self.port, log_level="error")
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(uvicorn.Server(config).serve())


def _free_ports(count: int) -> list[int]:
    """All held until the last is known: a port that is given back may be given again."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _qrec(*words: str) -> list[str]:
    return [sys.executable, "-m", "qrec", *words]


def _ask(store: Path, quiet: float, began: float, ended: float) -> dict[str, Any]:
    times = {"--from": began, "--to": ended, "--vs-from": quiet, "--vs-to": began - 1}
    stamps = [
        word for name, t in times.items()
        for word in (name, datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    ]  # fmt: skip
    asked = _qrec("diff", "--json", "--store", str(store), *stamps)
    done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _judged(incident: Incident, document: dict[str, Any], began: float) -> dict[str, Any]:
    """One row: whether what comes first is what happened, and what else was said."""
    findings = document["findings"]
    row: dict[str, Any] = {
        "incident": incident.name,
        "rows": len(findings),
        "verdict": document["verdict"],
    }
    if not findings:
        return row | {"right": not incident.kinds and document["verdict"] == "nothing_changed"}
    first = findings[0]
    place = "/".join(str(value) for value in first["key"].values())
    since = first["since"] and datetime.fromisoformat(first["since"]).timestamp() - began
    right = first["kind"] in incident.kinds and incident.place in place
    return row | {"right": right, "first": first["summary"], "onset_s": since}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.services", description=__doc__)
    parser.add_argument("--quiet-s", type=float, default=90, help="before each, 61 or more (90)")
    parser.add_argument("--seconds", type=float, default=62, help="of an incident (62)")
    parser.add_argument("--only", nargs="+", default=[""], help="whose names contain one of these")
    parser.add_argument("--store", type=Path, help="keep the recording here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = [i for i in INCIDENTS if any(text in i.name for text in options.only)]
    if not chosen:
        parser.error(f"no such incident; there are: {', '.join(i.name for i in INCIDENTS)}")
    with tempfile.TemporaryDirectory() as folder:
        store = (options.store or Path(folder) / "store").absolute()
        os.chdir(folder)
        shop = Running()
        url = f"http://127.0.0.1:{shop.port}"
        recorder = subprocess.Popen(
            _qrec("record", url, "--store", str(store)), cwd=ROOT, stdout=subprocess.DEVNULL
        )
        try:
            rows = []
            for incident in chosen:
                rows.append(_played(shop, store, incident, options))
                if recorder.poll() is not None:
                    sys.exit("the recorder ended before the shop did")
        finally:
            recorder.terminate()
            recorder.wait()
            shop.end()
    if options.json:
        print(json.dumps({"rows": rows}))
    else:
        print(f"{sum(row['right'] for row in rows)} of {len(rows)} right")


def _played(
    shop: Running, store: Path, incident: Incident, options: argparse.Namespace
) -> dict[str, Any]:
    time.sleep(_PAUSE_S)
    quiet = time.time()
    time.sleep(options.quiet_s)
    with incident.make(shop):
        began = time.time()
        time.sleep(options.seconds)
        ended = time.time()
    time.sleep(3)  # for the last rows to be on the disk
    row = _judged(incident, _ask(store, quiet, began, ended), began)
    if not options.json:
        mark, since = "right" if row["right"] else "WRONG", row.get("onset_s")
        onset = "" if since is None else f" (onset {since:+.0f} s)"
        print(f"{mark}  {incident.name:36} {row['rows']:2} rows  "
              f"{row.get('first', row['verdict'])}{onset}", flush=True)  # fmt: skip
    return row


if __name__ == "__main__":
    main()
