"""Questions on an engine give the document that they give here, and what is wrong there is said."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import venv
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from queries.core import engine
from queries.core.question import every_question
from store.layout import Store
from tests.buckets import CREDENTIALS, Way
from tests.contract.conftest import answered, stored
from tests.contract.stored import NOW, build, minute, row, stretch
from tests.engines import sail_server, spark_server
from tests.kit import Cli

pytestmark = pytest.mark.xdist_group("engines")
_OF_JAVA = """Job aborted due to stage failure: Task 0 in stage 0.0 failed 1 times, most recent
failure: Lost task 0.0 in stage 0.0 (TID 0) (host executor driver): \
java.io.IOException: Cannot run program "python9"
\tat java.base/java.lang.ProcessBuilder.start(ProcessBuilder.java:1143)
Caused by: java.io.IOException: error=2, No such file or directory
\tat java.base/java.lang.ProcessImpl.forkAndExec(Native Method)
\t... 14 more

Driver stacktrace:

JVM stacktrace:
org.apache.spark.SparkException
\tat org.apache.spark.scheduler.DAGScheduler.abortStage(DAGScheduler.scala:1)
"""
NEEDED = {"show": ["web:1"], "sql": ["SELECT count(*) FROM transactions"]}


@pytest.fixture(scope="module", autouse=True)
def main_module() -> Iterator[None]:
    """pyspark takes a main module without a file, as xdist has it, for its own doctests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
        yield


@pytest.fixture(scope="module")
def sail() -> Iterator[str]:
    with sail_server() as url:
        yield url


@pytest.fixture(scope="module")
def spark(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An Apache Spark whose workers have the credentials of the tests' S3."""
    environ = {**CREDENTIALS, "AWS_ENDPOINT_URL": server}
    with spark_server(tmp_path_factory.mktemp("spark"), environ=environ) as url:
        yield url


@pytest.fixture(scope="module", params=["sail", pytest.param("spark", marks=pytest.mark.long)])
def either(request: pytest.FixtureRequest) -> str:
    """A Spark Connect, of both that there are."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def two(tmp_path: Path) -> Store:
    """Two recorders of two hours; a part of one hour of one is live."""
    store = stored(tmp_path / "local")
    other = stored(tmp_path / "other", recorder="web-2")
    for table in ("transactions", "coverage", "database", "rollups"):
        shutil.copytree(other.path / table, store.path / table, dirs_exist_ok=True)
    late = build(tmp_path / "late", [row(minute(30 + n), recorder="web-3") for n in range(9)])
    [file] = late.path.glob("transactions/*/*.parquet")
    folder = store.live_hour("web-3", "transactions", "2026-11-22T13")
    folder.mkdir(parents=True)
    file.rename(folder / "000000000001-000000000009.parquet")
    return store


def test_every_question_gives_the_same_document(
    cli: Cli, either: str, two: Store, isolated: Path
) -> None:
    """Of a folder that the workers see, and of one with a live hour."""
    asked = [[question.name, *NEEDED.get(question.name, [])] for question in every_question()]
    asked += [
        ["errors", "--by", "container"],
        ["search", 'req.host == "api.stripe.com" and res.status >= 500', "--limit", "7"],
        ["search", 'req.path matches /^\\/v1\\/(things|charges)/', "--sort", "oldest"],
        ["search", 'zone(req.host) == "stripe.com"', "--limit", "3"],
        ["hosts", "--where", 'req.host == "nowhere.example"'],
        ["timeline", "--by", "endpoint"],
        ["timeline", "--by", "group"],
        ["hosts", "--by", "recorder"],
        ["hosts", "--where", 'group == "" and recorder in ["web-2", "web-3"]'],
        ["diff", "--where", "res.status >= 400"],
        ["diff", "--where", 'recorder == "web-2"'],
        ["diff", "--where", 'req.host == "api.stripe.com"', "--last", "50m"],
        ["diff", "--last", "5m"],
    ]  # fmt: skip
    for words in asked:
        if words[0] == "tail":
            continue
        expected = answered(cli, *words, "--store", str(two.path))
        assert answered(cli, *words, "--store", str(two.path), "--engine", either) == expected, (
            words
        )


def test_a_recorder_that_goes_into_another_group(
    cli: Cli, sail: str, isolated: Path, tmp_path: Path
) -> None:
    """A task has files of many hours, of which each says whom a recorder belongs to."""
    store = stored(tmp_path / "local")
    ends = (NOW - timedelta(hours=2), minute(0), NOW)
    for name, groups in {"web-2": ("a", "b"), "web-3": ("", "a"), "web-4": ("b", "b")}.items():
        told = [
            stretch(*span, recorder=name, group_name=group or None)
            for span, group in zip(pairwise(ends), groups, strict=True)
        ]
        rows = [row(minute(n), recorder=name, status=500 if n % 3 else 200) for n in range(-60, 60)]
        other = build(tmp_path / name, rows, told)
        for table in ("transactions", "coverage"):
            for file in (other.path / table).rglob("*.parquet"):
                to = store.path / file.relative_to(other.path)
                to.parent.mkdir(parents=True, exist_ok=True)
                file.rename(to.with_name(file.name.replace("web", name)))
    for where in ("res.status > 0", 'group == "a"', 'recorder == "web-2"'):
        words = ("diff", "--where", where, "--store", str(store.path))
        assert answered(cli, *words, "--engine", sail) == answered(cli, *words), where


@pytest.mark.parametrize("scheme", ["file", "s3"])
def test_a_bucket_is_read_by_the_workers(
    cli: Cli, either: str, isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    way: Way, scheme: str, url: str, request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """Here are only what was found, rollups and coverage: less than the rows would be."""
    store = stored(tmp_path / "local")
    url = url if scheme == "s3" else (tmp_path / "shared").as_uri()
    assert cli("ship", url, "--store", str(store.path))[0] == 0
    monkeypatch.setenv("QREC_CACHE", str(tmp_path / "cache"))
    for words in (
        ["hosts"], ["errors"], ["schema"], ["sensitive"], ["dependencies"],
        ["search", "res.status >= 500"], ["hosts", "--by", "recorder"],
    ):  # fmt: skip
        expected = answered(cli, *words, "--store", str(store.path))
        assert answered(cli, *words, "--store", url, "--engine", either) == expected, words
    by_sail = scheme == "s3" and "spark" not in request.node.name  # Spark's have their own way
    assert bool(way.count("GET", "/transactions/hour")) == by_sail, "by the workers"
    assert not list((tmp_path / "cache").rglob("transactions/*/*.parquet"))
    words = ["diff", "--where", 'req.method == "POST"']
    expected = answered(cli, *words, "--store", str(store.path))
    assert answered(cli, *words, "--store", url, "--engine", either) == expected


def test_an_export_is_the_same(cli: Cli, either: str, two: Store, isolated: Path) -> None:
    words = ("export", "res.status >= 500", "--format", "jsonl", "-o", "-", "--store",
             str(two.path), "--now", NOW.isoformat())  # fmt: skip
    code, out, _ = cli(*words)
    assert (code, len(out.splitlines())) == (0, 360)
    assert cli(*words, "--engine", either)[:2] == (0, out)


def test_a_broken_file_is_left_out_with_a_note(
    cli: Cli, either: str, two: Store, isolated: Path, tmp_path: Path
) -> None:
    [file] = [p for p in two.path.glob("transactions/*T13/*.parquet") if "web-2" in p.name]
    content = bytearray(file.read_bytes())
    content[8 : len(content) // 2] = bytes(len(content) // 2 - 8)
    file.write_bytes(content)
    for words in (["hosts"], ["diff", "--where", "res.status > 0"]):
        expected = answered(cli, *words, "--store", str(two.path))
        assert "unreadable_file" in expected
        assert answered(cli, *words, "--store", str(two.path), "--engine", either) == expected
    url = (tmp_path / "shared").as_uri()
    assert cli("ship", url, "--store", str(two.path))[0] == 0
    assert "unreadable_file" in answered(cli, "hosts", "--store", url, "--engine", either)


def refused(cli: Cli, store: Store, url: str) -> str:
    """What is said, in two lines, where an engine cannot be used."""
    words = ("hosts", "--store", str(store.path), "--now", NOW.isoformat(), "--engine", url)
    code, out, err = cli(*words)
    assert (code, out) == (3, "")
    assert len(err.strip().splitlines()) == 2
    return err


def test_an_engine_that_does_not_answer(cli: Cli, isolated: Path, tmp_path: Path) -> None:
    store = stored(tmp_path / "local")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        said = refused(cli, store, f"sc://127.0.0.1:{free.getsockname()[1]}")
    assert "no engine answers" in said
    code, _, err = cli("hosts", "--store", str(store.path), "--engine", "http://somewhere")
    assert code == 2
    assert "sc://host:15002" in err


def test_something_else_that_answers(cli: Cli, isolated: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        url = f"sc://127.0.0.1:{server.getsockname()[1]}"
        assert "failed" in refused(cli, stored(tmp_path / "local"), url)
        server.shutdown(socket.SHUT_RDWR)


def test_a_worker_with_another_qrec(
    cli: Cli, sail: str, isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = engine._done
    monkeypatch.setattr(engine, "_done", lambda job, *of: done(replace(job, version="0.0"), *of))
    assert "the workers" in refused(cli, stored(tmp_path / "local"), sail)


def test_a_store_that_the_workers_do_not_see(
    cli: Cli, sail: str, isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_fetched", lambda job, file, to: None)
    said = refused(cli, stored(tmp_path / "local"), sail)
    assert "do not see" in said
    assert "qrec ship" in said


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ModuleNotFoundError("No module named 'queries'"), "pip install 'qrec=="),
        (ModuleNotFoundError("No module named 'obstore'"), "qrec[bucket]"),
        (RuntimeError("[PYTHON_VERSION_MISMATCH] 3.9 and 3.11"), "another Python"),
        (
            ImportError("[PACKAGE_NOT_INSTALLED] PyArrow >= 18.0.0 must be installed"),
            "lack something",
        ),
        (
            AttributeError("Can't get attribute 'task' on <module 'queries.core.engine'"),
            "another one",
        ),
        (RuntimeError("disk on fire"), "disk on fire"),
        (RuntimeError(_OF_JAVA), 'failed: java.io.IOException: Cannot run program "python9"\n'),
    ],
)
def test_a_worker_that_cannot_do_it(
    cli: Cli, sail: str, isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    raised: Exception, said: str,
) -> None:  # fmt: skip
    """What a worker raises comes back as the engine tells it."""

    def fails(*_: object) -> None:
        raise raised

    monkeypatch.setattr(engine, "_done", fails)
    assert said in refused(cli, stored(tmp_path / "local"), sail)


def test_workers_that_may_not_read_the_bucket(
    cli: Cli, sail: str, isolated: Path, tmp_path: Path, way: Way, url: str
) -> None:
    store = stored(tmp_path / "local")
    assert cli("ship", url, "--store", str(store.path))[0] == 0
    way.body = "<Error><Code>AccessDenied</Code></Error>"
    way.fault = lambda method, path: 403 if "/transactions/hour" in path else None
    words = ("hosts", "--store", url, "--now", NOW.isoformat(), "--engine", sail)
    code, out, err = cli(*words)
    assert (code, out) == (3, "")
    assert "refuses these credentials" in err
    assert "its workers cannot use s3://" in err
    assert "AWS_ENDPOINT_URL" in err


@pytest.mark.long
def test_workers_without_qrec_on_apache_spark(
    cli: Cli, isolated: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """A Python as it was made, and none at all."""
    venv.create(tmp_path / "bare", with_pip=False)
    store = stored(tmp_path / "local")
    for python, said in {"bare/bin/python": "no qrec", "none": "Cannot run program"}.items():
        folder = tmp_path_factory.mktemp("spark")
        with spark_server(folder, str(tmp_path / python), "local[2]") as url:
            assert said in refused(cli, store, url)
