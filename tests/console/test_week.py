"""The page "Week": a period compared with the one before, its links and its sheet; the figures of a machine's page."""

import re
from urllib.parse import parse_qsl, quote, urlsplit

import httpx2
import pytest

from console.conftest import DESK, PHONE, SCREENSHOTS, VIEWER
from console.test_offline import go_offline
from console.test_print import print_to_pdf

FIGURE = "[data-figure={}]"
PAGES_OF_SHEET = 1


def read(site, path, pairs):
    """Call the API with these query pairs."""
    headers = {"Authorization": f"Bearer {site.token}"}
    response = httpx2.get(site.address + path, params=pairs, headers=headers)
    assert response.is_success, response.text
    return response.json()


def open_week(opened, query="", **options):
    """Open the page; return it with the query of each request that it sent, by path."""
    page = opened("/ui/account", **options)
    requests = {}

    def remember(request):
        requests.setdefault(urlsplit(request.url).path, []).append(query_of(request.url))

    page.on("request", remember)
    page.goto(f"/ui/week{query}")
    page.locator("dl [data-figure=availability]").wait_for()
    return page, requests


def query_of(url):
    return parse_qsl(urlsplit(url).query)


def hours(seconds):
    value = seconds / 3600
    return f"{int(value * 10 + 0.5) / 10:g} h" if value < 10 else f"{int(value + 0.5):,} h"


def total_behind(site, link):
    """The number of logs of the list that a link leads to."""
    pairs = query_of(link.get_attribute("href"))
    return read(site, "/logs", [*pairs, ("count", "exact"), ("limit", "1")])["total"]


def windows(requests):
    """The windows of both periods, as the page asked for them."""
    pairs = [dict(query) for query in requests["/reliability"] if not dict(query).get("group_by")]
    return [[(name, query[name]) for name in ("from", "to")] for query in pairs]


PRESETS = ["last-week", "this-month", "last-month", "this-year", "last-year"]


@pytest.mark.parametrize("query", ["", *[f"?period={name}" for name in PRESETS], "?from=2026-11-02&to=2026-11-15"])
def test_the_figures_are_those_of_the_api(opened, site, query):
    page, requests = open_week(opened, query)
    window, before = windows(requests)
    (plant,) = read(site, "/reliability", window)["groups"]
    (plant_before,) = read(site, "/reliability", before)["groups"]
    assert page.locator(FIGURE.format("down_time")).inner_text() == hours(plant["down_time"])
    assert page.locator(FIGURE.format("failures")).inner_text() == str(plant["failures"])
    assert page.locator(FIGURE.format("availability")).inner_text() == f"{plant['availability'] * 100:.1f}%"
    assert page.get_by_text(f"before: {hours(plant_before['down_time'])}", exact=True).count() == 1
    machines = read(site, "/reliability", [("group_by", "machine"), *window])["groups"]
    most = max(machines, key=lambda group: (group["down_time"], group["failures"]))
    row = page.locator("tbody tr").first
    if most["down_time"]:
        assert row.locator("th a").inner_text() == most["machine"]
        assert row.locator("[data-hours]").inner_text().startswith(hours(most["down_time"]))
    causes = read(site, "/logs/pareto", [("by", "cause"), ("weight", "failures"), ("limit", "8"), *window])["groups"]
    shown = page.locator("figure", has_text="Failures, by cause").locator("li .value").all_inner_texts()
    assert shown == [str(group["weight"]) for group in causes]


@pytest.mark.parametrize("query", ["?period=last-month", "?period=this-year"])
def test_links_lead_to_lists_with_the_same_count(opened, site, query):
    page, requests = open_week(opened, query)
    (window, _) = windows(requests)
    logs = page.get_by_role("link", name=re.compile("in this period"))
    assert logs.inner_text().split()[0] == str(total_behind(site, logs))
    # No log of the demo is a failure by its kind of stop alone.
    stats = read(site, "/logs/stats", [("metrics", "failures"), *window])["groups"]
    failures = page.locator(FIGURE.format("failures")).get_by_role("link")
    assert total_behind(site, failures) == stats[0]["failures"]
    for row in page.locator("figure", has_text="Failures, by cause").locator("li").all():
        assert row.locator(".value").inner_text() == str(total_behind(site, row.locator("a")))
    for row in page.locator("tbody tr").all():
        for link in row.locator("td a").all():
            assert total_behind(site, link) > 0
    open_logs = page.get_by_role("link", name=re.compile("^All open logs"))
    assert open_logs.inner_text().split()[-1] == str(total_behind(site, open_logs))
    failures.click()
    page.get_by_text(f"{stats[0]['failures']} logs").wait_for()
    page.screenshot(path=SCREENSHOTS / "week-failures-desk-en-light.png")


def test_the_choice_is_in_the_address(opened, site):
    page, _ = open_week(opened)
    periods = page.get_by_role("navigation", name="Period")
    assert periods.get_by_role("link", name="This week").get_attribute("aria-current") == "true"
    periods.get_by_role("link", name="Last month").click()
    page.wait_for_url("**/ui/week?period=last-month")
    page.get_by_role("heading", name="Last month", level=1).wait_for()
    page.get_by_label("From", exact=True).fill("2026-01-05")
    page.wait_for_url("**from=2026-01-05**")
    page.get_by_role("button", name="Sector").click()
    sector = read(site, "/machines", [("limit", "1")])["items"][0]["sector"]
    page.get_by_text(sector, exact=True).click()
    page.wait_for_url("**machine.sector=**")
    page.get_by_text(f"Sector {sector}.").wait_for()
    excel = page.get_by_role("link", name="Excel").get_attribute("href")
    assert dict(query_of(excel))["machine.sector"] == sector
    assert dict(query_of(excel))["from"] == "2026-01-05"
    page.go_back()
    page.get_by_text(f"Sector {sector}.").wait_for(state="detached")
    page.goto("/ui/week?from=2026-02-02&to=2026-02-01")
    page.get_by_text("The first day is after the last.").wait_for()
    page.goto("/ui/week?from=2090-01-01&to=2090-01-02")
    page.get_by_text("This period has not begun yet.").wait_for()


def test_the_menu_leads_there_and_the_keyboard_is_enough(opened):
    page = opened("/ui/logs", user=VIEWER)
    page.get_by_role("navigation").get_by_role("link", name="Week").click()
    page.wait_for_url("**/ui/week")
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Overlapping stops count once.").wait_for()
    page.get_by_role("link", name="Last year").press("Enter")
    page.get_by_role("button", name="Failures, by cause: Numbers").press("Enter")
    page.get_by_role("columnheader", name="Cause").wait_for()


def test_without_a_network_the_page_says_so(opened):
    page, _ = open_week(opened)
    go_offline(page)
    page.get_by_role("link", name="Last week").click()
    page.get_by_text("No network: as of").wait_for()
    page.context.set_offline(False)
    fresh = opened("/ui/account")
    go_offline(fresh)
    fresh.evaluate("history.pushState(null, '', '/ui/week'); dispatchEvent(new PopStateEvent('popstate'))")
    fresh.get_by_role("heading", level=1).wait_for()


SCREENS = {"desk": DESK, "phone": PHONE}


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_the_page_is_accessible_on_every_screen(opened, axe, locale, screen):
    page, _ = open_week(opened, "?period=this-month", locale=locale, **SCREENS[screen])
    page.locator("summary").click()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(50)
        assert axe(page) == []
        height = page.evaluate("document.querySelector('main').scrollHeight")
        page.set_viewport_size({"width": SCREENS[screen]["viewport"]["width"], "height": height + 100})
        page.screenshot(path=SCREENSHOTS / f"week-whole-{screen}-{locale[:2]}-{theme}.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if locale == "fr-FR":
        page.get_by_role("heading", name="Ce mois").wait_for()
        page.get_by_text("Disponibilité").first.wait_for()
        assert page.get_by_text("Availability").count() == 0


def test_the_selected_sector_can_be_removed_when_the_sectors_cannot_be_read(opened):
    page = opened("/ui/account")
    page.route("**/machines?**", lambda route: route.abort())
    page.goto("/ui/week?machine.sector=Usinage")
    page.get_by_role("button", name="Sector").click()
    page.get_by_text("All sectors").click()
    page.wait_for_url("**/ui/week")


def test_the_sheet_for_the_meeting_is_one_page(opened, site):
    # Of one sector: other tests leave stops and open logs behind, which make the sheet of the whole plant longer.
    found = read(site, "/logs/facets", [("by", "machine.sector"), ("machine.sector__isnull", "false"), ("limit", "1")])
    sector = found["facets"]["machine.sector"][0]["value"]
    page, _ = open_week(opened, f"?period=this-month&machine.sector={quote(sector)}")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1047})
    page.screenshot(path=SCREENSHOTS / "week-printed-en.png", full_page=True)
    assert not page.get_by_role("navigation", name="Period").is_visible()
    assert page.get_by_text("Times in Europe/Paris").is_visible()
    page.emulate_media(media=None)
    assert print_to_pdf(page, "week") == PAGES_OF_SHEET


def test_a_machine_shows_its_reliability_and_its_causes(opened, site, axe):
    name = read(site, "/logs/facets", [("by", "machine"), ("limit", "1")])["facets"]["machine"][0]["value"]
    page = opened("/ui/account")
    asked = []
    page.on("request", lambda request: "/reliability" in request.url and asked.append(query_of(request.url)))
    page.goto(f"/ui/machines/{quote(name)}")
    page.locator(FIGURE.format("down_time")).wait_for()
    (figures,) = read(site, "/reliability", asked[0])["groups"]
    assert page.locator(FIGURE.format("down_time")).inner_text() == hours(figures["down_time"])
    assert page.locator(FIGURE.format("failures")).inner_text() == str(figures["failures"])
    causes = page.locator("figure", has_text="Most frequent causes")
    for row in causes.locator("li").all():
        assert row.locator(".value").inner_text() == str(total_behind(site, row.locator("a")))
    page.get_by_text("a stop, as long as it lasted").wait_for()
    page.locator("summary", has_text="What exactly is counted?").click()
    page.get_by_text("Mean time between failures:").wait_for()
    assert axe(page) == []
    page.screenshot(path=SCREENSHOTS / "machine-reliability-desk-en-light.png")
    before = len(asked)
    since = dict(asked[0])["from"]
    page.goto(f"/ui/machines/{quote(name)}?started_at__gte={since}&started_at__lte={since}")
    page.locator(FIGURE.format("availability")).wait_for()
    assert ("to", since) in asked[before]


def test_a_machine_without_failures_says_why_there_is_no_mtbf(opened, site):
    site.call("POST", "/machines", name="Quiet machine")
    page = opened("/ui/machines/Quiet%20machine")
    page.get_by_text("no failure in this period").wait_for()
    assert page.locator("dd.value").last.inner_text() == "\N{EN DASH}"
