"""Commands as a user runs them: a process of its own, an environment of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.kit import PATIENCE_S

ROOT = Path(__file__).parents[2]


def environment(home: Path) -> dict[str, str]:
    """Nothing of this user's configuration; the store is `home`/store; `qrec` and `python` are
    ours."""
    scripts = Path(sys.executable).parent
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("QREC_", "XDG_"))},
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "QREC_STORE": str(home / "store"),
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TZ": "UTC",
        "COLUMNS": "80",
    }


def qrec(
    *words: str | Path, home: Path, timeout: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """Run `qrec WORDS` to its end. AssertionError when it shows a traceback."""
    command = [sys.executable, "-m", "qrec", *map(str, words)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment(home),
        cwd=home,
        timeout=timeout,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


@contextlib.contextmanager
def background(*words: str | Path, home: Path) -> Iterator[subprocess.Popen[str]]:
    """`qrec WORDS` in the background, ended (SIGTERM, then SIGKILL) on leaving."""
    command = [sys.executable, "-m", "qrec", *map(str, words)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(home),
        cwd=home,
    )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=15)
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def scraped(port: int) -> dict[str, float]:
    """The samples of the metrics, with their labels but the recorder's."""
    try:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    except httpx.TransportError:
        return {}
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pairs = (line.rsplit(" ", 1) for line in lines)
    return {name.replace('{recorder="web"}', ""): float(value) for name, value in pairs}
