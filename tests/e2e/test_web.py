"""`qrec web` as a process: it says where it is, refuses what it must, and ends when it is told."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.stored import NOW, build, minute, row
from tests.e2e.shell import background, environment, free_port, qrec
from tests.kit import PATIENCE_S


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("web") / "store", [row(minute(n)) for n in range(60)]).path


@contextlib.contextmanager
def serving(store: Path, home: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`qrec web` on a free port, and its address once it answers."""
    flags = ("--port", "0", "--no-open", "--now", NOW.isoformat(), *words)
    with background("web", "--store", store, *flags, home=home) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://"), url
        yield process, url


def get(url: str, **more: object) -> httpx.Response:
    return httpx.get(url, trust_env=False, timeout=PATIENCE_S, **more)  # type: ignore[arg-type]


def test_it_answers_on_this_machine_alone(store: Path, tmp_path: Path) -> None:
    with serving(store, tmp_path) as (_, url):
        assert url.startswith("http://127.0.0.1:")
        assert "What changed" in get(url).text
        assert get(f"{url}hosts.json").json()["window"]["requests"] == 60
        away = socket.gethostbyname(socket.gethostname())
        if not away.startswith("127."):
            with pytest.raises(httpx.ConnectError):
                get(url.replace("127.0.0.1", away))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_two_seconds_while_somebody_follows(
    store: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with (
        serving(store, tmp_path) as (process, url),
        httpx.stream("GET", f"{url}live", trust_env=False, timeout=PATIENCE_S) as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert next(stream.iter_lines()) == "retry: 5000"
        begun = time.monotonic()
        process.send_signal(number)
        process.wait(PATIENCE_S)
        assert time.monotonic() - begun < 2 * max(1.0, busy())
        assert process.returncode == 0


def busy() -> float:
    """How many times slower than alone a process is here now, by how much of it gets to run."""
    begun, used = time.monotonic(), time.process_time()
    while time.process_time() - used < 0.05:
        pass
    return (time.monotonic() - begun) / 0.05


def test_who_follows_is_told_of_news(store: Path, tmp_path: Path) -> None:
    copy = build(tmp_path / "store", [row(minute(1))]).path
    with (
        serving(copy, tmp_path) as (_, url),
        httpx.stream("GET", f"{url}live", trust_env=False, timeout=PATIENCE_S) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "retry: 5000"
        hour = next((copy / "transactions").iterdir())
        first = next(hour.iterdir())
        (hour / "other-000000000009.parquet").write_bytes(first.read_bytes())
        assert next(line for line in lines if line.startswith("event")) == "event: news"


def test_a_port_in_use_is_told(store: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = qrec("web", "--store", store, "--port", str(port), "--no-open", home=tmp_path)
    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize(("words", "code", "says"), [
    (("--port", "70000"), 3, "cannot listen"),
    (("--host", "no.such.host.invalid"), 3, "cannot listen"),
    (("--store", "/nowhere/at/all"), 3, "no qrec store"),
])  # fmt: skip
def test_what_cannot_be_served_is_told(
    store: Path, tmp_path: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    done = qrec("web", "--store", store, "--no-open", *words, home=tmp_path)
    assert done.returncode == code
    assert says in done.stderr


def test_another_address_needs_the_token_that_it_prints(store: Path, tmp_path: Path) -> None:
    with serving(store, tmp_path, "--host", "0.0.0.0") as (_, url):
        address, token = url.split("/?token=")
        local = f"http://127.0.0.1:{address.rpartition(':')[2]}"
        assert len(token) >= 20
        assert get(f"{local}/").status_code == 401
        opened = get(f"{local}/coverage?token={token}")
        assert opened.status_code == 303
        with httpx.Client(trust_env=False, cookies=opened.cookies) as client:
            assert client.get(f"{local}/coverage", timeout=PATIENCE_S).status_code == 200


def test_the_base_install_has_no_pages_and_says_how_to_get_them(
    store: Path, tmp_path: Path
) -> None:
    """Without Jinja2: `qrec web` names the extra, and nothing else misses it."""
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'jinja2' else find(name, *a)\n"
        "from qrec.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )

    def without(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *words, "--store", str(store), "--now", NOW.isoformat()],
            capture_output=True, text=True, env=environment(tmp_path), cwd=tmp_path, check=False,
        )  # fmt: skip

    assert without("diff").returncode == 0
    missing = without("web", "--port", str(free_port()))
    assert missing.returncode == 2
    assert "pip install 'qrec[web]'" in missing.stderr


def test_what_changed_imports_nothing_of_the_pages(store: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from qrec.__main__ import main; main(sys.argv[1:])\n"
        "print(sorted(set(sys.modules) & {'jinja2', 'starlette', 'uvicorn', 'pages'}), "
        "file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "diff", "--store", str(store), "--now", NOW.isoformat()],
        capture_output=True, text=True, env=environment(tmp_path), cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == "[]"
