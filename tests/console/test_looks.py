"""What must not move, be cut or be too small: long words, phones, forced colours, a high zoom, a finger."""

import re
from uuid import uuid4

import pytest

from console.conftest import ADMIN, OPERATOR, PHONE
from console.test_log_form import NEW, add_log
from console.test_offline import BAR, fill, find_logs
from console.test_wall import SCREENS

LONG_TYPE = "Calibration / étalonnage"
ROW = "[data-uuid]"
# Texts whose box is smaller than they are, and boxes that lie on their neighbours in the same row.
CUT = """(selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility() &&
    (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)).map((one) => one.outerHTML)"""
OVERLAPS = """(rows) => [...document.querySelectorAll(rows)].flatMap((row) => {
    const boxes = [...row.children].filter((one) => one.checkVisibility() && one.textContent.trim()).map((one) =>
        [one.getBoundingClientRect(), one.textContent]);
    return boxes.flatMap(([one, text]) => boxes.filter(([other]) => one.left < other.left &&
        one.right > other.left + 1 && one.top < other.bottom - 4 && one.bottom > other.top + 4).map(() => text)); })"""
# Controls that are lower than a finger needs. A checkbox is pressed with its label.
SMALL = """() => [...document.querySelectorAll('a, button, select, input:not([type=checkbox])')].filter((one) =>
    one.checkVisibility() && !one.matches('.skip') && one.getBoundingClientRect().height < 43.5 &&
    one.getBoundingClientRect().height > 1).map((one) => one.outerHTML.slice(0, 160))"""


@pytest.fixture(scope="module")
def odd_machine(site):
    """A machine with a long type, a cause without a blank, 64 attributes and a long serial number."""
    name = f"Odd {uuid4().hex[:6]}"
    attributes = {f"key_{number:02}": f"value {number}" for number in range(64)}
    machine = site.call("POST", "/machines", name=name, attributes=attributes)
    site.call("PUT", "/log-types/long-type", label=LONG_TYPE)
    now = [{"type": "long-type", "comment": "mesure " * 30}, {"type": "error", "cause": "x" * 120}]
    for values in now:
        add_log(site, machine=name, **values)
    return machine


def shifts(page):
    """How far the layout has moved by itself since the page was opened."""
    return page.evaluate("window.shift")


COUNT_SHIFTS = """window.shift = 0; new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.shift += entry.value;
}).observe({ type: 'layout-shift', buffered: true });"""


def test_the_form_does_not_move_when_the_recent_machines_arrive(opened):
    page = opened("/ui/account", user=OPERATOR, **PHONE)
    page.context.add_init_script(COUNT_SHIFTS)
    page.evaluate("localStorage.removeItem('mm.recent')")

    def delay(route):
        page.wait_for_timeout(600)
        route.continue_()

    page.route(re.compile(r"/logs\?.*fields=machine"), delay)
    page.goto("/ui/new")
    page.get_by_role("radio").first.wait_for()
    assert page.get_by_role("group", name="Recent machines").count() == 0
    page.get_by_role("group", name="Recent machines").wait_for()
    page.wait_for_timeout(200)
    assert shifts(page) < 0.02


def test_a_session_that_ends_while_sending_says_that_the_log_waits_for_the_user(opened, site):
    page = opened(NEW, user=OPERATOR)
    fill(page, "session finie a l envoi")
    # No other request may notice the end of the session first.
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    page.wait_for_load_state("networkidle")
    page.context.clear_cookies()
    page.get_by_role("button", name="Send").click()
    page.wait_for_url("**/ui/sign-in*")
    page.get_by_role("status").get_by_text("It will be sent when you sign in again").wait_for()
    assert find_logs(site, "session finie a l envoi") == []


@pytest.mark.usefixtures("odd_machine")
@pytest.mark.parametrize(("screen", "locale"), [("wall", "fr-FR"), ("tablet", "en-GB"), ("desk", "fr-FR")])
def test_a_long_type_stays_in_its_place_on_the_wall(opened, screen, locale):
    page = opened("/ui/wall", locale=locale, **SCREENS[screen])
    page.locator(".latest li", has_text=LONG_TYPE).wait_for()
    assert page.evaluate(OVERLAPS, "li") == []
    assert page.evaluate(CUT, ".latest .severity") == []
    assert page.evaluate(CUT, ".latest a") == []


def test_long_words_and_many_attributes_stay_on_the_page_of_a_machine(opened, odd_machine):
    page = opened(f"/ui/machines/{odd_machine['name']}")
    page.wait_for_selector(ROW)
    page.get_by_text("Most frequent causes").wait_for()
    assert page.evaluate(CUT, f"{ROW} .machine, .rows .label, figure p") == []
    right = "[...document.querySelectorAll('main *')].map((one) => one.getBoundingClientRect().right)"
    assert page.evaluate(f"Math.max(...{right}) <= innerWidth")
    assert page.locator(ROW).first.bounding_box()["y"] < 500
    facts = page.locator("dl").first
    assert not facts.get_by_text("Key 63").is_visible()
    page.get_by_role("button", name=re.compile(r"^\d+ more$")).click()
    facts.get_by_text("Key 63").wait_for()


def test_controls_are_large_enough_for_a_finger(opened, odd_machine):
    page = opened("/ui/account", user=ADMIN, **PHONE)
    uuid = page.request.get(f"/logs?machine={odd_machine['name']}&fields=uuid").json()["items"][0]["uuid"]
    small = {}
    for path, ready in [
        (f"/ui/machines/{odd_machine['name']}", ROW),
        ("/ui/wall", ".latest a"),
        (f"/ui/logs/{uuid}", "section dl dd"),
        ("/ui/waiting", "main h2"),
        ("/ui/admin/people/TWH", "form"),
        ("/ui/admin/people", "[data-key=TWH]"),
    ]:
        page.goto(path)
        page.wait_for_selector(ready)
        small[path] = page.evaluate(SMALL)
    assert {path: found for path, found in small.items() if found} == {}
    # The last person is not under the button that adds one, and the menu has one line.
    last = page.locator("[data-key]:not(button)").last
    last.scroll_into_view_if_needed()
    row, button = last.bounding_box(), page.get_by_role("button", name="Add a person").bounding_box()
    assert row["y"] + row["height"] <= button["y"]
    labels = page.locator("nav a span").filter(visible=True)
    assert {box["height"] < 26 for box in (one.bounding_box() for one in labels.all())} == {True}


def test_forced_colours_show_the_chosen_type_and_the_switch(opened):
    page = opened(NEW, user=OPERATOR, forced_colors="active", **PHONE)
    page.get_by_role("radio", name="Breakdown", exact=True).check()
    border = "one => ((style) => style.borderTopWidth + style.borderTopColor)(getComputedStyle(one.closest('label')))"
    chosen, other = (
        page.get_by_role("radio", name=name, exact=True).evaluate(border) for name in ("Breakdown", "Info")
    )
    assert chosen != other
    switch = page.get_by_role("switch")
    drawn = """one => [...one.querySelectorAll('*'), one].filter((part) => {
        const { borderTopWidth, borderTopStyle } = getComputedStyle(part);
        const isSmall = part.getBoundingClientRect().width < 80;
        return isSmall && borderTopStyle !== 'none' && borderTopWidth !== '0px'; }).length"""
    assert switch.evaluate(drawn) > 0


def test_a_zoom_of_400_percent_leaves_room_for_the_fields(opened):
    page = opened(NEW, user=OPERATOR, viewport={"width": 320, "height": 256})
    page.get_by_label("Description").wait_for()
    page.get_by_label("Description").focus()
    # How much of the screen is covered by what does not scroll away.
    covered = page.evaluate("""() => [...document.querySelectorAll('form *, nav')].filter((one) => {
        const box = one.getBoundingClientRect();
        return document.elementFromPoint(160, 4)?.closest('header, nav') === one ||
            document.elementFromPoint(160, 250)?.closest('footer, nav') === one;
    }).reduce((sum, one) => sum + one.getBoundingClientRect().height, 0)""")
    assert covered <= 256 / 4
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_of_labels_says_that_none_is_chosen_in_one_place(opened):
    page = opened("/ui/labels")
    title, hint = (
        page.get_by_role("heading", name="No labels chosen."),
        page.get_by_text("Choose one or more machines."),
    )
    title.wait_for()
    gap = hint.bounding_box()["y"] - title.bounding_box()["y"] - title.bounding_box()["height"]
    assert 0 <= gap <= 24
    assert page.get_by_role("button", name="Print", exact=True).is_disabled()
