"""Engines for tests: a Sail in this process, and an Apache Spark of two executors where one lies.

SPARK_HOME names the Spark, as a distribution has it or as
`pip install --target DIR --no-deps 'pyspark==4.1.*' py4j` leaves it in DIR/pyspark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from queries.core import engine
from tests.buckets import free_port
from tests.kit import wait_for

_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"


@contextlib.contextmanager
def sail_server() -> Iterator[str]:
    """The address of a Sail in this process."""
    spark = pytest.importorskip("pysail.spark", reason="pip install pysail 'qrec[spark]'")
    server = spark.SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    url = "sc://{}:{}".format(*server.listening_address)
    yield url
    forget(url)
    server.stop()


@contextlib.contextmanager
def spark_server(
    folder: Path,
    python: str = sys.executable,
    master: str = "local-cluster[2,1,1024]",
    environ: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """The address of an Apache Spark, whose log is in `folder`; python: of its workers."""
    home = os.environ.get("SPARK_HOME")
    if not home:
        pytest.skip("SPARK_HOME names no Apache Spark (tests/engines.py says how to get one)")
    port, log = free_port(), folder / "spark.log"
    confs = {"connect.grpc.binding.port": port, "connect.grpc.binding.address": "127.0.0.1",
             "ui.enabled": "false", "driver.memory": "1g"}  # fmt: skip
    command = [f"{home}/bin/spark-submit", "--master", master, "--class", _SERVER]
    command += [
        word for name, value in confs.items() for word in ("--conf", f"spark.{name}={value}")
    ]
    own = {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": python, **(environ or {})}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "spark-internal"], env={**os.environ, **own}, cwd=folder,
            stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: b"Spark Connect server started" in log.read_bytes())
        yield f"sc://127.0.0.1:{port}"
        forget(f"sc://127.0.0.1:{port}")
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def forget(url: str) -> None:
    """End the session of this process with an engine that is about to go."""
    host, _, port = url.removeprefix("sc://").rpartition(":")
    engine._session(url, (host, int(port))).stop()
    engine._session.cache_clear()
