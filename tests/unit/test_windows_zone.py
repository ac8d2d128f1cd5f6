"""The user's time zone, from wherever the system keeps it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from queries.core import window as zone
from store.errors import UsageError

SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_a_name_gives_a_zone_with_its_rules() -> None:
    assert SUMMER.astimezone(zone.named_zone("Europe/Berlin")).utcoffset() == timedelta(hours=2)
    assert zone.named_zone("utc") is UTC


@pytest.mark.parametrize("name", ["Europe/Berlim", "", "/etc/passwd", "../UTC", "Europe", "a\0b"])
def test_a_zone_that_is_none_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="time zone"):
        zone.named_zone(name)


def test_tz_wins_over_the_systems_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":America/New_York")
    assert SUMMER.astimezone(zone.zone(None)).utcoffset() == timedelta(hours=-4)
    assert SUMMER.astimezone(zone.zone("Europe/Berlin")).utcoffset() == timedelta(hours=2)


def test_the_systems_zone_is_read_from_its_link(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    monkeypatch.setattr(zone, "LOCALTIME", link)
    assert SUMMER.astimezone(zone.local_zone()).utcoffset() == timedelta(hours=9)


@pytest.mark.parametrize("content", [None, b"", b"no zone"])
def test_a_system_without_a_zone_is_in_utc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    file = tmp_path / "localtime"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(zone, "LOCALTIME", file)
    assert zone.local_zone() is UTC
