"""A bucket answers as the folder that was shipped to it, and what goes wrong there is said."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from pages import app
from pages.ask import Site
from qrec.doctor import store as doctor_store
from queries.core.question import every_question
from recorder.metrics import Metrics
from recorder.write import ship
from recorder.write.retention import plan
from recorder.write.rollup import rebuild, rollups
from recorder.write.ship import LEDGER, Shipper, unshipped_hours, waiting
from store.bucket import Bucket, Limits
from store.cover import sealed_name
from store.derived import ROLLUPS
from store.layout import Store
from store.marks import add_mark, mark_unredacted
from store.remote import Remote
from tests.buckets import Way
from tests.contract.conftest import answered, stored
from tests.contract.stored import NOW, minute
from tests.kit import PATIENCE_S, Cli, wait_for

pytestmark = pytest.mark.xdist_group("buckets")
README = Path(__file__).parents[2] / "README.md"
# What a question must be given to be asked at all.
NEEDED = {"show": ["web:1"], "sql": ["SELECT count(*) FROM transactions"]}


def test_every_question_gives_the_same_document(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    """Of a folder, of a bucket in a folder, and of one in S3."""
    store = stored(tmp_path / "local")
    add_mark(store, "deploy", minute(20))
    places = [url, (tmp_path / "shared").as_uri()]
    for place in places:
        assert cli("ship", place, "--store", str(store.path))[0] == 0
    for question in every_question():
        if question.name == "tail":
            continue
        words = [question.name, *NEEDED.get(question.name, [])]
        expected = answered(cli, *words, "--store", str(store.path))
        for place in places:
            assert answered(cli, *words, "--store", place) == expected, words


def test_the_pages_show_a_bucket(cli: Cli, isolated: Path, tmp_path: Path) -> None:
    store, url = stored(tmp_path / "local"), (tmp_path / "shared").as_uri()
    cli("ship", url, "--store", str(store.path))
    code, out, _ = cli("report", "-o", "-", "--store", url, "--now", NOW.isoformat())
    assert code == 0
    assert "api.stripe.com" in out
    bucket = Bucket.at(url, Limits(tmp_path / "site", 1 << 40, 1 << 40))

    def looked(one: Store) -> tuple[tuple[str, ...], float]:
        return app._newest(Site(lambda: one, UTC, lambda: NOW))

    here, there = looked(store), looked(bucket)
    assert here[0] == there[0]
    assert there[1] >= 60 > here[1], "each look at a bucket has a price"


def test_what_is_not_shipped_yet_is_said(cli: Cli, isolated: Path, tmp_path: Path) -> None:
    """The running hour is still on its host: that is no silence."""
    store, url = stored(tmp_path / "local"), (tmp_path / "shared").as_uri()
    cli("ship", url, "--store", str(store.path))
    later = (NOW + timedelta(minutes=30)).isoformat()
    for question in ("hosts", "diff"):
        _, out, _ = cli(question, "--store", url, "--now", later, "--json")
        notes = {note["code"]: note for note in json.loads(out)["notes"]}
        assert notes["not_shipped"]["from"] == NOW.isoformat().replace("+00:00", "Z")


PART = sealed_name("web", 49_999, 1)


def running(store: Store) -> Path:
    """Make the store's last hour one that is not over, and of which a part is sealed; all rows."""
    hour = "2026-11-22T13"
    [sealed] = store.sealed_hour("transactions", hour).iterdir()
    live = store.live_hour("web", "transactions", hour) / "000000050000-000000099999.parquet"
    live.parent.mkdir(parents=True)
    table, part = pq.read_table(sealed, partitioning=None), sealed.with_name(PART)
    pq.write_table(table[:1000], part)
    pq.write_table(table[1000:], live)
    os.utime(part, (NOW.timestamp() - 60,) * 2)
    whole = sealed.rename(live.parent.parent / "whole")
    for name in ROLLUPS:
        (store.sealed_hour(name, hour) / sealed.name).unlink()
    return whole


def without_examples(document: str) -> Any:
    """A comparison's document without what needs rows."""
    plain = json.loads(document)
    for finding in plain["findings"]:
        del finding["evidence"]
    return plain["verdict"], plain["window"], plain["findings"]


def test_a_comparison_sees_the_running_hour(cli: Cli, way: Way, url: str, tmp_path: Path) -> None:
    """By an early generation of its counts, as do those that count; questions of rows, and a
    comparison under a filter, do not see it, and say so. Once the hour is sealed nothing of it
    counts any more."""
    store = stored(tmp_path / "local")
    whole = answered(cli, "diff", "--store", str(store.path))
    live = running(store)
    assert cli("ship", url, "--store", str(store.path))[0] == 0
    assert Shipper(store, url).ship_early(NOW - timedelta(minutes=2)) == 1
    assert without_examples(answered(cli, "diff", "--store", url)) == without_examples(whole)
    for words in COUNTING:
        expected = answered(cli, *words, "--store", str(store.path))
        counts = counted(answered(cli, *words, "--store", url))
        assert counts == counted(expected, WITHIN), words
    for name in ("summary", "dependencies"):
        notes = json.loads(answered(cli, name, "--store", url))["notes"]
        assert {"rounded", "no_databases"} <= {note["code"] for note in notes}
    rows = json.loads(answered(cli, "search", "--store", url))
    assert rows["window"]["requests"] == rows["window"]["covered_s"] == 0
    assert "not_shipped" in {note["code"] for note in rows["notes"]}
    filtered = answered(cli, "diff", "--where", 'req.host == "api.stripe.com"', "--store", url)
    assert json.loads(filtered)["verdict"] == "no_data"
    later = (NOW + timedelta(minutes=4)).isoformat()
    _, out, _ = cli("diff", "--store", url, "--now", later, "--json")
    notes = {note["code"]: note for note in json.loads(out)["notes"]}
    assert notes["not_shipped"]["from"] == NOW.isoformat().replace("+00:00", "Z")

    sealed = store.sealed_hour("transactions", "2026-11-22T13") / sealed_name("web", 99_999)
    live.replace(sealed)
    sealed.with_name(PART).unlink()
    shutil.rmtree(store.path / "_live")
    assert all(rebuild(store, one) for one in rollups(store, ["2026-11-22T13"]))
    assert Shipper(store, url).ship_early(NOW) == 0
    assert cli("ship", url, "--store", str(store.path))[0] == 0
    assert answered(cli, "diff", "--store", url) == whole
    limits = Limits(tmp_path / "keeper", 1 << 40, 1 << 40)
    for before, gone in ((0.0, 0), (time.time() + 5, 4)):
        bucket = Bucket.at(url, limits)
        old = bucket.late_early("2026-11-22T13", before)
        assert len(old) == gone
        bucket.delete(old)
    assert not Bucket.at(url, limits).late_early("2026-11-22T13", time.time() + 5)
    assert answered(cli, "diff", "--store", url) == whole


COUNTING: tuple[list[str], ...] = (
    ["hosts"], ["endpoints"], ["statuses"], ["timeline", "--by", "host"],
    ["hosts", "--by", "recorder"],
    ["statuses", "--where", 'req.host == "api.stripe.com" and res.status >= 500'],
    ["hosts", "--where", 'group == "" and recorder == "web"'],
    ["summary", "--where", 'req.host != ""'], ["dependencies", "--where", 'req.host != ""'],
)  # fmt: skip
WITHIN = partial(pytest.approx, rel=0.05)


def counted(document: str, near: Any = lambda value: value) -> Any:
    """Of a document what rollups tell exactly, and durations as they may be."""
    rounded = {"first_seen", "last_seen", "notes"}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: near(one) if name.endswith("_ms") else plain(one)
                for name, one in value.items()
                if name not in rounded
            }
        return [plain(one) for one in value] if isinstance(value, list) else value

    return plain(json.loads(document))


def test_rows_that_are_too_many_are_counted_by_rollups(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    """Of questions that only count; what rollups do not tell is refused as ever."""
    store = stored(tmp_path / "local")
    cli("ship", url, "--store", str(store.path))
    rows = max(path.stat().st_size for path in store.path.glob("transactions/*/*.parquet"))
    few = ("--store", url, "--max-fetch", f"{rows // 1000 - 1}kB")
    for words in COUNTING:
        document = answered(cli, *words, *few)
        expected = counted(answered(cli, *words, "--store", str(store.path)), WITHIN)
        assert counted(document) == expected, words
        assert "rounded" in {note["code"] for note in json.loads(document)["notes"]}
    assert not way.count("GET", "/transactions/hour")
    for words in (["hosts", "--where", "duration_ms > 50"], ["clients"]):
        code, _, err = cli(*words, *few, "--now", NOW.isoformat())
        assert (code, "--max-fetch" in err) == (3, True), words


@pytest.mark.parametrize("table", ROLLUPS)
@pytest.mark.parametrize("how", ["cut", "zeros", "other"])
def test_a_broken_rollup_that_stands_in_for_rows(
    cli: Cli, way: Way, url: str, tmp_path: Path, table: str, how: str
) -> None:
    """One that is broken here alone is fetched anew; else its rows are counted, where they may be
    fetched, with a note; else that is said."""
    store = stored(tmp_path / "local")
    [broken, _] = sorted(store.path.glob(f"{table}/*/*.parquet"))
    whole = broken.read_bytes()
    middle = {"cut": whole[4:-4][: len(whole) // 2], "zeros": bytes(len(whole) - 200)}
    other = bytearray(whole)
    other[4 : len(whole) // 2] = bytes(range(256)) * len(whole)  # pages, not the footer
    del other[len(whole) :]
    content = whole[:4] + middle[how] + whole[-4:] if how in middle else bytes(other)
    [first, second] = sorted(store.path.glob("transactions/*/*.parquet"))
    rows, size = (path.stat().st_size for path in (first, second))
    few = ("--store", url, "--max-fetch", f"{(rows + size) // 1000 - 1}kB")
    expected = counted(answered(cli, "hosts", "--last", "2h", "--store", str(store.path)), WITHIN)
    cli("ship", url, "--store", str(store.path))
    assert counted(answered(cli, "hosts", "--last", "2h", *few)) == expected
    [here] = (tmp_path / "cache").rglob(f"{table}/{broken.parent.name}/*.parquet")
    here.write_bytes(content)
    assert counted(answered(cli, "hosts", "--last", "2h", *few)) == expected, "fetched anew"
    name = broken.relative_to(store.path).as_posix()
    Remote(url).put(name, content)
    here.unlink()
    document = answered(cli, "hosts", "--last", "2h", *few)
    assert counted(document) == expected
    notes = {note["code"]: note for note in json.loads(document)["notes"]}
    assert "was counted from its rows" in notes["unreadable_file"]["text"]
    assert json.loads(answered(cli, "diff", *few))["findings"][0]["key"]["host"] == "api.stripe.com"
    shutil.rmtree(tmp_path / "cache")
    few = (*few[:-1], f"{min(rows, size) // 1000 - 1}kB")
    code, _, err = cli("hosts", "--last", "2h", *few, "--now", NOW.isoformat())
    assert (code, "--max-fetch" in err, "rollup" in err) == (3, True, True), err


@pytest.mark.parametrize("table", ROLLUPS)
def test_a_broken_rollup_of_a_folder_is_counted_from_its_rows(
    cli: Cli, isolated: Path, tmp_path: Path, table: str
) -> None:
    """Whatever in it is broken: bytes of its pages here and there, or zeros."""
    store = stored(tmp_path / "local")
    [_, path] = sorted(store.path.glob(f"{table}/*/*.parquet"))
    whole, rng = path.read_bytes(), random.Random(7)
    expected = json.loads(answered(cli, "diff", "--store", str(store.path)))["findings"]
    for turn in range(6):
        content = bytearray(whole)
        begin = rng.randrange(4, len(whole) - 40)
        content[begin : begin + 32] = bytes(32) if turn % 2 else rng.randbytes(32)
        path.write_bytes(bytes(content))
        code, out, err = cli("diff", "--store", str(store.path), "--now", NOW.isoformat(), "--json")
        assert code == 0, err
        findings = json.loads(out)["findings"]
        assert [one["key"] for one in findings] == [one["key"] for one in expected]


def test_files_of_recorders_that_a_filter_does_not_take_are_not_fetched(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    for name in ("web", "web-2"):
        store = stored(tmp_path / name, name)
        assert cli("ship", url, "--store", str(store.path))[0] == 0
    for words in (["diff"], ["search"], ["timeline"], ["hosts", "--by", "recorder"]):
        there = ("--where", 'recorder == "web-2" and group == ""', "--store", url)
        expected = json.loads(answered(cli, *words, "--store", str(store.path)))
        document = json.loads(answered(cli, *words, *there))
        assert document["window"] == expected["window"]
        assert len(document.get("findings", [])) == len(expected.get("findings", []))
    files = [path for method, path in way.seen if method == "GET" and path.endswith(".parquet")]
    fetched = [path.rpartition("/")[2] for path in files if "/coverage/" not in path]
    assert fetched
    assert all(name.startswith("web-2-") for name in fetched)


def test_who_is_behind_bounds_what_is_compared(tmp_path: Path) -> None:
    """Of two recorders the slower one: what the other one saw alone would look like less."""
    url = (tmp_path / "shared").as_uri()
    store = stored(tmp_path / "local")
    running(store)
    shipper = Shipper(store, url)
    for one in shipper.due():
        shipper.ship(one)
    shipper.ship_early(NOW)
    bucket = Bucket.at(url, Limits(tmp_path / "cache", 1 << 40, 1 << 40))
    hours = ["2026-11-22T12", "2026-11-22T13"]
    first = bucket.early(hours)
    assert first.until == NOW.timestamp()
    [path] = first.coverage
    for behind, until in ((130, NOW.timestamp() - 180), (1000, NOW.timestamp())):
        name = sealed_name("web-2", 7, int(NOW.timestamp()) - behind)
        place = tmp_path / "shared" / path.relative_to(bucket.path).with_name(name)
        shutil.copy(tmp_path / "shared" / path.relative_to(bucket.path), place)
        bucket = Bucket.at(url, Limits(tmp_path / "cache", 1 << 40, 1 << 40))
        assert bucket.early(hours).until == until
        later = [bucket.late_early(hour, time.time() + 5) for hour in hours]
        assert not {*bucket.early(hours).keys} & {path for some in later for path in some}
        place.unlink()


def test_what_was_fetched_once_is_not_fetched_again(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    store = stored(tmp_path / "local")
    cli("ship", url, "--store", str(store.path))
    first = answered(cli, "diff", "--store", url)
    way.seen.clear()
    assert answered(cli, "diff", "--store", url) == first
    assert not way.count("GET", ".parquet")
    assert json.loads(first)["findings"][0]["key"]["host"] == "api.stripe.com"


def test_a_comparison_fetches_rows_only_for_its_evidence(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    """Counts come from the rollups; where rows are too many, findings stand without examples."""
    store = stored(tmp_path / "local")
    cli("ship", url, "--store", str(store.path))
    rollups = sum(p.stat().st_size for p in store.path.glob("rollups/**/*.parquet"))
    enough = rollups + sum(p.stat().st_size for p in store.path.glob("coverage/**/*.parquet"))
    way.seen.clear()
    words = ("diff", "--store", url, "--max-fetch", f"{enough // 1000 + 2}kB")
    found = json.loads(answered(cli, *words))["findings"][0]
    assert found["key"]["host"] == "api.stripe.com"
    assert not way.count("GET", "/transactions/hour")


def test_a_terminal_sees_what_is_fetched(
    cli: Cli, isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, url = stored(tmp_path / "local"), (tmp_path / "shared").as_uri()
    cli("ship", url, "--store", str(store.path))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    _, _, err = cli("hosts", "--store", url, "--now", NOW.isoformat(), "--json")
    assert "\rfetching " in err
    assert "KiB of " in err


def test_more_than_may_be_fetched_is_said_before_it_is(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    store = stored(tmp_path / "local")
    cli("ship", url, "--store", str(store.path))
    code, _, err = cli("hosts", "--store", url, "--now", NOW.isoformat(), "--max-fetch", "9kB")
    assert code == 3
    assert "--max-fetch" in err
    assert not way.count("GET", ".parquet")


def test_coverage_goes_last_and_not_before_the_rows_are_sealed(tmp_path: Path) -> None:
    store = stored(tmp_path / "local")
    hour = "2026-11-22T13"
    sealed = next(store.sealed_hour("transactions", hour).iterdir())
    live = store.live_hour("web", "transactions", hour)
    live.mkdir(parents=True)
    shutil.copy(sealed, live / "000000099999-000000099999.parquet")
    shipper = Shipper(store, (tmp_path / "shared").as_uri())
    names = [one.name for one in shipper.due()]
    assert f"coverage/hour={hour}/web.parquet" not in names
    (live / "000000099999-000000099999.parquet").unlink()
    names = [one.name for one in shipper.due() if hour in one.name]
    assert names[0].startswith("transactions/")
    assert names[-1] == f"coverage/hour={hour}/web.parquet"
    assert names.index(f"rollups/keys/hour={hour}/{sealed.name}") > names.index(
        f"rollups/minutes/hour={hour}/{sealed.name}"
    )


def test_a_flapping_network_and_lost_memory_lose_nothing(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    """Half of the requests fail, the process is ended, the ledger is lost: each file is once."""
    store = stored(tmp_path / "local")
    way.fault = lambda method, path: ("cut" if len(way.seen) % 4 == 0 else
                                      503 if len(way.seen) % 4 == 2 else None)  # fmt: skip
    shipper = Shipper(store, url)
    for one in shipper.due()[:5]:
        shipper.ship(one)
    (store.path / LEDGER).unlink()
    way.fault = lambda method, path: None
    assert cli("ship", url, "--store", str(store.path))[0] == 0
    assert Shipper(store, url).due() == []
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    expected = answered(cli, "hosts", "--store", str(store.path))
    assert answered(cli, "hosts", "--store", url) == expected


def test_an_object_that_is_deleted_under_a_question_is_named(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    """By a lifecycle rule, say: its rows are missing, which is no silence."""
    store = stored(tmp_path / "local")
    cli("ship", url, "--store", str(store.path))
    gone = "/transactions/hour%3D2026-11-22T13/"
    way.body = "<Error><Code>NoSuchKey</Code></Error>"
    way.fault = lambda method, path: (
        404 if method == "GET" and gone in path.replace("=", "%3D") and ".parquet" in path else None
    )
    document = json.loads(answered(cli, "hosts", "--store", url))
    assert "unreadable_file" in {note["code"] for note in document["notes"]}


def test_two_recorders_of_one_name_are_told_apart(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    ours, theirs = stored(tmp_path / "a"), stored(tmp_path / "b")
    assert cli("ship", url, "--store", str(ours.path))[0] == 0
    code, _, err = cli("ship", url, "--store", str(theirs.path))
    assert code == 3
    assert "the name web" in err
    assert "--recorder" in err
    other = stored(tmp_path / "c", recorder="web-2")
    assert cli("ship", url, "--store", str(other.path))[0] == 0
    hosts = json.loads(answered(cli, "hosts", "--store", url))
    alone = json.loads(answered(cli, "hosts", "--store", str(ours.path)))
    assert hosts["window"]["requests"] == 2 * alone["window"]["requests"]


@pytest.mark.parametrize(
    ("fault", "body", "said"),
    [
        (403, "<Error><Code>ExpiredToken</Code></Error>", "credentials have expired"),
        (403, "<Error><Code>AccessDenied</Code></Error>", "refuses these credentials"),
        (400, "<Error><Code>AuthorizationHeaderMalformed</Code></Error>", "another region"),
        (404, "<Error><Code>NoSuchBucket</Code></Error>", "no such bucket"),
    ],
)
def test_what_a_bucket_refuses_is_said_with_the_next_step(
    cli: Cli, way: Way, url: str, tmp_path: Path, fault: int, body: str, said: str
) -> None:
    store = stored(tmp_path / "local")
    way.fault, way.body = (lambda method, path: fault), body
    for words in (["ship", url, "--store", str(store.path)], ["hosts", "--store", url]):
        code, out, err = cli(*words)
        assert (code, out) == (3, "")
        assert said in err
        assert len(err.strip().splitlines()) == 2


def test_a_service_without_conditional_writes_is_refused(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    store = stored(tmp_path / "local")
    way.fault = lambda method, path: "any" if method == "PUT" else None
    code, _, err = cli("ship", url, "--store", str(store.path))
    assert code == 3
    assert "If-None-Match" in err
    way.fault = lambda method, path: None
    assert cli("hosts", "--store", url)[0] == 3, "nothing was written that could be taken for it"
    assert cli("ship", url, "--store", str(store.path))[0] == 0


def test_nobody_needs_the_right_to_delete(cli: Cli, way: Way, url: str, tmp_path: Path) -> None:
    store = stored(tmp_path / "local")
    way.fault = lambda method, path: 403 if method == "DELETE" else None
    for _ in range(2):
        assert cli("ship", url, "--store", str(store.path))[0] == 0
        assert cli("doctor", "--store", url)[0] != 70
    assert not way.count("DELETE")


def test_a_prefix_that_holds_something_else_is_left_alone(
    cli: Cli, isolated: Path, tmp_path: Path
) -> None:
    store = stored(tmp_path / "local")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "thesis.doc").write_text("mine")
    url = (tmp_path / "shared").as_uri()
    for words in (["ship", url, "--store", str(store.path)], ["hosts", "--store", url]):
        code, _, err = cli(*words)
        assert code == 3
        assert "other things" in err
    assert f"`qrec ship {url}/qrec`" in err
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["thesis.doc"]


def test_marks_and_pins_are_shared_and_what_a_bucket_cannot_do_is_said(
    cli: Cli, isolated: Path, tmp_path: Path
) -> None:
    store = stored(tmp_path / "local")
    url = (tmp_path / "shared").as_uri()
    cli("ship", url, "--store", str(store.path))
    assert (
        cli("mark", "deploy 7", "--at", "13:20", "--now", NOW.isoformat(), "--store", url)[0] == 0
    )
    assert "deploy 7" in cli("marks", "--store", url)[1]
    assert answered(cli, "hosts", "--since", "deploy 7", "--store", url)
    for words in (["tail"], ["prune", "--keep", "1d"], ["rollup"], ["record"], ["replay", "quiet"]):
        code, _, err = cli(*words, "--store", url)
        assert code == 2, words
        assert "bucket" in err


def test_hosts_that_share_a_key_give_a_secret_the_same_fingerprint(
    cli: Cli, isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fingerprints(name: str) -> list[str]:
        place = str(tmp_path / name)
        code, _, err = cli("replay", "checkout-incident", "--store", place)
        assert code == 0, err
        now = (NOW + timedelta(hours=9)).isoformat()
        out = cli("sensitive", "--last", "7d", "--now", now, "--json", "--store", place)[1]
        return re.findall(r'"hints": \[(.*?)\]', out, re.DOTALL)

    key = tmp_path / "fleet.key"
    key.write_text("0f" * 32 + "\n")
    own = fingerprints("a")
    assert own
    assert own != fingerprints("b")
    monkeypatch.setenv("QREC_REDACTION_KEY", str(key))
    assert fingerprints("c") == fingerprints("d")
    assert (tmp_path / "c" / "redaction.key").read_bytes() == bytes([15]) * 32
    for content, error in (("0e" * 32, "another key"), ("short", "is no redaction key")):
        key.write_text(content)
        code, _, err = cli("replay", "checkout-incident", "--store", str(tmp_path / "c"))
        assert code == 3
        assert error in err


def test_a_store_without_redaction_marks_the_bucket_first(
    cli: Cli, isolated: Path, tmp_path: Path
) -> None:
    store = stored(tmp_path / "local")
    mark_unredacted(store, "web")
    url = (tmp_path / "shared").as_uri()
    shipper = Shipper(store, url)
    shipper.ship(shipper.due()[0])
    assert "without redaction" in cli("info", "--store", url, "--json")[1]


def test_hours_that_are_not_shipped_are_kept_but_for_their_size(tmp_path: Path) -> None:
    store = stored(tmp_path / "local")
    shipper = Shipper(store, (tmp_path / "shared").as_uri())
    now = datetime.now(UTC)
    assert not unshipped_hours(store, now), "a store that ships nowhere waits for nothing"
    for one in [one for one in shipper.due() if "T12" in one.name]:
        shipper.ship(one)
    planned = plan(store, now, keep=timedelta(hours=1))
    assert [hour.hour for hour in planned.delete] == ["2026-11-22T12"]
    assert planned.waiting == ("2026-11-22T13",)
    assert len(plan(store, now, max_size=1).delete) == 2


def test_what_waits_to_be_shipped_is_told(
    cli: Cli, isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `doctor`, and in the metrics of a recording."""
    store, url = stored(tmp_path / "local"), (tmp_path / "shared").as_uri()
    assert waiting(store, datetime.now(UTC)) is None, "it ships nowhere"
    assert "shipping" not in looked_at(cli, str(store.path))
    shipper = Shipper(store, url)
    for one in [one for one in shipper.due() if "T12" in one.name]:
        shipper.ship(one)
    queue = waiting(store, datetime.now(UTC))
    assert queue is not None
    assert (queue.to, queue.hours) == (url, 1)
    assert queue.size == sum(one.size for one in shipper.due())
    assert queue.last == pytest.approx(time.time(), abs=60)
    check = looked_at(cli, str(store.path))["shipping"]
    assert check["status"] == "ok"
    assert check["facts"]["hours"] == 1
    monkeypatch.setattr(doctor_store, "_BEHIND", 0)
    check = looked_at(cli, str(store.path))["shipping"]
    assert check["status"] == "warning"
    assert f"qrec ship {url}" in check["remedy"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    Metrics(f"127.0.0.1:{port}", "web", store)
    with httpx.Client(trust_env=False, timeout=10) as client:
        text = client.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'qrec_ship_waiting_hours{recorder="web"} 1.0' in text
    assert f'qrec_ship_waiting_bytes{{recorder="web"}} {float(queue.size)}' in text


def test_the_ledger_forgets_what_the_store_no_longer_has(
    cli: Cli, isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ship, "_MANY", 4)
    store, url = stored(tmp_path / "local"), (tmp_path / "shared").as_uri()
    assert cli("ship", url, "--store", str(store.path))[0] == 0
    ledger = store.path / LEDGER
    before = ledger.read_text().splitlines()
    assert len(before) == 11
    for folder in store.path.glob("*/hour=2026-11-22T12"):
        shutil.rmtree(folder)
    for folder in store.path.glob("rollups/*/hour=*"):
        shutil.rmtree(folder)
    assert cli("ship", url, "--store", str(store.path))[0] == 0
    after = ledger.read_text().splitlines()
    assert len(after) == 3
    assert after[-1] == before[-1], "which bucket it was, and when"
    assert not Shipper(store, url).due()


def test_a_bucket_that_was_left_keeps_no_hour_from_going(tmp_path: Path) -> None:
    store = stored(tmp_path / "local")
    for name in ("old", "new"):
        shipper = Shipper(store, (tmp_path / name).as_uri())
        for one in shipper.due()[: 2 if name == "old" else None]:
            shipper.ship(one)
    assert not unshipped_hours(store, datetime.now(UTC))


def test_the_cache_keeps_to_its_size(
    cli: Cli, isolated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("QREC_CACHE_SIZE", "1kB")
    store = stored(tmp_path / "local")
    url = (tmp_path / "shared").as_uri()
    cli("ship", url, "--store", str(store.path))
    first = answered(cli, "hosts", "--store", url)
    other = tmp_path / "cache" / "other.parquet"
    other.write_bytes(b"x" * 10_000)
    os.utime(other, (0, 0))
    assert answered(cli, "hosts", "--store", url) == first
    assert answered(cli, "database", "--store", url)
    assert not other.exists()


def test_a_recording_ships_beside(isolated: Path, tmp_path: Path) -> None:
    """`qrec record --ship`: what was sealed before goes while the recording runs."""
    store = stored(tmp_path / "local")
    url = (tmp_path / "shared").as_uri()
    words = ["record", "http://127.0.0.1:9", "--wait", "--store", str(store.path)]
    command = [sys.executable, "-m", "qrec", *words, "--recorder", "web", "--ship", url]
    recording = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    shipped = store.path / LEDGER
    wait_for(lambda: shipped.exists() and not Shipper(store, url).due())
    recording.terminate()
    _, err = recording.communicate(timeout=PATIENCE_S)
    assert recording.returncode == 0
    assert f"to {url}" in err


def test_shipping_goes_on_where_a_bucket_could_not_be_reached(
    way: Way, url: str, tmp_path: Path
) -> None:
    store = stored(tmp_path / "local")
    way.fault, way.body = (lambda method, path: 403), "<Error><Code>AccessDenied</Code></Error>"
    command = [sys.executable, "-m", "qrec", "ship", url, "--every", "1s"]
    shipping = subprocess.Popen(
        [*command, "--store", str(store.path)], stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: len(way.seen) > 1)
    way.fault = lambda method, path: None
    wait_for(lambda: (store.path / LEDGER).exists() and not Shipper(store, url).due())
    shipping.terminate()
    _, err = shipping.communicate(timeout=PATIENCE_S)
    assert shipping.returncode == 0
    assert "trying again" in err
    assert f"to {url}" in err


def test_the_commands_of_the_readme(
    cli: Cli, way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of "Many hosts", of a host that has recorded before, against S3."""
    text = README.read_text(encoding="utf-8").partition("## Many hosts")[2].partition("\n## ")[0]
    commands = [line for line in text.splitlines() if line.startswith("qrec ")]
    assert len(commands) == 3
    store = stored(tmp_path / "local")
    for command in commands:
        words = command.replace("acme-qrec", "acme").replace("--wait", "--duration 1s").split()[1:]
        here = [] if "--store" in words else ["--store", str(store.path)]
        if words[0] == "record":
            here += ["http://127.0.0.1:9", "--wait"]
        code, out, err = cli(*words, *here, *(["--now", NOW.isoformat()] if not here else []))
        assert code == 0, (command, err)
    assert "api.stripe.com" in out


def looked_at(cli: Cli, url: str) -> dict[str, Any]:
    document = json.loads(cli("doctor", "--store", url, "--json")[1])
    return {check["check"]: check for check in document["checks"]}


def test_doctor_looks_at_a_bucket(cli: Cli, way: Way, url: str, tmp_path: Path) -> None:
    store = stored(tmp_path / "local")
    cli("ship", url, "--store", str(store.path))
    checks = looked_at(cli, url)
    assert checks["store"]["status"] == checks["create-only"]["status"] == "ok"
    way.fault = lambda method, path: "any" if method == "PUT" else None
    checks = looked_at(cli, url)
    assert checks["create-only"]["status"] == "problem"
