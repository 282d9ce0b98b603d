"""The screen on the wall: what it says, and that it says when it is old."""

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
    """Two weeks in which much went wrong: more machines stand and more is open than the wall has room for."""
    now, uuids = datetime.now(UTC), []
    names = [one["name"] for one in site.call("GET", "/machines?fields=name&limit=10")["items"]]
    for number, name in enumerate(names):
        begun = now - timedelta(hours=4 + 31 * number)
        values = {
            "started_at": begun.isoformat(),
            "down_from": begun.isoformat(),
            "comment": f"Alarm {300 + number} on axis Y",
        }
        if number < 8:
            values |= {"status": "open", "severity": ("critical", "major", "minor")[number % 3]}
        else:
            values |= {"down_to": (begun + timedelta(hours=3)).isoformat()}
        uuids.append(add_log(site, machine=name, **values))
    yield
    for uuid in uuids:
        site.call("DELETE", f"/logs/{uuid}")


@pytest.mark.usefixtures("hard_week")
@pytest.mark.parametrize(("screen", "locale", "theme"), LOOKS, ids=["-".join(look) for look in LOOKS])
def test_the_wall_fits_its_screen_and_can_be_used_by_all(opened, axe, screen, locale, theme):
    page = opened("/ui/wall", locale=locale, color_scheme=theme, reduced_motion="reduce", **SCREENS[screen])
    page.wait_for_selector("#pareto")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(100)
    page.screenshot(path=SCREENSHOTS / f"wall-{screen}-{locale[:2]}-{theme}.png")
    assert page.locator("nav").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if screen != "tablet":
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        # A capital of a hundredth of the height is read from three metres on any usual screen.
        size = page.locator(".latest a").first.evaluate("one => parseFloat(getComputedStyle(one).fontSize)")
        assert size >= SCREENS[screen]["viewport"]["height"] / 50
    assert axe(page) == []


def test_a_stop_comes_to_the_wall_by_itself_and_goes_again(opened, site):
    page = opened("/ui/wall")
    page.get_by_text("Live, heard at").wait_for()
    uuid = add_log(site, machine="Tour CN 1", down_from="2026-01-05T08:00:00Z", comment="Stands since winter")
    stopped = page.get_by_role("region", name="stopped")
    stopped.get_by_text("Stands since winter").wait_for()
    site.call("PATCH", f"/logs/{uuid}", down_to="2026-01-05T09:00:00Z")
    stopped.get_by_text("Stands since winter").wait_for(state="detached")


def test_a_server_that_is_silent_is_said_to_be(opened):
    page = opened("/ui/account")
    page.clock.install()
    page.goto("/ui/wall")
    page.get_by_text("heard at").wait_for()
    # Requests that nobody answers, as when the network is gone without a word.
    page.route("**/logs**", lambda _: None)
    page.clock.fast_forward(100_000)
    assert page.get_by_text("Nothing heard since").count() == 0
    page.clock.fast_forward(100_000)
    page.get_by_text("Nothing heard since").wait_for()
    assert page.locator("header .major svg").count() == 1
    page.unroute("**/logs**")
    page.clock.fast_forward(61_000)
    page.get_by_text("heard at").wait_for()


def test_esc_leaves_the_wall(opened):
    page = opened("/ui/wall")
    page.wait_for_selector("#pareto")
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-uuid]")
