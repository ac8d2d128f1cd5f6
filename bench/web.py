"""How long a page takes, to its first byte and until it is complete in a browser.

`python -m bench.web` records the demo (or makes `--requests N` an hour, or takes `--store DIR`),
serves it by `qrec web` in a process of its own and asks for its pages in turn; a page is complete
at its load event in Debian's Chromium, driven by Playwright. Beside the clock stands the processor
time of the server, which a busy machine does not stretch. `--picture FILE` writes the README's
picture instead.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.query import make_store

PAGES = {"front": "", "finding": "diff?explain=1", "transactions": "search",
         "graph": "dependencies", "hosts": "hosts"}  # fmt: skip
_LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"
_RUNS = 5
_QREC = [sys.executable, "-m", "qrec"]


@contextmanager
def serving(store: Path, *flags: str) -> Iterator[tuple[str, psutil.Process]]:
    """The address of `qrec web` over the store, and its process."""
    argv = [*_QREC, "web", "--port", "0", "--no-open", "--store", str(store), *flags]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def first_byte(url: str, process: psutil.Process) -> dict[str, float]:
    """Seconds to the first byte: of the first time, then the median, with the processor's."""
    clock, spent, size = [], [], 0
    for _ in range(_RUNS + 1):
        before, begun = process.cpu_times(), time.perf_counter()
        with httpx.stream("GET", url, trust_env=False, timeout=120) as answer:
            clock.append(time.perf_counter() - begun)
            size = len(answer.read())
        after = process.cpu_times()
        spent.append(after.user + after.system - before.user - before.system)
    return {"first_time_s": clock[0], "first_byte_s": statistics.median(clock[1:]),
            "cpu_s": statistics.median(spent[1:]), "kb": size / 1000}  # fmt: skip


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser
        browser.close()


def complete(urls: dict[str, str]) -> dict[str, float]:
    """Seconds until the load event of each page, the median."""
    took = {}
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        for name, url in urls.items():
            times = []
            for _ in range(_RUNS):
                page.goto(url)
                times.append(page.evaluate(_LOADED) / 1000)
            took[name] = statistics.median(times)
    return took


def reports(store: Path, *flags: str) -> dict[str, float]:
    """Seconds and size of `qrec report`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([*_QREC, "report", "-o", str(file), "--store", str(store), *flags],
                       check=True, stderr=subprocess.DEVNULL)  # fmt: skip
        took, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        text = file.read_text(encoding="utf-8")
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"clock_s": took, "cpu_s": spent, "kb": len(text.encode()) / 1000,
            "findings": text.count('<li class="card')}  # fmt: skip


def picture(store: Path, file: Path, *flags: str) -> None:
    """The front page as the README shows it."""
    with serving(store, *flags) as (url, _), chromium() as browser:
        page = browser.new_page(viewport={"width": 1000, "height": 1032})
        page.goto(url)
        page.screenshot(path=file)
    print(f"{file}: {file.stat().st_size / 1000:.0f} KB")


def measured(store: Path, *flags: str) -> dict[str, Any]:
    with serving(store, *flags) as (url, process):
        pages: dict[str, dict[str, float]] = {
            name: first_byte(url + path, process) for name, path in PAGES.items()
        }
        if shutil.which("chromium"):
            for name, took in complete({n: url + path for n, path in PAGES.items()}).items():
                pages[name]["complete_s"] = took
    return {"pages": pages, "report": reports(store, *flags)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--store", type=Path, help="a store with something to show")
    parser.add_argument("--now", default="2026-11-22T14:00Z")
    parser.add_argument("--requests", type=int, help="make a store of so many an hour instead")
    parser.add_argument("--faults", type=int, default=0, help="endpoints that fail in that store")
    parser.add_argument("--picture", type=Path, help="write the README's picture there, and end")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    os.environ["QREC_TIMEZONE"] = "UTC"
    with tempfile.TemporaryDirectory() as folder:
        store: Path = asked.store or Path(folder) / "store"
        if asked.requests:
            make_store(store, asked.requests, 3, faults=asked.faults)
        elif asked.store is None:
            subprocess.run([*_QREC, "replay", "checkout-incident", "--store", str(store)],
                           check=True, capture_output=True)  # fmt: skip
        if asked.picture:
            picture(store, asked.picture, "--now", asked.now)
            return
        result = measured(store, "--now", asked.now)
    if asked.json:
        print(json.dumps(result, indent=1))
        return
    shown: Callable[[dict[str, float]], str] = lambda figures: ", ".join(  # noqa: E731
        f"{name} {value:.2f}" for name, value in figures.items()
    )
    for name, figures in (*result["pages"].items(), ("report", result["report"])):
        print(f"{name:14}{shown(figures)}")


if __name__ == "__main__":
    main()
