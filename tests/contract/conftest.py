"""What tests of buckets share: an S3, a way to it that can be made bad, and stores to ship."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.write.rollup import rebuild, rollups
from store.layout import Store
from tests.buckets import CREDENTIALS, Way, s3_server
from tests.contract.stored import NOW, build, call, minute, row, stretch
from tests.kit import Cli


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def way(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Way]:
    way = Way(server)
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": way.address}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("QREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    yield way
    way.close()


@pytest.fixture
def url(way: Way, tmp_path: Path) -> str:
    return f"s3://acme/{tmp_path.name}"


def stored(path: Path, recorder: str = "web") -> Store:
    """Two sealed hours with rollups; in the second the charges fail."""
    rows = []
    for number in range(-60, 60):
        rows += [row(minute(number + part / 12), recorder=recorder) for part in range(12)]
        rows += [
            row(minute(number + part / 6), recorder=recorder, method="POST", host="api.stripe.com",
                route="/v1/charges", status=500 if number >= 0 and part % 2 else 200)
            for part in range(6)
        ]  # fmt: skip
    stretches = [
        stretch(NOW - timedelta(hours=2), minute(0), recorder=recorder),
        stretch(minute(0), NOW, recorder=recorder),
    ]
    calls = [call(minute(number), recorder=recorder) for number in range(60)]
    store = build(path, rows, stretches, database=calls)
    for table in ("transactions", "database"):
        for file in store.path.glob(f"{table}/*/*.parquet"):
            file.rename(file.with_name(file.name.replace("web", recorder)))
    assert all(rebuild(store, one) for one in rollups(store))
    return store


def answered(cli: Cli, *words: str) -> str:
    code, out, err = cli(*words, "--now", NOW.isoformat(), "--json")
    assert code == 0, err
    return out
