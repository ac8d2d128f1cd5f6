"""Commands as a user runs them: a process of its own, an environment of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(home: Path) -> dict[str, str]:
    """Nothing of this user's configuration or store; `qrec` and `python` are ours."""
    scripts = Path(sys.executable).parent
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("QREC_", "XDG_"))},
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TZ": "UTC",
        "COLUMNS": "80",
    }


def qrec(*words: str | Path, home: Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run `qrec WORDS` to its end."""
    command = [sys.executable, "-m", "qrec", *map(str, words)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment(home),
        cwd=home,
        timeout=timeout,
        check=False,
    )


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
