"""What an import of a HAR file promises: redacted, once, and covered from first to last."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from queries.core.window import Window
from queries.coverage import coverage
from queries.search import search
from queries.show import transaction
from recorder.options import RecordOptions
from recorder.replay import import_har
from store.errors import QrecError
from store.hours import to_us
from store.layout import Store

NOON = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


def entry(minutes: int, **request: Any) -> dict[str, Any]:
    started = (NOON + timedelta(minutes=minutes)).isoformat()
    headers = [{"name": "Authorization", "value": "Bearer abcdefghijklmnop12345"}]
    url = f"https://api.example.com/v1/things/{minutes}?key=1"
    asked = {"method": "GET", "url": url, "headers": headers}
    return {"startedDateTime": started, "time": 1000, "timings": {"send": 0, "wait": 1000},
            "request": {**asked, **request},
            "response": {"status": 500, "headers": [], "content": {
                "mimeType": "application/json", "text": '{"error":"card_declined"}'}}}  # fmt: skip


@pytest.fixture
def har(tmp_path: Path) -> Path:
    """Three exchanges over forty minutes and an hour's change, not in order; one is broken."""
    path = tmp_path / "session.har"
    entries = [entry(40), entry(0), {"request": {"url": "https://a.b/"}}, entry(20)]
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}))
    return path


def test_it_goes_the_way_of_live_traffic(har: Path, tmp_path: Path) -> None:
    bad: list[str] = []
    [done] = import_har([har], RecordOptions(store=tmp_path / "s"), on_bad=bad.append)
    assert (done.events, done.written, done.rejected, len(bad)) == (4, 3, 1, 1)
    store = Store.open(tmp_path / "s")
    found = search(store, Window(NOON, NOON + timedelta(hours=1)))
    assert [line.route for line in found.transactions] == ["/v1/things/{id}"] * 3
    assert found.transactions[0].error_signature
    shown = transaction(store, found.transactions[0].id)
    assert "abcdefghijklmnop12345" not in json.dumps(shown.request.headers["Authorization"])
    assert shown.findings[0].kind == "bearer"


def test_it_is_covered_from_first_to_last(har: Path, tmp_path: Path) -> None:
    import_har([har], RecordOptions(store=tmp_path / "s"))
    [recorder] = coverage(
        Store.open(tmp_path / "s"), Window(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    ).recorders
    assert recorder.covered_s == pytest.approx(40 * 60 + 1)
    assert recorder.recorder == "har"


def test_a_pause_between_many_exchanges_is_covered(tmp_path: Path) -> None:
    path = tmp_path / "long.har"
    path.write_text(json.dumps({"log": {"entries": [entry(at) for at in range(2_500)]}}))
    import_har([path], RecordOptions(store=tmp_path / "s"))
    window = Window(NOON, NOON + timedelta(minutes=2_500))
    [recorder] = coverage(Store.open(tmp_path / "s"), window).recorders
    assert recorder.covered_s == pytest.approx(2_499 * 60 + 1)


def test_again_adds_nothing_unless_told(har: Path, tmp_path: Path) -> None:
    options = RecordOptions(store=tmp_path / "s")
    import_har([har], options)
    assert import_har([har], options)[0].known
    assert import_har([har], options, again=True)[0].written == 3


def test_it_can_be_moved_in_time(har: Path, tmp_path: Path) -> None:
    end = NOON + timedelta(days=3)
    import_har([har], RecordOptions(store=tmp_path / "s"), shift_to_us=to_us(end))
    window = Window(end - timedelta(hours=1), end + timedelta(seconds=1))
    found = search(Store.open(tmp_path / "s"), window)
    assert found.window.requests == 3
    assert found.transactions[0].ts == end


def test_a_filter_and_body_settings_count(har: Path, tmp_path: Path) -> None:
    options = RecordOptions(store=tmp_path / "s", filter="res.status < 400", store_bodies="none")
    [done] = import_har([har], options)
    assert (done.written, done.filtered) == (0, 3)


def test_what_is_no_har_writes_nothing(har: Path, tmp_path: Path) -> None:
    other = tmp_path / "x.har"
    other.write_text("[]")
    with pytest.raises(QrecError):
        import_har([har, other], RecordOptions(store=tmp_path / "s"))
    assert not (tmp_path / "s").exists()
