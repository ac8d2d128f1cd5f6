"""The pages in a real browser: the way through an incident, that nothing leaves a page, and that
everybody can use it. Screenshots stay in the folder that QREC_ARTEFACTS names, else with the test.

Debian's Chromium is driven by Playwright; where either is missing the tests say so and are skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.contract.site import INJECTED, hostile
from tests.contract.stored import NOW, build, minute, row
from tests.e2e.shell import background, qrec
from tests.e2e.test_web import serving
from tests.kit import PATIENCE_S

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE, VNU = "axe-core@4.14.1", "vnu-jar@26.9.27"
_MISSING = [
    text
    for text, there in (
        ("no chromium in PATH (apt-get install chromium)", CHROMIUM),
        ("playwright is not installed (pip install '.[dev]')", find_spec("playwright")),
    )
    if not there
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(bool(_MISSING), reason="; ".join(_MISSING)),
]
_WAIT_MS = PATIENCE_S * 1000
# Code as for a program that runs for long would cost one that does not twice as much.
_BRIEFLY = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xss4m")


class Proxy:
    """Writes down what is asked of it and answers nothing: whatever leaves a page comes by here."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                with client:
                    client.settimeout(2)
                    with contextlib.suppress(OSError):
                        self.asked.append(client.recv(2000).decode("latin-1"))

    def close(self) -> None:
        self._socket.close()

    @property
    def injected(self) -> list[str]:
        """What a page asked for; Chromium itself asks its maker, too."""
        return [text for text in self.asked if INJECTED in text]


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


@pytest.fixture(scope="module")
def chromium(proxy: Proxy) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[f"--proxy-server=http://127.0.0.1:{proxy.port}"],
            timeout=_WAIT_MS,
        )
        yield browser
        browser.close()


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("QREC_ARTEFACTS") or tmp_path / "artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def opened(chromium: Any, **options: Any) -> Iterator[tuple[Any, list[str]]]:
    """A page, and what it complained of or tried: dialogs, errors, refusals of its policy."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900}, **options)
    page, said = context.new_page(), []
    page.set_default_timeout(_WAIT_MS)

    def dialog(one: Any) -> None:
        said.append(f"dialog {one.message}")
        one.dismiss()

    page.on("dialog", dialog)
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: said.append(str(one)))
    yield page, said
    context.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that `qrec demo --web` serves at."""
    home = tmp_path_factory.mktemp("demo")
    with background("demo", "--web", "--no-open", home=home) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("http://"):
                yield line.strip()
                return
    raise AssertionError("qrec demo --web printed no address")


def test_from_the_front_page_to_the_curl_of_an_example_and_back(
    chromium: Any, demo: str, artefacts: Path
) -> None:
    with opened(chromium) as (page, said):
        page.goto(demo)
        assert page.title() == "What changed · qrec"
        first = page.locator(".card h3 a").first
        assert "api.stripe.com" in first.inner_text()
        first.click()
        assert "api.stripe.com" in page.locator("h1").inner_text()
        page.locator("caption", has_text="Examples of the window").locator("..").locator(
            "tbody a"
        ).first.click()
        page.locator("a", has_text="curl").first.click()
        assert page.url.endswith("#curl")
        assert "curl --globoff" in page.locator("#curl ~ pre").inner_text()
        page.go_back()
        page.go_back()
        assert "explain=" in page.url
        page.go_back()
        assert page.url == demo
        assert said == []


def test_five_pages_look_the_same_way_in_light_in_dark_and_on_a_phone(
    chromium: Any, demo: str, artefacts: Path
) -> None:
    urls = {"front": "", "finding": "diff?explain=1", "transactions": "search",
            "graph": "dependencies", "timeline": "timeline?by=status"}  # fmt: skip
    for scheme, wide in (("light", 1200), ("dark", 1200), ("light", 400)):
        with opened(chromium, color_scheme=scheme) as (page, said):
            page.set_viewport_size({"width": wide, "height": 900})
            for name, url in urls.items():
                page.goto(demo + url)
                page.screenshot(path=artefacts / f"{name}-{scheme}-{wide}.png", full_page=True)
                wider = page.evaluate("document.documentElement.scrollWidth")
                assert wider <= wide, (name, "the page scrolls sideways")
            assert said == []
    assert len(list(artefacts.glob("*.png"))) >= 15


def test_a_part_of_the_chart_is_picked_by_pointer_and_by_key(chromium: Any, demo: str) -> None:
    with opened(chromium) as (page, said):
        page.goto(demo)
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.name") == "where"
        slot = page.locator(".slots a").nth(20)
        label = slot.get_attribute("aria-label")
        slot.click()
        assert "from=" in page.url
        page.go_back()
        page.locator(".slots a").nth(20).focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**from=**")
        assert label is not None
        assert label.startswith("Only ")
        assert said == []


def test_a_span_of_the_chart_is_drawn_with_the_pointer(chromium: Any, demo: str) -> None:
    with opened(chromium) as (page, said):
        page.goto(demo)
        ends = [page.locator(".slots a").nth(at) for at in (15, 10)]
        hrefs = [parse_qs(urlsplit(one.get_attribute("href")).query) for one in ends]
        boxes = [one.bounding_box() for one in ends]
        middles = [(one["x"] + one["width"] / 2, one["y"] + 40) for one in boxes]
        page.mouse.move(*middles[0])
        page.mouse.down()
        page.mouse.move(*middles[1], steps=5)
        assert page.locator(".slots a.picked").count() == 6
        with page.expect_navigation():
            page.mouse.up()
        times = parse_qs(urlsplit(page.url).query)
        assert (times["from"], times["to"]) == (hrefs[1]["from"], hrefs[0]["to"])
        assert said == []


def test_a_filter_is_completed_with_what_was_recorded(chromium: Any, demo: str) -> None:
    with opened(chromium) as (page, said):
        page.goto(f"{demo}search")
        box = page.locator("input[name=where]")
        box.press_sequentially('res.status >= 500 and req.host == "')
        option = page.locator("#completions option[value^='res.status >= 500 and req.host == ']")
        option.first.wait_for(state="attached")
        box.fill(option.first.get_attribute("value"))
        page.locator("button", has_text="Ask").click()
        assert page.locator("tbody tr").count() > 0
        assert said == []


def test_without_scripts_everything_is_there(chromium: Any, demo: str) -> None:
    with opened(chromium, java_script_enabled=False) as (page, _):
        page.goto(demo)
        assert page.locator(".card").count() >= 1
        assert page.locator("#live").is_hidden()
        page.locator("input[name=where]").fill("res.status >= 500")
        page.locator("button", has_text="Ask").click()
        assert "where=res.status" in page.url


def test_a_narrow_screen_shows_everything(chromium: Any, tmp_path: Path) -> None:
    """A telephone at night: nothing is wider than the screen, however long a name is, the chart is
    seen as a whole, and a URL is not broken after every fourth letter."""
    long = "/" + "/".join(f"part-{n}-of-a-very-long-path" for n in range(40))
    rows = [
        row(minute(n), host="h" * 180 + ".example", container_name="c" * 120, path=long,
            route=long, pod_name="p" * 200, status=500 if n > 10 else 200,
            error_signature="e" * 300, req_headers=[("X-" + "Long-" * 30, "v" * 500)])
        for n in range(-60, 60)
    ]  # fmt: skip
    made = build(tmp_path / "long", rows).path
    with serving(made, tmp_path) as (_, url), opened(chromium) as (page, said):
        page.set_viewport_size({"width": 400, "height": 800})
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        for path in ("", "diff?explain=1", "search", "dependencies", "timeline?by=host", "hosts"):
            page.goto(url + path)
            assert page.evaluate(over) == 0, path
            for box in (one.bounding_box() for one in page.locator("svg.chart").all()):
                assert box["x"] >= 0, path
                assert box["x"] + box["width"] <= 400, path
            for box in (one.bounding_box() for one in page.locator(".pair table").all()):
                assert box["width"] <= 376, path  # both sides are seen beside one another
        page.goto(f"{url}search")
        assert page.locator("tbody td", has_text="https").first.bounding_box()["width"] >= 140
        page.locator("td a").first.click()
        page.wait_for_load_state()
        assert page.evaluate(over) == 0
        assert said == []


def test_edges_are_lines_whatever_they_are_marked_as(chromium: Any, tmp_path: Path) -> None:
    rows = [
        row(minute(n), host="slow.example", duration_ms=100 if n < 0 else 900)
        for n in range(-60, 60)
    ]
    made = build(tmp_path / "slow", rows).path
    with serving(made, tmp_path) as (_, url), opened(chromium) as (page, _):
        page.goto(f"{url}dependencies")
        edge = page.locator("path.edge.slower").first
        assert edge.evaluate("one => getComputedStyle(one).fill") == "none"
        assert edge.evaluate("one => getComputedStyle(one).stroke") != "none"


def test_a_command_is_copied(chromium: Any, demo: str) -> None:
    with opened(chromium, permissions=["clipboard-read", "clipboard-write"]) as (page, said):
        page.goto(f"{demo}search")
        page.locator("td a").first.click()
        page.locator("button", has_text="Copy").click()
        page.locator("button", has_text="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()").startswith("curl ")
        assert said == []


def test_live_asks_again_only_when_told(chromium: Any, demo: str) -> None:
    with opened(chromium) as (page, said):
        page.goto(demo)
        button = page.locator("#live")
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
        assert said == []


def test_the_proxy_would_see_what_leaves(chromium: Any, proxy: Proxy) -> None:
    """So that silence below means something."""
    with opened(chromium, bypass_csp=True) as (page, _):
        page.set_content(f"<img src='http://{INJECTED}/probe'>")
        page.wait_for_timeout(500)
    assert any("/probe" in text for text in proxy.injected)
    proxy.asked.clear()


def test_nothing_of_a_hostile_store_runs_or_leaves_the_page(
    chromium: Any, proxy: Proxy, tmp_path: Path
) -> None:
    made = hostile(tmp_path / "hostile")
    file = tmp_path / "incident.html"
    done = qrec("report", "-o", file, "--store", made, "--now", NOW.isoformat(), home=tmp_path)
    assert done.returncode == 0, done.stderr
    with serving(made, tmp_path) as (_, url), opened(chromium) as (page, said):
        for path in ("", "search", "dependencies", "errors", "hosts", "timeline?by=container",
                     "diff?explain=1", "diff.json", "schema"):  # fmt: skip
            page.goto(url + path)
            page.wait_for_timeout(100)
        page.goto(f"{url}search")
        page.locator("td a").first.click()
        page.wait_for_timeout(300)
        page.goto(file.as_uri())
        page.wait_for_timeout(300)
        assert page.locator("script, iframe, img, base, object").count() == 0
        assert page.locator(".card").count() >= 1
        assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") != "none"
        assert said == []
    assert proxy.injected == []


@pytest.fixture(scope="module")
def incident(chromium: Any, demo: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the demo."""
    home = tmp_path_factory.mktemp("report")
    with opened(chromium) as (page, _):
        page.goto(demo)
        store = page.locator("footer code").inner_text().partition("--store ")[2]
    file = home / "incident.html"
    done = qrec("report", "-o", file, "--store", store, "--note", "rolled back", home=home)
    assert done.returncode == 0, done.stderr
    return file


def test_the_report_of_the_demo_opens_from_a_file_and_prints(
    chromium: Any, proxy: Proxy, incident: Path, artefacts: Path
) -> None:
    with opened(chromium, offline=True) as (page, said):
        page.goto(incident.as_uri())
        assert page.locator(".card").count() >= 1
        page.screenshot(path=artefacts / "report.png", full_page=True)
        assert len(page.pdf()) > 20_000
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 688, "height": 1000})  # of A4 between its margins
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(over) <= 0
        cell = page.locator("section td", has_text="api.stripe.com").first
        assert cell.bounding_box()["width"] >= 90  # a name is not broken into letters
        assert said == []


def by_npm(package: str, folder: Path) -> Path:
    """The folder of a package, got by npm; the test is skipped where that cannot be."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"no npm to get {package} with")
    done = subprocess.run(
        [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefer-offline", package],
        cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"npm cannot get {package}: {done.stderr.strip()[:200]}")
    return folder / "node_modules" / package.partition("@")[0]


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = by_npm(AXE, tmp_path_factory.mktemp("axe"))
    return (folder / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 400)])
def test_nothing_serious_stands_in_anybodys_way(
    chromium: Any, demo: str, incident: Path, axe: str, scheme: str, width: int
) -> None:
    pages = (
        "",
        "diff?explain=1",
        "search?limit=20",
        "dependencies",
        "hosts",
        "timeline",
        "nowhere",
    )
    # A scheme changes colours alone.
    rules = "{runOnly: ['color-contrast', 'link-in-text-block']}" if scheme == "dark" else ""
    with opened(chromium, color_scheme=scheme) as (page, _):
        page.set_viewport_size({"width": width, "height": 900})
        for url in [*(demo + path for path in pages), incident.as_uri()]:
            page.goto(url)
            if "search" in url:
                page.locator("td a").first.click()
                page.wait_for_load_state()
            page.evaluate("document.querySelectorAll('main details').forEach(d => d.open = true)")
            page.evaluate(axe)
            found = page.evaluate(f"axe.run({rules})")
            serious = [
                (one["id"], one["nodes"][0]["html"][:200])
                for one in found["violations"]
                if one["impact"] in ("serious", "critical")
            ]
            assert serious == [], (url, scheme)


def test_the_checker_of_the_w3c_finds_no_error(
    demo: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where Java is: duplicate ids, bad nesting and more that html5lib passes over."""
    java = shutil.which("java")
    if java is None:
        pytest.skip("no java to run vnu with")
    jar = by_npm(VNU, tmp_path_factory.mktemp("vnu")) / "build/dist/vnu.jar"
    files: list[Path] = []
    for path in ("", "diff?explain=1", "search", "dependencies", "timeline", "schema", "nowhere"):
        files.append(tmp_path / f"{len(files)}.html")
        answer = httpx.get(demo + path, trust_env=False, timeout=PATIENCE_S)
        files[-1].write_text(answer.text, encoding="utf-8")
    done = subprocess.run(
        [java, *_BRIEFLY, "-jar", str(jar), "--errors-only", *map(str, files)],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:2000]
