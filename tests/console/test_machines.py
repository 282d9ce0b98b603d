"""Machines in a browser: the list, a machine's page with its charts, and labels."""

import re
from urllib.parse import quote
from uuid import uuid4

import pytest

from api.access.site import hashed_password
from console.conftest import DESK, OPERATOR, PHONE, SCREENSHOTS, SUPERVISOR, VIEWER
from machine_monitor.services.accounts import invitations
from machine_monitor.services.audit.history import ChangeContext

MACHINE = "[data-machine]"
ROW = "[data-uuid]"
SCREENS = {"desk": DESK, "phone": PHONE}


@pytest.fixture(scope="session")
def busiest(site):
    """The machine with the most logs."""
    return site.call("GET", "/logs/facets?by=machine&limit=1")["facets"]["machine"][0]["value"]


def test_the_timeline_says_if_it_does_not_show_all_logs(opened, busiest):
    page = opened(f"/ui/machines/{quote(busiest)}")
    page.route("**/logs?*", lambda route: route.continue_(url=route.request.url.replace("limit=500", "limit=2")))
    page.reload()
    page.get_by_text(re.compile(r"^\d+\+ logs?, \d+\+ stops?\.")).wait_for()


@pytest.fixture(scope="module")
def lead(site):
    """A user with the role lead, who may change only the state and the comment of a machine."""
    site.write(lambda tx: invitations.set_password(tx, "MLF", hashed_password(), ChangeContext("test")))
    return "MLF"


@pytest.fixture
def machine(site):
    """A new machine without logs."""
    name = f"Press {uuid4().hex[:8]}"
    created = site.call("POST", "/machines", name=name, sector="Hall 9", manufacturer="Ovrandel")
    yield created
    machines = site.call("GET", f"/machines?id={created['id']}")["items"]
    logs = site.call("GET", f"/logs?machine.id={created['id']}")["items"]
    for log in logs:
        site.call("DELETE", f"/logs/{log['uuid']}")
    if not logs:  # a machine cannot be deleted while it has logs, even deleted ones
        for renamed in machines:
            site.call("DELETE", f"/machines/{quote(renamed['name'])}")


def address(machine):
    return f"/ui/machines/{quote(machine['name'])}"


def add_log(site, machine, **values):
    return site.call("POST", "/logs", **{"machine": machine["name"], "type": "info", **values})["uuid"]


def names(page):
    return page.eval_on_selector_all(MACHINE, "all => all.map(one => one.dataset.machine)")


def test_stopped_machines_come_first_until_they_restart(opened, site, machine):
    uuid = add_log(site, machine, type="error", down_from="2026-01-05T08:00:00Z")
    page = opened("/ui/machines")
    page.wait_for_selector(MACHINE)
    row = page.locator(f"[data-machine='{machine['name']}']")
    assert row.get_by_text("Stopped for").is_visible()
    # This machine has been stopped the longest, and stopped machines come before the others.
    shown = page.locator(MACHINE)
    stopped = [row.get_by_text("Stopped for").count() for row in shown.all()]
    assert stopped == sorted(stopped, reverse=True)
    page.get_by_role("button", name="State").click()
    page.get_by_role("checkbox", name="Stopped now").click()
    page.wait_for_url("**/ui/machines?state=stopped")
    page.wait_for_function("n => document.querySelectorAll('[data-machine]').length === n", arg=sum(stopped))
    site.call("PATCH", f"/logs/{uuid}", down_to="2026-01-05T09:00:00Z")
    row.wait_for(state="detached")


def test_filters_of_the_machine_list_are_in_the_address(opened, machine):
    page = opened("/ui/machines")
    page.wait_for_selector(MACHINE)
    page.get_by_role("button", name="Sector").click()
    page.get_by_role("checkbox", name="Hall 9").click()
    page.wait_for_url("**/ui/machines?sector=Hall+9")
    page.keyboard.press("/")
    page.keyboard.type(machine["name"][:12].lower())
    page.wait_for_selector(f"[data-machine='{machine['name']}'] mark")
    assert page.url.endswith(f"?sector=Hall+9&q={machine['name'][:12].lower().replace(' ', '+')}")
    page.reload()
    page.wait_for_selector(f"[data-machine='{machine['name']}'] mark")
    assert names(page) == [machine["name"]]
    page.get_by_role("button", name="Clear all").click()
    page.wait_for_url("**/ui/machines")


def test_a_label_leads_to_its_machine_after_a_rename(opened, site, machine):
    # The open page receives the rename event and requests the old name once more.
    page = opened(f"/ui/m/{machine['id']}", user=VIEWER, refusals=(404,))
    page.wait_for_url(f"**{address(machine)}")
    renamed = site.call("PATCH", f"/machines/{quote(machine['name'])}", name=f"Renamed {machine['name']}")
    page.goto(f"/ui/m/{machine['id']}")
    page.wait_for_url(f"**{address(renamed)}")
    page.goto("/ui/m/999999")
    page.get_by_text("Machine not found.").wait_for()


def test_days_are_selected_by_dragging_or_by_keyboard(opened, site, busiest):
    page = opened(f"/ui/machines/{quote(busiest)}")
    page.wait_for_selector(ROW)
    box = page.locator(".area").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 20, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile(r"\?started_at__gte=\d{4}-\d\d-\d\d&started_at__lte=\d{4}-\d\d-\d\d$"))
    query = page.url.partition("?")[2]
    total = site.call("GET", f"/logs?machine={quote(busiest)}&{query}&limit=1&count=exact")["total"]
    page.get_by_role("link", name=re.compile(rf"^Show {total} logs? in the list$")).wait_for()
    first = page.get_by_role("slider", name="First day")
    first.focus()
    before = int(first.get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowRight")
    page.wait_for_function("n => document.activeElement.ariaValueNow === n", arg=str(before + 1))
    assert page.url.partition("?")[2] != query
    page.get_by_role("button", name="All days").click()
    page.wait_for_url(f"**/ui/machines/{quote(busiest)}")


def test_the_charts_show_the_numbers_of_the_service(opened, site, machine):
    add_log(site, machine, type="error", down_from="2026-10-30T22:00:00Z", down_to="2026-11-01T01:00:00Z", cause="Fuse")
    add_log(site, machine, cause="fuse")
    page = opened(address(machine))
    page.get_by_text("2 logs in 12 months, including 1 failure.").wait_for()
    page.get_by_role("button", name="Downtime per month, in hours: Numbers").click()
    table = page.get_by_role("table", name="Downtime per month, in hours")
    # The months start at midnight in the time zone of the site, one hour ahead of UTC.
    assert table.get_by_role("row", name="Oct 2026").text_content().split()[-1].endswith("25")
    assert table.get_by_role("row", name="Nov 2026").text_content().split()[-1].endswith("2")
    page.get_by_text("comes first: 2 of 2 logs with a cause").wait_for()
    page.get_by_role("link", name="Fuse", exact=True).or_(page.get_by_role("link", name="fuse", exact=True)).click()
    page.get_by_text("2 logs", exact=True).wait_for()


def test_only_leads_and_above_can_edit_a_machine(opened, machine, lead):
    page = opened(address(machine), user=OPERATOR)
    page.get_by_role("heading", name=machine["name"]).wait_for()
    assert page.get_by_role("button", name="Edit").count() == 0
    page = opened(address(machine), user=lead)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Comment").fill("Squeaks in winter")
    assert page.locator("dialog :is(input, select, textarea)").count() == 2
    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_text("Squeaks in winter").wait_for()


def test_a_machine_is_renamed_retired_and_put_back_in_service(opened, site, machine):
    page = opened(address(machine), user=SUPERVISOR)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Name").fill("no/slash")
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector("[name=name][aria-invalid=true]")
    page.get_by_label("Name").fill(f"{machine['name']} b")
    page.get_by_role("button", name="Save").click()
    renamed = {"name": f"{machine['name']} b"}
    page.get_by_role("dialog").wait_for(state="detached")
    # Else the buttons would still address the old name.
    assert page.get_by_role("heading", level=1).inner_text() == renamed["name"]
    page.wait_for_url(f"**{address(renamed)}")
    page.get_by_role("button", name="Retire").click()
    page.get_by_text("Machine retired.").wait_for()
    assert site.call("GET", f"/machines/{quote(renamed['name'])}")["in_service"] is False
    page.get_by_role("button", name="Put back in service").click()
    page.get_by_role("button", name="Retire").wait_for()


@pytest.mark.parametrize("screen", SCREENS)
def test_the_machine_form_and_the_chart_table_are_accessible(opened, axe, busiest, screen):
    page = opened(f"/ui/machines/{quote(busiest)}", **SCREENS[screen])
    page.get_by_role("button", name="Logs per month, by type: Numbers").click()
    page.get_by_role("table").wait_for()
    page.get_by_role("table").scroll_into_view_if_needed()
    page.screenshot(path=SCREENSHOTS / f"machine-numbers-{screen}-en-light.png")
    assert axe(page) == []
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("dialog").wait_for()
    page.screenshot(path=SCREENSHOTS / f"machine-edit-{screen}-en-light.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert axe(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")


def test_the_machine_list_is_navigated_by_keyboard(opened):
    page = opened("/ui/machines")
    page.wait_for_selector(MACHINE)
    shown = names(page)
    for key in ("j", "j", "k"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.dataset.machine") == shown[0]
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=shown[1], exact=True).wait_for()


def test_a_conflict_shows_the_current_values_before_saving(opened, site, machine):
    page = opened(address(machine))
    page.get_by_role("button", name="Edit").click()
    site.call("PATCH", f"/machines/{quote(machine['name'])}", model="Their model", usage="Theirs")
    page.get_by_label("Model").fill("My model")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Now: Their model").wait_for()
    assert page.get_by_label("Model").input_value() == "My model"
    assert page.get_by_label("Used for").input_value() == "Theirs"
    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").wait_for(state="detached")
    saved = site.call("GET", f"/machines/{quote(machine['name'])}")
    assert (saved["model"], saved["usage"]) == ("My model", "Theirs")


def test_only_supervisors_add_machines(opened, site):
    page = opened("/ui/machines", user=OPERATOR)
    page.wait_for_selector(MACHINE)
    assert page.get_by_role("button", name="Add").count() == 0
    page = opened("/ui/machines", user=SUPERVISOR)
    page.get_by_role("button", name="Add").click()
    page.get_by_label("Name").fill("Added here")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Added here").wait_for()
    site.call("DELETE", "/machines/Added%20here")


def test_an_a4_sheet_holds_fourteen_labels_of_the_right_size(opened, site):
    added = [f"Label {number}" for number in range(14)]
    for name in added:
        site.call("POST", "/machines", name=name)
    page = opened("/ui/labels?" + "&".join(f"name={quote(name)}" for name in added))
    page.wait_for_function(
        "() => document.images.length === 14 && [...document.images].every(one => one.complete && one.naturalWidth)"
    )
    page.emulate_media(media="print")
    box = page.locator(".sheet img").first.bounding_box()
    assert [round(box[side] * 25.4 / 96) for side in ("width", "height")] == [90, 38]
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1
    for name in added:
        site.call("DELETE", f"/machines/{quote(name)}")


def test_a_machine_without_problems_shows_no_warm_colour(opened, site, machine):
    add_log(site, machine, type="cleaning", comment="Clean")
    page = opened(address(machine))
    page.get_by_text("1 log in 12 months").wait_for()
    page.get_by_text("No stops in 12 months.").wait_for()
    warm = page.evaluate("""() => {
        const probe = document.body.appendChild(document.createElement('i'));
        const warm = ['danger', 'warning'].map((name) => {
            probe.style.color = `var(--${name})`;
            return getComputedStyle(probe).color;
        });
        probe.remove();
        return [...document.querySelectorAll('body *')].filter((one) =>
            ['color', 'fill', 'stroke', 'backgroundColor'].some((name) => warm.includes(getComputedStyle(one)[name])),
        ).map((one) => one.outerHTML.slice(0, 80));
    }""")
    assert warm == []
