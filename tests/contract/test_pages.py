"""The pages: the same documents as the other faces, valid HTML, links that lead somewhere."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import pytest

from fixtures import bundled
from pages.ask import offered, parameter
from pages.views import any_question
from queries.core.question import every_question
from queries.core.session import Reader
from queries.core.window import Window
from queries.diff.explain.breakdown import Counted, sides_of
from store.hours import from_us
from store.layout import Store
from tests.contract.site import ATTACKS, ORIGIN, Browser, harmless, hostile, links, parsed, replayed
from tests.contract.stored import NOW, build, minute, row, stretch
from tests.contract.test_same_document import ASKED, COMMANDS, QUESTIONS, by_command_line, store
from tests.kit import NOON, S

assert store  # the fixture
HOUR = datetime(2026, 11, 22, 14, tzinfo=UTC)
OLD = Path(__file__).parents[2] / "fixtures" / "stores" / "1"
STORES = [*bundled(), "format 1", "empty"]
_LEAD = 6  # links of a store that are followed, besides every question and those named below


@pytest.mark.parametrize(("tool", "asked"), ASKED, ids=str)
def test_a_page_has_the_document_of_the_terminal(
    store: Path, tool: str, asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Through every registered question; plain, and with a window or a choice of its own."""
    names = {one.name: parameter(one) for one in QUESTIONS[tool].every_argument}
    command, *flags = COMMANDS[tool].split()
    fixed = {flag.removeprefix("--"): value for flag, value in zip(flags[::2], flags[1::2],
                                                                  strict=True)}  # fmt: skip
    browser = Browser(store, NOW)
    for arguments in asked[:2]:
        query = urlencode({**fixed, **{names[name]: value for name, value in arguments.items()}})
        answer = browser.get(f"/{command}.json?{query}")
        assert answer.status_code == 200, answer.text
        assert answer.json() == by_command_line(store, tool, arguments, capsys)


def test_every_question_has_a_page() -> None:
    names = {one.name for one in every_question()}
    assert set(offered()) == names - {"sql", "show"}


@pytest.fixture(scope="module", params=STORES)
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    folder = tmp_path_factory.mktemp("pages") / "store"
    if request.param == "format 1":
        return Browser(Path(shutil.copytree(OLD, folder)), from_us(NOON + 2 * 3600 * S))
    if request.param == "empty":
        return Browser(Store.create(folder).path, HOUR)
    return Browser(replayed(request.param, folder), HOUR)


def test_every_page_of_every_store_is_valid_harmless_and_leads_somewhere(browser: Browser) -> None:
    waiting = deque(["/", *(f"/{name}" for name in offered()), "/schema?vs=previous",
                     "/errors?by=container", "/timeline?by=host"])  # fmt: skip
    known = set(waiting)
    left = {"/transactions/": 3, "/diff": 2, "/search": 3, "": _LEAD}
    while waiting:
        url = waiting.popleft()
        if urlsplit(url).path.endswith((".json", ".har")):
            assert browser.get(url).status_code == 200, url
            continue
        tree = browser.page(url)
        harmless(tree, url)
        assert tree.get("lang") == "en"
        for link in links(tree):
            kind = next(kind for kind in left if urlsplit(link).path.startswith(kind))
            if link not in known and left[kind] > 0:
                left[kind] -= 1
                known.add(link)
                waiting.append(link)


def test_recorded_attacks_are_shown_as_text(tmp_path: Path) -> None:
    """Of every page of a store in which every text is one; the crawl above holds its links."""
    browser = Browser(hostile(tmp_path / "store"), NOW)
    document = browser.get("/diff.json").json()
    assert document["findings"]
    urls = ["/", *(f"/{name}" for name in offered()), "/timeline?by=container", "/diff?explain=1"]
    ids = [one["id"] for one in browser.get("/search.json").json()["transactions"]]
    urls += [f"/transactions/{one}" for one in ids[:8]]
    for url in [*urls, f"/search?where={quote(ATTACKS[0])}", f"/{quote(ATTACKS[1])}"]:
        answer = browser.get(url)
        harmless(parsed(answer.text, url), url)
    assert "&lt;script&gt;" in browser.get(f"/transactions/{ids[0]}").text + browser.get("/").text


# ---------------------------------------------------------------------- what cannot be answered

BAD = [
    ("/nowhere", 404, "no page /nowhere"),
    ("/host", 404, "Did you mean &#39;hosts&#39;?"),
    ("/hosts?last=soon", 400, "is not a duration"),
    ("/hosts?from=15:00&to=14:00", 400, "inverted"),
    ("/search?where=req.hots+%3D%3D+%22a%22", 400, "req.host"),
    ("/search?where=res.status+%3E%3D", 400, "ends too early"),
    ("/hosts?limit=0", 400, "a number from 1 to 200"),
    ("/hosts?limit=1000", 400, "a number from 1 to 200"),
    ("/hosts?nonsense=1", 400, "no parameter"),
    ("/hosts?last=1h&last=2h", 400, "given twice"),
    ("/endpoints?sort=colour", 400, "cannot be"),
    ("/hosts?cursor=AAAA", 400, "no cursor"),
    ("/diff?explain=99", 404, "no finding"),
    ("/?since=nobody", 400, "no mark"),
    ("/transactions/web:s1:999999", 404, "no transaction"),
    ("/transactions/%3Cscript%3E", 400, "no transaction&#39;s id"),
    ("/static/nothing.css", 404, "no such file"),
    ("/static/..%2fapp.py", 404, "no page"),
    (f"/search?where={'a' * 5000}", 400, "longer than 4000"),
    ("/hosts?" + "&".join(f"a{n}=1" for n in range(60)), 400, "too many parameters"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "status", "says"), BAD)
def test_what_cannot_be_answered_says_why_and_what_next(
    store: Path, url: str, status: int, says: str
) -> None:
    answer = Browser(store, NOW).get(url)
    assert answer.status_code == status
    assert says in answer.text
    assert "Traceback" not in answer.text
    assert "<h1>" in answer.text


def test_a_mistake_stands_there_to_be_put_right(store: Path) -> None:
    text = Browser(store, NOW).get('/search?last=1h&where=res.stat+%3D%3D+"5"').text
    form = text.split('<form class="ask" method="get" action="/search"')[1]
    assert 'name="where" value="res.stat == &#34;5&#34;"' in form
    assert 'name="last" value="1h"' in form


def test_a_document_tells_its_error_as_one(store: Path) -> None:
    answer = Browser(store, NOW).get("/hosts.json?last=soon")
    assert answer.status_code == 400
    assert answer.json()["error"]["hint"].startswith("Write a duration")


def test_nothing_can_be_written(store: Path) -> None:
    browser = Browser(store, NOW)

    async def post() -> int:
        transport = httpx.ASGITransport(browser.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.post("/hosts")).status_code

    assert asyncio.run(post()) == 405


def test_a_store_that_vanishes_is_told_and_may_come_back(tmp_path: Path) -> None:
    path = build(tmp_path / "store", [row(minute(1))]).path
    browser = Browser(path, NOW)
    assert browser.get("/hosts").status_code == 200
    path.rename(tmp_path / "away")
    gone = browser.get("/hosts")
    assert gone.status_code == 503
    assert "no qrec store" in gone.text
    (tmp_path / "away").rename(path)
    assert browser.get("/hosts").status_code == 200


def test_a_bug_is_told_without_its_insides(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("secret words")

    monkeypatch.setattr("pages.views.view_of", lambda name: broken)
    answer = Browser(store, NOW).get("/hosts")
    assert answer.status_code == 500
    assert "secret words" not in answer.text
    assert "secret words" in capsys.readouterr().err


def test_what_takes_too_long_is_stopped(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(asked: Any) -> Any:
        time.sleep(0.3)
        return any_question(asked)

    monkeypatch.setattr("pages.views.view_of", lambda name: slow)
    answer = Browser(store, NOW, deadline_s=0.1).get("/hosts")
    assert answer.status_code == 504
    assert "shorter window" in answer.text


def test_of_a_thousand_questions_at_once_some_are_refused_and_few_run(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most = [], []

    def slow(asked: Any) -> Any:
        running.append(1)
        most.append(len(running))
        time.sleep(0.05)
        running.pop()
        return any_question(asked)

    monkeypatch.setattr("pages.views.view_of", lambda name: slow)
    browser = Browser(store, NOW)

    async def flood() -> list[httpx.Response]:
        transport = httpx.ASGITransport(browser.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60) as client:
            return await asyncio.gather(*(client.get("/coverage") for _ in range(100)))

    answers = asyncio.run(flood())
    assert max(most) <= 2
    assert {one.status_code for one in answers} == {200, 503}
    refused = next(one for one in answers if one.status_code == 503)
    assert "too many questions at once" in refused.text.lower()


# ------------------------------------------------------------------------------- who may ask


@pytest.mark.parametrize("host", [
    "evil.example", "127.0.0.1:evil.example", "localhost.", "0.0.0.0", "", "[::1]evil",
    "evil.com@127.0.0.1", "127.0.0.1.evil.example:8780", "192.0.2.7:8780",
])  # fmt: skip
def test_another_host_is_refused_with_all_headers(store: Path, host: str) -> None:
    answer = Browser(store, NOW).get("/", {"host": host})
    assert answer.status_code == 403
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert 'class="card' not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8780", "LOCALHOST:1", "[::1]:8780", "localhost"])
def test_this_machine_may_ask_under_all_its_names(store: Path, host: str) -> None:
    assert Browser(store, NOW).get("/coverage", {"host": host}).status_code == 200


@pytest.mark.parametrize(("site", "mode", "dest", "status"), [
    ("cross-site", "no-cors", "image", 403),
    ("cross-site", "cors", "empty", 403),
    ("same-site", "navigate", "iframe", 403),
    ("cross-site", "navigate", "document", 200),
    ("same-origin", "cors", "empty", 200),
    ("none", "navigate", "document", 200),
])  # fmt: skip
def test_other_sites_may_link_here_and_no_more(
    store: Path, site: str, mode: str, dest: str, status: int
) -> None:
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    assert Browser(store, NOW).get("/coverage", headers).status_code == status


def test_every_answer_carries_the_headers(store: Path) -> None:
    browser = Browser(store, NOW)
    for url in ("/coverage", "/coverage.json", "/static/style.css", "/nowhere"):
        headers = browser.get(url).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_a_token_opens_once_and_stays_as_a_cookie(store: Path) -> None:
    browser = Browser(store, NOW, token="s3cret")
    assert browser.get("/coverage").status_code == 401
    assert browser.get("/coverage?token=wrong").status_code == 401
    assert browser.get("/coverage", {"cookie": "qrec_token=wrong"}).status_code == 401
    opened = browser.get("/coverage?last=2h&token=s3cret")
    assert opened.status_code == 303
    assert opened.headers["location"] == "/coverage?last=2h"
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert browser.get("/coverage", {"cookie": "qrec_token=s3cret"}).status_code == 200
    away = browser.get(f"{ORIGIN}//evil.example/?token=s3cret")
    assert away.headers["location"].startswith("/evil.example/")


def test_with_a_token_an_address_will_do_and_a_strange_name_not(store: Path) -> None:
    browser = Browser(store, NOW, token="s3cret")
    cookie = {"cookie": "qrec_token=s3cret"}
    assert browser.get("/coverage", {**cookie, "host": "192.0.2.7:8780"}).status_code == 200
    assert browser.get("/coverage", {**cookie, "host": "evil.example"}).status_code == 403


# ----------------------------------------------------------------------------------- contents


def test_the_front_page_names_what_the_terminal_names(store: Path) -> None:
    browser = Browser(store, NOW)
    found = browser.get("/diff.json").json()["findings"]
    text = browser.get("/").text
    assert found
    for one in found:
        assert one["id"] in text
    assert text.count('<li class="card') == len(found)
    assert 'class="gap"' in text  # 12:30 to 12:35
    assert "deploy" in text


def test_a_part_of_the_chart_is_a_link_to_its_time(store: Path) -> None:
    tree = Browser(store, NOW).page("/")
    slots = [link for link in links(tree) if link.startswith("/?from=")]
    assert len(slots) >= 20
    assert "2026-11-22T12" in slots[1]


def test_a_filter_is_completed_with_the_values_of_the_time_it_asks_about(tmp_path: Path) -> None:
    rows = [row(minute(30), host=f"h{n}.example", status=500 + n) for n in (1, 1, 2)]
    rows += [row(minute(30), host='odd".example'), row(minute(5), host="early.example")]
    browser = Browser(build(tmp_path / "store", rows).path, NOW)
    times = "from=2026-11-22T13:20Z&to=2026-11-22T13:40Z"
    hosts = browser.get(f"/values.json?field=req.host&{times}")
    assert hosts.json() == ['"h1.example"', '"h2.example"']
    statuses = browser.get(f"/values.json?field=res.status&{times}").json()
    assert statuses[0] == "501"
    for field in ("req.hst", "req.body", ""):
        answer = browser.get(f"/values.json?field={field}&{times}")
        assert answer.status_code == 404
    assert "req.host" in browser.get(f"/values.json?field=req.hst&{times}").json()["error"]["hint"]


def test_transactions_of_one_trace_are_a_waterfall(tmp_path: Path) -> None:
    at = minute(30)
    rows = [
        row(at + timedelta(milliseconds=100 * n), trace_id="t1", host=f"h{n}.example",
            duration_ms=100, grpc_status="14" if n == 2 else "0")
        for n in range(4)
    ]  # fmt: skip
    browser = Browser(build(tmp_path / "store", rows).path, NOW)
    [one, *_] = browser.get("/search.json").json()["transactions"]
    page = browser.page(f"/transactions/{one['id']}")
    [same] = [link for link in links(page) if "trace_id" in link]
    text = browser.get(same).text
    assert "sort=oldest" in same  # from the first call down
    assert text.count('class="bar"') == 4
    assert 'class="failed" x="50.0" y="0.0" width="25.0"' in text
    assert text.index("h0.example") < text.index("h3.example")


def test_a_gap_is_told_once(tmp_path: Path) -> None:
    """With its time where the text has it, not in the text and after it."""
    rows = [row(minute(n)) for n in (*range(-60, 10), *range(20, 60))]
    seen = [stretch(minute(-60), minute(10)), stretch(minute(20), NOW)]
    text = Browser(build(tmp_path / "store", rows, seen).path, NOW).get("/").text
    assert "did not see" in text
    assert text.count("13:10 to 13:20") == 1


def test_a_gap_is_no_quiet_time_in_the_chart_of_a_finding(tmp_path: Path) -> None:
    rows = [row(minute(n), status=500 if n > 30 and n % 2 else 200)
            for n in (*range(-60, 10), *range(20, 60)) for _ in range(5)]  # fmt: skip
    seen = [stretch(minute(-60), minute(10)), stretch(minute(20), NOW)]
    browser = Browser(build(tmp_path / "store", rows, seen).path, NOW)
    assert browser.get("/diff?explain=1").text.count('class="gap"') == 1


def test_a_finding_of_one_status_is_shown_beside_the_others(tmp_path: Path) -> None:
    """Its failures alone would say nothing of how many there were in all, and nothing of before."""
    rows = [row(minute(n), status=500 if n > 30 and n % 2 else 200, duration_ms=100)
            for n in range(-60, 60) for _ in range(5)]  # fmt: skip
    browser = Browser(build(tmp_path / "store", rows).path, NOW)
    [found] = browser.get("/diff.json").json()["findings"]
    assert found["key"]["status"] == 500
    text = browser.get("/diff?explain=1").text
    statuses = text.split("<caption>Statuses")[1].split("</table>")[0]
    assert re.findall(r"<td>(\d+)</td>", statuses) == ["200", "500"]
    assert "<span>300</span>" in statuses  # of the baseline
    assert '<td class="r"><span>0</span>' in statuses  # nothing has no bar
    assert "res.status == 500" in text  # the filter of its transactions stays narrow


def test_the_numbers_of_a_chart_stand_in_a_table(store: Path) -> None:
    browser = Browser(store, NOW)
    for url, titles in (("/", 2), ("/timeline?last=30m", 3)):
        table = browser.get(url).text.split("As a table")[1].split("</table>")[0]
        assert table.count('class="r">') > 20 * titles, url
    course = browser.get("/timeline.json?last=30m").json()
    counts = re.findall(r'<td class="r">([^<]*)</td>', table)[::3]
    assert [one.replace(",", "") for one in counts] == [
        "-" if count is None else str(count) for count in course["total"]["counts"]
    ]


def test_the_time_that_was_picked_stands_in_the_form(store: Path) -> None:
    text = Browser(store, NOW).get("/?from=2026-11-22T13:10Z&to=2026-11-22T13:30Z").text
    form = text.split("<form")[1].split("<details")[0]
    assert 'name="from" value="2026-11-22T13:10Z"' in form
    assert 'name="to" value="2026-11-22T13:30Z"' in form


def test_new_gone_failing_and_slow_edges_are_marked(tmp_path: Path) -> None:
    rows = []
    for n in range(60):
        for side, base in (("before", -60), ("now", 0)):
            at = minute(base + n)
            rows.append(row(at, host=f"{side}.example"))
            rows.append(row(at, host="slow.example", duration_ms=100 if side == "before" else 400))
            rows.append(row(at, host="bad.example", status=500 if n % 2 else 200))
    text = Browser(build(tmp_path / "store", rows).path, NOW).get("/dependencies").text
    for css, host in (("new", "now"), ("gone", "before"), ("slower", "slow"), ("failing", "bad")):
        assert f' {css}"' in text
        assert f"{host}.example" in text


def test_a_finding_shows_both_sides(store: Path) -> None:
    text = Browser(store, NOW).get("/diff?explain=1").text
    for part in ("Statuses", "Hosts", "Containers that have it", "What its errors say",
                 "Examples of the window", "Examples of the baseline", "qrec diff"):  # fmt: skip
        assert part in text, part


def test_both_sides_are_counted_by_what_was_put_in(tmp_path: Path) -> None:
    """Of each dimension: requests of the window, of the baseline, and failures of both."""
    rows = [row(minute(n), status=500, error_signature="boom", duration_ms=1000) for n in range(3)]
    rows += [row(minute(3), status=None, duration_ms=None, direction="ingress", host="x")]
    rows += [row(minute(-30 - n)) for n in range(5)]
    made = build(tmp_path / "store", rows)
    window = Window(minute(0), NOW)
    before = Window(minute(-60), minute(0))
    [both] = sides_of(made, window, [before], None, [""])
    assert both == {
        "status": [Counted("200", 0, 5, 0, 0), Counted("500", 3, 0, 3, 0),
                   Counted("none", 1, 0, 1, 0)],
        "host": [Counted("api.example.com", 3, 5, 3, 0), Counted("x", 1, 0, 1, 0)],
        "who": [Counted("calls shop", 3, 5, 3, 0), Counted("serves shop", 1, 0, 1, 0)],
        "says": [Counted("boom", 3, 0, 3, 0), Counted("status none", 1, 0, 1, 0)],
        "duration": [Counted("16", 0, 5, 0, 0), Counted("24", 3, 0, 3, 0)],
    }  # fmt: skip
    [none] = sides_of(made, window, [before], None, ['req.host == "nobody"'])
    assert none == {}


def test_a_body_is_shown_by_what_it_is(tmp_path: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (640).to_bytes(4) + (480).to_bytes(4)
    bodies = [
        b'{"a": {"b": [1, "[redacted:jwt:abc]"]}}',
        b"plain <b>text</b>",
        png,
        b"\x00\xff\x01",
    ]
    rows = [
        row(minute(n), res_body=body, res_body_bytes=len(body), req_headers=[("X-A", "<i>")])
        for n, body in enumerate(bodies)
    ]
    browser = Browser(build(tmp_path / "store", rows).path, NOW)
    ids = [one["id"] for one in browser.get("/search.json").json()["transactions"]][::-1]
    texts = [browser.get(f"/transactions/{one}").text for one in ids]
    assert "<details open>" in texts[0]
    assert '<span class="chip"' in texts[0]
    assert "plain &lt;b&gt;text" in texts[1]
    assert "an image of 640 x 480 pixels" in texts[2]
    assert "no text, not shown" in texts[3]
    har = browser.get(f"/transactions/{ids[0]}.har")
    assert har.json()["log"]["entries"][0]["request"]["url"].startswith("https://api.example.com")
    assert har.headers["content-disposition"].startswith("attachment")


def test_the_store_is_only_read(store: Path) -> None:
    before = sorted(path for path in store.rglob("*"))
    with Reader(Store.open(store), []):
        pass
    browser = Browser(store, NOW)
    for name in offered():
        if name != "calibrate":  # keeps what it counted, as the command does
            browser.get(f"/{name}")
    assert sorted(path for path in store.rglob("*")) == before
