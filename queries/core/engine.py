"""Work on an engine: tasks of Spark, or of what speaks its protocol, each with some files.

A task runs statements of this qrec in DuckDB over its files, where the engine's workers see them,
and hands back Parquet: so no type and no SQL is translated, and what comes back is read as ever.
Only this module knows pyspark (`qrec[spark]`). A worker needs qrec of the same version.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import duckdb

from filters.sql import prepare
from store import __version__
from store.errors import QrecError, UnavailableError, UsageError
from store.files import file_list, is_readable
from store.layout import Store
from store.remote import Remote
from store.values import dataclass

if TYPE_CHECKING:
    import pyarrow as pa

_PORT: Final = 15002
_PATIENCE_S: Final = 10.0  # for an engine to take a connection
_RETRIES: Final = 3  # of a request: about a second
_MEMORY: Final = "1GB"  # of a task, which spills what is more
_PIECE: Final = 16 << 20  # bytes of a result in one row: a message has a limit
_RESULT: Final = "number int, name string, piece binary"
_GONE, _BROKEN, _VERSION = "gone", "broken", "version"  # what a task tells in place of results
_AT_ONCE: Final = threading.BoundedSemaphore(os.cpu_count() or 1)  # where tasks share a process
# What an engine says of a job, and what helps then: the first that fits.
_ADVICE: Final = (
    (
        r"UnavailableError: cannot use (.{1,200})",
        "its workers cannot use {}",
        "Give them what reads it here: a role or credentials, AWS_REGION, AWS_ENDPOINT_URL.",
    ),
    (
        r"No module named '?(queries|filters|store|qrec)\b|Can't get attribute '\w+' on <module 'q",
        "its workers have no qrec, or another one",
        f"Install qrec {__version__} where they run: pip install 'qrec=={__version__}'.",
    ),
    (
        r"No module named '?(\w+)|PACKAGE_NOT_INSTALLED|UNSUPPORTED_PACKAGE_VERSION",
        "its workers lack something that qrec needs",
        f"Install it where they run: pip install 'qrec[bucket]=={__version__}'.",
    ),
    (
        r"PYTHON_VERSION_MISMATCH|different version[\s\S]{0,40}than that in driver",
        "its workers run another Python",
        "Run qrec with the Python version of the workers (docs/engines.md).",
    ),
    (
        r"unsupported PySpark version|UNSUPPORTED_(OPERATION|CONNECT)|Unknown (method|field)",
        "it speaks another version of Spark Connect",
        "Install the pyspark-client of its version: pip install 'pyspark-client==4.1.*'.",
    ),
    (
        r"UNAUTHENTICATED|PERMISSION_DENIED",
        "it refuses these credentials",
        "Give a token in the URL: sc://host:443/;token=….",
    ),
)


@dataclass(frozen=True)
class Group:
    """The files of a task, and what stands in braces in its statements."""

    files: list[Path]
    places: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What each task does: statements, and then SELECTs whose rows are results, by name.

    In both, {files} stands for the task's files as DuckDB lists them, and other names in braces for
    what its group says; params: of any of them, those of a filter among them.
    """

    selects: Mapping[str, str]
    before: Sequence[str] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""  # of the bucket that the files are in; empty: they are files of the workers
    version: str = __version__


class Engine:
    """An engine at sc://host:port. UsageError: that is no such address."""

    def __init__(self, url: str, store: Store) -> None:
        parts = urlsplit(url)
        if parts.scheme != "sc" or not parts.hostname:
            raise UsageError(
                f"{url[:80]!r} is no engine", "Give the address of Spark Connect: sc://host:15002."
            )
        self.url, self.store = url, store
        self.name = f"sc://{parts.hostname}:{parts.port or _PORT}"
        self._address = (parts.hostname, parts.port or _PORT)

    def run(
        self, job: Job, groups: Sequence[Group], folder: Path
    ) -> tuple[list[dict[str, Path]], list[Path]]:
        """(the results of each group, files in `folder` by name; files that are gone or broken).

        The results of a group with such a file lack. UnavailableError: the engine cannot be
        reached, or its workers cannot do it.
        """
        url = "" if self.store.is_local else self.store.name
        job = Job(job.selects, job.before, job.params, url)
        parts = [([self._address_of(path) for path in group.files], dict(group.places))
                 for group in groups]  # fmt: skip
        results: list[dict[str, Path]] = [{} for _ in groups]
        bad: list[Path] = []
        with self._told():
            # a partition of one number each; rows of our own need settings that versions differ in
            numbers = _session(self.url, self._address).range(0, len(parts), 1, len(parts))
            frame = numbers.mapInArrow(partial(task, job, parts), _RESULT)
            for number, name, piece in frame.toLocalIterator():
                if name in (_GONE, _BROKEN, _VERSION):
                    bad += self._complaint(name, bytes(piece).decode(), groups[number].files)
                    continue
                path = folder / f"{number}-{name.replace('/', '-')}.parquet"
                results[number][name] = path
                with path.open("ab") as file:
                    file.write(piece)
        return results, bad

    def _address_of(self, path: Path) -> str:
        if self.store.is_local:
            return str(path.absolute())
        return path.relative_to(self.store.path).as_posix()

    def _complaint(self, name: str, text: str, group: Sequence[Path]) -> list[Path]:
        if name == _VERSION:
            raise UnavailableError(
                f"the workers of {self.name} have qrec {text}, and this is {__version__}",
                f"Install the same there: pip install 'qrec=={__version__}'.",
            )
        bad = [path for path in group if self._address_of(path) in json.loads(text)]
        if name == _GONE and self.store.is_local and any(path.exists() for path in bad):
            raise UnavailableError(
                f"the workers of {self.name} do not see {self.store.path}",
                "Give them that folder under the same name, or ship it to a bucket that they can"
                " read: `qrec ship s3://bucket/prefix`.",
            )
        return bad

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong over there, in words."""
        try:
            yield
        except QrecError:
            raise
        except Exception as error:
            text = str(error)
            for pattern, why, hint in _ADVICE:
                if match := re.search(pattern, text):
                    why = why.format(match[match.lastindex or 0])
                    raise UnavailableError(f"{self.name} cannot be used: {why}", hint) from error
            # neither Java's frames nor where among its tasks it happened
            text = re.sub(r"\w+ stacktrace:[\s\S]*", "", text)
            text = re.sub(r"\s+(at|Caused by:|\.{3}) .*|[\s\S]*Lost task.*?\): ", "", text)
            lines = [line.strip() for line in text.splitlines() if line.strip(" ^~")]
            raise UnavailableError(
                f"{self.name} failed: {(lines or [type(error).__name__])[-1][:300]}",
                "Look into its log; without --engine the question is answered here.",
            ) from error


@cache
def _session(url: str, address: tuple[str, int]) -> Any:
    """The connection to an engine, kept for as long as this process lives."""
    name = "sc://{}:{}".format(*address)
    try:
        with socket.create_connection(address, _PATIENCE_S):
            pass
    except OSError as error:  # pyspark would try for ten minutes
        raise UnavailableError(
            f"no engine answers at {name}: {error.strerror or error}",
            "Start one (docs/engines.md), mend --engine, or leave it out.",
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyspark.sql import SparkSession
            from pyspark.sql.connect.client.retries import DefaultPolicy

            session: Any = SparkSession.builder.remote(url).create()
            # else whoever loses an engine waits for it for ten minutes, and once more at the end
            session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
            version = str(session.version)
    except ImportError as error:
        raise UnavailableError(
            f"{name} needs a client that is not installed: {error}", "pip install 'qrec[spark]'"
        ) from None
    if not version.startswith("4."):
        raise UnavailableError(
            f"{name} is Spark {version}; qrec speaks with Spark 4", "Name an engine of Spark 4."
        )
    return session


def task(
    job: Job, parts: Sequence[tuple[Sequence[str], Mapping[str, str]]],
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    """On a worker: numbers of parts in, (number, name, a piece of a result or a complaint) out."""
    import pyarrow as pa

    kinds = pa.schema({"number": pa.int32(), "name": pa.string(), "piece": pa.binary()})
    for batch in batches:
        for number in batch["id"].to_pylist():
            for name, piece in _done(job, *parts[number]):
                columns = {"number": [number], "name": [name], "piece": [piece]}
                yield pa.RecordBatch.from_pydict(columns, schema=kinds)


def _done(job: Job, files: Sequence[str], places: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    if job.version != __version__:
        yield _VERSION, __version__.encode()
        return
    with tempfile.TemporaryDirectory(prefix="qrec-task-") as name:
        with _AT_ONCE:
            here = {file: _fetched(job, file, Path(name) / f"{i}.parquet")
                    for i, file in enumerate(files)}  # fmt: skip
            bad = {_GONE: [file for file, path in here.items() if path is None]}
            paths = {file: path for file, path in here.items() if path is not None}
            results: Mapping[str, Path] = {}
            if not bad[_GONE]:
                try:
                    results = _selected(job, list(paths.values()), places, Path(name))
                except duckdb.Error:
                    bad[_GONE] = [file for file, path in paths.items() if not path.exists()]
                    bad[_BROKEN] = [f for f, path in paths.items() if not is_readable(path)]
                    if not any(bad.values()):
                        raise
        yield from ((kind, json.dumps(names).encode()) for kind, names in bad.items() if names)
        for result, path in results.items():
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    yield result, piece


def _fetched(job: Job, file: str, to: Path) -> Path | None:
    """A file, here; None where there is none."""
    if job.url:
        return to if Remote(job.url).download(file, to) else None
    return Path(file) if Path(file).exists() else None


def _selected(
    job: Job, paths: Sequence[Path], places: Mapping[str, str], folder: Path
) -> dict[str, Path]:
    places = {**places, "files": file_list(paths)}
    results = {}
    with duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY}) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"SET temp_directory = '{folder}'")

        def run(text: str) -> None:
            for place, value in places.items():
                text = text.replace("{" + place + "}", value)
            prepare(con, text)
            [statement] = con.extract_statements(text)
            con.execute(statement, {name: job.params[name] for name in statement.named_parameters})

        for text in job.before:
            run(text)
        for number, (name, select) in enumerate(job.selects.items()):
            results[name] = folder / f"result-{number}.parquet"
            run(f"COPY ({select}) TO '{results[name]}' (FORMAT parquet, COMPRESSION zstd)")
    return results
