"""The wall display: its content, and the warning when the content is out of date."""

from datetime import UTC, datetime, timedelta

import pytest

from console.conftest import DESK, SCREENSHOTS

TABLET = {"viewport": {"width": 768, "height": 1024}, "has_touch": True}
SCREENS = {
    "wall": {"viewport": {"width": 1920, "height": 1080}},
    "4k": {"viewport": {"width": 3840, "height": 2160}},
    "desk": DESK,
    "tablet": TABLET,
}
LOOKS = [("wall", "en-GB", "light"), ("wall", "fr-FR", "dark"), ("4k", "fr-FR", "light"), ("tablet", "en-GB", "dark")]


def add_log(site, **values):
    return site.call("POST", "/logs", **{"machine": "Tour CN 1", "type": "error", **values})["uuid"]


@pytest.fixture(scope="module")
def hard_week(site):
    """Two weeks with many problems: more stopped machines and open logs than the wall has room for."""
    now, uuids = datetime.now(UTC), []
    names = [one["name"] for one in site.call("GET", "/machines?fields=name&limit=10")["items"]]
    for number, name in enumerate(names):
        started = now - timedelta(hours=4 + 31 * number)
        values = {
            "started_at": started.isoformat(),
            "down_from": started.isoformat(),
            "comment": f"Alarm {300 + number} on axis Y",
        }
        if number < 8:
            values |= {"status": "open", "severity": ("critical", "major", "minor")[number % 3]}
        else:
            values |= {"down_to": (started + timedelta(hours=3)).isoformat()}
        uuids.append(add_log(site, machine=name, **values))
    yield
    for uuid in uuids:
        site.call("DELETE", f"/logs/{uuid}")


@pytest.mark.usefixtures("hard_week")
@pytest.mark.parametrize(("screen", "locale", "theme"), LOOKS, ids=["-".join(look) for look in LOOKS])
def test_the_wall_fits_its_screen_and_is_accessible(opened, axe, screen, locale, theme):
    page = opened("/ui/wall", locale=locale, color_scheme=theme, reduced_motion="reduce", **SCREENS[screen])
    page.wait_for_selector("#pareto")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(100)
    page.screenshot(path=SCREENSHOTS / f"wall-{screen}-{locale[:2]}-{theme}.png")
    assert page.locator("nav").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if screen != "tablet":
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        # Capital letters of 1 % of the screen height are readable from three metres on usual screens.
        size = page.locator(".latest a").first.evaluate("one => parseFloat(getComputedStyle(one).fontSize)")
        assert size >= SCREENS[screen]["viewport"]["height"] / 50
    assert axe(page) == []


def test_a_stop_appears_on_the_wall_and_disappears_when_it_ends(opened, site):
    page = opened("/ui/wall")
    page.get_by_text("Live, updated at").wait_for()
    uuid = add_log(site, machine="Tour CN 1", down_from="2026-01-05T08:00:00Z", comment="Stands since winter")
    stopped = page.get_by_role("region", name="stopped")
    stopped.get_by_text("Stands since winter").wait_for()
    site.call("PATCH", f"/logs/{uuid}", down_to="2026-01-05T09:00:00Z")
    stopped.get_by_text("Stands since winter").wait_for(state="detached")


def test_the_wall_warns_when_the_service_does_not_answer(opened):
    page = opened("/ui/account")
    page.clock.install()
    page.goto("/ui/wall")
    page.get_by_text("updated at").wait_for()
    # Requests that get no response, as after a silent network failure.
    page.route("**/logs**", lambda _: None)
    page.clock.fast_forward(100_000)
    assert page.get_by_text("No update since").count() == 0
    page.clock.fast_forward(100_000)
    page.get_by_text("No update since").wait_for()
    assert page.locator("header .major svg").count() == 1
    page.unroute("**/logs**")
    page.clock.fast_forward(61_000)
    page.get_by_text("updated at").wait_for()


def test_escape_leaves_the_wall(opened):
    page = opened("/ui/wall")
    page.wait_for_selector("#pareto")
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-uuid]")
