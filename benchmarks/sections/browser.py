"""The console in Chromium: the time to the first logs, the time from a key press to its result, and memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import build, servers
from benchmarks.data import TOKEN
from benchmarks.load import percentiles
from benchmarks.options import MeasurementError, Options
from benchmarks.queries import QueryGenerator
from machine_monitor.api.serving import console

CHROMIUM = Path(os.environ.get("MM_TEST_CHROMIUM", "/usr/bin/chromium"))
DESK = {"width": 1440, "height": 900}
WORDS = 12
# Long enough for every response, so that each key press is measured on its own.
PAUSE_MS = 600
# The number of rows scrolled past before the first and the second reading of memory.
EARLY_ROWS, LATE_ROWS = 1_000, 10_000
PAGE = 60
# Records when the list was first and last painted: one frame after its rows changed.
PAINT_OBSERVER = """
    seen = {typed: 0, painted: 0}
    const note = () => requestAnimationFrame(() => setTimeout(() => {
        seen.painted = performance.now()
        seen.first ??= seen.painted
    }))
    const isOfRows = ({target}) => (target.parentElement ?? target).closest('.scroller')
    addEventListener('input', (event) => { seen.typed = event.timeStamp }, true)
    addEventListener('DOMContentLoaded', () => new MutationObserver((changes) => {
        if (document.querySelector('[data-uuid]') && (!seen.first || changes.some(isOfRows))) note()
    }).observe(document.body, {childList: true, subtree: true, characterData: true}))
"""


def measure(options: Options) -> dict[str, Any]:
    """Measure how long a user waits for logs and for a search, and the memory of a tab, at up to a million logs."""
    rows = options.write_rows
    if not CHROMIUM.is_file():
        raise MeasurementError(f"requires Chromium at {CHROMIUM}, or at the path in MM_TEST_CHROMIUM")
    if not (console.FOLDER / "index.html").is_file():
        raise MeasurementError("requires the console: run `make console`")
    path = build.sqlite_file(options, rows)
    words = [word for word in (QueryGenerator(path).random_word() for _ in range(4 * WORDS)) if len(word) > 2][:WORDS]
    with servers.running(servers.product(f"sqlite:///{path}")) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        address = f"http://127.0.0.1:{server.port}/ui/"
        first_paints = [_first_paint(browser, address) for _ in range(options.rounds)]
        with _open_page(browser, address) as page:
            latencies = list(_key_press_latencies(page, words))
        with _open_page(browser, address) as page:
            further_rows = min(LATE_ROWS, rows * 9 // 10) - EARLY_ROWS
            memory = [_memory_after(page, EARLY_ROWS), _memory_after(page, further_rows)]
        browser.close()
    return {"rows": rows, "first_ms": median(first_paints), "keys": percentiles(latencies), "memory": memory}


@contextmanager
def _open_page(browser: Browser, address: str) -> Iterator[Page]:
    """Open the list of logs in a browser with an empty cache."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    context = browser.new_context(viewport=DESK, extra_http_headers=headers, service_workers="block")
    page = context.new_page()
    page.add_init_script(PAINT_OBSERVER)
    page.goto(address)
    page.wait_for_selector("[data-uuid]")
    page.wait_for_timeout(PAUSE_MS)
    yield page
    context.close()


def _first_paint(browser: Browser, address: str) -> float:
    """Return the milliseconds from the start of the navigation until logs are on screen."""
    with _open_page(browser, address) as page:
        return page.evaluate("seen.first")


def _key_press_latencies(page: Page, words: list[str]) -> Iterator[float]:
    """Type words in the search field; yield the seconds from each key press until its result is on screen."""
    field = page.locator("search input")
    for word in words:
        field.fill("")
        page.wait_for_timeout(PAUSE_MS)
        for letter in word:
            page.keyboard.type(letter)
            page.wait_for_timeout(PAUSE_MS)
            typed, painted = page.evaluate("[seen.typed, seen.painted]")
            # If a letter changes neither rows nor highlights, nothing is painted.
            if painted > typed:
                yield (painted - typed) / 1000


def _memory_after(page: Page, rows: int) -> dict[str, float]:
    """Scroll past `rows` more rows, and return the JavaScript heap in megabytes and the number of DOM nodes."""
    debugger, pages = page.context.new_cdp_session(page), []
    page.on("response", lambda response: pages.append(response.url) if "cursor=" in response.url else None)
    while len(pages) * PAGE < rows:
        page.evaluate("document.querySelector('.scroller').scrollBy(0, 1500)")
        page.wait_for_timeout(20)
    page.wait_for_timeout(PAUSE_MS)
    debugger.send("HeapProfiler.collectGarbage")
    return {
        "heap_mb": debugger.send("Runtime.getHeapUsage")["usedSize"] / 1e6,
        "nodes": debugger.send("Memory.getDOMCounters")["nodes"],
    }
