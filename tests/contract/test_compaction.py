"""A compacted bucket answers as it did before, whatever breaks off, comes late or runs twice."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

import recorder.write.compact
from recorder.write.compact import Compacted, compact
from recorder.write.rollup import rebuild, rollups
from store.bucket import Bucket, Limits
from store.derived import KEYS
from store.layout import MERGED, Store
from tests.buckets import Way
from tests.contract.conftest import answered, stored
from tests.contract.stored import NOW, build, minute, row, stretch
from tests.kit import Cli

pytestmark = pytest.mark.xdist_group("buckets")
HOURS = ["2026-11-22T12", "2026-11-22T13"]
LATE = "web-9"


def fleet(cli: Cli, tmp_path: Path, url: str, *recorders: str) -> None:
    """Each recorder's store on its host, shipped."""
    for name in recorders:
        store = stored(tmp_path / "hosts" / name, name)
        assert cli("ship", url, "--store", str(store.path))[0] == 0


def compacted(cli: Cli, url: str) -> dict[str, dict[str, Any]]:
    code, out, err = cli("compact", "--store", url, "--now", NOW.isoformat(), "--json")
    assert code == 0, err
    return {one["hour"]: one for one in json.loads(out)["hours"]}


def merged(way: Way) -> list[str]:
    """The merged files that were fetched."""
    return [path for method, path in way.seen if method == "GET" and f"/{MERGED}/hour" in path
            and ".parquet" in path]  # fmt: skip


def singles(way: Way) -> list[str]:
    """The single rollups that were fetched, without those that tell on how many recorders a finding
    of the window shows: the keys of its hour."""
    return [path for method, path in way.seen if method == "GET" and "/rollups/" in path
            and ".parquet" in path
            and not ("/rollups/keys/" in path and HOURS[1] in path)]  # fmt: skip


def test_every_question_answers_as_before(cli: Cli, way: Way, url: str, tmp_path: Path) -> None:
    fleet(cli, tmp_path, url, "web-1", "web-2", "web-3")
    questions = ["diff", "hosts", "statuses", "timeline", "dependencies", "coverage", "summary"]
    before = [answered(cli, name, "--store", url) for name in questions]
    hours = compacted(cli, url)
    assert [hours[hour]["state"] for hour in HOURS] == ["merged", "merged"]
    assert [hours[hour]["recorders"] for hour in HOURS] == [3, 3]
    assert hours[HOURS[0]]["files"] == 4
    shutil.rmtree(tmp_path / "cache")
    way.seen.clear()
    assert [answered(cli, name, "--store", url) for name in questions] == before
    assert len(merged(way)) == len(set(merged(way))) == 8
    assert not singles(way), "one rollup an hour is enough"
    assert not [path for path in way.seen if path[0] == "GET" and "/coverage/hour" in path[1]]
    assert {one["state"] for one in compacted(cli, url).values()} == {"ready"}


def test_two_at_once_make_the_same(cli: Cli, way: Way, url: str, tmp_path: Path) -> None:
    fleet(cli, tmp_path, url, "web-1", "web-2")
    before = answered(cli, "diff", "--store", url)
    together, results = threading.Barrier(2), list[list[Compacted]]()

    def run(number: int) -> None:
        limits = Limits(tmp_path / f"cache-{number}", 1 << 40, 1 << 40)
        bucket = Bucket.at(url, limits)
        together.wait()
        results.append(list(compact(bucket, HOURS)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert sum(one.files for made in results for one in made) == 8, "each file once"
    shutil.rmtree(tmp_path / "cache")
    assert answered(cli, "diff", "--store", url) == before
    assert {one["state"] for one in compacted(cli, url).values()} == {"ready"}


def test_what_comes_late_is_in_the_answer_at_once_and_merged_anew(
    cli: Cli, way: Way, url: str, tmp_path: Path
) -> None:
    fleet(cli, tmp_path, url, "web-1", "web-2")
    compacted(cli, url)
    early = json.loads(answered(cli, "diff", "--store", url))
    fleet(cli, tmp_path, url, LATE)
    way.seen.clear()
    answer = answered(cli, "diff", "--store", url)
    assert json.loads(answer)["window"]["requests"] == early["window"]["requests"] * 3 / 2
    assert not merged(way), "what was merged is not what is listed"
    assert {one["state"] for one in compacted(cli, url).values()} == {"merged"}
    shutil.rmtree(tmp_path / "cache")
    way.seen.clear()
    assert answered(cli, "diff", "--store", url) == answer
    assert merged(way)
    assert not singles(way)


def test_what_counts_no_more_is_deleted_after_a_grace(
    cli: Cli, way: Way, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question that listed the merged files before they went is answered as well."""
    fleet(cli, tmp_path, url, "web-1", "web-2")
    compacted(cli, url)
    fleet(cli, tmp_path, url, LATE)
    limits = Limits(tmp_path / "reader", 1 << 40, 1 << 40)
    compacted(cli, url)
    answer = answered(cli, "diff", "--store", url)

    def clean() -> list[int]:
        bucket = Bucket.at(url, Limits(tmp_path / "cleaner", 1 << 40, 1 << 40))
        return [one.deleted for one in compact(bucket, HOURS, clean=True)]

    assert clean() == [0, 0], "whoever listed what is merged anew may be reading it"
    monkeypatch.setattr(recorder.write.compact, "_GRACE_S", -5.0)
    reader = Bucket.at(url, limits)
    listed = [p for hour in HOURS for p in reader.entries(reader.sealed_hour(MERGED, hour))]
    assert len(listed) == 16
    assert clean() == [4, 4]
    assert clean() == [0, 0]
    shutil.rmtree(tmp_path / "cache")
    way.seen.clear()
    assert answered(cli, "diff", "--store", url) == answer
    assert merged(way)
    assert not singles(way)


def test_a_folder_is_cleaned_as_well(
    tmp_path: Path, cli: Cli, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder.write.compact, "_GRACE_S", -5.0)
    url = (tmp_path / "shared").as_uri()
    fleet(cli, tmp_path, url, "web-1", "web-2")
    store = Store(tmp_path / "shared")
    assert [one.state for one in compact(store, HOURS, clean=True)] == ["merged", "merged"]
    fleet(cli, tmp_path, url, LATE)
    assert [one.deleted for one in compact(store, HOURS, clean=True)] == [4, 4]
    words = ("compact", "--clean", "--store", str(store.path), "--now", NOW.isoformat())
    assert cli(*words)[0] == 0


def test_a_late_generation_is_in_the_answer(cli: Cli, isolated: Path, tmp_path: Path) -> None:
    """An hour that was sealed again, wider: rows of both must not count."""
    url = (tmp_path / "shared").as_uri()
    fleet(cli, tmp_path, url, "web-1", "web-2")
    compacted(cli, url)
    before = json.loads(answered(cli, "hosts", "--store", url))["window"]["requests"]
    host = Store(tmp_path / "hosts" / "web-1")
    [sealed] = host.sealed_hour("transactions", HOURS[1]).iterdir()
    wider = sealed.with_name("web-1-000000009999.parquet")
    late = {"recorder": "web-1", "session": "s1", "seq": 9000, "route": "/late"}
    extra = build(tmp_path / "late", [row(minute(30), **late)], [stretch(minute(0), NOW)])
    [single] = extra.sealed_hour("transactions", HOURS[1]).iterdir()
    duckdb.sql(
        f"COPY (FROM read_parquet(['{sealed}', '{single}'], union_by_name = true))"
        f" TO '{wider}' (FORMAT parquet)"
    )
    assert all(rebuild(host, one) for one in rollups(host) if one.rows == wider)
    assert cli("ship", url, "--store", str(host.path))[0] == 0
    answer = answered(cli, "diff", "--store", url)
    assert json.loads(answer)["window"]["requests"] == before + 1
    states = {hour: one["state"] for hour, one in compacted(cli, url).items()}
    assert states == {HOURS[0]: "ready", HOURS[1]: "merged"}
    assert answered(cli, "diff", "--store", url) == answer


@pytest.mark.parametrize("part", ["durations", "minutes", "keys", "coverage"])
def test_a_compaction_that_breaks_off_is_not_seen_and_goes_on(
    cli: Cli, way: Way, url: str, tmp_path: Path, part: str
) -> None:
    fleet(cli, tmp_path, url, "web-1", "web-2")
    before = answered(cli, "diff", "--store", url)
    way.body = "<Error><Code>AccessDenied</Code></Error>"
    way.fault = lambda method, path: 403 if method == "PUT" and f"/{part}-" in path else None
    code, out, err = cli("compact", "--store", url, "--now", NOW.isoformat(), "--json")
    assert (code, out) == (3, "")
    assert "refuses these credentials" in err
    way.fault = lambda method, path: None
    shutil.rmtree(tmp_path / "cache")
    assert answered(cli, "diff", "--store", url) == before
    assert {one["state"] for one in compacted(cli, url).values()} == {"merged"}
    shutil.rmtree(tmp_path / "cache")
    assert answered(cli, "diff", "--store", url) == before


def test_a_recorder_that_was_deaf_keeps_its_name(cli: Cli, isolated: Path, tmp_path: Path) -> None:
    url = (tmp_path / "shared").as_uri()
    fleet(cli, tmp_path, url, "web-1")
    rows = [row(minute(n), recorder="web-2") for n in (*range(-60, 20), *range(40, 60))]
    deaf = build(
        tmp_path / "hosts" / "web-2",
        rows,
        [stretch(NOW - timedelta(hours=2), minute(20), recorder="web-2"),
         stretch(minute(20), minute(40), recorder="web-2", state="disconnected", reason="cut"),
         stretch(minute(40), NOW, recorder="web-2")],
    )  # fmt: skip
    for file in deaf.path.glob("transactions/*/*.parquet"):
        file.rename(file.with_name(file.name.replace("web", "web-2")))
    assert all(rebuild(deaf, one) for one in rollups(deaf))
    assert cli("ship", url, "--store", str(deaf.path))[0] == 0
    asked = [("diff",), ("coverage", "--last", "2h"), ("hosts",)]
    before = [answered(cli, *words, "--store", url) for words in asked]
    compacted(cli, url)
    assert [answered(cli, *words, "--store", url) for words in asked] == before
    assert any("web-2" in note["text"] for note in json.loads(before[0])["notes"])


def test_a_merged_file_that_is_broken_is_not_read(cli: Cli, isolated: Path, tmp_path: Path) -> None:
    """In a folder, which a bucket in a folder is as well."""
    url, folder = (tmp_path / "shared").as_uri(), str(tmp_path / "shared")
    fleet(cli, tmp_path, url, "web-1", "web-2")
    before = answered(cli, "diff", "--store", folder)
    assert {one["state"] for one in compacted(cli, folder).values()} == {"merged"}
    assert answered(cli, "diff", "--store", folder) == before
    files = sorted((tmp_path / "shared" / MERGED).glob("*/*.parquet"))
    assert len(files) == 8
    assert all(file.stat().st_mode & 0o77 == 0 for file in files)
    for file in files:
        whole = file.read_bytes()
        for broken in (whole[:-9], whole[:4] + bytes(len(whole) - 8) + whole[-4:]):
            file.write_bytes(broken)
            document = json.loads(answered(cli, "diff", "--store", folder))
            said = [one for one in document["notes"] if one["code"] != "unreadable_file"]
            assert {**document, "notes": said} == json.loads(before), file.name
        file.write_bytes(whole)


def test_an_hour_whose_rollups_are_not_all_there_waits(
    cli: Cli, isolated: Path, tmp_path: Path
) -> None:
    fleet(cli, tmp_path, (tmp_path / "shared").as_uri(), "web-1", "web-2")
    url = str(tmp_path / "shared")
    before = answered(cli, "diff", "--store", url)
    place = tmp_path / "shared" / KEYS / f"hour={HOURS[1]}"
    [missing, other] = sorted(place.iterdir())
    content = missing.read_bytes()
    missing.unlink()
    states = {hour: one["state"] for hour, one in compacted(cli, url).items()}
    assert states == {HOURS[0]: "merged", HOURS[1]: "waiting"}
    assert answered(cli, "diff", "--store", url) == before
    missing.write_bytes(b"PAR1 none PAR1")
    code, out, err = cli("compact", "--store", url, "--now", NOW.isoformat())
    assert code == 1
    assert "cannot be read" in out
    assert HOURS[1] in err
    missing.write_bytes(content)
    assert other.exists()
    assert compacted(cli, url)[HOURS[1]]["state"] == "merged"


def test_one_recorder_is_left_as_it_is(cli: Cli, isolated: Path, tmp_path: Path) -> None:
    url = (tmp_path / "shared").as_uri()
    fleet(cli, tmp_path, url, "web-1")
    assert {one["state"] for one in compacted(cli, url).values()} == {"single"}
    assert not (tmp_path / "shared" / MERGED).exists()
    code, out, err = cli("compact", "--store", url, "--last", "1h", "--now", NOW.isoformat())
    assert code == 0
    assert "nothing to merge" in out
    assert out.count("2026-11-22T") == 1
    assert "merged 0 hours" in err


def test_rows_that_nobody_told_the_coverage_of_are_no_failure(tmp_path: Path) -> None:
    """A recorder that crashed before it wrote any leaves them."""
    store = stored(tmp_path / "s", "web-1")
    shutil.rmtree(store.path / "coverage")
    assert {one.state for one in compact(store, store.hours("transactions"))} == {"single"}
