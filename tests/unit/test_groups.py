"""Recorders of a group are one population: nodes come and go, pods move, some are deaf."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import filters
from queries.core.answer import Changes, to_document
from queries.core.question import Question
from queries.core.window import Baseline, Window
from queries.coverage import COVERAGE_BY, coverage
from queries.diff.explain.evidence import Rows as Rows_
from queries.diff.what_changed import what_changed
from queries.endpoints import ENDPOINTS
from queries.hosts import HOSTS
from queries.statuses import STATUSES
from queries.timeline import TIMELINE
from recorder.write.compact import compact
from recorder.write.rollup import write_rollup
from store.cover import sealed_name
from store.errors import UsageError
from store.files import make_folder
from store.hours import hour_key, to_us
from store.layout import Store
from store.schema import COVERAGE, TRANSACTIONS
from tests.contract.stored import NOW, minute, row, stretch
from tests.kit import Cli

GROUP = "prod-eu"
LONG = NOW - timedelta(hours=4)
SHORT = NOW - timedelta(hours=2)  # of many nodes: to make the files takes longest
WINDOW = Window(minute(0), NOW)
BASELINE = Baseline("previous", (Window(minute(-60), minute(0)),))
Rows = dict[str, list[dict[str, Any]]]


def calls(
    host: str, begin: datetime = LONG, end: datetime = NOW, every_s: int = 20, **columns: Any
) -> list[dict[str, Any]]:
    """One request every so many seconds."""
    step, plain = timedelta(seconds=every_s), {"host": host, "route": "/v1/things"}
    count = int((end - begin) / step)
    return [row(begin + (number + 0.5) * step, **{**plain, **columns}) for number in range(count)]


def seen(
    recorder: str, begin: datetime = LONG, end: datetime = NOW, group: str | None = GROUP,
    **columns: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    """Coverage from the one to the other, in pieces that each lie in one hour."""
    cuts = [begin]
    while cuts[-1] < end:
        hour = cuts[-1].replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        cuts.append(min(hour, end))
    return [
        stretch(a, b, recorder=recorder, group_name=group, **columns)
        for a, b in itertools.pairwise(cuts)
    ]


def stored(path: Path, rows: Rows, stretches: Iterable[Sequence[dict[str, Any]]]) -> Store:
    """A store of sealed hours with rollups; rows: of each recorder."""
    store = Store.create(path)
    for recorder, own in rows.items():
        for hour in sorted({hour_key(to_us(item["ts"])) for item in own}):
            mine = [i for i in own if hour_key(to_us(i["ts"])) == hour]
            numbered = [
                {**item, "recorder": recorder, "session": "s1", "seq": seq}
                for seq, item in enumerate(sorted(mine, key=lambda item: item["ts"]), 1)
            ]
            place = make_folder(store.sealed_hour("transactions", hour))
            file = place / sealed_name(recorder, len(numbered))
            pq.write_table(pa.Table.from_pylist(numbered, schema=TRANSACTIONS), file)
            write_rollup(store, hour, file, file.name, {})
    covered = [one for part in stretches for one in part]
    for recorder in {one["recorder"] for one in covered}:
        mine = [one for one in covered if one["recorder"] == recorder]
        for hour in {hour_key(to_us(one["from_ts"])) for one in mine}:
            part = [one for one in mine if hour_key(to_us(one["from_ts"])) == hour]
            file = make_folder(store.sealed_hour("coverage", hour)) / f"{recorder}.parquet"
            pq.write_table(pa.Table.from_pylist(part, schema=COVERAGE), file)
    return store


def asked(store: Store) -> Changes:
    """The answer, which compaction does not change."""
    before = what_changed(store, WINDOW, BASELINE)
    hours = store.hours("transactions")
    assert {one.state for one in compact(store, hours)} <= {"merged", "single"}
    after = what_changed(store, WINDOW, BASELINE)
    assert to_document(after) == to_document(before)
    return after


def told(changes: Changes) -> list[tuple[str, object]]:
    return [(f.kind, f.key.get("host")) for f in changes.findings]


def test_nodes_that_come_and_go_are_one_population(tmp_path: Path) -> None:
    """All nodes of the baseline were replaced by others: nothing changed."""
    old, new = ["a1", "a2", "a3"], ["b1", "b2", "b3"]
    rows = {name: calls("api.example.com", LONG, minute(0)) for name in old}
    rows |= {name: calls("api.example.com", minute(0), NOW) for name in new}
    stretches = [seen(name, LONG, minute(0)) for name in old]
    stretches += [seen(name, minute(0), NOW) for name in new]
    changes = asked(stored(tmp_path / "store", rows, stretches))
    assert changes.verdict == "nothing_changed"
    assert (changes.window.covered_s, changes.baseline.covered_s) == (3600, 3600)
    assert changes.window.requests == changes.baseline.requests == 540
    alone = [[{**one, "group_name": None} for one in part] for part in stretches]
    apart = what_changed(stored(tmp_path / "apart", rows, alone), WINDOW, BASELINE)
    assert apart.verdict == "not_comparable", "without a group nobody saw both sides"


def test_a_node_that_comes_in_the_middle_brings_no_gap(tmp_path: Path) -> None:
    rows = {"a1": calls("api.example.com"), "a2": calls("api.example.com", end=minute(20)),
            "b1": calls("api.example.com", begin=minute(20))}  # fmt: skip
    stretches = [seen("a1"), seen("a2", end=minute(20)), seen("b1", begin=minute(20))]
    changes = asked(stored(tmp_path / "store", rows, stretches))
    assert changes.verdict == "nothing_changed"
    assert "gap" not in {note.code for note in changes.notes}


def test_a_pod_that_moves_to_another_node_is_no_news(tmp_path: Path) -> None:
    pod: dict[str, Any] = {"container_name": "payment", "pod_name": "payment-7d9f8b6c5d-x2k4q"}
    moved: dict[str, Any] = {"container_name": "payment", "pod_name": "payment-7d9f8b6c5d-9wzqr"}
    rows = {
        "a1": calls("api.stripe.com", end=minute(-10), **pod) + calls("api.example.com"),
        "a2": calls("api.stripe.com", begin=minute(-10), **moved) + calls("api.example.com"),
    }
    changes = asked(stored(tmp_path / "store", rows, [seen("a1"), seen("a2")]))
    assert [f.summary for f in changes.findings] == []


def test_one_of_forty_that_is_deaf_is_named_and_costs_nothing(tmp_path: Path) -> None:
    names = [f"node-{n:02d}" for n in range(40)]
    rows = {name: calls("api.example.com", SHORT, every_s=60) for name in names}
    rows["node-07"] = calls("api.example.com", SHORT, minute(0), every_s=60)
    stretches = [seen(name, SHORT) for name in names if name != "node-07"]
    stretches += [seen("node-07", SHORT, minute(0)),
                  seen("node-07", minute(0), NOW, state="disconnected", reason="cut")]  # fmt: skip
    changes = asked(stored(tmp_path / "store", rows, stretches))
    assert changes.verdict == "nothing_changed"
    assert changes.window.covered_s == pytest.approx(3600 * 39 / 40)
    [note] = [note for note in changes.notes if note.code == "gap"]
    assert "1 of 40 recorders of group prod-eu" in note.text
    assert "node-07 (1 h)" in note.text
    assert "left out" not in note.text


def test_time_in_which_too_many_were_deaf_is_left_out(tmp_path: Path) -> None:
    """Ten of forty for twenty minutes: what is left of the window is compared."""
    names = [f"node-{n:02d}" for n in range(40)]
    deaf = names[:10]
    rows = {name: calls("api.example.com", SHORT, every_s=60) for name in names}
    for name in deaf:
        rows[name] = calls("api.example.com", SHORT, minute(20), every_s=60)
        rows[name] += calls("api.example.com", begin=minute(40), every_s=60)
    stretches = [seen(name, SHORT) for name in names[10:]]
    for name in deaf:
        stretches += [seen(name, SHORT, minute(20)), seen(name, minute(40), NOW)]
        stretches += [seen(name, minute(20), minute(40), state="disconnected", reason="cut")]
    changes = asked(stored(tmp_path / "store", rows, stretches))
    assert changes.verdict == "nothing_changed"
    assert changes.window.covered_s == 2400
    [note] = [note for note in changes.notes if note.code == "gap"]
    assert "10 of 40 recorders" in note.text
    assert "20 min are left out" in note.text
    assert "5 more" in note.text


def gone(tmp_path: Path, *, left: Sequence[str]) -> Changes:
    """A place that all of four recorders saw stops; of those only some are there in the window."""
    names = ["a1", "a2", "a3", "a4"]
    rows = {name: calls("api.old.com", end=minute(0)) for name in names}
    for name in left:
        rows[name] += calls("api.example.com")
    rows["b1"] = calls("api.example.com", begin=minute(0))
    stretches = [seen(name, end=NOW if name in left else minute(0)) for name in names]
    return asked(stored(tmp_path / "store", rows, [*stretches, seen("b1", begin=minute(0))]))


def test_what_those_do_not_see_who_used_to_see_it_is_gone(tmp_path: Path) -> None:
    assert ("gone", "api.old.com") in told(gone(tmp_path, left=["a1", "a2"]))


def test_what_left_with_all_who_saw_it_is_not_called_gone(tmp_path: Path) -> None:
    changes = gone(tmp_path, left=[])
    assert changes.verdict in ("changed", "nothing_changed")
    assert ("gone", "api.old.com") not in told(changes)


def test_a_rate_does_not_fall_with_those_who_saw_it(tmp_path: Path) -> None:
    """Half of the nodes are shut down, and what they did is not taken over: that is no finding."""
    names = [f"a{n}" for n in range(8)]
    rows = {name: calls("api.example.com", every_s=10) + calls(f"db-{n % 2}.internal", every_s=20)
            for n, name in enumerate(names)}  # fmt: skip
    for name in names[::2]:
        rows[name] = [one for one in rows[name] if one["ts"] < minute(0)]
    stretches = [seen(name, end=minute(0) if n % 2 == 0 else NOW) for n, name in enumerate(names)]
    changes = asked(stored(tmp_path / "store", rows, stretches))
    assert told(changes) == []
    for name in names[1::2]:  # and where those who stayed see less, it is
        rows[name] = [one for one in rows[name]
                      if one["host"] != "db-1.internal" or one["ts"] < minute(0)]  # fmt: skip
    changes = asked(stored(tmp_path / "quiet", rows, stretches))
    assert told(changes) == [("gone", "db-1.internal")]


def test_a_call_seen_at_both_ends_by_two_recorders_counts_once(tmp_path: Path) -> None:
    """The caller's node and the callee's; it fails, and the callee is to blame."""
    ends: dict[str, dict[str, Any]] = {
        "a1": {"direction": "egress-internal", "container_name": "checkout"},
        "a2": {"direction": "ingress", "container_name": "payment"},
    }
    rows = {
        name: calls("payment.prod", LONG, minute(0), every_s=10, **end)
        + calls("payment.prod", minute(0), NOW, every_s=10, status=500, **end)
        + calls(f"other-{name}.prod", **end)
        for name, end in ends.items()
    }
    changes = asked(stored(tmp_path / "store", rows, [seen("a1"), seen("a2")]))
    [finding] = [f for f in changes.findings if f.direction == "up"]
    assert finding.effect.affected == 360
    assert finding.blame is not None
    assert finding.blame.service == "payment"


def test_a_group_and_recorders_without_one_stand_beside_each_other(tmp_path: Path) -> None:
    rows = {name: calls("api.example.com") for name in ("a1", "a2", "lone")}
    stretches = [seen("a1", end=minute(0)), seen("a2"), seen("lone", group=None)]
    rows["a1"] = calls("api.example.com", end=minute(0))
    changes = asked(stored(tmp_path / "store", rows, stretches))
    assert changes.verdict == "nothing_changed"
    assert changes.window.requests == 360


def test_other_questions_know_the_group(tmp_path: Path) -> None:
    rows = {"a1": calls("api.example.com", end=minute(30)),
            "a2": calls("api.example.com", begin=minute(30))}  # fmt: skip
    stretches = [seen("a1", end=minute(30)), seen("a2", begin=minute(30), end=minute(50)),
                 seen("a2", minute(50), NOW, state="disconnected", reason="cut")]  # fmt: skip
    store = stored(tmp_path / "store", rows, stretches)
    answer = coverage(store, WINDOW)
    assert answer.window.covered_s == 3000
    assert {row.recorder: row.group for row in answer.recorders} == {"a1": GROUP, "a2": GROUP}
    hosts = to_document(HOSTS.function(store, WINDOW))
    [note] = [note for note in hosts["notes"] if note["code"] == "gap"]
    assert note["text"] == "1 of 2 recorders of group prod-eu were deaf for a while: a2 (10 min)"


@pytest.mark.parametrize("question", [HOSTS, ENDPOINTS, STATUSES])
def test_counts_apart_by_recorder_and_group(tmp_path: Path, question: Question) -> None:
    """Each row is of one recorder, or of one group and of those without one; their sum is that of
    all. A filter may name a recorder."""
    rows = {"a1": calls("api.example.com") + calls("api.stripe.com", status=503),
            "a2": calls("api.example.com"), "lone": calls("api.example.com")}  # fmt: skip
    store = stored(tmp_path / "store", rows, [seen("a1"), seen("a2"), seen("lone", group=None)])

    def counts(**values: Any) -> dict[tuple[str | None, str | None], int]:
        found: dict[tuple[str | None, str | None], int] = {}
        answer = question.ask(store, values, NOW, UTC)
        for one in getattr(answer, question.rows):
            key = one.recorder, one.group
            found[key] = found.get(key, 0) + one.requests
        assert sum(found.values()) == answer.window.requests
        return found

    assert counts() == {(None, None): 720}
    assert counts(by="recorder") == {("a1", GROUP): 360, ("a2", GROUP): 180, ("lone", None): 180}
    assert counts(by="group") == {(None, GROUP): 540, (None, None): 180}
    mine = counts(by="recorder", where='recorder == "a1" and res.status == 503')
    assert mine == {("a1", GROUP): 180}
    series = TIMELINE.ask(store, {"by": "group"}, NOW, UTC).series
    assert {one.value: one.requests for one in series} == {GROUP: 540, None: 180}
    with pytest.raises(UsageError):
        counts(by="container")


def test_rows_are_of_the_group_that_their_recorder_was_in_then(tmp_path: Path) -> None:
    """A host that changes its group takes nothing of what it saw before along."""
    rows = {"a1": calls("api.example.com"), "a2": calls("api.example.com")}
    moved = [*seen("a1", end=minute(20), group="canary"), *seen("a1", begin=minute(20))]
    store = stored(tmp_path / "store", rows, [moved, seen("a2")])

    def counts(**values: Any) -> dict[str | None, int]:
        return {one.group: one.requests for one in HOSTS.ask(store, values, NOW, UTC).hosts}

    assert counts(by="group") == {"canary": 60, GROUP: 300}
    assert counts(by="group", where='group == "canary"') == {"canary": 60}
    assert counts(by="group", where='group == "prod-eu" and recorder == "a1"') == {GROUP: 120}
    changes = what_changed(store, WINDOW, BASELINE)
    assert changes.verdict == "nothing_changed"


@pytest.mark.parametrize(
    ("where", "hosts"),
    [
        ('group == "prod-eu"', {"of-a1": 180, "of-a2": 180}),
        ('group == ""', {"of-lone": 180}),
        ('not group == "prod-eu"', {"of-lone": 180}),
        ('recorder in ["a2", "lone"]', {"of-a2": 180, "of-lone": 180}),
        ('recorder == "a2" or req.host == "of-lone"', {"of-a2": 180, "of-lone": 180}),
        ('group != "prod-eu" or req.host == "of-a1"', {"of-a1": 180, "of-lone": 180}),
        ('group == "prod-eu" and not missing(req.host)', {"of-a1": 180, "of-a2": 180}),
        ('group matches /^prod/ and recorder != "a1"', {"of-a2": 180}),
        ("missing(group)", {}),
        ('group == "prod-us"', {}),
    ],
)
def test_a_filter_names_groups_and_recorders(
    tmp_path: Path, where: str, hosts: dict[str, int]
) -> None:
    """By itself, where files of others are not read, and together with what only rows tell."""
    names = ("a1", "a2", "lone")
    rows = {name: calls(f"of-{name}") for name in names}
    store = stored(tmp_path / "store", rows, [seen("a1"), seen("a2"), seen("lone", group=None)])
    answer = HOSTS.ask(store, {"where": where}, NOW, UTC)
    assert {one.host: one.requests for one in answer.hosts} == hosts
    points = TIMELINE.ask(store, {"where": where, "by": "host"}, NOW, UTC)
    assert {one.value: one.requests for one in points.series} == hosts
    changes = what_changed(store, WINDOW, BASELINE, where=filters.parse(where))
    assert changes.window.requests == changes.baseline.requests == sum(hosts.values())
    assert changes.verdict == ("nothing_changed" if hosts else "no_data")
    codes = {note.code for note in (*answer.notes, *changes.notes)}
    assert ("unknown_recorder" in codes) == (not hosts)


def test_what_others_missed_is_not_told_of_a_group(tmp_path: Path) -> None:
    rows = {name: calls("api.example.com") for name in ("a1", "lone")}
    cut = seen("lone", minute(30), NOW, group=None, state="disconnected", reason="cut")
    stretches = [seen("a1"), seen("lone", end=minute(30), group=None), cut]
    store = stored(tmp_path / "store", rows, stretches)

    def told(**values: Any) -> tuple[set[str], float]:
        answer = HOSTS.ask(store, values, NOW, UTC)
        return {note.code for note in answer.notes}, answer.window.covered_s

    assert told() == ({"gap"}, 3600)
    assert told(where='group == "prod-eu"') == (set(), 3600)
    assert told(where='recorder == "lone" and res.status == 200') == ({"gap"}, 1800)


def test_coverage_apart_by_recorder_and_group(tmp_path: Path, cli: Cli) -> None:
    deaf = [seen("a2", end=minute(50)),
            seen("a2", minute(50), NOW, state="disconnected", reason="cut")]  # fmt: skip
    store = stored(tmp_path / "store", {}, [seen("a1"), *deaf, seen("lone", group=None)])

    def counts(*words: str) -> dict[str | None, tuple[int, float, int, float]]:
        words = ("coverage", *words, "--store", str(store.path), "--now", NOW.isoformat())
        code, out, err = cli(*words, "--json")
        assert code == 0, err
        rows = json.loads(out)["recorders"]
        return {one["recorder"] or one["group"]:
                (one["recorders"], one["covered_s"], one["deaf"], one["deaf_s"])
                for one in rows}  # fmt: skip

    assert counts("--by", "group") == {GROUP: (2, 3600, 1, 600), None: (1, 3600, 0, 0)}
    apart = counts("--by", "recorder")
    assert apart == {"a2": (1, 3000, 1, 600), "a1": (1, 3600, 0, 0), "lone": (1, 3600, 0, 0)}
    assert next(iter(apart)) == "a2", "who missed most comes first"
    assert counts("--by", "recorder", "--where", 'group == ""').keys() == {"lone"}
    code, _, err = cli("coverage", "--where", "res.status == 500", "--store", str(store.path))
    assert code == 2
    assert "coverage knows recorders alone" in err


@pytest.mark.parametrize("group", [GROUP, None])
def test_that_nobody_is_in_a_group_is_said(tmp_path: Path, group: str | None) -> None:
    stretches = [seen("a1", group=group)]
    store = stored(tmp_path / "store", {"a1": calls("api.example.com")}, stretches)
    for question in (HOSTS, ENDPOINTS, STATUSES, TIMELINE, COVERAGE_BY):
        for by in ("group", "recorder"):
            notes = question.ask(store, {"by": by}, NOW, UTC).notes
            texts = [note.text for note in notes if note.code == "no_groups"]
            assert len(texts) == (by == "group" and group is None)
            assert all("qrec record --group NAME" in text for text in texts)


def test_record_writes_its_group(cli: Cli, isolated: Path) -> None:
    code, _, err = cli("replay", "quiet", "--group", GROUP)
    assert code == 0, err
    document = json.loads(cli("coverage", "--last", "400d", "--json")[1])
    assert [row["group"] for row in document["recorders"]] == [GROUP]
    code, _, err = cli("replay", "quiet", "--group", "no/name")
    assert code == 2
    assert "group" in err or "name" in err


def failing(names: Sequence[str], of: int, *, group: str | None = GROUP) -> Any:
    """The findings, as documents, where a third of these recorders' calls fail, of so many."""

    def made(path: Path) -> Any:
        rows: Rows = {}
        every = [f"node-{n:02d}" for n in range(of)]
        for name in every:
            good = calls("api.stripe.com", every_s=60)
            late = [one for one in good if one["ts"] >= minute(20)] if name in names else []
            for one in late[::3]:
                one["status"] = 503
            rows[name] = good
        stretches = [seen(name, group=group) for name in every]
        return to_document(asked(stored(path, rows, stretches)))["findings"]

    return made


@pytest.mark.parametrize("group", [GROUP, None])
def test_a_finding_says_on_how_many_recorders_it_shows(tmp_path: Path, group: str | None) -> None:
    """Of recorders of a group, or each by itself; merged or not (asked)."""
    few = ["node-02", "node-05", "node-11"]
    [finding] = failing(few, 12, group=group)(tmp_path / "few")
    assert finding["kind"] == "errors"
    assert finding["recorders"] == {"affected": 3, "of": 12, "names": few}
    assert "only on 3 of 12 recorders" in finding["summary"]


def test_a_finding_of_all_recorders_says_so(tmp_path: Path) -> None:
    every = [f"node-{n:02d}" for n in range(12)]
    [finding] = failing(every, 12)(tmp_path / "every")
    assert finding["recorders"] == {"affected": 12, "of": 12, "names": every[:10]}
    assert "on 12 of 12 recorders" in finding["summary"]
    assert "only on" not in finding["summary"]


def test_what_is_new_says_on_how_many_recorders_it_is(tmp_path: Path) -> None:
    rows = {f"a{n}": calls("api.example.com") for n in range(6)}
    rows["a4"] += calls("new.example.com", begin=minute(10))
    changes = asked(stored(tmp_path / "store", rows, [seen(name) for name in rows]))
    shown = {f.key["host"]: f.recorders for f in changes.findings if f.kind == "new"}
    assert to_document(shown["new.example.com"]) == {"affected": 1, "of": 6, "names": ["a4"]}


def _slow(one: dict[str, Any]) -> None:
    one["duration_ms"] *= 20


def _large(one: dict[str, Any]) -> None:
    one["bytes_received"] = 400_000


def _failed(one: dict[str, Any]) -> None:
    one["status"] = 503


@pytest.mark.parametrize(
    ("change", "kind", "where"),
    [
        (_slow, "latency", None),
        (_large, "size", None),
        (None, "broad", None),
        (_failed, "errors", 'req.host == "api.stripe.com"'),
        (_slow, "latency", 'req.host == "api.stripe.com"'),
    ],
)
def test_other_kinds_and_filters_say_on_how_many_recorders(
    tmp_path: Path, change: Any, kind: str, where: str | None
) -> None:
    """On three of eight something happens to all requests of the window, or there are more."""
    few = ["node-1", "node-3", "node-4"]
    rows: Rows = {f"node-{n}": calls("api.stripe.com", every_s=10) for n in range(8)}
    for name in few:
        for one in [one for one in rows[name] if one["ts"] >= minute(0)]:
            if change:
                change(one)
            else:
                rows[name] += [dict(one) for _ in range(9)]
    store = stored(tmp_path / "store", rows, [seen(name) for name in rows])
    expression = filters.parse(where) if where else None
    changes = what_changed(store, WINDOW, BASELINE, where=expression)
    shown = {f.kind: f for f in changes.findings}
    assert kind in shown, told(changes)
    recorders = shown[kind].recorders
    assert recorders is not None
    assert (recorders.affected, recorders.of, set(recorders.names)) == (3, 8, set(few))
    assert "only on 3 of 8 recorders" in shown[kind].summary


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_gone_says_on_which_recorders(cli: Cli, tmp_path: Path, killed: bool) -> None:
    """One of the nodes vanished, in good order or not, and what it alone saw with it: that is no
    news. What stopped on two others as well is, on those that saw it."""
    names = [f"node-{n:02d}" for n in range(24)]
    rows: Rows = {name: calls("api.example.com", every_s=60) for name in names}
    for name in names[:3]:
        rows[name] += calls("api.old.com", end=minute(0))
    lost = names[2]
    rows[lost] += calls("api.alone.com", end=minute(0))
    rows[lost] = [one for one in rows[lost] if one["ts"] < minute(0)]
    stretches = [seen(name, end=minute(0) if name == lost else NOW) for name in names]
    if killed:
        end = {"state": "stopped", "reason": "killed", "reason_code": "killed"}
        stretches.append(seen(lost, minute(0), NOW, **end))
    store = stored(tmp_path / "store", rows, stretches)
    words = ("diff", "--store", str(store.path), "--now", NOW.isoformat(), "--json")
    code, out, err = cli(*words)
    assert code == 0, err
    [finding] = json.loads(out)["findings"]
    assert (finding["kind"], finding["key"]["host"]) == ("gone", "api.old.com")
    shown = finding["recorders"]
    assert set(shown["names"]) == set(names[:2]), "of those that still look"
    assert shown["affected"] == shown["of"] == 2


def test_an_onset_within_the_past_is_told_by_rollups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all hosts' rows of those hours a bucket would have to be asked for gigabytes."""
    begin, onset = NOW - timedelta(hours=12), NOW - timedelta(hours=2, minutes=40)
    rows: Rows = {f"node-{n}": calls("api.stripe.com", begin, every_s=30) for n in range(6)}
    for own in rows.values():
        for one in own:
            if one["ts"] >= onset and one["ts"].second < 30:
                _failed(one)
    asked_for: list[str] = []
    ask = Rows_.ask

    def noted(self: Rows_, name: str, *of: Any, **more: Any) -> list[tuple[Any, ...]]:
        asked_for.append(name)
        return ask(self, name, *of, **more)

    monkeypatch.setattr(Rows_, "ask", noted)
    stretches = [seen(name, begin) for name in rows]
    [finding] = asked(stored(tmp_path / "store", rows, stretches)).findings
    assert finding.kind == "errors"
    assert finding.since == onset
    assert "compare_onset" not in asked_for


def test_one_recorder_alone_needs_no_mention(tmp_path: Path) -> None:
    [finding] = failing(["node-00"], 1)(tmp_path / "one")
    assert finding["recorders"] is None
    assert "recorder" not in finding["summary"]
