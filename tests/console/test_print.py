"""Printing: what the browser puts on paper. The printouts are kept beside the screenshots, as PDF."""

import json
import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from console.conftest import ADMIN, SCREENSHOTS
from machine_monitor.models import MACHINES
from machine_monitor.services.labels import MARGIN, WIDTH, machine_label
from machine_monitor.services.records.storage import StoredRecord

ROW = "[data-uuid]"
PRINTED = "[data-printed]"
# Remember what would be printed, without the dialog, which would block the test. The script ends with `null` because
# Playwright calls an expression whose value is a function.
RECORD_PRINT = """window.print = () => {
    window.printed = [...document.querySelectorAll('[data-printed]')].map((one) => one.dataset.printed);
    window.printedNote = document.querySelector('.print-only')?.textContent;
}; null"""


@pytest.fixture(scope="session")
def busiest(site):
    """The machine with the most logs."""
    return site.call("GET", "/logs/facets?by=machine&limit=1")["facets"]["machine"][0]["value"]


def uuids(site, query):
    return [log["uuid"] for log in site.call("GET", f"/logs?{query}&limit=500&fields=uuid")["items"]]


def print_to_pdf(page, name):
    """Print as the browser's own command does, and return the number of pages."""
    content = page.pdf(path=SCREENSHOTS / f"print-{name}.pdf", format="A4")
    return len(re.findall(rb"/Type\s*/Page\b", content))


@pytest.mark.parametrize("by_keyboard", [False, True], ids=["button", "Ctrl+P"])
def test_the_list_prints_all_logs_of_its_filters(opened, site, by_keyboard):
    page = opened("/ui/logs?started_at__gte=-1y")
    page.wait_for_selector(ROW)
    page.evaluate(RECORD_PRINT)
    if by_keyboard:
        page.keyboard.press("Control+p")
    else:
        page.get_by_role("button", name="Print").click()
    page.wait_for_function("() => window.printed")
    expected = uuids(site, "started_at__gte=-1y")
    assert len(expected) > 100
    assert page.evaluate("window.printed") == expected
    note = page.evaluate("window.printedNote")
    assert f"{len(expected)} logs · Last 12 months" in note
    assert "Times in Europe/Paris" in note
    assert print_to_pdf(page, "logs") > 5


def test_the_print_button_waits_for_the_part_of_the_console_that_prints(opened, site):
    page = opened("/ui/account")
    held = []

    def hold(route):
        held.append(route)

    page.route("**/PrintedLogs-*.js", hold)
    page.goto("/ui/logs?started_at__gte=-1y")
    page.wait_for_selector(ROW)
    page.evaluate(RECORD_PRINT)
    with page.expect_response(re.compile(r"/logs\?.*limit=500")):
        page.get_by_role("button", name="Print").click()
    assert held, "the browser had the part already"
    assert page.evaluate("window.printed") is None
    # Lets the held requests go on.
    page.unroute("**/PrintedLogs-*.js")
    page.wait_for_function("() => window.printed")
    assert page.evaluate("window.printed") == uuids(site, "started_at__gte=-1y")


def test_the_browsers_print_command_says_how_many_logs_are_missing(opened, site):
    page = opened("/ui/logs?started_at__gte=-1y")
    page.wait_for_selector(ROW)
    # The part of the console that prints is loaded after the rows.
    page.wait_for_function("""() => {
        dispatchEvent(new Event('beforeprint'));
        return document.querySelector('.print-only');
    }""")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    note = "window.note = document.querySelector('.print-only').textContent"
    page.evaluate(f"addEventListener('beforeprint', () => {{ {note}; }})")
    print_to_pdf(page, "logs-by-menu")
    total = len(uuids(site, "started_at__gte=-1y"))
    assert f"Only 60 of {total} logs" in page.evaluate("window.note")
    # On the screen, the table is gone again.
    assert page.locator(PRINTED).count() == 0


def test_the_page_of_a_machine_prints_all_its_logs(opened, site, busiest):
    page = opened(f"/ui/machines/{quote(busiest)}")
    page.wait_for_selector(ROW)
    page.evaluate(RECORD_PRINT)
    page.get_by_role("button", name="Print").click()
    page.wait_for_function("() => window.printed")
    expected = uuids(site, f"machine={quote(busiest)}")
    assert len(expected) > 15
    assert page.evaluate("window.printed") == expected
    print_to_pdf(page, "machine")


def test_a_very_long_list_prints_its_first_logs_and_says_how_many_there_are(opened, site):
    (log,) = site.call("GET", "/logs?limit=1")["items"]
    total = 2050

    def send_page(route):
        start = int((parse_qs(urlsplit(route.request.url).query).get("cursor") or ["0"])[0])
        end = min(start + 500, total)
        items = [{**log, "uuid": f"00000000-0000-4000-8000-{number:012}"} for number in range(start, end)]
        page = {"items": items, "next": str(end) if end < total else None, "previous": None}
        route.fulfill(json={**page, "total": total, "total_capped": False})

    page = opened("/ui/logs")
    page.wait_for_selector(ROW)
    page.route(re.compile(r"/logs\?.*limit=500"), send_page)
    page.evaluate(RECORD_PRINT)
    page.get_by_role("button", name="Print").click()
    page.wait_for_function("() => window.printed", timeout=60_000)
    assert page.evaluate("window.printed.length") == 2000
    assert "The first 2,000 of 2,050 logs" in page.evaluate("window.printedNote")


CUT_TIMES = """[...document.querySelectorAll('time')].filter((one) => one.checkVisibility() &&
    one.getBoundingClientRect().right > one.parentElement.getBoundingClientRect().right + 1,
).map((one) => one.textContent)"""
PAGES = [
    ("logs", "/ui/logs", ROW),
    ("record", "/ui/logs/{uuid}", "dl dd"),
    ("machines", "/ui/machines", "[data-machine]"),
    ("machine", "/ui/machines/{name}", ROW),
    ("labels", "/ui/labels?name={name}", ".sheet img"),
    ("wall", "/ui/wall", "#pareto"),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_paper_is_black_on_white_and_has_no_controls(opened, site, busiest, theme):
    page = opened("/ui/account", user=ADMIN, color_scheme=theme)
    page.get_by_label("Theme").select_option(theme)
    uuid = uuids(site, "type=error")[0]
    for name, path, selector in PAGES:
        page.goto(path.format(uuid=uuid, name=quote(busiest)))
        page.wait_for_selector(selector)
        print_to_pdf(page, f"{name}-{theme}")
        page.emulate_media(media="print", color_scheme=theme)
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)", name
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)", name
        controls = page.locator("button, input, select, nav a, [role=status]")
        assert [one.evaluate("one => one.outerHTML") for one in controls.all() if one.is_visible()] == [], name
        assert page.evaluate(CUT_TIMES) == [], name
        page.set_viewport_size({"width": 718, "height": 1000})
        page.screenshot(path=SCREENSHOTS / f"print-{name}-{theme}.png")
        page.set_viewport_size({"width": 1440, "height": 900})
        page.emulate_media(media="screen")


def test_wide_names_fit_their_labels(chromium):
    names = ["WAREHOUSE " * 12, "主轴" * 60, "س ش" * 40, "ညြ" * 60, *(letter * 120 for letter in "WHm@🚜한Щ")]
    page = chromium.new_page()
    for name in names:
        body = json.dumps({"name": name, "sector": "W" * 50, "serial_number": "主" * 9})
        record = StoredRecord(MACHINES, body, id=1, version=1, is_deleted=False)
        page.set_content(machine_label(record, "http://localhost/").decode())
        ends = page.evaluate(
            "[...document.querySelectorAll('text')].map((one) => one.x.baseVal[0].value + one.getComputedTextLength())"
        )
        assert max(ends) <= WIDTH - MARGIN, (name, ends)
    page.close()
